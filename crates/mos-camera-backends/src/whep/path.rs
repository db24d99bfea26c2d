//! Which way a session's media takes, and how its DTLS is, as `webrtcbin` knows it.
//!
//! The chosen pair of candidates is in `get-stats` since GStreamer 1.22, in candidates that the pair names (1.22 calls the local
//! one `remote-candidate` and the other way round, so their own types are not looked at). Statistics go by pad, so there are
//! none before media has come; libnice's agent says when it chose, and when it changes its choice later. Older versions tell
//! nothing, and then the path stays unknown. The addresses of relays' servers are not read: they may hold a login.

use gst::prelude::*;
use gst_webrtc::{WebRTCDTLSTransportState, WebRTCRTPTransceiver};
use mos_camera_core::carrier::Carrier;
use mos_camera_core::{CandidateKind, MediaPath};

use super::peer::agent;
use crate::session::Session;

/// Lets a session know which way its media takes, now and when that changes.
pub(super) fn follow(element: &gst::Element, session: &Session) {
    if let Some(agent) = agent(element) {
        let (weak, session) = (element.downgrade(), session.clone());
        agent.connect("new-selected-pair-full", false, move |_| {
            if let Some(element) = weak.upgrade() {
                look(&element, &session);
            }
            None
        });
    }
    let session = session.clone();
    element.connect_pad_added(move |element, pad| {
        if pad.direction() != gst::PadDirection::Src {
            return;
        }
        let (weak, session) = (element.downgrade(), session.clone());
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            if let Some(element) = weak.upgrade() {
                look(&element, &session);
            }
            gst::PadProbeReturn::Remove
        });
    });
}

/// Asks for the statistics, which come from a thread of `webrtcbin`'s.
fn look(element: &gst::Element, session: &Session) {
    tell_dtls(element, session);
    let session = session.clone();
    let promise = gst::Promise::with_change_func(move |reply| {
        if let Ok(Some(stats)) = reply
            && let Some((path, peer)) = chosen(stats)
        {
            session.update(|facts| {
                facts.path = Some(path);
                facts.peer = peer;
            });
        }
    });
    element.emit_by_name::<()>("get-stats", &[&None::<gst::Pad>, &promise]);
}

/// Tells how DTLS is, once there is a transport.
pub(super) fn tell_dtls(element: &gst::Element, session: &Session) {
    let words = match dtls(element) {
        Some(WebRTCDTLSTransportState::New) => "not begun",
        Some(WebRTCDTLSTransportState::Connecting) => "connecting",
        Some(WebRTCDTLSTransportState::Connected) => "connected",
        Some(WebRTCDTLSTransportState::Closed) => "closed",
        Some(WebRTCDTLSTransportState::Failed) => "failed",
        _ => return,
    };
    session.update(|facts| facts.tell("DTLS", words));
}

/// The state of the one transport that there is.
fn dtls(element: &gst::Element) -> Option<WebRTCDTLSTransportState> {
    let transceiver: Option<WebRTCRTPTransceiver> =
        element.emit_by_name("get-transceiver", &[&0_i32]);
    let transport = transceiver?.receiver()?.transport()?;
    Some(transport.state())
}

/// The chosen pair, and the address of its far end.
fn chosen(stats: &gst::StructureRef) -> Option<(MediaPath, String)> {
    let entry = |id: &str| stats.get::<gst::Structure>(id).ok();
    let text = |of: &gst::StructureRef, field: &str| of.get::<String>(field).ok();
    let selected = |stats: &gst::Structure| text(stats, "selected-candidate-pair-id");
    let pair = stats
        .iter()
        .find_map(|(_, value)| selected(&value.get().ok()?))?;
    let pair = entry(&pair)?;
    let end = |field: &str| entry(&text(&pair, field)?);
    let (local, remote) = (end("local-candidate-id")?, end("remote-candidate-id")?);
    let kind = |of: &gst::StructureRef| text(of, "candidate-type")?.parse::<CandidateKind>().ok();
    let carrier = match text(&local, "protocol")?.as_str() {
        "udp" => Carrier::Udp,
        "tcp" => Carrier::Tcp,
        _ => return None,
    };
    let path = MediaPath {
        local: kind(&local)?,
        remote: kind(&remote)?,
        carrier,
        relay_protocol: text(&local, "relay-protocol").unwrap_or_default(),
    };
    let port = remote.get::<u32>("port").ok()?;
    Some((path, peer(&text(&remote, "address")?, port)))
}

/// Address and port in a line.
fn peer(address: &str, port: u32) -> String {
    if address.contains(':') {
        format!("[{address}]:{port}")
    } else {
        format!("{address}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `webrtcbin` of 1.22 answers.
    fn answer(local: gst::Structure, remote: gst::Structure) -> gst::Structure {
        let transport = gst::Structure::builder("transport")
            .field("selected-candidate-pair-id", "pair")
            .build();
        let pair = gst::Structure::builder("candidate-pair")
            .field("local-candidate-id", "one")
            .field("remote-candidate-id", "two")
            .build();
        gst::Structure::builder("application/x-webrtc-stats")
            .field("count", 5_u32)
            .field("transport", transport)
            .field("pair", pair)
            .field("one", local)
            .field("two", remote)
            .build()
    }

    fn candidate(kind: &str, protocol: &str, address: &str) -> gst::Structure {
        gst::Structure::builder("remote-candidate")
            .field("candidate-type", kind)
            .field("protocol", protocol)
            .field("address", address)
            .field("port", 4000_u32)
            .build()
    }

    #[test]
    fn the_pair_is_read_and_what_is_no_pair_is_none() {
        gst::init().unwrap();
        let mut relay = candidate("relay", "udp", "192.0.2.9");
        relay.set("relay-protocol", "tls");
        for (local, remote, path, far) in [
            (
                candidate("host", "udp", "192.0.2.1"),
                candidate("prflx", "udp", "2001:db8::1"),
                "host to prflx over UDP",
                "[2001:db8::1]:4000",
            ),
            (
                relay,
                candidate("srflx", "udp", "198.51.100.1"),
                "relay to srflx over UDP, the relay by tls",
                "198.51.100.1:4000",
            ),
            (
                candidate("host", "tcp", "192.0.2.1"),
                candidate("host", "tcp", "192.0.2.2"),
                "host to host over TCP",
                "192.0.2.2:4000",
            ),
        ] {
            let (found, peer) = chosen(&answer(local, remote)).unwrap();
            assert_eq!((found.to_string().as_str(), peer.as_str()), (path, far));
        }
        let good = || candidate("host", "udp", "192.0.2.1");
        let nothing = gst::Structure::new_empty("application/x-webrtc-stats");
        for stats in [
            nothing,
            answer(candidate("no-kind", "udp", "192.0.2.1"), good()),
            answer(candidate("host", "no-protocol", "192.0.2.1"), good()),
            answer(good(), gst::Structure::new_empty("remote-candidate")),
        ] {
            assert_eq!(chosen(&stats), None, "{stats}");
        }
    }
}
