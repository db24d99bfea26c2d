//! The HTTP client against servers on loopback: whom it believes, what it hands on, what it takes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod tls;

use std::sync::Arc;
use std::time::Duration;

use mos_camera_backends::http::{Client, HttpError, Method, Request, Settings, header, parse_url};
use mos_camera_core::{FaultKind, Fingerprint, Secret, TlsProblem, TlsProblem as P, Trust};
use mos_testkit::{ClosedPort, SilentPort};
use sha2::{Digest, Sha256};
use tls::{Answers, Authority, GOOD, Identity, Server, answer};

const LIMIT: usize = 1000;

fn client(trust: Trust) -> Client {
    client_within(trust, Duration::from_secs(30))
}

fn client_within(trust: Trust, timeout: Duration) -> Client {
    let settings = Settings {
        trust,
        timeout,
        max_answer: LIMIT,
    };
    Client::new(&settings).unwrap()
}

fn get(url: &str) -> Request {
    Request::new(Method::GET, parse_url(url).unwrap())
}

fn hello() -> Answers {
    Arc::new(|_| answer("200 OK", &[], "hello"))
}

fn ask(client: &Client, url: &str) -> Result<String, HttpError> {
    client.send_blocking(get(url)).map(|answer| answer.text())
}

fn ca_file(authority: &Authority) -> (tempfile::NamedTempFile, Trust) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), authority.pem()).unwrap();
    let trust = Trust::CaFile(file.path().to_owned());
    (file, trust)
}

fn pin(identity: &Identity) -> Trust {
    Trust::Pinned(Fingerprint::new(Sha256::digest(&identity.der).into()))
}

#[test]
fn a_certificate_is_believed_as_the_configuration_says_and_what_is_wrong_is_named() {
    let authority = Authority::new();
    let (_file, by_file) = ca_file(&authority);
    let name = ["127.0.0.1"];
    let good = authority.issue(&name, GOOD);
    let expired = authority.issue(&name, (2020, 2021));
    let early = authority.issue(&name, (2089, 2090));
    let other_host = authority.issue(&["cam.example", "127.0.0.9"], GOOD);
    let own = Identity::self_signed(&name, false);
    let own_authority = Identity::self_signed(&name, true);
    for (title, identity, trust, problem) in [
        ("good", &good, &by_file, None),
        ("expired", &expired, &by_file, Some(P::Expired)),
        ("not yet valid", &early, &by_file, Some(P::NotYetValid)),
        ("other host", &other_host, &by_file, Some(P::WrongHost)),
        ("system", &good, &Trust::System, Some(P::UnknownIssuer)),
        ("own", &own, &by_file, Some(P::UnknownIssuer)),
        (
            "own, of an authority",
            &own_authority,
            &by_file,
            Some(P::UnknownIssuer),
        ),
        ("pinned", &own, &pin(&own), None),
        (
            "pinned, of an authority",
            &own_authority,
            &pin(&own_authority),
            None,
        ),
        ("pinned, expired", &expired, &pin(&expired), None),
        (
            "pinned, other",
            &good,
            &pin(&own),
            Some(P::OtherFingerprint),
        ),
        ("anybody", &expired, &Trust::Anybody, None),
    ] {
        let server = Server::tls(identity, hello());
        let url = format!("https://127.0.0.1:{}/", server.port);
        let result = ask(&client(trust.clone()), &url);
        match (&result, problem) {
            (Ok(text), None) => assert_eq!(text, "hello", "{title}"),
            (Err(HttpError::Tls { problem, .. }), Some(expected)) => {
                assert_eq!(*problem, expected, "{title}: {result:?}");
                assert_eq!(server.requests(), [""; 0], "{title}");
            }
            _ => panic!("{title}: {result:?} instead of {problem:?}"),
        }
    }
}

/// docs/configuration.md says so. Once it is looked at, this has to become `TlsProblem::Revoked`.
#[test]
fn that_a_certificate_was_revoked_is_not_looked_at() {
    let authority = Authority::new();
    let (_file, trust) = ca_file(&authority);
    let identity = authority.issue(&["127.0.0.1"], GOOD);
    let server = Server::stapling(&identity, tls::revocation(&authority, &identity), hello());
    let url = format!("https://127.0.0.1:{}/", server.port);
    assert_eq!(ask(&client(trust), &url).unwrap(), "hello");
}

#[test]
fn another_certificate_s_fingerprint_is_told() {
    let (pinned, seen) = (
        Identity::self_signed(&["cam"], false),
        Identity::self_signed(&["cam"], false),
    );
    let server = Server::tls(&seen, hello());
    let error = ask(
        &client(pin(&pinned)),
        &format!("https://127.0.0.1:{}/", server.port),
    )
    .unwrap_err();
    let fault = error.fault(&"whep:door", "https://cam/");
    assert_eq!(fault.kind, FaultKind::Certificate);
    let Trust::Pinned(fingerprint) = pin(&seen) else {
        unreachable!()
    };
    assert!(fault.message.contains(&fingerprint.to_string()), "{fault}");
}

#[test]
fn what_speaks_no_tls_that_is_accepted_is_told() {
    // An HTTP server answers what it can't read; `Server` would wait for more.
    let answering = tls::raw(|mut stream| {
        use std::io::{Read, Write};
        let _read = stream.read(&mut [0; 64]);
        let _sent = stream.write_all(&answer("400 Bad Request", &[], "no"));
    });
    for (port, expected) in [
        (answering, TlsProblem::PlainServer),
        (tls::no_version(), TlsProblem::TooOld),
        (tls::old_version(), TlsProblem::TooOld),
        (tls::no_cipher(), TlsProblem::NothingInCommon),
    ] {
        let error = ask(
            &client(Trust::Anybody),
            &format!("https://127.0.0.1:{port}/"),
        )
        .unwrap_err();
        assert!(
            matches!(error, HttpError::Tls { problem, .. } if problem == expected),
            "{error:?} instead of {expected:?}"
        );
    }
}

