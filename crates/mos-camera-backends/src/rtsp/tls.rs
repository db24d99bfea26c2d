//! TLS of RTSPS cameras: whom to believe, and what was wrong with whom we did not.
//!
//! `rtspsrc` uses GIO's TLS (glib-networking). It asks whether to accept a certificate only after GIO's default database has
//! refused it, so whatever the system trusts would pass, also where a CA file or a fingerprint is given. Therefore this
//! process's default database is one that trusts nobody, and each camera brings its own (record 22).

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use gio::prelude::*;
use gst::glib;
use mos_camera_core::{DeviceId, Fault, FaultKind, Fingerprint, TlsProblem, Trust};

use super::memory::Memory;
use crate::http;

/// `None` without a TLS library.
static TLS: LazyLock<Option<Tls>> = LazyLock::new(|| {
    let backend = gio::TlsBackend::default();
    if !backend.supports_tls() {
        return None;
    }
    let keeper = gst::ElementFactory::make("rtspsrc").build().ok()?;
    keeper.set_property(DATABASE, backend.default_database());
    let (database, nobody) = nobody().ok()?;
    backend.set_default_database(Some(&database));
    Some(Tls {
        system: keeper,
        _nobody: nobody,
    })
});

struct Tls {
    /// An element that does nothing but keep the database of the system's authorities, which is no type that threads may share
    /// in Rust, as a property.
    system: gst::Element,
    /// The file of the default database: it is read again for each connection.
    _nobody: File,
}

/// A certificate that can issue nothing, has expired, and whose key was thrown away: a database has to have one.
const NOBODY: &[u8] = include_bytes!("nobody.pem");

