//! When the frames of an RTP session were captured and arrived, noted from its packets, for RTSP and WebRTC alike.
//!
//! The jitter buffer attaches what sender reports say to packets (`add-reference-timestamp-meta`, from the first report on).
//! Arrival is seen where packets enter it: over TCP `rtspsrc` dates only the first packet of a session, and what leaves the
//! jitter buffer has waited there.
//!
//! Clocks that a camera names by RFC 7273 are not left to GStreamer. Its jitter buffer would ask any NTP server that the camera
//! names, or start a PTP client on all interfaces, with `rfc7273-sync` and without (1.22 to 1.26). Nothing of that is needed to
//! read the times, so the attribute is taken out of the caps on their way in. WebRTC's jitter buffer asks for its caps by a signal
//! (`request-pt-map`), where no probe sees them, so there the signalling takes the attribute out of the answer and reads it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use gst::prelude::*;
use gstmos::origins::{self, Origins, Reference, Wall};
use mos_camera_core::rfc7273::{MediaClock, RefClock};

/// Follows the sessions of an `rtspsrc`, whose property `add-reference-timestamp-meta` has to be set.
pub(crate) fn follow(session: &gst::Element) -> Origins {
    let notes = Notes::default();
    let origins = notes.origins.clone();
    let manager = notes.clone();
    session.connect("new-manager", false, move |values| {
        let rtpbin: gst::Element = values.get(1)?.get().ok()?;
        manager.begin();
        manager.clone().watch_arrivals(&rtpbin, Naming::Caps);
        None
    });
    session.connect_pad_added(move |_, pad| notes.clone().watch_frames(pad));
    origins
}

/// Follows the sessions of one WebRTC camera, each with a `webrtcbin` of its own.
#[derive(Debug, Clone, Default)]
pub(crate) struct WebRtc(Notes);

impl WebRtc {
    /// The times of its frames.
    pub(crate) fn origins(&self) -> Origins {
        self.0.origins.clone()
    }

    /// Follows the next session, by an element that is about to start.
    pub(crate) fn follow(&self, webrtc: &gst::Element) {
        self.0.begin();
        let inside = webrtc
            .downcast_ref::<gst::Bin>()
            .and_then(|bin| bin.by_name("rtpbin"));
        // Without it frames are dated by arrival, and say so.
        let Some(rtpbin) = inside else {
            tracing::warn!("webrtcbin has no rtpbin: no sender reports are seen");
            return;
        };
        rtpbin.set_property("add-reference-timestamp-meta", true);
        self.0.clone().watch_arrivals(&rtpbin, Naming::Signalling);
        let notes = self.0.clone();
        webrtc.connect_pad_added(move |_, pad| {
            if pad.direction() == gst::PadDirection::Src {
                notes.clone().watch_frames(pad);
            }
        });
    }

    /// The clock that the server's answer names, if any.
    pub(crate) fn name_clock(&self, clock: Option<MediaClock>) {
        self.0.set_clock(clock);
    }
}

/// Where a camera names the clock of its RTP timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Naming {
    /// In the caps that reach the jitter buffer.
    Caps,
    /// In what the signalling read.
    Signalling,
}

/// What is known about the packets of one session.
#[derive(Debug, Clone, Default)]
struct Notes {
    origins: Origins,
    /// The clock of the RTP timestamps, where the camera's SDP names it.
    clock: Arc<Mutex<Option<MediaClock>>>,
}

impl Notes {
    fn begin(&self) {
        self.origins.clear();
        self.set_clock(None);
    }

    fn set_clock(&self, clock: Option<MediaClock>) {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = clock;
    }

