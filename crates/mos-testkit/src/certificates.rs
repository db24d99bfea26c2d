//! Certificates made at test time: by an authority of the test's own, good ones and bad ones.

use std::io;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};

/// PEM files of a certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// SHA-256 of nothing but the certificate's DER is its fingerprint.
    pub der: Vec<u8>,
}

/// When a certificate is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dates {
    /// Now.
    Good,
    /// Its time ended in 2020.
    Expired,
    /// Its time begins in 2100.
    Future,
}

/// An authority with a folder that its certificates are written to.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    /// A new authority that nobody knows.
    pub fn new() -> io::Result<Self> {
        let mut params = params(&[], Dates::Good)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "mos-camera test authority");
        let issuer = CertifiedIssuer::self_signed(params, key()?).map_err(io::Error::other)?;
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join(ROOT), issuer.pem())?;
        Ok(Self { issuer, folder })
    }

    /// PEM file of its own certificate.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join(ROOT)
    }

    /// Issues a certificate for hosts: names or addresses.
    pub fn issue(&self, name: &str, hosts: &[&str], dates: Dates) -> io::Result<CertificateFiles> {
        let key = key()?;
        let certificate = params(hosts, dates)?
            .signed_by(&key, &self.issuer)
            .map_err(io::Error::other)?;
        let files = CertificateFiles {
            certificate: self.file(name, "pem"),
            key: self.file(name, "key"),
            der: certificate.der().to_vec(),
        };
        std::fs::write(&files.certificate, certificate.pem())?;
        std::fs::write(&files.key, key.serialize_pem())?;
        Ok(files)
    }

    fn file(&self, name: &str, extension: &str) -> PathBuf {
        self.folder
            .path()
            .join(Path::new(name).with_extension(extension))
    }
}

const ROOT: &str = "authority.pem";

fn key() -> io::Result<KeyPair> {
    KeyPair::generate().map_err(io::Error::other)
}

fn params(hosts: &[&str], dates: Dates) -> io::Result<CertificateParams> {
    let hosts: Vec<_> = hosts.iter().map(|&host| host.to_owned()).collect();
    let mut params = CertificateParams::new(hosts).map_err(io::Error::other)?;
    let (from, to) = match dates {
        Dates::Good => (2000, 2099),
        Dates::Expired => (2000, 2020),
        Dates::Future => (2100, 2101),
    };
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
    Ok(params)
}