/// A database that trusts nobody, and its file.
fn nobody() -> Result<(gio::TlsFileDatabase, File), glib::Error> {
    let failed =
        |error: std::io::Error| glib::Error::new(gst::CoreError::Failed, &error.to_string());
    let memory = rustix::fs::memfd_create("nobody.pem", rustix::fs::MemfdFlags::CLOEXEC)
        .map_err(|error| failed(error.into()))?;
    let mut file = File::from(memory);
    file.write_all(NOBODY).map_err(failed)?;
    let database = gio::TlsFileDatabase::new(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    Ok((database, file))
}

const DATABASE: &str = "tls-database";

/// Makes `session` believe whom `trust` says, and note in `memory` what was wrong with others.
pub(super) fn install(
    session: &gst::Element,
    device: &DeviceId,
    trust: &Trust,
    memory: &Memory,
) -> Result<(), Fault> {
    let tls = TLS.as_ref().ok_or_else(|| no_tls(device))?;
    match trust {
        Trust::System => {
            session.set_property_from_value(DATABASE, &tls.system.property_value(DATABASE));
        }
        Trust::CaFile(path) => session.set_property(DATABASE, authorities(device, path)?),
        Trust::Pinned(_) | Trust::Anybody => {}
    }
    let (trust, memory) = (trust.clone(), memory.clone());
    session.connect("accept-certificate", false, move |values| {
        let certificate: gio::TlsCertificate = values.get(2)?.get().ok()?;
        let errors: gio::TlsCertificateFlags = values.get(3)?.get().ok()?;
        let verdict = judge(&trust, fingerprint(&certificate), errors);
        let accepted = verdict.is_none();
        memory.lock().run.tls = verdict;
        Some(accepted.to_value())
    });
    Ok(())
}

/// What is wrong with a certificate that the camera's own database, if it has one, did not accept.
fn judge(
    trust: &Trust,
    seen: Option<Fingerprint>,
    errors: gio::TlsCertificateFlags,
) -> Option<(TlsProblem, String)> {
    let shown = seen.map_or_else(String::new, |seen| format!("its fingerprint is {seen}"));
    match trust {
        Trust::Anybody => None,
        Trust::Pinned(pinned) if seen == Some(*pinned) => None,
        Trust::Pinned(_) => Some((TlsProblem::OtherFingerprint, shown)),
        Trust::System | Trust::CaFile(_) => {
            let (problem, others) = problem(errors);
            let others = others.map(|other| format!("{other}, "));
            Some((problem, format!("{}{shown}", others.collect::<String>())))
        }
    }
}

/// The problem that stands before the others, and those. Nothing that a certificate says counts before its issuer is trusted.
fn problem(errors: gio::TlsCertificateFlags) -> (TlsProblem, impl Iterator<Item = &'static str>) {
    use gio::TlsCertificateFlags as Flags;
    let table = [
        (Flags::REVOKED, TlsProblem::Revoked, "revoked"),
        (
            Flags::UNKNOWN_CA,
            TlsProblem::UnknownIssuer,
            "of an unknown issuer",
        ),
        (Flags::EXPIRED, TlsProblem::Expired, "expired"),
        (
            Flags::NOT_ACTIVATED,
            TlsProblem::NotYetValid,
            "not valid yet",
        ),
        (
            Flags::BAD_IDENTITY,
            TlsProblem::WrongHost,
            "for another host",
        ),
        (
            Flags::INSECURE,
            TlsProblem::Other,
            "signed by an algorithm that is not safe",
        ),
        // What GIO has no flag for: an authority of the right name, but with another key, or a purpose that is none of a server's.
        (
            Flags::GENERIC_ERROR,
            TlsProblem::UnknownIssuer,
            "with a signature or a purpose that does not fit",
        ),
    ];
    let found: Vec<_> = table
        .into_iter()
        .filter(|(flag, ..)| errors.contains(*flag))
        .collect();
    let first = found
        .first()
        .map_or(TlsProblem::Other, |(_, problem, _)| *problem);
    (first, found.into_iter().skip(1).map(|(.., words)| words))
}

fn fingerprint(certificate: &gio::TlsCertificate) -> Option<Fingerprint> {
    let der = certificate.certificate()?;
    let digest =
        glib::compute_checksum_for_bytes(glib::ChecksumType::Sha256, &glib::Bytes::from(&der[..]))?;
    digest.parse().ok()
}

fn authorities(device: &DeviceId, path: &Path) -> Result<gio::TlsFileDatabase, Fault> {
    let unusable = |why: &str| {
        Fault::new(
            FaultKind::Missing,
            format!(
                "{device}: `tls_ca_file` {} can't be used: {why}",
                path.display()
            ),
            "name a file with the authority's certificate in PEM that the service may read",
        )
    };
    // GIO refuses relative paths.
    let absolute = std::path::absolute(path).map_err(|error| unusable(&error.to_string()))?;
    let certificates = gio::TlsCertificate::list_new_from_file(&absolute)
        .map_err(|error| unusable(error.message()))?;
    if certificates.is_empty() {
        return Err(unusable("it holds no certificate"));
    }
    gio::TlsFileDatabase::new(&absolute).map_err(|error| unusable(error.message()))
}

fn no_tls(device: &DeviceId) -> Fault {
    Fault::new(
        FaultKind::Missing,
        format!("{device}: this machine has no TLS for GStreamer's RTSP client"),
        "apt install glib-networking, and restart the service",
    )
}

/// Default port of RTSPS (RFC 7826, 22.14).
const PORT: u16 = 322;

/// Looks by handshakes of its own why there was no TLS with `authority`, since `rtspsrc` does not tell; none if that was
/// not for TLS. Each of the up to three takes up to `timeout`, and a second at least.
pub(super) fn diagnose(authority: &str, timeout: Duration) -> Option<(TlsProblem, String)> {
    let client = gio::SocketClient::new();
    client.set_tls(true);
    client.set_timeout(u32::try_from(timeout.as_secs()).unwrap_or(u32::MAX).max(1));
    let error = client
        .connect_to_host(authority, PORT, gio::Cancellable::NONE)
        .err()?;
    let said = error.message().to_owned();
    match error.kind::<gio::TlsError>()? {
        gio::TlsError::NotTls => Some((TlsProblem::PlainServer, said)),
        // Nobody is trusted here: it does speak TLS.
        gio::TlsError::BadCertificate => None,
        // GnuTLS has no word of its own for most of what is no TLS, and tells versions from ciphers only in a sentence.
        _ if answers_in_plain_text(authority, timeout) => Some((TlsProblem::PlainServer, said)),
        kind => connect(authority, timeout)
            .ok()
            .and_then(|stream| http::tls_problem(host(authority), stream, timeout))
            .or_else(|| {
                let handshake = matches!(kind, gio::TlsError::Handshake);
                let problem = if handshake {
                    TlsProblem::NothingInCommon
                } else {
                    TlsProblem::Other
                };
                Some((problem, said))
            }),
    }
}

fn connect(authority: &str, timeout: Duration) -> std::io::Result<TcpStream> {
    let mut addresses = authority
        .to_socket_addrs()
        .or_else(|_| (host(authority), PORT).to_socket_addrs())?;
    let address = addresses.next().ok_or(std::io::ErrorKind::NotFound)?;
    TcpStream::connect_timeout(&address, timeout)
}

/// Without port and brackets.
fn host(authority: &str) -> &str {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    host.trim_matches(['[', ']'])
}

/// Whether a server answers RTSP without TLS by text; a TLS server closes, or answers by an alert.
fn answers_in_plain_text(authority: &str, timeout: Duration) -> bool {
    let ask = || -> std::io::Result<u8> {
        let mut stream = connect(authority, timeout)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.write_all(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")?;
        let mut first = [0];
        stream.read_exact(&mut first)?;
        Ok(first[0])
    };
    ask().is_ok_and(|first| first.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use gio::TlsCertificateFlags as Flags;

    use super::*;

    const SEEN: Fingerprint = Fingerprint::new([7; 32]);

    #[test]
    fn errors_have_an_order_and_are_all_told() {
        for (errors, expected, words) in [
            (Flags::EXPIRED, TlsProblem::Expired, ""),
            (Flags::NOT_ACTIVATED, TlsProblem::NotYetValid, ""),
            (Flags::BAD_IDENTITY, TlsProblem::WrongHost, ""),
            (Flags::UNKNOWN_CA, TlsProblem::UnknownIssuer, ""),
            (
                Flags::REVOKED | Flags::UNKNOWN_CA,
                TlsProblem::Revoked,
                "of an unknown issuer, ",
            ),
            (
                Flags::UNKNOWN_CA | Flags::EXPIRED | Flags::BAD_IDENTITY,
                TlsProblem::UnknownIssuer,
                "expired, for another host, ",
            ),
            (Flags::INSECURE, TlsProblem::Other, ""),
            (Flags::GENERIC_ERROR, TlsProblem::UnknownIssuer, ""),
        ] {
            let verdict = judge(&Trust::System, Some(SEEN), errors);
            let detail = format!("{words}its fingerprint is {SEEN}");
            assert_eq!(verdict, Some((expected, detail)), "{errors:?}");
        }
    }

    #[test]
    fn a_pin_is_all_that_counts_where_there_is_one() {
        let all = Flags::VALIDATE_ALL;
        let pinned = Trust::Pinned(SEEN);
        assert_eq!(judge(&pinned, Some(SEEN), all), None);
        for seen in [Some(Fingerprint::new([8; 32])), None] {
            let verdict = judge(&pinned, seen, Flags::empty()).unwrap();
            assert_eq!(verdict.0, TlsProblem::OtherFingerprint);
        }
        assert_eq!(judge(&Trust::Anybody, None, all), None);
    }

    #[test]
    fn a_host_is_told_without_its_port() {
        for (authority, expected) in [
            ("cam", "cam"),
            ("cam:322", "cam"),
            ("10.0.0.1:8322", "10.0.0.1"),
            ("[fe80::1]", "fe80::1"),
            ("[fe80::1]:322", "fe80::1"),
        ] {
            assert_eq!(host(authority), expected);
        }
    }

    #[test]
    fn a_file_without_authorities_is_told_when_the_source_is_built() {
        gst::init().unwrap();
        let id = DeviceId::new(mos_camera_core::Transport::Rtsp, "door");
        let file = tempfile::NamedTempFile::new().unwrap();
        for path in [Path::new("/no/such/ca.pem"), file.path()] {
            let fault = authorities(&id, path).unwrap_err();
            assert_eq!(fault.kind, FaultKind::Missing);
            assert!(fault.message.contains(&*path.to_string_lossy()), "{fault}");
        }
    }
}
