//! Keeps broken pictures from the decoder and from the bus, where that can be told, and counts them.
//!
//! `jpegdec` (tried with GStreamer 1.22; later sources read the same) passes a picture that was cut short as good, filled up
//! with grey; one that is cut within its headers ends the stream, whatever `max-errors` says; one of another size
//! changes the stream's format. So pictures are looked at before it. What it still can't decode it drops by itself, and that is counted here too.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gst::prelude::*;
use mos_camera_core::{DeviceId, jpeg};

/// Pictures that were dropped because they were broken. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Corrupt(Arc<Count>);

#[derive(Debug, Default)]
struct Count {
    all: AtomicU64,
    /// When it was last logged, and how many there were then.
    logged: Mutex<Option<(Instant, u64)>>,
}

/// Shortest time between two lines of the log about one camera.
const LOG_EVERY: Duration = Duration::from_secs(10);

impl Corrupt {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.0.all.load(Ordering::Relaxed)
    }

    /// Counts one, and says so in the log now and then.
    fn add(&self, device: &DeviceId, why: &dyn fmt::Display) {
        let all = self.0.all.fetch_add(1, Ordering::Relaxed) + 1;
        let mut logged = self.0.logged.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let before = match *logged {
            Some((at, _)) if now.duration_since(at) < LOG_EVERY => return,
            Some((_, before)) => before,
            None => 0,
        };
        *logged = Some((now, all));
        tracing::warn!(%device, dropped = all - before, last = %why, "broken pictures were dropped; check the camera's cable or network, and how many cameras share it");
    }
}

/// Why a buffer holds no picture to go on with.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Broken {
    /// `v4l2src` says so: the driver's error flag, or fewer bytes than a raw frame has.
    #[error("the driver says that the frame is damaged")]
    Flagged,
    #[error("not a whole JPEG picture: {0}")]
    Jpeg(#[from] jpeg::Why),
    #[error("a picture of {}x{} where {}x{} were agreed on", is.0, is.1, agreed.0, agreed.1)]
    OtherSize { is: (u32, u32), agreed: (u32, u32) },
    #[error("its bytes can't be read")]
    Unreadable,
}

/// Drops what is broken before it leaves a source's pad.
pub(crate) fn guard(pad: &gst::Pad, device: &DeviceId, corrupt: &Corrupt) {
    let (device, corrupt) = (device.clone(), corrupt.clone());
    let ends = Mutex::new(Ends::default());
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let Some(buffer) = info.buffer() else {
            return gst::PadProbeReturn::Ok;
        };
        let mut ends = ends.lock().unwrap_or_else(PoisonError::into_inner);
        match check(buffer, pad.current_caps().as_deref(), &mut ends) {
            Ok(()) => gst::PadProbeReturn::Ok,
            Err(broken) => {
                corrupt.add(&device, &broken);
                gst::PadProbeReturn::Drop
            }
        }
    });
}

/// Counts what a decoder drops: what goes in and does not come out before the next.
///
/// Right only for decoders that give each picture before they take the next one, as `jpegdec` does.
pub(crate) fn count_lost(decoder: &gst::Element, device: &DeviceId, corrupt: &Corrupt) {
    let Some((sink, src)) = decoder.static_pad("sink").zip(decoder.static_pad("src")) else {
        return;
    };
    let awaited = Arc::new(AtomicBool::new(false));
    let (device, corrupt, came) = (device.clone(), corrupt.clone(), Arc::clone(&awaited));
    sink.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        if awaited.swap(true, Ordering::Relaxed) {
            corrupt.add(&device, &"the decoder made nothing of it");
        }
        gst::PadProbeReturn::Ok
    });
    src.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
        came.store(false, Ordering::Relaxed);
        gst::PadProbeReturn::Ok
    });
}

/// Whether a camera ends its pictures with EOI. Some never do; `jpegdec` adds it for them.
#[derive(Debug, Default)]
struct Ends {
    /// It did once: a picture without one is cut off.
    seen: bool,
    /// Pictures without one so far.
    without: u32,
}

/// Pictures without EOI, and none with one, after which a camera is taken for one that sends none: a second or two.
const WITHOUT_EOI: u32 = 30;

impl Ends {
    /// The size of a picture that may go on.
    fn judge(&mut self, found: Result<(u32, u32), jpeg::Why>) -> Result<(u32, u32), jpeg::Why> {
        match found {
            Ok(_) => self.seen = true,
            Err(jpeg::Why::NoEnd { size }) if !self.seen => {
                self.without = self.without.saturating_add(1);
                if self.without > WITHOUT_EOI {
                    return Ok(size);
                }
            }
            Err(_) => {}
        }
        found
    }
}

/// Whether a picture's size is the one that was agreed on, or that of its fields: interlaced Motion JPEG has two of them in
/// each buffer, and their height may be rounded up to whole blocks of 8 lines.
const fn is_agreed(is: (u32, u32), agreed: (u32, u32)) -> bool {
    let fields = agreed.1 <= 2 * is.1 && agreed.1 + 16 > 2 * is.1;
    is.0 == agreed.0 && (is.1 == agreed.1 || fields)
}

