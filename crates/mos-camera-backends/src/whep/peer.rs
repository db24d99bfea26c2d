//! `webrtcbin` as the signalling sees it: makes an offer, finds candidates, takes an answer, says how its connection is.

use std::time::Duration;

use gst::glib;
use gst::prelude::*;
use gst_sdp::SDPMessage;
use gst_webrtc::{
    WebRTCBundlePolicy, WebRTCICEConnectionState, WebRTCICEGatheringState,
    WebRTCPeerConnectionState, WebRTCRTPTransceiver, WebRTCRTPTransceiverDirection, WebRTCSDPType,
    WebRTCSessionDescription,
};
use mos_camera_core::{Fault, IceKind, IceServer};

use super::path;
use super::signalling::{Input, Link};
use crate::elements::{factory_name, make};
use crate::session::Session;

/// Where events go; called from GStreamer's threads, never blocks.
pub(super) trait Ears: Fn(Input) + Send + Sync + Clone + 'static {}
impl<F: Fn(Input) + Send + Sync + Clone + 'static> Ears for F {}

/// One `webrtcbin`, for one session.
#[derive(Debug, Clone)]
pub(super) struct Peer(glib::WeakRef<gst::Element>);

impl Peer {
    /// A new element, not yet wired.
    pub(super) fn element(latency: Duration) -> Result<gst::Element, Fault> {
        let element = make("webrtcbin")?;
        element.set_property("bundle-policy", WebRTCBundlePolicy::MaxBundle);
        element.set_property(
            "latency",
            u32::try_from(latency.as_millis()).unwrap_or(u32::MAX),
        );
        // Nobody is asked who was not configured: `webrtcbin` has no STUN server by default, but libnice would look for a
        // router by UPnP, by multicast.
        if let Some(agent) = agent(&element) {
            set_if_there(&agent, "upnp", false);
        }
        Ok(element)
    }

    /// Lets `ears` hear of an element that is about to start.
    pub(super) fn wire(
        element: &gst::Element,
        offered: &gst::Caps,
        certificate: &'static str,
        ears: &impl Ears,
    ) -> Self {
        wire_insides(element, certificate);
        let transceiver = element.emit_by_name::<WebRTCRTPTransceiver>(
            "add-transceiver",
            &[&WebRTCRTPTransceiverDirection::Recvonly, offered],
        );
        // What is lost is asked for again (RFC 4588): within the jitter buffer's time, later it is of no use.
        transceiver.set_property("do-nack", true);
        let peer = Self(element.downgrade());
        wire_candidates(element, ears);
        wire_states(element, ears);
        wire_farewell(element, ears);
        peer
    }

    /// Makes an offer. The element has to run: what it puts into itself for it must not be started before it is set up.
    pub(super) fn offer(&self, ears: &impl Ears) {
        let Some(element) = self.0.upgrade() else {
            return;
        };
        let ears = ears.clone();
        let promise = gst::Promise::with_change_func(move |reply| ears(offer(reply)));
        element.emit_by_name::<()>("create-offer", &[&None::<gst::Structure>, &promise]);
    }

    /// Takes STUN and TURN servers, STUN's by number, and begins to look for candidates for the offer that was made.
    pub(super) fn gather(&self, offer: &str, servers: &[IceServer]) -> Result<(), String> {
        let Some(element) = self.0.upgrade() else {
            return Ok(());
        };
        for server in servers {
            add_server(&element, server);
        }
        let offer = description(WebRTCSDPType::Offer, offer)?;
        element.emit_by_name::<()>("set-local-description", &[&offer, &None::<gst::Promise>]);
        Ok(())
    }

    /// Tells how DTLS is.
    pub(super) fn tell_dtls(&self, session: &Session) {
        if let Some(element) = self.0.upgrade() {
            path::tell_dtls(&element, session);
        }
    }

    /// Takes the server's answer.
    pub(super) fn apply(&self, answer: &str, ears: &impl Ears) -> Result<(), String> {
        let Some(element) = self.0.upgrade() else {
            return Ok(());
        };
        let answer = description(WebRTCSDPType::Answer, answer)?;
        let ears = ears.clone();
        let promise = gst::Promise::with_change_func(move |reply| {
            if let Some(why) = refusal(reply) {
                ears(Input::Refused(why));
            }
        });
        element.emit_by_name::<()>("set-remote-description", &[&answer, &promise]);
        Ok(())
    }
}

/// libnice's agent.
pub(super) fn agent(element: &gst::Element) -> Option<glib::Object> {
    let ice: glib::Object = element
        .find_property("ice-agent")
        .map(|_| element.property("ice-agent"))?;
    ice.find_property("agent")?;
    ice.property::<Option<glib::Object>>("agent")
}

fn set_if_there(object: &glib::Object, property: &str, value: bool) {
    if object.find_property(property).is_some() {
        object.set_property(property, value);
    }
}

/// Sets up elements inside as they appear.
fn wire_insides(element: &gst::Element, certificate: &'static str) {
    element.connect("deep-element-added", false, move |values| {
        let added: gst::Element = values.get(2)?.get().ok()?;
        match factory_name(&added).as_deref() {
            // Before it starts: what listens to a connection is set up then, and the certificate makes a new connection.
            Some("dtlsdec") => added.set_property("pem", certificate),
            // An old picture is worth nothing.
            Some("rtpjitterbuffer") => added.set_property("drop-on-latency", true),
            _ => {}
        }
        None
    });
}

