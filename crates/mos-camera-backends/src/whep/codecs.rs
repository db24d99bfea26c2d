//! Codecs that WebRTC servers send, and how they are offered (RFC 6184, RFC 7798, RFC 7741).

use mos_camera_core::plan::{self, Explanation, Plan, Wish};

use crate::machine;

/// A codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Codec {
    /// Its encoding name in SDP.
    pub(super) encoding: &'static str,
    /// Its name for people.
    pub(super) name: &'static str,
    /// Its format, as the planner knows it.
    pub(super) format: &'static str,
    /// What takes it out of its packets.
    pub(super) depayloader: &'static str,
    /// The payload types that it is offered by, each with its parameters.
    payloads: &'static [(u8, &'static [(&'static str, &'static str)])],
}

/// By preference: what most cameras send, and most boards decode, comes first.
pub(super) const ALL: [Codec; 3] = [
    Codec {
        encoding: "H264",
        name: "H.264",
        format: "video/x-h264",
        depayloader: "rtph264depay",
        // High, main and constrained baseline, as browsers offer them: servers compare profiles.
        payloads: &[
            (
                96,
                &[
                    ("packetization-mode", "1"),
                    ("level-asymmetry-allowed", "1"),
                    ("profile-level-id", "64001f"),
                ],
            ),
            (
                97,
                &[
                    ("packetization-mode", "1"),
                    ("level-asymmetry-allowed", "1"),
                    ("profile-level-id", "4d001f"),
                ],
            ),
            (
                98,
                &[
                    ("packetization-mode", "1"),
                    ("level-asymmetry-allowed", "1"),
                    ("profile-level-id", "42e01f"),
                ],
            ),
        ],
    },
    Codec {
        encoding: "H265",
        name: "H.265",
        format: "video/x-h265",
        depayloader: "rtph265depay",
        payloads: &[(99, &[])],
    },
    Codec {
        encoding: "VP8",
        name: "VP8",
        format: "video/x-vp8",
        depayloader: "rtpvp8depay",
        payloads: &[(100, &[])],
    },
];

/// The codec of an encoding name.
pub(super) fn by_encoding(encoding: &str) -> Option<Codec> {
    ALL.into_iter()
        .find(|codec| codec.encoding.eq_ignore_ascii_case(encoding))
}

/// What this machine makes of the codec that is known, or of all together.
pub(super) fn explain(known: Option<Codec>, wish: Wish) -> Explanation {
    let formats = ALL
        .into_iter()
        .filter(|codec| known.is_none_or(|known| known == *codec))
        .flat_map(|codec| plan::Offer::unknown(codec.format).formats);
    let offer = plan::Offer {
        formats: formats.collect(),
        pool: None,
    };
    machine::explained(&offer, wish)
}

/// The codecs that this machine can turn into NV12 in this build, those first that cost least.
pub(super) fn decodable(wish: Wish) -> Vec<(Codec, Plan)> {
    let plan = |codec: Codec| {
        let explanation = machine::explained(&plan::Offer::unknown(codec.format), wish);
        Some((codec, explanation.chosen?))
    };
    let mut all: Vec<_> = ALL.into_iter().filter_map(plan).collect();
    all.sort_by_key(|(_, plan)| (plan.software, plan.copies.cpu, plan.copies.hardware));
    all
}

/// The offer of these codecs, for a transceiver. Key frames can be asked for by PLI and FIR (RFC 4585, RFC 5104).
pub(super) fn caps(codecs: &[Codec]) -> gst::Caps {
    let mut caps = gst::Caps::new_empty();
    if let Some(caps) = caps.get_mut() {
        for codec in codecs {
            for (payload, parameters) in codec.payloads {
                caps.append_structure(structure(*codec, *payload, parameters));
            }
        }
    }
    caps
}

fn structure(codec: Codec, payload: u8, parameters: &[(&str, &str)]) -> gst::Structure {
    let mut structure = gst::Structure::builder("application/x-rtp")
        .field("media", "video")
        .field("encoding-name", codec.encoding)
        .field("payload", i32::from(payload))
        .field("clock-rate", 90_000)
        .field("rtcp-fb-nack-pli", true)
        .field("rtcp-fb-ccm-fir", true)
        .build();
    for (name, value) in parameters {
        structure.set(*name, *value);
    }
    structure
}
