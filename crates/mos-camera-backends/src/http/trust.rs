//! A TLS client that believes whom [`Trust`] names, by rustls with ring.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use mos_camera_core::{Fingerprint, Trust};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore,
    SignatureScheme,
};
use sha2::{Digest, Sha256};

use super::HttpError;

/// TLS 1.2 and 1.3, with the peer checked as `trust` says.
pub(super) fn config(trust: &Trust) -> Result<ClientConfig, HttpError> {
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        Trust::System => by_authorities(system_roots()?, &provider)?,
        Trust::CaFile(path) => by_authorities(roots_of(path)?, &provider)?,
        Trust::Pinned(fingerprint) => Arc::new(Unchained {
            pinned: Some(*fingerprint),
            provider: Arc::clone(&provider),
        }),
        Trust::Anybody => Arc::new(Unchained {
            pinned: None,
            provider: Arc::clone(&provider),
        }),
    };
    let versions = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| HttpError::Client(error.to_string()))?;
    let config = versions
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    Ok(config.with_no_client_auth())
}

fn by_authorities(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, HttpError> {
    let builder =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let verifier = builder
        .build()
        .map_err(|error| HttpError::Authorities(error.to_string()))?;
    Ok(verifier)
}

/// The authorities of the operating system. What of them can't be read is left out, as every client does.
fn system_roots() -> Result<RootCertStore, HttpError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (good, _bad) = roots.add_parsable_certificates(found.certs);
    if good == 0 {
        return Err(HttpError::Authorities(
            "this machine has no certificates of authorities; apt install ca-certificates"
                .to_owned(),
        ));
    }
    Ok(roots)
}

/// The authorities of a PEM file, each of which has to be right.
fn roots_of(path: &Path) -> Result<RootCertStore, HttpError> {
    let unusable =
        |why: &dyn fmt::Display| HttpError::Authorities(format!("{}: {why}", path.display()));
    let mut roots = RootCertStore::empty();
    let found = CertificateDer::pem_file_iter(path).map_err(|error| unusable(&error))?;
    for certificate in found {
        let certificate = certificate.map_err(|error| unusable(&error))?;
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    if roots.is_empty() {
        return Err(unusable(&"no certificate in this file"));
    }
    Ok(roots)
}

/// Looks at no authority, name or date: at the pinned fingerprint, or at nothing. That the peer has the certificate's key
/// is checked either way.
#[derive(Debug)]
struct Unchained {
    pinned: Option<Fingerprint>,
    provider: Arc<CryptoProvider>,
}

/// Another certificate than the pinned one came.
#[derive(Debug, thiserror::Error)]
#[error("it is {0}")]
pub(super) struct OtherCertificate(Fingerprint);

impl ServerCertVerifier for Unchained {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let seen = Fingerprint::new(Sha256::digest(end_entity).into());
        if self.pinned.is_none_or(|pinned| pinned == seen) {
            return Ok(ServerCertVerified::assertion());
        }
        let other = OtherError(Arc::new(OtherCertificate(seen)));
        Err(Error::InvalidCertificate(CertificateError::Other(other)))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
