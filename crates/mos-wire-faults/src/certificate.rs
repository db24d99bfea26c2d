//! Certificates that a server shows: PEM files of a folder, by name.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What a server needs to show the certificate of `NAME.pem` with the key of `NAME.key`.
pub fn load(folder: &Path, name: &str) -> io::Result<Arc<ServerConfig>> {
    let path = |ending| folder.join(format!("{name}.{ending}"));
    let certificate = CertificateDer::from_pem_file(path("pem")).map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_file(path("key")).map_err(io::Error::other)?;
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