/// Pixels are never looked at: only a JPEG bitstream is, which the CPU parses anyway.
fn check(
    buffer: &gst::BufferRef,
    caps: Option<&gst::CapsRef>,
    ends: &mut Ends,
) -> Result<(), Broken> {
    if buffer.flags().contains(gst::BufferFlags::CORRUPTED) {
        return Err(Broken::Flagged);
    }
    match caps.and_then(|caps| caps.structure(0)) {
        Some(structure) if structure.name() == "image/jpeg" => {
            check_jpeg(buffer, agreed(structure), ends)
        }
        _ => Ok(()),
    }
}

fn agreed(structure: &gst::StructureRef) -> Option<(u32, u32)> {
    let side = |name| u32::try_from(structure.get::<i32>(name).ok()?).ok();
    side("width").zip(side("height"))
}

fn check_jpeg(
    buffer: &gst::BufferRef,
    agreed: Option<(u32, u32)>,
    ends: &mut Ends,
) -> Result<(), Broken> {
    let map = buffer.map_readable().map_err(|_| Broken::Unreadable)?;
    let is = ends.judge(jpeg::complete(&map))?;
    match agreed.filter(|agreed| !is_agreed(is, *agreed)) {
        Some(agreed) => Err(Broken::OtherSize { is, agreed }),
        None => Ok(()),
    }
}

#[cfg(test)]
#[cfg(feature = "development")]
mod tests {
    use std::sync::mpsc;

    use mos_camera_core::Transport;

    use super::*;
    use crate::elements::make;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// A real encoder's picture.
    #[expect(clippy::disallowed_methods, reason = "the line is the test's own")]
    fn picture(width: u32, height: u32) -> Vec<u8> {
        let line = format!(
            "videotestsrc num-buffers=1 ! video/x-raw,format=I420,width={width},height={height} ! jpegenc ! fakesink name=end signal-handoffs=true"
        );
        let pipeline = gst::parse::launch(&line)
            .unwrap()
            .downcast::<gst::Bin>()
            .unwrap();
        let end = pipeline.by_name("end").unwrap();
        let (sender, pictures) = mpsc::channel();
        end.connect("handoff", false, move |values| {
            let buffer: gst::Buffer = values[1].get().unwrap();
            sender
                .send(buffer.map_readable().unwrap().to_vec())
                .unwrap();
            None
        });
        pipeline.set_state(gst::State::Playing).unwrap();
        let picture = pictures.recv_timeout(PATIENCE).unwrap();
        pipeline.set_state(gst::State::Null).unwrap();
        picture
    }

    /// `image/jpeg` of 640x480 into the decoder of a development build.
    struct Rig {
        pipeline: gst::Pipeline,
        inlet: gst::Pad,
        decoded: mpsc::Receiver<(i32, i32)>,
        corrupt: Corrupt,
    }

    impl Rig {
        fn new(guarded: bool) -> Self {
            let (first, decoder) = (make("capsfilter").unwrap(), make("jpegdec").unwrap());
            let (convert, end) = (make("videoconvert").unwrap(), make("fakesink").unwrap());
            decoder.set_property("max-errors", -1);
            end.set_property("async", false);
            let pipeline = gst::Pipeline::new();
            let all = [&first, &decoder, &convert, &end];
            pipeline.add_many(all).unwrap();
            gst::Element::link_many(all).unwrap();
            let (id, corrupt) = (DeviceId::new(Transport::UsbUvc, "cam"), Corrupt::default());
            if guarded {
                guard(&first.static_pad("src").unwrap(), &id, &corrupt);
                count_lost(&decoder, &id, &corrupt);
            }
            let (sender, decoded) = mpsc::channel();
            let sink = end.static_pad("sink").unwrap();
            sink.add_probe(gst::PadProbeType::BUFFER, move |pad, _| {
                let caps = pad.current_caps().unwrap();
                let side = |name| caps.structure(0).unwrap().get::<i32>(name).unwrap();
                sender.send((side("width"), side("height"))).unwrap();
                gst::PadProbeReturn::Ok
            });
            pipeline.set_state(gst::State::Playing).unwrap();
            let inlet = gst::Pad::builder(gst::PadDirection::Src).build();
            inlet.set_active(true).unwrap();
            inlet.link(&first.static_pad("sink").unwrap()).unwrap();
            let caps = gst::Caps::builder("image/jpeg")
                .field("width", 640)
                .field("height", 480)
                .field("framerate", gst::Fraction::new(30, 1))
                .build();
            inlet.push_event(gst::event::StreamStart::new("cam"));
            inlet.push_event(gst::event::Caps::new(&caps));
            inlet.push_event(gst::event::Segment::new(&gst::FormattedSegment::<
                gst::ClockTime,
            >::new()));
            Self {
                pipeline,
                inlet,
                decoded,
                corrupt,
            }
        }

