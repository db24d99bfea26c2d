//! Addresses that cameras name, and where we go: to the host that answered, and nowhere else. What a camera says of itself
//! is often of before a router, or of its last address; and a log-in is for the camera, not for a host that it names.

use std::net::IpAddr;

use super::wsd::message::Announcement;
use crate::http::{Url, parse_url};

/// Longest URL of a camera.
const LONGEST: usize = 2048;

/// A service's URL: its own port and path on the camera's host. What names another host, or leaves TLS, gets the device service's
/// host and port.
pub(super) fn service_url(device: &Url, named: &str) -> Option<Url> {
    let named = parse_url(named).ok()?;
    if named.host() == device.host() && named.scheme() == device.scheme() {
        return Some(named);
    }
    let mut url = device.clone();
    url.set_path(named.path());
    url.set_query(named.query());
    Some(url)
}

/// A stream's URL on the camera's host, without credentials.
pub(super) fn stream_url(device: &Url, named: &str) -> Option<String> {
    let (scheme, rest) = named.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let address = authority
        .rsplit_once('@')
        .map_or(authority, |(_, address)| address);
    // Behind the last colon, unless that is in a bracketed IPv6 address.
    let port = address.rsplit_once(':').map(|(_, port)| port);
    let port = port.filter(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let host = device.host_str()?;
    let good = matches!(scheme, "rtsp" | "rtsps")
        && named.len() <= LONGEST
        && path.chars().all(|c| c.is_ascii_graphic());
    good.then(|| format!("{scheme}://{host}{port}{path}"))
}

/// The URL of the device service of a discovered camera: of those that it names the one at the address that it spoke from, else
/// one of that address's IP version, else any; if it names none, where every camera has it.
pub(super) fn device_url(announcement: &Announcement, from: IpAddr) -> Option<Url> {
    let urls: Vec<Url> = announcement
        .addresses
        .iter()
        .filter_map(|address| parse_url(address).ok())
        .collect();
    let rank = |url: &&Url| match host(url) {
        Some(address) if address == from => 0,
        // A link-local address means nothing without its interface, which no URL holds.
        Some(IpAddr::V6(address)) if address.is_unicast_link_local() => 4,
        Some(address) if address.is_ipv4() == from.is_ipv4() => 1,
        Some(_) => 2,
        None => 3,
    };
    let best = urls.iter().min_by_key(rank).cloned();
    best.or_else(|| default_url(&from.to_string()))
}

/// The address in a URL; none if it has a name.
pub(super) fn host(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_matches(['[', ']']).parse().ok()
}

/// The device service of a host, or of a host and its port, or at a URL.
pub(super) fn default_url(host: &str) -> Option<Url> {
    // `http:///x` is taken for the host `x`.
    if host.is_empty() {
        return None;
    }
    if host.contains("://") {
        return parse_url(host).ok();
    }
    let host = match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => host.to_owned(),
    };
    parse_url(&format!("http://{host}{}", super::calls::DEVICE)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        parse_url(text).unwrap()
    }

    #[test]
    fn services_stay_on_the_camera_s_host() {
        let (http, https) = ("http://10.0.0.2/onvif/device_service", "https://cam:8443/d");
        for (device, named, expected) in [
            (
                http,
                "http://10.0.0.2:8080/m?x=1",
                "http://10.0.0.2:8080/m?x=1",
            ),
            (http, "http://192.168.1.5/m", "http://10.0.0.2/m"),
            (http, "http://[fe80::1]/m?x", "http://10.0.0.2/m?x"),
            (https, "http://cam/m", "https://cam:8443/m"),
            (https, "https://cam:9/m", "https://cam:9/m"),
        ] {
            assert_eq!(service_url(&url(device), named).unwrap().as_str(), expected);
        }
        assert_eq!(service_url(&url(http), "file:///etc/passwd"), None);
    }

    #[test]
    fn streams_stay_on_the_camera_s_host_and_hold_no_log_in() {
        let (v4, v6) = ("http://10.0.0.2:80/", "http://[fd00::2]/");
        for (device, named, expected) in [
            (
                v4,
                "rtsp://10.0.0.2:554/live?a=1",
                Some("rtsp://10.0.0.2:554/live?a=1"),
            ),
            (v4, "rtsp://192.168.1.5/live", Some("rtsp://10.0.0.2/live")),
            (v4, "rtsp://0.0.0.0:8554/", Some("rtsp://10.0.0.2:8554/")),
            (v4, "rtsps://u:p@h:322/x", Some("rtsps://10.0.0.2:322/x")),
            (v4, "rtsp://[fe80::1]/x", Some("rtsp://10.0.0.2/x")),
            (v4, "rtsp://[fe80::1]:554/x", Some("rtsp://10.0.0.2:554/x")),
            (v6, "rtsp://h/x", Some("rtsp://[fd00::2]/x")),
            (v4, "rtsp://h?x", Some("rtsp://10.0.0.2?x")),
            (v4, "http://h/x", None),
            (v4, "rtsp://h/a b", None),
            (v4, "live", None),
        ] {
            assert_eq!(
                stream_url(&url(device), named).as_deref(),
                expected,
                "{named}"
            );
        }
    }

    #[test]
    fn the_address_that_a_camera_spoke_from_is_preferred() {
        let best = |addresses: &[&str], from: &str| {
            let announcement = Announcement {
                endpoint: String::new(),
                addresses: addresses.iter().map(|a| (*a).to_owned()).collect(),
                name: String::new(),
            };
            device_url(&announcement, from.parse().unwrap())
                .unwrap()
                .to_string()
        };
        let (old, new) = ("http://10.0.0.2/d", "http://10.0.0.9/d");
        for (addresses, from, expected) in [
            (&[old, new][..], "10.0.0.9", new),
            (
                &[old, "http://[fd00::2]/d"],
                "fd00::1",
                "http://[fd00::2]/d",
            ),
            (
                &["http://[fe80::1]/d", old],
                "fe80::1",
                "http://[fe80::1]/d",
            ),
            (&["http://[fe80::1]/d", old], "10.0.0.3", old),
            (&["http://cam/d"], "10.0.0.3", "http://cam/d"),
            (&[], "10.0.0.3", "http://10.0.0.3/onvif/device_service"),
            (&[], "fd00::3", "http://[fd00::3]/onvif/device_service"),
        ] {
            assert_eq!(best(addresses, from), expected, "{addresses:?}");
        }
    }

    #[test]
    fn a_host_is_enough_for_a_camera() {
        for (host, expected) in [
            ("cam", Some("http://cam/onvif/device_service")),
            (
                "10.0.0.2:8080",
                Some("http://10.0.0.2:8080/onvif/device_service"),
            ),
            ("fd00::2", Some("http://[fd00::2]/onvif/device_service")),
            ("https://cam/d", Some("https://cam/d")),
            ("rtsp://cam/d", None),
            ("https://u:p@cam/d", None),
            ("", None),
        ] {
            assert_eq!(
                default_url(host).map(String::from).as_deref(),
                expected,
                "{host}"
            );
        }
    }
}
