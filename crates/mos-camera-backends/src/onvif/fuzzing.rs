//! What has to hold of whatever an ONVIF camera, or somebody who plays one, sends.

#![allow(
    unreachable_pub,
    reason = "public in the fuzz crate, which takes this file by its path"
)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use mos_camera_core::onvif::endpoint_reference;
use mos_camera_core::{Framerate, Secret};

use super::address::{default_url, device_url, service_url, stream_url};
use super::calls::encoder::{self, Setting};
use super::calls::media::{Media, profiles, stream_uri};
use super::calls::{Info, Services};
use super::login::{Challenge, answer, camera_time, http_date, iso8601};
use super::soap::xml::Node;
use super::soap::{self, Message};
use super::wsd::message::{self, Announcement, Told};
use crate::http::{Url, parse_url};

/// Longest message that a person is shown, in bytes.
const MESSAGE: usize = 2000;

/// Text that goes to a terminal, a log or a request: nothing in it but what can be shown.
fn is_plain(text: &str) -> bool {
    !text.contains(char::is_control)
}

/// An answer over HTTP, whatever was asked.
pub fn soap_answer(bytes: &[u8]) {
    match soap::read(bytes) {
        Ok(Message::Answer(answer)) => read_all(&answer),
        Ok(Message::Fault(fault)) => {
            let _ = (fault.is_refusal(), fault.is_unknown_action());
            let shown = fault.to_string();
            assert!(shown.len() < MESSAGE && is_plain(&shown), "{shown}");
        }
        Err(error) => {
            let shown = error.to_string();
            assert!(shown.len() < MESSAGE && is_plain(&shown), "{shown}");
        }
    }
}

/// Every reader gets every answer.
fn read_all(answer: &Node) {
    comes_back(answer);
    if let Some(time) = camera_time(answer) {
        assert_eq!(iso8601(time).len(), "2026-11-28T22:52:29Z".len());
    }
    if let Ok(info) = Info::of(answer) {
        assert!(info.model.len() < MESSAGE && is_plain(&info.model));
    }
    for services in [
        Services::of_services(answer),
        Services::of_capabilities(answer),
    ] {
        for url in [services.media, services.media2].into_iter().flatten() {
            stays_on_the_camera(&url);
        }
    }
    for media in [Media::One, Media::Two] {
        read_profiles(media, answer);
        for option in encoder::options(media, answer) {
            assert!(option.to_string().len() < 100 * MESSAGE);
            assert!(is_plain(&option.to_string()), "{option}");
        }
        if let Ok(uri) = stream_uri(media, answer) {
            stream_stays_on_the_camera(&uri);
        }
    }
}

/// An element that is sent back says what it said.
fn comes_back(node: &Node) {
    let mut written = String::new();
    node.write(&mut written);
    let read = Node::parse(written.as_bytes()).unwrap_or_else(|e| panic!("{e}: {written}"));
    assert_eq!(read, normal(node), "{written}");
}

/// What of an element can be sent: no characters that XML does not have, no text between elements.
fn normal(node: &Node) -> Node {
    let clean = |text: &str| {
        let allowed = |c: &char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
        text.chars().filter(allowed).collect::<String>()
    };
    let attributes = node.attributes.iter();
    Node {
        namespace: clean(&node.namespace),
        name: node.name.clone(),
        attributes: attributes.map(|(k, v)| (k.clone(), clean(v))).collect(),
        children: node.children.iter().map(normal).collect(),
        text: if node.children.is_empty() {
            clean(&node.text)
        } else {
            String::new()
        },
    }
}

fn read_profiles(media: Media, answer: &Node) {
    let found = profiles(media, answer);
    assert!(found.len() <= 256);
    for profile in found {
        let shown = profile.profile.to_string();
        assert!(shown.len() < MESSAGE && is_plain(&shown), "{shown}");
        let setting = Setting {
            size: Some((640, 480)),
            rate: Framerate::new(30_000, 1001),
        };
        let encoder = profile.encoder.as_ref();
        if let Some(call) = encoder.and_then(|encoder| encoder::set(media, encoder, setting)) {
            let request = soap::envelope("", &call.body());
            let read = soap::read(request.as_bytes());
            assert!(
                matches!(read, Ok(Message::Answer(_))),
                "{read:?}: {request}"
            );
        }
    }
}

