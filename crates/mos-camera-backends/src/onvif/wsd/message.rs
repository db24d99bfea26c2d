//! Messages of discovery. No I/O here.

use mos_camera_core::onvif::endpoint_reference;

use super::super::soap::{SoapError, envelope, header_and_body, shown, text_element, xml::Node};

const ADDRESSING: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing";
const DISCOVERY: &str = "http://schemas.xmlsoap.org/ws/2005/04/discovery";
const NETWORK: &str = "http://www.onvif.org/ver10/network/wsdl";
const DEVICE: &str = "http://www.onvif.org/ver10/device/wsdl";
const TO_ALL: &str = "urn:schemas-xmlsoap-org:ws:2005:04:discovery";

/// Largest message that is read; they fit into a datagram.
pub(in crate::onvif) const LARGEST: usize = 65_535;
/// Most addresses of one camera that are looked at.
const ADDRESSES: usize = 16;
/// Longest address.
const LONGEST: usize = 200;

/// What a camera says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::onvif) struct Announcement {
    /// Its endpoint reference, as [`endpoint_reference`] has it: the same whatever its address.
    pub(in crate::onvif) endpoint: String,
    /// URLs of its device service, without credentials.
    pub(in crate::onvif) addresses: Vec<String>,
    /// What it calls itself, from its scopes; empty if it does not say.
    pub(in crate::onvif) name: String,
}

/// What a message tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::onvif) enum Told {
    /// Cameras are there.
    Here(Vec<Announcement>),
    /// A camera goes.
    Gone(String),
    /// Nothing about cameras: probes of others, printers.
    Nothing,
}

/// Asks all cameras, or the one that it is sent to. With both types: cameras of the first years know only one of them, and
/// a probe for both finds none of those, so `Device` is asked for by a probe of its own.
pub(in crate::onvif) fn probes(ids: [&str; 2]) -> [String; 2] {
    let types = [
        ("dn:NetworkVideoTransmitter", NETWORK),
        ("dn:Device", DEVICE),
    ];
    let probe = |id: &str, (name, namespace): (&str, &str)| {
        let header = format!(
            "{}{}{}",
            text_element("a", "Action", &format!("{DISCOVERY}/Probe")),
            text_element("a", "MessageID", id),
            text_element("a", "To", TO_ALL),
        );
        let body = format!("<d:Probe xmlns:dn=\"{namespace}\"><d:Types>{name}</d:Types></d:Probe>");
        let message = envelope(&header, &body);
        let declared = format!("xmlns:a=\"{ADDRESSING}\" xmlns:d=\"{DISCOVERY}\" ");
        message.replacen("xmlns:s", &format!("{declared}xmlns:s"), 1)
    };
    [probe(ids[0], types[0]), probe(ids[1], types[1])]
}

/// Reads a message. Whether a `ProbeMatches` answers a probe of ours does not matter: it is true of the camera anyhow.
pub(in crate::onvif) fn read(bytes: &[u8]) -> Result<Told, SoapError> {
    let (_, body) = header_and_body(bytes)?;
    Ok(match body.name.as_str() {
        "ProbeMatches" => here(body.all("ProbeMatch")),
        "ResolveMatches" => here(body.all("ResolveMatch")),
        // Some cameras leave out what goes around a match.
        "Hello" | "ProbeMatch" => here(std::iter::once(&body)),
        "Bye" => endpoint(&body).map_or(Told::Nothing, Told::Gone),
        _ => Told::Nothing,
    })
}

fn here<'a>(nodes: impl Iterator<Item = &'a Node>) -> Told {
    let found: Vec<_> = nodes.filter_map(announcement).take(ADDRESSES).collect();
    if found.is_empty() {
        Told::Nothing
    } else {
        Told::Here(found)
    }
}

/// What a node says of a camera; none if it is of something else.
fn announcement(node: &Node) -> Option<Announcement> {
    let scopes = node.text_at(&["Scopes"]).unwrap_or_default();
    if !is_camera(node.text_at(&["Types"]).unwrap_or_default(), scopes) {
        return None;
    }
    let listed = node.text_at(&["XAddrs"]).unwrap_or_default();
    Some(Announcement {
        endpoint: endpoint(node)?,
        addresses: listed
            .split_whitespace()
            .take(ADDRESSES)
            .filter_map(address)
            .collect(),
        name: name(scopes),
    })
}

/// Printers and computers speak WS-Discovery too. Some cameras leave the types out of a `Hello`.
fn is_camera(types: &str, scopes: &str) -> bool {
    let types = types.split_whitespace();
    let locals = types.map(|name| name.rsplit(':').next().unwrap_or(name));
    let mut known = locals.filter(|name| matches!(*name, "NetworkVideoTransmitter" | "Device"));
    let onvif = scopes.contains("onvif://www.onvif.org");
    known.any(|name| name == "NetworkVideoTransmitter" || onvif) || onvif
}

fn endpoint(node: &Node) -> Option<String> {
    endpoint_reference(node.text_at(&["EndpointReference", "Address"])?)
}

/// An HTTP URL without credentials, query and fragment.
pub(in crate::onvif) fn address(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let rest = &rest[..end];
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let plain = url.len() <= LONGEST && url.chars().all(|c| c.is_ascii_graphic());
    let good = matches!(scheme.as_str(), "http" | "https")
        && plain
        && !authority.is_empty()
        && !authority.contains('@');
    good.then(|| format!("{scheme}://{authority}{path}"))
}

