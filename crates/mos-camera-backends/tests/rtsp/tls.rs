//! RTSPS: whom a camera is believed, and what is said when it is not.

use std::path::Path;

use mos_camera_core::{FaultKind, Fingerprint, RtspSource, RtspTransport, Trust};
use mos_testkit::{Authority, CertificateFiles, Dates, RtspServer, RtspServerOptions};

use crate::rig::{backend, facts, fails, impatient, streams};

fn serve(tls: &CertificateFiles, port: u16) -> RtspServer {
    RtspServer::start(&RtspServerOptions {
        tls: Some(tls.clone()),
        port,
        ..RtspServerOptions::default()
    })
    .unwrap()
}

fn fingerprint(files: &CertificateFiles) -> Fingerprint {
    use gst::glib;
    let digest = glib::compute_checksum_for_bytes(
        glib::ChecksumType::Sha256,
        &glib::Bytes::from(&files.der),
    );
    digest.unwrap().parse().unwrap()
}

const HERE: &[&str] = &["127.0.0.1"];

#[test]
fn a_camera_is_believed_by_authority_or_by_pin() {
    let authority = Authority::new().unwrap();
    let good = authority.issue("good", HERE, Dates::Good).unwrap();
    // A pin is all that counts: dates and names of cameras are made up.
    let odd = authority
        .issue("odd", &["elsewhere.example"], Dates::Expired)
        .unwrap();
    for (files, trust, insecure) in [
        (&good, Trust::CaFile(authority.root()), false),
        (&good, Trust::Pinned(fingerprint(&good)), false),
        (&odd, Trust::Pinned(fingerprint(&odd)), false),
        (&odd, Trust::Anybody, true),
    ] {
        let server = serve(files, 0);
        let source = RtspSource {
            trust: trust.clone(),
            ..RtspSource::new(server.url(0))
        };
        let facts = facts(&streams(&backend(source)));
        assert_eq!(facts.protocol, "RTSPS over TCP");
        assert_eq!(facts.security, format!("TLS, {}", trust.describe()));
        assert_eq!(facts.insecure, insecure);
    }
}

#[test]
fn every_reason_not_to_believe_a_camera_is_named() {
    let authority = Authority::new().unwrap();
    let other = Authority::new().unwrap();
    let known = || Trust::CaFile(authority.root());
    let issue = |name: &str, hosts: &[&str], dates| authority.issue(name, hosts, dates).unwrap();
    let good = issue("good", HERE, Dates::Good);
    let expired = issue("expired", HERE, Dates::Expired);
    let future = issue("future", HERE, Dates::Future);
    let wrong_host = issue("wrong-host", &["elsewhere.example"], Dates::Good);
    for (title, files, trust, message) in [
        ("expired", &expired, known(), "has expired"),
        ("not yet valid", &future, known(), "is not valid yet"),
        ("wrong host", &wrong_host, known(), "is for another host"),
        (
            "unknown to the system",
            &good,
            Trust::System,
            "authority that is not trusted",
        ),
        (
            "unknown to the file",
            &good,
            Trust::CaFile(other.root()),
            "authority that is not trusted",
        ),
        (
            "other than the pinned one",
            &good,
            Trust::Pinned(fingerprint(&expired)),
            "is not the pinned one",
        ),
    ] {
        let server = serve(files, 0);
        let source = RtspSource {
            trust,
            ..impatient(server.url(0))
        };
        let fault = fails(&backend(source));
        assert_eq!(fault.kind, FaultKind::Certificate, "{title}: {fault}");
        assert!(fault.message.contains(message), "{title}: {fault}");
        // To pin it, if that is what a person wants.
        let shown = fingerprint(files).to_string();
        assert!(fault.message.contains(&shown), "{title}: {fault}");
    }
}

#[test]
fn a_certificate_that_changes_between_sessions_is_looked_at_again() {
    let authority = Authority::new().unwrap();
    let good = authority.issue("good", HERE, Dates::Good).unwrap();
    let expired = authority.issue("expired", HERE, Dates::Expired).unwrap();
    let first = serve(&good, 0);
    let port = first.port();
    let backend = backend(RtspSource {
        trust: Trust::CaFile(authority.root()),
        ..impatient(first.url(0))
    });
    drop(streams(&backend));
    first.kill().unwrap();
    let second = serve(&expired, port);
    assert_eq!(fails(&backend).kind, FaultKind::Certificate);
    second.kill().unwrap();
    let _third = serve(&good, port);
    streams(&backend);
}

#[test]
fn a_plain_server_on_a_tls_port_is_told_as_such() {
    let server = RtspServer::start_default().unwrap();
    let url = server.url(0).replace("rtsp:", "rtsps:");
    let fault = fails(&backend(impatient(url)));
    assert_eq!(fault.kind, FaultKind::Certificate, "{fault}");
    assert!(fault.message.contains("does not speak TLS"), "{fault}");
}

#[test]
fn a_tls_server_on_a_plain_port_is_no_rtsp() {
    let authority = Authority::new().unwrap();
    let server = serve(&authority.issue("good", HERE, Dates::Good).unwrap(), 0);
    let url = server.url(0).replace("rtsps:", "rtsp:");
    let fault = fails(&backend(impatient(url)));
    assert!(
        matches!(fault.kind, FaultKind::Unreachable | FaultKind::Disconnected),
        "{fault}"
    );
}

#[test]
fn a_host_that_is_not_there_is_no_matter_of_certificates() {
    let closed = mos_testkit::ClosedPort::new().unwrap();
    let url = format!("rtsps://127.0.0.1:{}/cam0", closed.port());
    let fault = fails(&backend(impatient(url)));
    assert_eq!(fault.kind, FaultKind::Unreachable, "{fault}");
}

#[test]
fn a_ca_file_that_is_not_there_is_told_at_once() {
    let source = RtspSource {
        trust: Trust::CaFile(Path::new("/no/such/file.pem").to_owned()),
        ..RtspSource::new("rtsps://127.0.0.1/cam")
    };
    let fault = fails(&backend(source));
    assert_eq!(fault.kind, FaultKind::Missing);
    assert!(fault.message.contains("/no/such/file.pem"), "{fault}");
}

#[test]
fn media_by_udp_beside_tls_is_told_as_insecure() {
    let authority = Authority::new().unwrap();
    let server = serve(&authority.issue("good", HERE, Dates::Good).unwrap(), 0);
    let source = RtspSource {
        transport: RtspTransport::Udp,
        trust: Trust::CaFile(authority.root()),
        ..RtspSource::new(server.url(0))
    };
    let facts = facts(&streams(&backend(source)));
    assert!(
        facts.insecure && facts.security.contains("not encrypted"),
        "{facts:?}"
    );
}
