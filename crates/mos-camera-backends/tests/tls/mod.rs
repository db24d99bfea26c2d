//! TLS and plain servers on loopback, scripted; certificates by rcgen.

#![allow(dead_code, reason = "not every test binary uses all of it")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};

/// Longest wait for the other end.
const PATIENCE: Duration = Duration::from_secs(30);

/// An authority of its own.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its certificate as PEM.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for `names`, valid in these years.
    pub(crate) fn issue(&self, names: &[&str], years: (i32, i32)) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = params(names, years).signed_by(&key, &self.0).unwrap();
        Identity::new(&certificate, &key)
    }
}

/// What an authority says of a certificate that it took back, signed by it (OCSP, RFC 6960); by OpenSSL's own responder, which
/// gets a list of certificates as `openssl ca` keeps it.
pub(crate) fn revocation(authority: &Authority, identity: &Identity) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let (issuer, certificate) = (
        file("ca.pem", &authority.pem()),
        file("it.pem", &identity.pem()),
    );
    let key = file("ca.key", &authority.0.key().serialize_pem());
    let serial = openssl(&["x509", "-noout", "-serial", "-in", &certificate]);
    let serial = serial.trim().trim_start_matches("serial=");
    let line = format!("R\t991231235959Z\t200101000000Z\t{serial}\tunknown\t/CN=it\n");
    let index = file("index.txt", &line);
    let answer = file("answer.der", "");
    openssl(&[
        "ocsp",
        "-index",
        &index,
        "-CA",
        &issuer,
        "-rsigner",
        &issuer,
        "-rkey",
        &key,
        "-issuer",
        &issuer,
        "-cert",
        &certificate,
        "-ndays",
        "1",
        "-no_nonce",
        "-noverify",
        "-respout",
        &answer,
    ]);
    assert!(openssl(&["ocsp", "-respin", &answer, "-text", "-noverify"]).contains("revoked"));
    std::fs::read(answer).unwrap()
}

/// Certificate and key of a server.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) der: Vec<u8>,
    key: Vec<u8>,
    /// Certificate and key.
    pem: (String, String),
}

impl Identity {
    fn new(certificate: &rcgen::Certificate, key: &KeyPair) -> Self {
        Self {
            der: certificate.der().to_vec(),
            key: key.serialize_der(),
            pem: (certificate.pem(), key.serialize_pem()),
        }
    }

    /// Its certificate as PEM.
    pub(crate) fn pem(&self) -> String {
        self.pem.0.clone()
    }

    /// Its key as PEM.
    pub(crate) fn key_pem(&self) -> String {
        self.pem.1.clone()
    }

    /// One that the server made for itself, as cameras do.
    pub(crate) fn self_signed(names: &[&str], authority: bool) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = params(names, GOOD);
        if authority {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        Self::new(&params.self_signed(&key).unwrap(), &key)
    }

    fn config(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        staple: Vec<u8>,
    ) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.clone()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert_with_ocsp(vec![self.der.clone().into()], key, staple)
            .unwrap();
        Arc::new(config)
    }
}

/// Years that hold every test's day.
pub(crate) const GOOD: (i32, i32) = (2020, 2090);

fn params(names: &[&str], years: (i32, i32)) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 1, 1);
    params
}

/// What a server does with each request, given its head and body: the bytes that it answers with.
pub(crate) type Answers = Arc<dyn Fn(&str) -> Vec<u8> + Send + Sync>;

/// A server that lives as long as the process; it answers one request a connection.
pub(crate) struct Server {
    pub(crate) port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Speaks plain HTTP.
    pub(crate) fn plain(answers: Answers) -> Self {
        Self::start(None, answers)
    }

    /// Speaks TLS.
    pub(crate) fn tls(identity: &Identity, answers: Answers) -> Self {
        Self::stapling(identity, Vec::new(), answers)
    }

    /// The same, with what the authority says of the certificate (RFC 6066, section 8).
    pub(crate) fn stapling(identity: &Identity, staple: Vec<u8>, answers: Answers) -> Self {
        Self::start(Some(identity.config(rustls::ALL_VERSIONS, staple)), answers)
    }

    fn start(config: Option<Arc<ServerConfig>>, answers: Answers) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                let (config, answers, seen) =
                    (config.clone(), Arc::clone(&answers), Arc::clone(&seen));
                thread::spawn(move || match config {
                    Some(config) => {
                        let connection = ServerConnection::new(config).unwrap();
                        serve(StreamOwned::new(connection, stream), &answers, &seen);
                    }
                    None => serve(stream, &answers, &seen),
                });
            }
        });
        Self { port, requests }
    }

    /// The requests so far: head and body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn serve(mut stream: impl Read + Write, answers: &Answers, seen: &Mutex<Vec<String>>) {
    let Some(request) = read_request(&mut stream) else {
        return;
    };
    seen.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(request.clone());
    // A client that has enough hangs up.
    let _gone = stream.write_all(&answers(&request));
    let _gone = stream.flush();
}

fn read_request(stream: &mut impl Read) -> Option<String> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0);
            if bytes.len() >= end + 4 + length {
                return Some(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return None,
            Ok(n) => bytes.extend_from_slice(&chunk[..n]),
        }
    }
}

/// A TLS server that has no version in common, and says so, as OpenSSL does.
pub(crate) fn no_version() -> u16 {
    // RFC 8446, section 6: fatal, protocol_version.
    to_every_hello(&[21, 3, 3, 0, 2, 2, 70])
}

/// A TLS server that has no cipher in common.
pub(crate) fn no_cipher() -> u16 {
    // Fatal, handshake_failure.
    to_every_hello(&[21, 3, 3, 0, 2, 2, 40])
}

/// A TLS server that goes on by TLS 1.1 whatever it is offered, as those do that know no newer version (RFC 4346, 7.4.1.3).
pub(crate) fn old_version() -> u16 {
    // A record of TLS 1.1 with a server hello: version, random, no session, a cipher, no compression.
    let mut hello = vec![22, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0xc0, 0x13, 0]);
    to_every_hello(&hello)
}

fn to_every_hello(answer: &[u8]) -> u16 {
    let answer = answer.to_vec();
    raw(move |mut stream| {
        let mut hello = [0; 512];
        let _read = stream.read(&mut hello);
        let _sent = stream.write_all(&answer);
    })
}

/// A server that does this with each connection.
pub(crate) fn raw(each: impl Fn(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || listener.incoming().flatten().for_each(each));
    port
}

/// An answer with a body.
pub(crate) fn answer(status: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let mut text = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n",
        body.len()
    );
    for header in headers {
        text += header;
        text += "\r\n";
    }
    (text + "\r\n" + body).into_bytes()
}