#[test]
fn an_authority_s_file_that_holds_none_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for text in [
        "",
        "hello",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        std::fs::write(file.path(), text).unwrap();
        let settings = Settings {
            trust: Trust::CaFile(file.path().to_owned()),
            timeout: Duration::from_secs(1),
            max_answer: LIMIT,
        };
        let error = Client::new(&settings).unwrap_err();
        assert!(
            matches!(error, HttpError::Authorities(_)),
            "{text}: {error:?}"
        );
    }
}

#[test]
fn who_does_not_answer_is_told_why() {
    let closed = ClosedPort::new().unwrap();
    let silent = SilentPort::new().unwrap();
    let hangs_up = tls::raw(drop);
    let rubbish = tls::raw(|mut stream| {
        use std::io::{Read, Write};
        let _read = stream.read(&mut [0; 64]);
        let _sent = stream.write_all(b"RTSP/1.0 200 OK\r\n\r\n");
    });
    let half = Server::plain(Arc::new(|_| {
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nab".to_vec()
    }));
    for (title, port, expected) in [
        ("closed", closed.port(), "Connect"),
        ("silent", silent.port().unwrap(), "Timeout"),
        ("hangs up", hangs_up, "Closed"),
        ("rubbish", rubbish, "Malformed"),
        ("half an answer", half.port, "Closed"),
    ] {
        let client = client_within(Trust::System, Duration::from_secs(2));
        let error = ask(&client, &format!("http://127.0.0.1:{port}/?token=s3cret")).unwrap_err();
        assert!(
            format!("{error:?}").starts_with(expected),
            "{title}: {error:?}"
        );
        let fault = error.fault(&"whep:door", "http://cam/");
        assert_eq!(fault.kind, FaultKind::Unreachable, "{title}: {fault}");
        assert!(
            !format!("{fault:?} {error:?}").contains("s3cret"),
            "{title}"
        );
    }
    let no_name = ask(&client(Trust::System), "http://no-such-host.invalid/").unwrap_err();
    assert!(matches!(no_name, HttpError::Connect(_)), "{no_name:?}");
}

#[test]
fn answers_larger_than_expected_are_not_taken() {
    let body = "x".repeat(LIMIT + 1);
    let announced = Server::plain(Arc::new({
        let body = body.clone();
        move |_| answer("200 OK", &[], &body)
    }));
    let unannounced = Server::plain(Arc::new(move |_| {
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}").into_bytes()
    }));
    for server in [announced, unannounced] {
        let error = ask(
            &client(Trust::System),
            &format!("http://127.0.0.1:{}/", server.port),
        )
        .unwrap_err();
        assert_eq!(error, HttpError::TooLarge { limit: LIMIT });
    }
    // Many long lines of headers hurt nobody.
    let long = format!("X-Long: {}", "y".repeat(10_000));
    let server = Server::plain(Arc::new(move |_| answer("200 OK", &[&long], "hello")));
    let text = ask(
        &client(Trust::System),
        &format!("http://127.0.0.1:{}/", server.port),
    )
    .unwrap();
    assert_eq!(text, "hello");
}

fn with_token(port: u16) -> Request {
    Request {
        authorization: Some(Secret::new("Bearer s3cret")),
        body: b"v=0".to_vec(),
        ..Request::new(
            Method::POST,
            parse_url(&format!("http://127.0.0.1:{port}/whep")).unwrap(),
        )
    }
}

#[test]
fn a_redirect_keeps_the_request_and_hands_credentials_to_no_other_origin() {
    let other = Server::plain(hello());
    let far = format!("Location: http://127.0.0.1:{}/far", other.port);
    let server = Server::plain(Arc::new(move |request| {
        if request.starts_with("POST /whep ") {
            answer("308 Permanent Redirect", &["Location: near"], "")
        } else {
            answer("307 Temporary Redirect", &[&far], "")
        }
    }));
    let reply = client(Trust::System)
        .send_blocking(with_token(server.port))
        .unwrap();
    assert!(reply.withheld);
    assert_eq!(reply.url.path(), "/far");
    let [first, second] = server.requests().try_into().unwrap();
    for request in [&first, &second] {
        assert!(
            request.contains("Bearer s3cret") && request.ends_with("v=0"),
            "{request}"
        );
    }
    assert!(second.starts_with("POST /near "), "{second}");
    let [last] = other.requests().try_into().unwrap();
    assert!(
        last.starts_with("POST /far ") && last.ends_with("v=0"),
        "{last}"
    );
    assert!(
        !last.contains("s3cret") && !last.to_ascii_lowercase().contains("referer"),
        "{last}"
    );
}

#[test]
fn redirects_end() {
    let server = Server::plain(Arc::new(|_| {
        answer("307 Temporary Redirect", &["Location: /whep"], "")
    }));
    let client = client(Trust::System);
    let error = client.send_blocking(with_token(server.port)).unwrap_err();
    assert_eq!(error, HttpError::TooManyRedirects);
    // Not followed: it would make a GET of it.
    let server = Server::plain(Arc::new(|_| answer("303 See Other", &["Location: /"], "")));
    let reply = client.send_blocking(with_token(server.port)).unwrap();
    assert_eq!(reply.status, 303);
    assert_eq!(reply.header(header::LOCATION), Some("/"));
}
