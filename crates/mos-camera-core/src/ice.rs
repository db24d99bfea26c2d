//! Servers that help two peers of WebRTC to find a way to each other: STUN and TURN.

use std::fmt;
use std::str::FromStr;

use crate::source::Secret;

/// A STUN server, which tells a peer its address as others see it, or a TURN server, which relays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IceServer {
    /// Where it is.
    pub address: IceAddress,
    /// User and password, which TURN servers want.
    pub login: Option<(String, Secret)>,
}

/// Address of a STUN or TURN server, written as `stun:host[:port]`, `turn:host[:port][?transport=udp|tcp]` or `turns:...`
/// (RFC 7064 and RFC 7065).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IceAddress {
    /// What it does.
    pub kind: IceKind,
    /// Name or address; an IPv6 address without brackets.
    pub host: String,
    /// Port; the scheme's own if none was given.
    pub port: u16,
    /// Whether it is reached over TCP (or TLS), not UDP.
    pub tcp: bool,
}

/// What a server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IceKind {
    /// STUN (RFC 8489).
    Stun,
    /// TURN (RFC 8656).
    Turn,
    /// TURN over TLS.
    Turns,
}

impl IceKind {
    /// The scheme of its addresses.
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Stun => "stun",
            Self::Turn => "turn",
            Self::Turns => "turns",
        }
    }

    /// The port if none is given.
    const fn port(self) -> u16 {
        match self {
            Self::Stun | Self::Turn => 3478,
            Self::Turns => 5349,
        }
    }

    /// Whether it relays, and so wants a login.
    pub const fn relays(self) -> bool {
        !matches!(self, Self::Stun)
    }
}

impl IceAddress {
    /// Host and port as a URL has them: an IPv6 address in brackets.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for IceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.scheme(), self.authority())?;
        if self.kind.relays() {
            f.write_str(if self.tcp {
                "?transport=tcp"
            } else {
                "?transport=udp"
            })?;
        }
        Ok(())
    }
}

impl FromStr for IceAddress {
    type Err = InvalidIceAddress;

    fn from_str(text: &str) -> Result<Self, InvalidIceAddress> {
        let (scheme, rest) = text.split_once(':').ok_or(InvalidIceAddress)?;
        let kind = match scheme.to_ascii_lowercase().as_str() {
            "stun" => IceKind::Stun,
            "turn" => IceKind::Turn,
            "turns" => IceKind::Turns,
            _ => return Err(InvalidIceAddress),
        };
        let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
        let tcp = match (query, kind) {
            ("", kind) => kind == IceKind::Turns,
            ("transport=udp", IceKind::Turn) => false,
            ("transport=tcp", IceKind::Turn | IceKind::Turns) => true,
            _ => return Err(InvalidIceAddress),
        };
        let (host, port) = split_port(authority)?;
        let port = port.map_or(Ok(kind.port()), |port| {
            port.parse::<u16>()
                .ok()
                .filter(|port| *port != 0)
                .ok_or(InvalidIceAddress)
        })?;
        if !is_host(host) {
            return Err(InvalidIceAddress);
        }
        Ok(Self {
            kind,
            host: host.to_owned(),
            port,
            tcp,
        })
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<&str>), InvalidIceAddress> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(InvalidIceAddress)?;
        host.parse::<std::net::Ipv6Addr>()
            .map_err(|_| InvalidIceAddress)?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(InvalidIceAddress),
        };
    }
    match authority.split_once(':') {
        Some((host, port)) if !port.contains(':') => Ok((host, Some(port))),
        Some(_) => Err(InvalidIceAddress),
        None => Ok((authority, None)),
    }
}

/// A name, an IPv4 address or (out of its brackets) an IPv6 address.
fn is_host(host: &str) -> bool {
    (1..=253).contains(&host.len())
        && host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':'))
}

/// The text is no address of a STUN or TURN server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected `stun:host[:port]`, or `turn:host[:port]` with `?transport=tcp` if it is so, or `turns:host[:port]`"
)]
pub struct InvalidIceAddress;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for (text, expected) in [
            ("stun:stun.example", Some("stun:stun.example:3478")),
            ("STUN:10.0.0.1:19302", Some("stun:10.0.0.1:19302")),
            ("turn:t.example", Some("turn:t.example:3478?transport=udp")),
            ("turn:t:80?transport=tcp", Some("turn:t:80?transport=tcp")),
            (
                "turns:[2001:db8::1]",
                Some("turns:[2001:db8::1]:5349?transport=tcp"),
            ),
            (
                "turn:[::1]:3479?transport=udp",
                Some("turn:[::1]:3479?transport=udp"),
            ),
            ("stun://stun.example", None),
            ("stun:", None),
            ("stun:a:b", None),
            ("stun:a:0", None),
            ("stun:a:65536", None),
            ("stun:a?transport=udp", None),
            ("turns:a?transport=udp", None),
            ("turn:a?transport=sctp", None),
            ("turn:user:pass@a", None),
            ("turn:user@a", None),
            ("turn:[1.2.3.4]", None),
            ("turn:[::1]x", None),
            ("turn:a/b", None),
            ("http:a", None),
            ("ä", None),
        ] {
            let address: Result<IceAddress, _> = text.parse();
            assert_eq!(
                address.map(|a| a.to_string()).ok().as_deref(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn a_login_is_not_printed() {
        let server = IceServer {
            address: "turn:t".parse().unwrap(),
            login: Some(("u".to_owned(), Secret::new("hunter2"))),
        };
        assert!(!format!("{server:?}").contains("hunter2"));
    }
}
