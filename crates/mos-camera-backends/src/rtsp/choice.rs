//! Which of the media that a camera offers is taken: the video track that is named, else the one that costs least to decode.

use mos_camera_core::plan::{Explanation, NoPlan, Offer, Plan};
use mos_camera_core::sdp::{Codec, Media};
use mos_camera_core::{DeviceId, Fault, FaultKind};

/// The codecs that have a depayloader here.
pub(super) const CODECS: [Codec; 3] = [Codec::H264, Codec::H265, Codec::Jpeg];

/// What was chosen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Choice {
    /// The section of the session description.
    pub(super) media: Media,
    /// Its codec.
    pub(super) codec: Codec,
    /// Its place among the video tracks, and how many there are.
    pub(super) track: (u32, u32),
    /// How it is decoded.
    pub(super) plan: Plan,
}

/// What an offer is for the planner: only an open session tells sizes and rates.
pub(super) fn offer(codecs: impl Iterator<Item = Codec>) -> Offer {
    let formats = codecs.flat_map(|codec| Offer::unknown(codec.media_type()).formats);
    Offer {
        formats: formats.collect(),
        pool: None,
    }
}

/// The codecs to plan for: those of the tracks that may be taken, or all if no session told of any yet.
pub(super) fn candidates(offered: &[Media], track: Option<u32>) -> Vec<Codec> {
    if offered.is_empty() {
        return CODECS.to_vec();
    }
    let wanted = |(n, _): &(u32, &Media)| track.is_none_or(|track| track == *n);
    let mut codecs: Vec<_> = videos(offered)
        .filter(wanted)
        .filter_map(|(_, media)| media.codec.filter(|codec| CODECS.contains(codec)))
        .collect();
    codecs.sort_unstable();
    codecs.dedup();
    codecs
}

/// Chooses; `explain` plans for an offer.
pub(super) fn choose(
    device: &DeviceId,
    offered: &[Media],
    track: Option<u32>,
    explain: impl FnOnce(&Offer) -> Explanation,
) -> Result<Choice, Fault> {
    let tracks = videos(offered).count() as u32;
    if let Some(track) = track.filter(|track| *track >= tracks) {
        return Err(no_such_track(device, track, tracks, offered));
    }
    let codecs = candidates(offered, track);
    if offered.is_empty() || codecs.is_empty() {
        return Err(no_codec(device, track, offered));
    }
    let plan = explain(&offer(codecs.iter().copied()))
        .into_plan(device)
        .map_err(|error| no_decoder(&error, offered))?;
    let taken = videos(offered).find_map(|(n, media)| {
        let codec = media.codec.filter(|codec| {
            codec.media_type() == plan.capture.format && track.is_none_or(|track| track == n)
        })?;
        Some((n, media.clone(), codec))
    });
    let (number, media, codec) = taken.ok_or_else(|| no_codec(device, track, offered))?;
    Ok(Choice {
        media,
        codec,
        track: (number, tracks),
        plan,
    })
}

fn videos(offered: &[Media]) -> impl Iterator<Item = (u32, &Media)> {
    (0..).zip(offered.iter().filter(|media| media.is_video()))
}

/// Media that a message names.
const SHOWN: usize = 8;

/// As `video H264, audio PCMA`.
pub(super) fn list(offered: &[Media]) -> String {
    if offered.is_empty() {
        return "nothing".to_owned();
    }
    let texts: Vec<_> = offered
        .iter()
        .take(SHOWN)
        .map(ToString::to_string)
        .collect();
    match offered.len().saturating_sub(SHOWN) {
        0 => texts.join(", "),
        more => format!("{} and {more} more", texts.join(", ")),
    }
}

fn no_such_track(device: &DeviceId, track: u32, tracks: u32, offered: &[Media]) -> Fault {
    Fault::new(
        FaultKind::Unsupported,
        format!(
            "{device}: there is no video track {track}: the camera has {tracks} (it offers {})",
            list(offered)
        ),
        "set `track` of the camera to one that it has, from 0, or leave it out",
    )
}

fn no_codec(device: &DeviceId, track: Option<u32>, offered: &[Media]) -> Fault {
    let which = track.map_or_else(
        || "no video to take".to_owned(),
        |track| format!("video track {track} has no codec that is known here"),
    );
    Fault::new(
        FaultKind::Unsupported,
        format!("{device}: {which}; the camera offers {}", list(offered)),
        "set the camera to H.264, H.265 or Motion JPEG, or use the path of such a stream",
    )
}

/// What is missing is known best to the planner; what the camera offers is told beside.
fn no_decoder(error: &NoPlan, offered: &[Media]) -> Fault {
    let fault = Fault::from(error.clone());
    Fault::new(
        FaultKind::Unsupported,
        format!("{}; the camera offers {}", fault.message, list(offered)),
        fault.hint,
    )
}

#[cfg(test)]
mod tests {
    use mos_camera_core::Transport;
    use mos_camera_core::plan::{
        Build, ElementFacts, Formats, Machine, PoolMemory, Profiles, Request, Wish, explain,
    };
    use mos_camera_core::platform::Family;
    use mos_camera_core::sdp::media;