fn offer(reply: Result<Option<&gst::StructureRef>, gst::PromiseError>) -> Input {
    let made = match reply {
        Ok(Some(reply)) => reply.get::<WebRTCSessionDescription>("offer").ok(),
        _ => None,
    };
    let text = made.and_then(|offer| offer.sdp().as_text().ok());
    text.map_or_else(
        || Input::Refused(refusal(reply).unwrap_or_else(|| "no offer was made".to_owned())),
        Input::Offer,
    )
}

/// What a promise's answer holds against what was asked; none if it was done.
fn refusal(reply: Result<Option<&gst::StructureRef>, gst::PromiseError>) -> Option<String> {
    match reply {
        Ok(Some(reply)) => {
            let error = reply.get::<glib::Error>("error").ok()?;
            Some(error.message().to_owned())
        }
        // Done, or the element is going down and nobody wants to know.
        Ok(None) | Err(_) => None,
    }
}

fn wire_candidates(element: &gst::Element, ears: &impl Ears) {
    let on_candidate = ears.clone();
    element.connect("on-ice-candidate", false, move |values| {
        let candidate: String = values.get(2)?.get().ok()?;
        // GStreamer's form has no `a=` before it; other versions may.
        let candidate = candidate.strip_prefix("a=").unwrap_or(&candidate).trim();
        if candidate.starts_with("candidate:") && !candidate.contains(['\r', '\n']) {
            on_candidate(Input::Candidate(candidate.to_owned()));
        }
        None
    });
    let ears = ears.clone();
    element.connect_notify(Some("ice-gathering-state"), move |element, _| {
        let state: WebRTCICEGatheringState = element.property("ice-gathering-state");
        if state == WebRTCICEGatheringState::Complete {
            ears(Input::Gathered);
        }
    });
}

fn wire_states(element: &gst::Element, ears: &impl Ears) {
    let on_ice = ears.clone();
    element.connect_notify(
        Some("ice-connection-state"),
        move |element, _| match element.property("ice-connection-state") {
            WebRTCICEConnectionState::Failed => on_ice(Input::Link(Link::NoPath)),
            WebRTCICEConnectionState::Closed => on_ice(Input::Link(Link::Lost)),
            _ => {}
        },
    );
    let ears = ears.clone();
    element.connect_notify(Some("connection-state"), move |element, _| {
        match element.property("connection-state") {
            WebRTCPeerConnectionState::Connected => ears(Input::Link(Link::Up)),
            WebRTCPeerConnectionState::Failed => ears(Input::Link(failure(element))),
            WebRTCPeerConnectionState::Closed => ears(Input::Link(Link::Lost)),
            _ => {}
        }
    });
}

/// A server that ends a session says so by RTCP (BYE, RFC 3550), which `webrtcbin` itself takes no notice of.
fn wire_farewell(element: &gst::Element, ears: &impl Ears) {
    let bin = element.downcast_ref::<gst::Bin>();
    let Some(rtp) = bin.and_then(|bin| bin.by_name("rtpbin")) else {
        return;
    };
    let ears = ears.clone();
    rtp.connect("on-bye-ssrc", false, move |_| {
        ears(Input::Link(Link::Lost));
        None
    });
}

/// Whether it was ICE or DTLS that failed.
fn failure(element: &gst::Element) -> Link {
    match element.property("ice-connection-state") {
        WebRTCICEConnectionState::Connected | WebRTCICEConnectionState::Completed => Link::NoDtls,
        _ => Link::NoPath,
    }
}

fn description(kind: WebRTCSDPType, text: &str) -> Result<WebRTCSessionDescription, String> {
    let sdp = SDPMessage::parse_buffer(text.as_bytes()).map_err(|error| error.to_string())?;
    Ok(WebRTCSessionDescription::new(kind, sdp))
}

fn add_server(element: &gst::Element, server: &IceServer) {
    let address = &server.address;
    if address.kind == IceKind::Stun {
        // Not by `webrtcbin`'s property: what is set there this late, version 1.22 does not hand on.
        if let Some(agent) = agent(element) {
            agent.set_property("stun-server", &address.host);
            agent.set_property("stun-server-port", u32::from(address.port));
        }
        return;
    }
    let Some((user, password)) = &server.login else {
        return;
    };
    let url = format!(
        "{}://{}:{}@{}?transport={}",
        address.kind.scheme(),
        escaped(user),
        escaped(password.reveal()),
        address.authority(),
        if address.tcp { "tcp" } else { "udp" },
    );
    let taken = element.emit_by_name::<bool>("add-turn-server", &[&url]);
    if !taken {
        tracing::warn!(server = %address, "webrtcbin does not take this TURN server");
    }
}

/// RFC 3986, section 2.1: all but what is unreserved.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_asked_who_was_not_configured() {
        gst::init().unwrap();
        let element = Peer::element(Duration::from_millis(70)).unwrap();
        assert_eq!(element.property::<Option<String>>("stun-server"), None);
        assert_eq!(element.property::<Option<String>>("turn-server"), None);
        assert_eq!(element.property::<u32>("latency"), 70);
        let agent = agent(&element).expect("libnice's agent");
        assert!(!agent.property::<bool>("upnp"));
        assert_eq!(agent.property::<Option<String>>("stun-server"), None);
    }

    #[test]
    fn logins_are_escaped() {
        assert_eq!(escaped("17:u@h/p%ä"), "17%3Au%40h%2Fp%25%C3%A4");
    }
}
