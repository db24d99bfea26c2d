//! What has to hold of whatever somebody writes or a camera names as a URL.

#![allow(
    unreachable_pub,
    reason = "public in the fuzz crate, which takes this file by its path"
)]

use mos_camera_core::IceAddress;

use super::url::Url;
use crate::onvif;

/// The host in an RTSP URL, without its port.
pub(crate) fn host_of(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let authority = url.authority();
    let end = match authority.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    Some(authority[..end].to_owned())
}

/// A URL of RTSP, of a STUN or TURN server, or of an ONVIF camera, whichever it is.
pub fn camera_urls(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match Url::parse(&text) {
        Ok(url) => {
            let shown = url.shown();
            assert!(!shown.contains(['?', '#']), "{shown}");
            let again = Url::parse(&shown);
            assert_eq!(again.map(|url| url.shown()).as_ref(), Ok(&shown));
            let (_, port) = url
                .peer()
                .rsplit_once(':')
                .map_or_else(Default::default, |(host, port)| {
                    (host.to_owned(), port.to_owned())
                });
            assert!(port.bytes().all(|b| b.is_ascii_digit()), "{shown}");
        }
        Err(fault) => {
            let shown = fault.to_string();
            assert!(shown.len() < 1000, "{shown}");
        }
    }
    if let Ok(address) = text.parse::<IceAddress>() {
        assert_eq!(address.to_string().parse(), Ok(address));
    }
    onvif::fuzzing::named_by_a_person(&text);
}
