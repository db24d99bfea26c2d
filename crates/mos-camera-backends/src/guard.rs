//! Holds a source to the size and rate that were asked for, where only its first picture tells.

use std::sync::atomic::{AtomicBool, Ordering};

use gst::prelude::*;
use mos_camera_core::{DeviceId, Framerate, StreamConfig};

use crate::backend::Source;
use crate::posted::post_unsupported;

/// What was asked for; `None` takes what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wish {
    size: Option<(u32, u32)>,
    rate: Option<Framerate>,
}

/// What the camera sends; no rate if it does not say, or if it varies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Offer {
    size: (u32, u32),
    rate: Option<Framerate>,
}

/// Lets a picture of another size or rate end in a fault instead of reaching the bus.
pub(crate) fn install(source: &Source, config: &StreamConfig) {
    let guard = Guard {
        wish: Wish {
            size: config.size,
            rate: config.framerate,
        },
        device: config.device.clone(),
        bin: source.bin.downgrade(),
        refuses: AtomicBool::new(false),
    };
    if let Some(pad) = source.bin.static_pad("src") {
        let data = gst::PadProbeType::EVENT_DOWNSTREAM
            | gst::PadProbeType::BUFFER
            | gst::PadProbeType::BUFFER_LIST;
        pad.add_probe(data, move |_, info| guard.look(info.data.as_ref()));
    }
}

struct Guard {
    wish: Wish,
    device: DeviceId,
    bin: gst::glib::WeakRef<gst::Bin>,
    /// Whether the pictures that come now are not what was asked for.
    refuses: AtomicBool,
}

impl Guard {
    /// What becomes of an event or buffer. What is refused counts as handled: it ends here.
    fn look(&self, data: Option<&gst::PadProbeData<'_>>) -> gst::PadProbeReturn {
        let refused = match data {
            Some(gst::PadProbeData::Event(event)) => match event.view() {
                gst::EventView::Caps(caps) => self.refuse(caps.caps()),
                _ => false,
            },
            _ => self.refuses.load(Ordering::Relaxed),
        };
        if refused {
            gst::PadProbeReturn::Handled
        } else {
            gst::PadProbeReturn::Ok
        }
    }

    /// Refuses new caps if they are not what was asked for, and says so.
    fn refuse(&self, caps: &gst::CapsRef) -> bool {
        let complaint = offer(caps).and_then(|offer| complaint(self.wish, offer));
        self.refuses.store(complaint.is_some(), Ordering::Relaxed);
        if let Some((complaint, bin)) = complaint.as_ref().zip(self.bin.upgrade()) {
            let hint = "leave the value out of the stream's configuration, or change it in the camera's own settings";
            post_unsupported(&bin, &format!("{} {complaint}", self.device), hint);
        }
        complaint.is_some()
    }
}

fn offer(caps: &gst::CapsRef) -> Option<Offer> {
    let structure = caps.structure(0)?;
    let side = |name| {
        structure
            .get::<i32>(name)
            .ok()
            .and_then(|v| u32::try_from(v).ok())
    };
    let rate = structure.get::<gst::Fraction>("framerate").ok();
    Some(Offer {
        size: (side("width")?, side("height")?),
        rate: rate.and_then(|r| {
            Framerate::new(
                u32::try_from(r.numer()).ok()?,
                u32::try_from(r.denom()).ok()?,
            )
        }),
    })
}

fn complaint(wish: Wish, offer: Offer) -> Option<String> {
    let (width, height) = offer.size;
    if let Some((w, h)) = wish.size.filter(|size| *size != offer.size) {
        return Some(format!(
            "sends {width}x{height}, not the {w}x{h} asked for; supported: {width}x{height}"
        ));
    }
    let (wanted, sent) = (wish.rate?, offer.rate?);
    (wanted != sent)
        .then(|| format!("sends {sent} fps, not the {wanted} asked for; supported: {sent}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(fps: u32) -> Option<Framerate> {
        Framerate::new(fps, 1)
    }

    #[test]
    fn complains_about_what_differs_from_what_was_asked() {
        let offer = Offer {
            size: (640, 480),
            rate: rate(30),
        };
        let vague = Offer {
            rate: None,
            ..offer
        };
        for (size, fps, offer, complains) in [
            (None, None, offer, None),
            (Some((640, 480)), rate(30), offer, None),
            (Some((640, 480)), rate(30), vague, None),
            (Some((320, 240)), None, offer, Some("supported: 640x480")),
            (None, rate(25), offer, Some("supported: 30")),
            (Some((640, 480)), rate(25), offer, Some("sends 30 fps")),
        ] {
            let text = complaint(Wish { size, rate: fps }, offer);
            assert_eq!(text.is_some(), complains.is_some(), "{size:?} {fps:?}");
            assert!(
                text.unwrap_or_default()
                    .contains(complains.unwrap_or_default())
            );
        }
    }

    #[test]
    fn reads_size_and_rate_of_caps() {
        gst::init().unwrap();
        for (caps, expected) in [
            (
                "video/x-raw,width=640,height=480,framerate=30/1",
                Some(Offer {
                    size: (640, 480),
                    rate: rate(30),
                }),
            ),
            (
                "video/x-raw,width=640,height=480,framerate=0/1",
                Some(Offer {
                    size: (640, 480),
                    rate: None,
                }),
            ),
            (
                "video/x-raw,width=640,height=480",
                Some(Offer {
                    size: (640, 480),
                    rate: None,
                }),
            ),
            ("video/x-raw,width=640", None),
        ] {
            let caps: gst::Caps = caps.parse().unwrap();
            assert_eq!(offer(&caps), expected, "{caps}");
        }
    }
}