    fn clock(&self) -> Option<MediaClock> {
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes packets on their way into the jitter buffers of an `rtpbin`.
    fn watch_arrivals(self, rtpbin: &gst::Element, naming: Naming) {
        rtpbin.connect("new-jitterbuffer", false, move |values| {
            let buffer: gst::Element = values.get(1)?.get().ok()?;
            let notes = self.clone();
            let what = gst::PadProbeType::BUFFER
                | gst::PadProbeType::BUFFER_LIST
                | gst::PadProbeType::EVENT_DOWNSTREAM;
            buffer.static_pad("sink")?.add_probe(what, move |_, info| {
                notes.on_the_way_in(info, naming);
                gst::PadProbeReturn::Ok
            });
            None
        });
    }

    fn on_the_way_in(&self, info: &mut gst::PadProbeInfo<'_>, naming: Naming) {
        let own = info.event().and_then(|event| {
            if naming == Naming::Caps {
                self.note_clock(event);
            }
            without_clock(event)
        });
        if let Some(event) = own {
            info.data = Some(gst::PadProbeData::Event(event));
            return;
        }
        let now = mos_frame::monotonic_ns();
        for_packets(info, |packet| {
            if let Some(rtp) = rtp_timestamp(packet) {
                self.origins.arrived(rtp, now);
            }
        });
    }

    /// Notes the clock that caps name, or that they name none.
    fn note_clock(&self, event: &gst::EventRef) {
        if let gst::EventView::Caps(caps) = event.view() {
            let field = |name| caps.caps().structure(0)?.get::<&str>(name).ok();
            let named = field(REFCLK).zip(field("a-mediaclk"));
            self.set_clock(named.and_then(|(refclk, media)| MediaClock::parse(refclk, media)));
        }
    }

    /// Notes packets that left the jitter buffer.
    fn watch_frames(self, pad: &gst::Pad) {
        let what = gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST;
        pad.add_probe(what, move |pad, info| {
            let rate = clock_rate(pad);
            for_packets(info, |packet| {
                if let Some((rtp, rate, pts)) = rtp_timestamp(packet)
                    .zip(rate)
                    .zip(packet.pts())
                    .map(|((rtp, rate), pts)| (rtp, rate, pts.nseconds()))
                {
                    let wall = self.wall(rtp, rate, packet);
                    self.origins
                        .left(rtp, rate, pts, wall, mos_frame::monotonic_ns());
                }
            });
            gst::PadProbeReturn::Ok
        });
    }

    /// What the camera says about the time of a packet's frame.
    fn wall(&self, rtp: u32, rate: u32, packet: &gst::BufferRef) -> Option<Wall> {
        match self.clock() {
            Some(clock) => by_media_clock(clock, rtp, rate),
            None => origins::ntp_ns(packet).map(|ns| Wall {
                ns,
                reference: Reference::Ntp,
            }),
        }
    }
}

/// The attribute by which caps name a clock (RFC 7273, section 4.8).
const REFCLK: &str = "a-ts-refclk";

/// The event to send on instead of caps that name a clock.
fn without_clock(event: &gst::EventRef) -> Option<gst::Event> {
    let gst::EventView::Caps(caps) = event.view() else {
        return None;
    };
    if !caps.caps().structure(0)?.has_field(REFCLK) {
        return None;
    }
    let mut own = caps.caps_owned();
    own.make_mut().structure_mut(0)?.remove_field(REFCLK);
    Some(
        gst::event::Caps::builder(&own)
            .seqnum(event.seqnum())
            .build(),
    )
}

fn by_media_clock(clock: MediaClock, rtp: u32, rate: u32) -> Option<Wall> {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()?;
    let now = u64::try_from(now.as_nanos()).ok()?;
    Some(Wall {
        ns: clock.utc_ns(rtp, rate, now, origins::tai_less_utc())?,
        reference: match clock.reference {
            RefClock::Ntp => Reference::Ntp,
            RefClock::Ptp => Reference::Ptp,
        },
    })
}

fn for_packets(info: &gst::PadProbeInfo<'_>, mut each: impl FnMut(&gst::BufferRef)) {
    if let Some(buffer) = info.buffer() {
        each(buffer);
    }
    if let Some(list) = info.buffer_list() {
        list.iter().for_each(each);
    }
}

/// The timestamp in a packet's header (RFC 3550, 5.1); `None` for what is no RTP packet.
fn rtp_timestamp(packet: &gst::BufferRef) -> Option<u32> {
    let mut header = [0; 8];
    if packet.size() < header.len() {
        return None;
    }
    packet.copy_to_slice(0, &mut header).ok()?;
    let [first, _, _, _, timestamp @ ..] = header;
    (first >> 6 == 2).then(|| u32::from_be_bytes(timestamp))
}

fn clock_rate(pad: &gst::Pad) -> Option<u32> {
    let rate: i32 = pad.current_caps()?.structure(0)?.get("clock-rate").ok()?;
    u32::try_from(rate).ok().filter(|&rate| rate > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_the_camera_names_is_noted_and_kept_from_gstreamer() {
        gst::init().unwrap();
        let notes = Notes::default();
        let caps = |text: &str| gst::event::Caps::new(&text.parse().unwrap());
        let base = "application/x-rtp,media=video,clock-rate=90000";
        let named = format!(
            "{base},a-ts-refclk=(string)\"ntp=192.0.2.1:123\",a-mediaclk=(string)\"direct=5\""
        );
        notes.note_clock(&caps(&named));
        let own = without_clock(&caps(&named)).unwrap();
        let gst::EventView::Caps(own) = own.view() else {
            panic!("{own:?}");
        };
        assert!(!own.caps().structure(0).unwrap().has_field("a-ts-refclk"));
        assert!(own.caps().structure(0).unwrap().has_field("clock-rate"));
        assert_eq!(
            notes.clock(),
            MediaClock::parse("ntp=192.0.2.1:123", "direct=5")
        );
        assert!(without_clock(&caps(base)).is_none());
        notes.note_clock(&caps(base));
        assert_eq!(notes.clock(), None, "of an older session");
        let local = format!("{base},a-ts-refclk=(string)local");
        assert!(without_clock(&caps(&local)).is_some());
        notes.note_clock(&caps(&local));
        assert_eq!(notes.clock(), None);
    }

    #[test]
    fn only_rtp_packets_have_a_timestamp() {
        gst::init().unwrap();
        let rows: [(&'static [u8], _); 4] = [
            (&[0x80, 96, 0, 1, 1, 2, 3, 4, 0, 0, 0, 0], Some(0x0102_0304)),
            (&[0x40, 96, 0, 1, 1, 2, 3, 4], None),
            (&[0x80, 96, 0, 1, 1, 2, 3], None),
            (&[0x80], None),
        ];
        for (bytes, expected) in rows {
            let packet = gst::Buffer::from_slice(bytes);
            assert_eq!(rtp_timestamp(&packet), expected, "{bytes:?}");
        }
    }
}
