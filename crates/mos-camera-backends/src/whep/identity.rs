//! The certificate that this end of DTLS shows.
//!
//! `dtlsdec` of GStreamer makes one of RSA, with which no cipher is in common with servers that have only ECDSA suites
//! (aiortc is one), whichever end they are. RFC 8827 wants ECDSA on P-256 of everybody, so that is what we have. Its
//! fingerprint in the offer is what vouches for it; names and dates are looked at by nobody. `webrtcbin` of GStreamer 1.22 counts
//! the key's lines into the fingerprint where the PEM holds a key, so the offer gets the right one from here.

use std::fmt;
use std::sync::LazyLock;

use mos_camera_core::{Fault, FaultKind, Fingerprint};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use sha2::{Digest, Sha256};

/// A certificate with its key.
pub(super) struct Identity {
    /// Both as PEM, as `dtlsdec` takes them.
    pub(super) pem: String,
    /// The certificate's.
    pub(super) fingerprint: Fingerprint,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.fingerprint)
    }
}

/// One for all sessions of this process, since `dtlsdec` keeps what it was given.
pub(super) fn identity() -> Result<&'static Identity, Fault> {
    static OURS: LazyLock<Result<Identity, rcgen::Error>> = LazyLock::new(make);
    OURS.as_ref().map_err(|error| {
        Fault::new(
            FaultKind::Internal,
            format!("can't make a certificate for WebRTC: {error}"),
            "the system's source of random numbers may not work",
        )
    })
}

fn make() -> Result<Identity, rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = CertificateParams::default().self_signed(&key)?;
    Ok(Identity {
        pem: certificate.pem() + &key.serialize_pem(),
        fingerprint: Fingerprint::new(Sha256::digest(certificate.der()).into()),
    })
}
