//! Certificates of servers: from an authority of one's own, good ones and ones that have expired.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What a certificate is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Validity {
    /// It is good for longer than anybody's tests.
    #[default]
    Good,
    /// It was good once.
    Expired,
}

/// Both, by their names in commands and files, with the years that they are good from and until.
const ALL: [(&str, Validity, (i32, i32)); 2] = [
    ("good", Validity::Good, (2020, 2090)),
    ("expired", Validity::Expired, (2020, 2024)),
];

impl FromStr for Validity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = ALL.iter().find(|(name, ..)| *name == text);
        found
            .map(|(_, validity, _)| *validity)
            .ok_or_else(|| format!("no certificate `{text}`: good, expired"))
    }
}

/// The authority's own certificate in a folder of [`write`].
pub fn authority(folder: &Path) -> PathBuf {
    folder.join("authority.pem")
}

/// Certificate and key of a server in a folder of [`write`].
fn server(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.pem"))
}

/// Makes an authority, and certificates for `names` (wildcards are fine) of each validity, in `folder`.
pub fn write(folder: &Path, names: &[String]) -> io::Result<()> {
    let mut params = CertificateParams::new(Vec::new()).map_err(io::Error::other)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "mos-camera's fault laboratory");
    let issuer =
        CertifiedIssuer::self_signed(params, KeyPair::generate().map_err(io::Error::other)?)
            .map_err(io::Error::other)?;
    fs::write(authority(folder), issuer.pem())?;
    for (name, _, (from, until)) in ALL {
        let mut params = CertificateParams::new(names.to_vec()).map_err(io::Error::other)?;
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = params.signed_by(&key, &issuer).map_err(io::Error::other)?;
        let text = format!("{}{}", certificate.pem(), key.serialize_pem());
        fs::write(server(folder, name), text)?;
    }
    Ok(())
}

/// What a server needs to show the certificate of `validity` out of a folder of [`write`].
pub fn load(folder: &Path, validity: Validity) -> io::Result<Arc<ServerConfig>> {
    let name = ALL.iter().find(|(_, known, _)| *known == validity);
    let file = server(folder, name.map_or("", |(name, ..)| name));
    let certificate = CertificateDer::from_pem_file(&file).map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_file(&file).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(vec![certificate], key)
        })
        .map_err(io::Error::other)?;
    Ok(Arc::new(config))
}
