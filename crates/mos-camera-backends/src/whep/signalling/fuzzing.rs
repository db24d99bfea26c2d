//! What has to hold of whatever a camera or a WHEP server describes.

#![allow(
    unreachable_pub,
    reason = "public in the fuzz crate, which takes this file by its path"
)]

use mos_camera_core::rfc7273::MediaClock;
use mos_camera_core::sdp;

use super::link::ice_servers;
use super::sdp::{answer, attribute};

const OFFERED: [&str; 3] = ["H264", "VP8", "H265"];

/// SDP: of an RTSP camera, and as the answer to an offer.
pub fn session_description(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let media = sdp::media(&text);
    assert!(media.len() <= 64);
    for (index, section) in (0..).zip(&media) {
        assert_eq!(section.index, index);
        let shown = section.to_string();
        assert!(shown.len() <= 65 && shown.chars().all(|c| c.is_ascii_graphic() || c == ' '));
    }
    clock(&text);
    match answer(&text, &OFFERED) {
        Ok(taken) => {
            assert!(taken.candidates <= 64 && !taken.codecs.is_empty());
            assert!(
                taken
                    .codecs
                    .iter()
                    .all(|codec| OFFERED.contains(&codec.as_str()))
            );
            // What was taken out stays out, and nothing else goes.
            let again = answer(&taken.text, &OFFERED);
            assert_eq!(again.as_ref(), Ok(&taken));
        }
        Err(unfit) => {
            let shown = unfit.to_string();
            assert!(
                shown.len() < 500 && !shown.contains(char::is_control),
                "{shown:?}"
            );
        }
    }
}

/// The clock that a description names, and times by it.
fn clock(text: &str) {
    const NOW: u64 = 1_700_000_000_000_000_000;
    let named = attribute(text, "ts-refclk").zip(attribute(text, "mediaclk"));
    let Some(clock) = named.and_then(|(clock, media)| MediaClock::parse(clock, media)) else {
        return;
    };
    for rate in [0, 1, 8_000, 90_000, u32::MAX] {
        for rtp in [0, 1 << 31, u32::MAX] {
            let Some(utc) = clock.utc_ns(rtp, rate, NOW, 37) else {
                continue;
            };
            // Timestamps come round: it is the one that is nearest.
            let most = (1_u128 << 31) * 1_000_000_000 / u128::from(rate) + 1_000_000_000;
            assert!(u128::from(utc.abs_diff(NOW)) <= most, "{rate} {rtp}: {utc}");
        }
    }
}

/// The values of `Link`, one a line.
pub fn ice_links(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let servers = ice_servers(text.lines());
    assert!(servers.len() <= 8);
    for server in servers {
        assert_eq!(
            server.address.to_string().parse(),
            Ok(server.address.clone())
        );
        assert!(server.login.is_some() || !server.address.kind.relays());
    }
}
