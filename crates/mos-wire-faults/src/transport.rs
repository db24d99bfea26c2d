//! The `Transport` header (RFC 2326, section 12.39), as far as a relay of media over UDP has to rewrite it.

/// A pair of ports: RTP and RTCP.
pub type Ports = (u16, u16);

/// The ports that a header names under `key`, such as `client_port`.
pub fn ports(header: &str, key: &str) -> Option<Ports> {
    let value = header
        .split(';')
        .find_map(|part| part.trim().strip_prefix(key)?.strip_prefix('='))?;
    let (first, second) = value.split_once('-').unwrap_or((value, ""));
    let first: u16 = first.parse().ok()?;
    let second = if second.is_empty() {
        first.checked_add(1)?
    } else {
        second.parse().ok()?
    };
    Some((first, second))
}

/// The header with other ports, and without the address that media is said to come from: it comes from the relay.
pub fn with_ports(header: &str, changes: &[(&str, Ports)]) -> String {
    let part = |part: &str| {
        let key = part.trim().split('=').next().unwrap_or_default();
        match changes.iter().find(|(name, _)| *name == key) {
            Some((name, (first, second))) => Some(format!("{name}={first}-{second}")),
            None if matches!(key, "source" | "destination") => None,
            None => Some(part.to_owned()),
        }
    };
    header
        .split(';')
        .filter_map(part)
        .collect::<Vec<_>>()
        .join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read() {
        for (header, found) in [
            ("RTP/AVP;unicast;client_port=5000-5001", Some((5000, 5001))),
            ("RTP/AVP;unicast; client_port=5000", Some((5000, 5001))),
            ("RTP/AVP/TCP;unicast;interleaved=0-1", None),
            ("RTP/AVP;client_port=x-1", None),
            ("RTP/AVP;client_port=65535", None),
        ] {
            assert_eq!(ports(header, "client_port"), found, "{header}");
        }
    }

    #[test]
    fn ports_are_replaced_and_addresses_left_out() {
        let answer = "RTP/AVP;unicast;client_port=7000-7001;server_port=6000-6001;source=127.0.0.1;ssrc=1A2B;mode=\"PLAY\"";
        assert_eq!(
            with_ports(
                answer,
                &[("client_port", (5000, 5001)), ("server_port", (8000, 8001))]
            ),
            "RTP/AVP;unicast;client_port=5000-5001;server_port=8000-8001;ssrc=1A2B;mode=\"PLAY\""
        );
    }
}