/// A log-in is for the camera, not for a host that it names.
fn stays_on_the_camera(named: &str) {
    for device in devices() {
        if let Some(url) = service_url(&device, named) {
            assert_eq!(url.host(), device.host(), "{named}");
            assert_eq!(url.scheme(), device.scheme(), "{named}");
            assert!(
                url.username().is_empty() && url.password().is_none(),
                "{named}"
            );
        }
    }
}

fn stream_stays_on_the_camera(named: &str) {
    for device in devices() {
        if let Some(url) = stream_url(&device, named) {
            let shown = crate::rtsp::fuzzing::host_of(&url);
            assert_eq!(shown.as_deref(), device.host_str(), "{named}: {url}");
            assert!(is_plain(&url), "{url}");
        }
    }
}

fn devices() -> impl Iterator<Item = Url> {
    let all = [
        "http://192.0.2.1/onvif/device_service",
        "https://[2001:db8::1]:8443/d",
    ];
    all.into_iter().filter_map(|url| parse_url(url).ok())
}

/// A datagram to the discovery's port.
pub fn ws_discovery(bytes: &[u8]) {
    match message::read(bytes) {
        Ok(Told::Here(found)) => {
            assert!(!found.is_empty() && found.len() <= 16);
            found.iter().for_each(is_sound);
        }
        Ok(Told::Gone(endpoint)) => assert_eq!(endpoint_reference(&endpoint), Some(endpoint)),
        Ok(Told::Nothing) => {}
        Err(error) => {
            let shown = error.to_string();
            assert!(shown.len() < MESSAGE && is_plain(&shown), "{shown}");
        }
    }
}

fn is_sound(announcement: &Announcement) {
    let Announcement {
        endpoint,
        addresses,
        name,
    } = announcement;
    assert_eq!(endpoint_reference(endpoint).as_ref(), Some(endpoint));
    assert!(name.chars().count() <= 401 && is_plain(name), "{name}");
    assert!(addresses.len() <= 16);
    for address in addresses {
        assert_eq!(message::address(address).as_ref(), Some(address));
    }
    for from in [
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1)),
    ] {
        let url = device_url(announcement, from).expect("an address at least");
        assert!(matches!(url.scheme(), "http" | "https"), "{url}");
        assert!(
            url.username().is_empty() && url.password().is_none(),
            "{url}"
        );
    }
}

/// What answers are made with, and must not show.
const PASSWORD: &str = "s3cret";

/// The values of a camera's `WWW-Authenticate`, one a line; and of its `Date`.
pub fn http_challenge(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for line in text.lines() {
        if let Some(time) = http_date(line) {
            assert_eq!(iso8601(time).len(), "2026-11-28T22:52:29Z".len());
        }
    }
    let Some(mut challenge) = Challenge::of(text.lines()) else {
        return;
    };
    let with = |password: &str| {
        let (target, nonce) = ("/onvif/x?y=\"", "c0ffee");
        answer(
            &challenge,
            "viewer",
            &Secret::new(password),
            target,
            1,
            nonce,
        )
    };
    let header = with(PASSWORD);
    assert!(is_plain(&header), "{header}");
    // A challenge may hold the word itself, which a fuzzer guesses; then it is there whatever the password is.
    assert!(
        !header.contains(PASSWORD) || with("another").contains(PASSWORD),
        "{header}"
    );
    // The answer repeats the challenge, in the same words.
    if text.lines().all(is_plain) {
        challenge.stale = false;
        let repeated = Challenge::of([header.as_str()]);
        assert_eq!(repeated, Some(challenge), "{header}");
    }
}

/// A camera by host or URL.
pub(crate) fn named_by_a_person(host: &str) {
    if let Some(url) = default_url(host) {
        assert!(matches!(url.scheme(), "http" | "https"), "{url}");
        assert!(url.host_str().is_some_and(|host| !host.is_empty()), "{url}");
        assert!(
            url.username().is_empty() && url.password().is_none(),
            "{url}"
        );
        let shown = crate::http::shown(&url);
        assert!(!shown.contains(['?', '#']), "{shown}");
    }
    stays_on_the_camera(host);
    stream_stays_on_the_camera(host);
}
