//! What a session tells of itself.

use std::net::SocketAddr;

use mos_camera_core::CandidateKind;
use mos_camera_core::carrier::Carrier;

use crate::rig::{detail, facts_with, of, server, streams};

#[test]
fn a_session_tells_its_path_its_codecs_its_dtls_and_whether_the_server_trickles() {
    let test = "a_session_tells_its_path_its_codecs_its_dtls_and_whether_the_server_trickles";
    for codec in ["VP8", "H264"] {
        let Some(server) = server(test, &[&format!("--codec={codec}")]) else {
            return;
        };
        let running = streams(of(&server));
        let facts = facts_with(&running, "the path", |facts| facts.path.is_some());
        let path = facts.path.clone().unwrap();
        assert_eq!(path.local, CandidateKind::Host, "{facts:?}");
        // Which of its addresses the server sends from is its choice.
        let known = [CandidateKind::Host, CandidateKind::PeerReflexive];
        assert!(known.contains(&path.remote), "{facts:?}");
        assert_eq!(
            (path.carrier, path.relay_protocol.as_str()),
            (Carrier::Udp, "")
        );
        let peer: SocketAddr = facts.peer.parse().unwrap();
        assert!(
            peer.port() != server.port() && peer.port() != 0,
            "{facts:?}"
        );
        assert_eq!(detail(&facts, "negotiated"), facts.codec);
        assert_eq!(detail(&facts, "DTLS"), "connected");
        assert_eq!(detail(&facts, "state"), "connected");
        // Candidates of this machine's own addresses are there before the offer: nothing is left to tell.
        assert_eq!(detail(&facts, "trickle"), "not needed so far");
    }
}
