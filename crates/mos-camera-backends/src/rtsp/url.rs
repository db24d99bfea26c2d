//! RTSP URLs, as far as they matter here: no credentials in them, and what may be shown of them.

use mos_camera_core::{Fault, FaultKind};

/// A URL without credentials, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Url<'a> {
    /// `rtsp` or `rtsps`.
    scheme: &'a str,
    /// Host with its port, if one is given.
    authority: &'a str,
    /// From the first `/` on, without the query.
    path: &'a str,
}

/// Whether a URL asks for TLS.
pub(super) fn is_tls(url: &str) -> bool {
    url.starts_with("rtsps:")
}

impl<'a> Url<'a> {
    /// Takes a URL apart. The fault names no part of it that may hold a secret.
    pub(super) fn parse(url: &'a str) -> Result<Self, Fault> {
        let (scheme, rest) = url.split_once("://").ok_or_else(not_rtsp)?;
        if !matches!(scheme, "rtsp" | "rtsps") {
            return Err(not_rtsp());
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(credentials());
        }
        if host(authority).is_empty() {
            return Err(not_rtsp());
        }
        let path = path.split(['?', '#']).next().unwrap_or_default();
        Ok(Self {
            scheme,
            authority,
            path,
        })
    }

    /// Host and port, for a connection.
    pub(super) fn authority(&self) -> &'a str {
        self.authority
    }

    /// Host and port, also where the URL leaves the port to the scheme (RFC 7826, 22.14).
    pub(super) fn peer(&self) -> String {
        let port = if is_tls(&format!("{}:", self.scheme)) {
            322
        } else {
            554
        };
        if host(self.authority) == self.authority {
            format!("{}:{port}", self.authority)
        } else {
            self.authority.to_owned()
        }
    }

    /// What a listing may show: cameras take passwords in the query, so it is left out.
    pub(super) fn shown(&self) -> String {
        format!("{}://{}{}", self.scheme, self.authority, self.path)
    }
}

/// The host of `host:port` or `[v6]:port`.
fn host(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

fn not_rtsp() -> Fault {
    Fault::new(
        FaultKind::Unsupported,
        "the camera's URL is no RTSP URL",
        "write it as rtsp://host[:port]/path, or rtsps:// for TLS",
    )
}

fn credentials() -> Fault {
    Fault::new(
        FaultKind::Unsupported,
        "the camera's URL holds a user name or password",
        "move them to the camera's `user` and its password reference, so that no status or log shows them",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_a_url_without_its_query() {
        for (url, shown) in [
            ("rtsp://cam/", "rtsp://cam/"),
            ("rtsp://cam", "rtsp://cam"),
            ("rtsp://10.0.0.1:554/a/b", "rtsp://10.0.0.1:554/a/b"),
            ("rtsps://[fe80::1]:322/live", "rtsps://[fe80::1]:322/live"),
            ("rtsp://cam/live?user=a&password=b", "rtsp://cam/live"),
            ("rtsp://cam?password=b", "rtsp://cam"),
            ("rtsp://cam/a@b", "rtsp://cam/a@b"),
        ] {
            assert_eq!(Url::parse(url).unwrap().shown(), shown);
        }
    }

    #[test]
    fn a_peer_has_a_port() {
        for (url, peer) in [
            ("rtsp://cam/", "cam:554"),
            ("rtsps://cam", "cam:322"),
            ("rtsp://10.0.0.1:8554/a", "10.0.0.1:8554"),
            ("rtsps://[fe80::1]/a", "[fe80::1]:322"),
            ("rtsps://[fe80::1]:8322/a", "[fe80::1]:8322"),
        ] {
            assert_eq!(Url::parse(url).unwrap().peer(), peer);
        }
    }

    #[test]
    fn refuses_what_is_no_plain_rtsp_url_without_repeating_it() {
        for url in [
            "",
            "cam",
            "http://s3cret/",
            "rtsp://",
            "rtsp:///s3cret",
            "rtsp://:554/",
            "rtsp://u:s3cret@cam/",
        ] {
            let fault = Url::parse(url).unwrap_err();
            assert_eq!(fault.kind, FaultKind::Unsupported, "{url}");
            assert!(!fault.to_string().contains("s3cret"), "{fault}");
        }
    }
}