/// Hardware and name of ONVIF's scopes, such as `onvif://www.onvif.org/hardware/C1`.
fn name(scopes: &str) -> String {
    let value = |kind: &str| {
        let mut scopes = scopes.split_whitespace();
        let found = scopes.find_map(|scope| {
            let rest = scope.strip_prefix("onvif://www.onvif.org/")?;
            rest.strip_prefix(kind)?.strip_prefix('/')
        });
        found.map(decoded).filter(|value| !value.is_empty())
    };
    match (value("name"), value("hardware")) {
        (Some(name), Some(hardware)) if name.contains(&hardware) => name,
        (Some(name), Some(hardware)) => format!("{name} {hardware}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => String::new(),
    }
}

/// Percent-decoded, as far as it can be shown.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        if let (b'%', Some(byte)) = (first, byte) {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    shown(&String::from_utf8_lossy(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "urn:uuid:8f1e2d3c-0000-1000-8000-00408c000000";

    fn message(name: &str, inner: &str) -> String {
        format!("<E:Envelope xmlns:E='http://www.w3.org/2003/05/soap-envelope'><E:Header/><E:Body><d:{name}>{inner}</d:{name}></E:Body></E:Envelope>").replace("E:Envelope xmlns:E='http://www.w3.org/2003/05/soap-envelope'", "E:Envelope")
    }

    fn camera(id: &str, types: &str, scopes: &str, addresses: &str) -> String {
        format!(
            "<a:EndpointReference><a:Address> {id} </a:Address></a:EndpointReference><d:Types>{types}</d:Types><d:Scopes>{scopes}</d:Scopes><d:XAddrs>{addresses}</d:XAddrs>"
        )
    }

    fn told(text: &str) -> Told {
        read(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_probe_is_soap_that_asks_for_cameras() {
        for (probe, kind) in probes(["urn:uuid:1", "urn:uuid:2"])
            .iter()
            .zip([NETWORK, DEVICE])
        {
            let (header, body) = header_and_body(probe.as_bytes()).unwrap();
            assert_eq!(header.child("Action").unwrap().namespace, ADDRESSING);
            assert_eq!(
                header.text_at(&["Action"]).unwrap(),
                format!("{DISCOVERY}/Probe")
            );
            assert_eq!(
                (body.name.as_str(), body.namespace.as_str()),
                ("Probe", DISCOVERY)
            );
            assert!(probe.contains(kind));
            // Our own probe comes back to us by multicast.
            assert_eq!(told(probe), Told::Nothing);
        }
    }

    #[test]
    fn cameras_are_told_from_all_else() {
        let nvt = "dn:NetworkVideoTransmitter";
        let scope = "onvif://www.onvif.org/name/Yard%20Cam onvif://www.onvif.org/hardware/C1";
        let here = |name: &str, addresses: &[&str]| {
            Told::Here(vec![Announcement {
                endpoint: ID.to_owned(),
                addresses: addresses.iter().map(|a| (*a).to_owned()).collect(),
                name: name.to_owned(),
            }])
        };
        let matches = |inner: &str| {
            message(
                "ProbeMatches",
                &format!("<d:ProbeMatch>{inner}</d:ProbeMatch>"),
            )
        };
        let url = "http://10.0.0.2/onvif/device_service";
        for (text, expected) in [
            (
                message("ProbeMatch", &camera(ID, nvt, "", url)),
                here("", &[url]),
            ),
            (
                matches(&camera(ID, nvt, scope, url)),
                here("Yard Cam C1", &[url]),
            ),
            (
                message("Hello", &camera(ID, nvt, "", url)),
                here("", &[url]),
            ),
            (
                message("Hello", &camera(ID, "", scope, "")),
                here("Yard Cam C1", &[]),
            ),
            (
                message("Hello", &camera(&ID.to_uppercase(), nvt, "", url)),
                here("", &[url]),
            ),
            (
                message("Hello", &camera(&ID[4..], nvt, "", url)),
                here("", &[url]),
            ),
            (
                matches(&camera(
                    ID,
                    nvt,
                    "",
                    "HTTPS://[fe80::1]:8443/o?x=1 http://u:p@h/ ftp://h/ http:/// x",
                )),
                here("", &["https://[fe80::1]:8443/o"]),
            ),
            (
                message("Bye", &camera(ID, "", "", "")),
                Told::Gone(ID.to_owned()),
            ),
            // Printers, and what has no identity.
            (
                message("Hello", &camera(ID, "wprt:PrintDeviceType", "", url)),
                Told::Nothing,
            ),
            (
                message("Hello", &camera(ID, "wsdp:Device", "", url)),
                Told::Nothing,
            ),
            (
                message("Hello", &camera("", nvt, scope, url)),
                Told::Nothing,
            ),
            (
                message("Hello", &camera(&"x".repeat(201), nvt, scope, url)),
                Told::Nothing,
            ),
            (message("Probe", ""), Told::Nothing),
            (message("ProbeMatches", ""), Told::Nothing),
        ] {
            assert_eq!(told(&text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        for bytes in [
            &b""[..],
            b"\0\xff",
            b"<a/>",
            b"<Envelope><Body/></Envelope>",
        ] {
            assert!(read(bytes).is_err());
        }
    }

    #[test]
    fn names_are_decoded_as_far_as_they_can_be() {
        for (scope, expected) in [
            ("onvif://www.onvif.org/name/a%2Fb%zz%", "a/b%zz%"),
            ("onvif://www.onvif.org/name/%ff%0a", "\u{fffd}"),
            ("onvif://www.onvif.org/names/x", ""),
            (
                "onvif://www.onvif.org/hardware/C1 onvif://www.onvif.org/name/C1",
                "C1",
            ),
        ] {
            assert_eq!(name(scope), expected, "{scope}");
        }
    }
}