        /// Pushes a picture through to the end; what comes out of it is there when this returns.
        fn push(
            &self,
            bytes: &[u8],
            flags: gst::BufferFlags,
        ) -> Result<Vec<(i32, i32)>, gst::FlowError> {
            let mut buffer = gst::Buffer::from_slice(bytes.to_vec());
            let writable = buffer.get_mut().unwrap();
            writable.set_flags(flags);
            writable.set_pts(gst::ClockTime::ZERO);
            self.inlet.push(buffer)?;
            Ok(self.decoded.try_iter().collect())
        }
    }

    impl Drop for Rig {
        fn drop(&mut self) {
            self.pipeline.set_state(gst::State::Null).unwrap();
        }
    }

    #[test]
    fn broken_pictures_are_dropped_and_counted_and_the_stream_goes_on() {
        crate::init().unwrap();
        let rig = Rig::new(true);
        let (good, other) = (picture(640, 480), picture(320, 240));
        let padded = [&good[..], &[0; 4096]].concat();
        let tables = good
            .windows(2)
            .position(|pair| pair == [0xff, 0xc4])
            .unwrap();
        let mut undecodable = good.clone();
        undecodable[tables + 5..tables + 21].fill(0xff);
        let (none, flagged) = (gst::BufferFlags::empty(), gst::BufferFlags::CORRUPTED);
        let whole = [(640, 480)];
        for (what, bytes, flags, out, corrupt) in [
            ("good", &good[..], none, &whole[..], 0),
            ("cut in its scan", &good[..good.len() / 2], none, &[], 1),
            ("cut in its headers", &good[..300], none, &[], 2),
            ("garbage", &[0x55; 4000], none, &[], 3),
            ("nothing", &[], none, &[], 4),
            ("another size", &other, none, &[], 5),
            ("good again", &good, none, &whole, 5),
            ("flagged by the driver", &good, flagged, &[], 6),
            ("padded", &padded, none, &whole, 6),
            ("whole, but undecodable", &undecodable, none, &[], 6),
            // Only now is it known that the one before was lost.
            ("good at last", &good, none, &whole, 7),
        ] {
            assert_eq!(rig.push(bytes, flags).as_deref(), Ok(out), "{what}");
            assert_eq!(rig.corrupt.count(), corrupt, "{what}");
        }
    }

    /// Why the guard is there.
    #[test]
    fn the_decoder_alone_takes_cut_pictures_for_good() {
        crate::init().unwrap();
        let rig = Rig::new(false);
        let good = picture(640, 480);
        let none = gst::BufferFlags::empty();
        assert_eq!(rig.push(&good, none).as_deref(), Ok(&[(640, 480)][..]));
        assert_eq!(
            rig.push(&good[..good.len() / 2], none).as_deref(),
            Ok(&[(640, 480)][..]),
            "filled with grey"
        );
    }

    #[test]
    fn a_camera_that_never_sends_eoi_is_understood_after_a_while() {
        let (whole, cut) = (Ok((640, 480)), Err(jpeg::Why::NoEnd { size: (640, 480) }));
        let mut never = Ends::default();
        for n in 1..=WITHOUT_EOI {
            assert_eq!(never.judge(cut), cut, "{n}");
        }
        assert_eq!(never.judge(cut), whole);
        assert_eq!(never.judge(Err(jpeg::Why::CutOff)), Err(jpeg::Why::CutOff));
        let mut mostly = Ends::default();
        assert_eq!(mostly.judge(whole), whole);
        assert!((0..100).all(|_| mostly.judge(cut) == cut));
    }

    #[test]
    fn the_size_may_be_that_of_two_fields() {
        for (is, agreed, expected) in [
            ((640, 480), (640, 480), true),
            ((640, 240), (640, 480), true),
            ((720, 248), (720, 486), true),
            ((640, 256), (640, 480), false),
            ((640, 488), (640, 480), false),
            ((320, 480), (640, 480), false),
            ((320, 240), (640, 480), false),
        ] {
            assert_eq!(is_agreed(is, agreed), expected, "{is:?} {agreed:?}");
        }
    }

    #[test]
    fn raw_frames_are_dropped_only_when_the_driver_flags_them() {
        gst::init().unwrap();
        let caps: gst::Caps = "video/x-raw,format=NV12,width=640,height=480"
            .parse()
            .unwrap();
        let mut buffer = gst::Buffer::with_size(16).unwrap();
        assert_eq!(check(&buffer, Some(&caps), &mut Ends::default()), Ok(()));
        buffer
            .get_mut()
            .unwrap()
            .set_flags(gst::BufferFlags::CORRUPTED);
        assert_eq!(
            check(&buffer, Some(&caps), &mut Ends::default()),
            Err(Broken::Flagged)
        );
    }
}