    use super::*;

    fn sdp(encodings: &[&str]) -> Vec<Media> {
        let section = |name: &&str| match name.strip_prefix("audio ") {
            Some(name) => format!("m=audio 0 RTP/AVP 97\na=rtpmap:97 {name}/8000\n"),
            None => format!("m=video 0 RTP/AVP 96\na=rtpmap:96 {name}/90000\n"),
        };
        media(&encodings.iter().map(section).collect::<String>())
    }

    /// A machine with these elements, and with memory for frames.
    fn explained(offer: &Offer, elements: &[&str]) -> Explanation {
        let any = || ElementFacts {
            takes: Formats::Any,
            gives: Formats::Any,
            ..ElementFacts::default()
        };
        let machine = Machine {
            elements: elements
                .iter()
                .map(|&name| (name.to_owned(), any()))
                .collect(),
            devices: [].into(),
            pools: [PoolMemory::Memfd].into(),
        };
        let rules = Profiles::built_in().unwrap().rules(Family::Generic, &[]);
        explain(&Request {
            offer,
            wish: Wish::default(),
            machine: &machine,
            build: Build::Development,
            rules: &rules,
        })
    }

    const SOFTWARE: &[&str] = &[
        "h264parse",
        "avdec_h264",
        "h265parse",
        "avdec_h265",
        "jpegdec",
        "videoconvert",
    ];
    const H265_BY_HARDWARE: &[&str] = &[
        "h264parse",
        "avdec_h264",
        "videoconvert",
        "h265parse",
        "v4l2slh265dec",
    ];
    const ONLY_H264: &[&str] = &["h264parse", "avdec_h264", "videoconvert"];

    #[test]
    fn the_cheapest_track_is_taken_unless_one_is_named() {
        for (title, offered, track, elements, expected) in [
            (
                "one",
                &["H264"][..],
                None,
                SOFTWARE,
                Some((0, Codec::H264, 0)),
            ),
            (
                "behind audio",
                &["audio PCMA", "H265"],
                None,
                SOFTWARE,
                Some((1, Codec::H265, 0)),
            ),
            (
                "H.264 before the others",
                &["JPEG", "H265", "H264"],
                None,
                SOFTWARE,
                Some((2, Codec::H264, 2)),
            ),
            (
                "what hardware decodes before that",
                &["H264", "H265"],
                None,
                H265_BY_HARDWARE,
                Some((1, Codec::H265, 1)),
            ),
            (
                "the first of two alike",
                &["H264", "H264"],
                None,
                SOFTWARE,
                Some((0, Codec::H264, 0)),
            ),
            (
                "the second of two alike",
                &["H264", "audio PCMA", "H264"],
                Some(1),
                SOFTWARE,
                Some((2, Codec::H264, 1)),
            ),
            (
                "one that costs more",
                &["H264", "JPEG"],
                Some(1),
                SOFTWARE,
                Some((1, Codec::Jpeg, 1)),
            ),
            ("no such track", &["H264"], Some(1), SOFTWARE, None),
            ("audio only", &["audio PCMA"], None, SOFTWARE, None),
            ("an unknown codec", &["VP9"], None, SOFTWARE, None),
            (
                "one that has no depayloader here",
                &["VP8"],
                None,
                SOFTWARE,
                None,
            ),
            ("a codec without decoder", &["H265"], None, ONLY_H264, None),
            (
                "a named track without decoder",
                &["H264", "H265"],
                Some(1),
                ONLY_H264,
                None,
            ),
            ("nothing", &[], None, SOFTWARE, None),
        ] {
            let id = DeviceId::new(Transport::Rtsp, "door");
            let chosen = choose(&id, &sdp(offered), track, |offer| {
                explained(offer, elements)
            });
            let told = chosen
                .as_ref()
                .ok()
                .map(|c| (c.media.index, c.codec, c.track.0));
            assert_eq!(told, expected, "{title}");
            if let Err(fault) = chosen {
                assert_eq!(fault.kind, FaultKind::Unsupported, "{title}: {fault}");
                assert!(
                    fault.message.contains(&list(&sdp(offered))),
                    "{title}: {fault}"
                );
            }
        }
    }

    #[test]
    fn a_missing_decoder_is_named() {
        let id = DeviceId::new(Transport::Rtsp, "door");
        let fault = choose(&id, &sdp(&["H265"]), None, |offer| {
            explained(offer, ONLY_H264)
        })
        .unwrap_err();
        assert!(
            fault.message.contains("avdec_h265") && fault.message.ends_with("it offers video H265")
                || fault.message.ends_with("the camera offers video H265"),
            "{fault}"
        );
    }

    #[test]
    fn before_a_session_every_codec_is_planned_for() {
        assert_eq!(candidates(&[], None), CODECS);
        assert_eq!(
            candidates(&sdp(&["JPEG", "audio X", "JPEG"]), None),
            [Codec::Jpeg]
        );
        assert_eq!(candidates(&sdp(&["H264", "H265"]), Some(1)), [Codec::H265]);
    }
}
