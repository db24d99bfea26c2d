use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::base_src::CreateSuccess;
use gst_base::subclass::prelude::*;
use mos_frame::{
    ConnectError, Format, FrameFlags, FrameMeta, RecvError, Subscriber, SubscriberOptions,
    SubscriberStats,
};

use super::caps;
use super::inlet::{Arrival, Change, Inlet, connect_code, recv_advice};
use super::release::Lease;
use super::settings::{self, Awaiting, Settings};
use super::wait::Stop;
use super::wrap::Wrapper;
use crate::build::Build;
use crate::clock::Now;
use crate::fault::{Kind as FaultKind, details};

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "mosframesrc",
        gst::DebugColorFlags::empty(),
        Some("receives frames from the frame bus"),
    )
});

/// Latency that is reported where the stream has no fixed rate.
const VARIABLE_RATE_LATENCY: gst::ClockTime = gst::ClockTime::from_mseconds(40);

#[derive(Debug, Default)]
pub struct FrameSrc {
    settings: Mutex<Settings>,
    /// There while the source is started; locked by the streaming thread while it waits.
    inlet: Mutex<Option<Inlet>>,
    /// Made with the first start and kept, so that it can be set from any thread.
    stop: Mutex<Option<Arc<Stop>>>,
    /// Downstream asked for new caps.
    renegotiate: AtomicBool,
    /// The application was told that the stream is waited for.
    waiting: AtomicBool,
    frame_time: Mutex<Option<gst::ClockTime>>,
    /// As of the last frame: the subscription itself is the streaming thread's, which waits with it.
    stats: Mutex<SubscriberStats>,
    wrapper: Wrapper,
}

#[glib::object_subclass]
impl ObjectSubclass for FrameSrc {
    const NAME: &'static str = "MosFrameSrc";
    type Type = super::MosFrameSrc;
    type ParentType = gst_base::PushSrc;
}

impl ObjectImpl for FrameSrc {
    fn constructed(&self) {
        self.parent_constructed();
        let src = self.obj();
        src.set_live(true);
        src.set_format(gst::Format::Time);
    }

    fn properties() -> &'static [glib::ParamSpec] {
        settings::properties()
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        self.settings().set(pspec.name(), value);
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        match pspec.name() {
            settings::STATS => structure(*lock(&self.stats)).to_value(),
            name => self.settings().get(name),
        }
    }
}

impl GstObjectImpl for FrameSrc {}

impl ElementImpl for FrameSrc {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Frame bus source",
                "Source/Video",
                "Receives frames of another process without copying them",
                "The mos-camera maintainers",
            )
        });
        Some(&*METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let src = gst::PadTemplate::new(
                "src",
                gst::PadDirection::Src,
                gst::PadPresence::Always,
                &caps::SRC,
            );
            src.into_iter().collect()
        });
        TEMPLATES.as_slice()
    }
}

impl BaseSrcImpl for FrameSrc {
    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let settings = self.settings().clone();
        let Some(path) = settings.path() else {
            let advice = "set the property stream to a plain name, or socket-path to a file";
            return Err(self.start_error(
                gst::ResourceError::Settings,
                "no stream to receive",
                "no-stream",
                advice,
            ));
        };
        let no_fd = |why| gst::error_msg!(gst::ResourceError::OpenRead, ["no eventfd: {why}"]);
        let stop = Stop::new().map_err(no_fd)?;
        let inlet = match (self.subscribe(&settings, &path), settings.awaiting()) {
            (Err(ConnectError::NotFound { .. }), Awaiting::For(patience)) => {
                gst::info!(CAT, imp = self, "waiting for {}", path.display());
                let subscriber = Subscriber::await_stream(&path, self.options(&settings));
                inlet(subscriber.map_err(no_fd)?, &settings).map(|inlet| inlet.awaiting(patience))
            }
            (Err(why), _) => {
                let (text, code) = (why.to_string(), connect_code(&why));
                return Err(self.start_error(gst::ResourceError::OpenRead, &text, code, &text));
            }
            (Ok(subscriber), _) => inlet(subscriber, &settings),
        };
        let inlet = inlet.map_err(no_fd)?;
        *lock(&self.stats) = SubscriberStats::default();
        *lock(&self.stop) = Some(Arc::new(stop));
        *lock(&self.inlet) = Some(inlet);
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        lock(&self.inlet).take();
        lock(&self.stop).take();
        if self.waiting.swap(false, Ordering::Relaxed) {
            self.progress(gst::ProgressType::Canceled, "no longer waiting");
        }
        *lock(&self.frame_time) = None;
        Ok(())
    }

    fn is_seekable(&self) -> bool {
        false
    }

    fn unlock(&self) -> Result<(), gst::ErrorMessage> {
        let stop = lock(&self.stop).clone();
        let set = stop.map_or(Ok(()), |stop| stop.set());
        set.map_err(|why| {
            gst::error_msg!(
                gst::ResourceError::Failed,
                ["the wait can't be ended: {why}"]
            )
        })
    }

    fn unlock_stop(&self) -> Result<(), gst::ErrorMessage> {
        let stop = lock(&self.stop).clone();
        let cleared = stop.map_or(Ok(()), |stop| stop.clear());
        cleared.map_err(|why| {
            gst::error_msg!(
                gst::ResourceError::Failed,
                ["the wait can't be resumed: {why}"]
            )
        })
    }

    /// Caps are known with a frame: see [`FrameSrc::negotiate_format`].
    fn negotiate(&self) -> Result<(), gst::LoggableError> {
        self.renegotiate.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn query(&self, query: &mut gst::QueryRef) -> bool {
        if let gst::QueryViewMut::Latency(query) = query.view_mut() {
            // A frame may come this much after its capture and still be in time.
            let min = lock(&self.frame_time).unwrap_or(VARIABLE_RATE_LATENCY);
            query.set(true, min, gst::ClockTime::NONE);
            return true;
        }
        BaseSrcImplExt::parent_query(self, query)
    }
}

impl PushSrcImpl for FrameSrc {
    fn create(
        &self,
        _buffer: Option<&mut gst::BufferRef>,
    ) -> Result<CreateSuccess, gst::FlowError> {
        let stop = lock(&self.stop).clone().ok_or(gst::FlowError::Flushing)?;
        self.tell_that_it_waits();
        let mut guard = lock(&self.inlet);
        let inlet = guard.as_mut().ok_or(gst::FlowError::Flushing)?;
        let frame = loop {
            match inlet.next(&stop) {
                Ok(Arrival::Frame(frame)) => break frame,
                Ok(Arrival::Stopped) => return Err(gst::FlowError::Flushing),
                Ok(Arrival::TimedOut(after)) => return Err(self.timed_out(after)),
                Ok(Arrival::NotPublished) => self.look_again(inlet)?,
                Err(why) => return Err(self.receive_failed(&why)),
            }
        };
        let change = inlet.compare(&frame);
        *lock(&self.stats) = inlet.stats();
        let lease = Lease::new(frame, Arc::clone(inlet.releases()));
        drop(guard);
        if self.waiting.swap(false, Ordering::Relaxed) {
            self.progress(gst::ProgressType::Complete, "the stream is there");
        }
        if self.renegotiate.swap(false, Ordering::Relaxed) || change.format {
            self.negotiate_format(lease.frame().format())?;
        }
        self.buffer(lease, change).map(CreateSuccess::NewBuffer)
    }
}

impl FrameSrc {
    fn settings(&self) -> MutexGuard<'_, Settings> {
        lock(&self.settings)
    }

    fn options(&self, settings: &Settings) -> SubscriberOptions {
        settings.options(format!("mosframesrc:{}", self.obj().name()))
    }

    fn subscribe(&self, settings: &Settings, path: &Path) -> Result<Subscriber, ConnectError> {
        let subscriber = Subscriber::connect(path, self.options(settings))?;
        gst::info!(CAT, imp = self, "subscribed to {}", path.display());
        Ok(subscriber)
    }

    /// Posts, once, that the stream is not there yet. From the streaming thread: an application that waits for the end of
    /// the progress before it plays (as gst-launch does) would wait for ever, for a live source works when it plays.
    fn tell_that_it_waits(&self) {
        let awaiting = lock(&self.inlet).as_ref().is_some_and(Inlet::is_awaiting);
        if awaiting && !self.waiting.swap(true, Ordering::Relaxed) {
            self.progress(
                gst::ProgressType::Start,
                "waiting for the stream to be published",
            );
        }
    }

    fn progress(&self, kind: gst::ProgressType, text: &str) {
        let src = self.obj();
        let message = gst::message::Progress::builder(kind, "connect", text).src(&*src);
        // Nobody listens to an element without a pipeline.
        let _ = src.post_message(message.build());
    }

    /// The time for the stream to appear is over. One more look finds what is wrong: it may be there and refuse us.
    fn look_again(&self, inlet: &mut Inlet) -> Result<(), gst::FlowError> {
        let settings = self.settings().clone();
        let path = settings.path().ok_or(gst::FlowError::Flushing)?;
        match self.subscribe(&settings, &path) {
            Ok(subscriber) => {
                inlet.found(subscriber);
                Ok(())
            }
            Err(why) => {
                self.waiting.store(false, Ordering::Relaxed);
                self.progress(gst::ProgressType::Error, "the stream did not appear");
                let text = why.to_string();
                gst::element_imp_error!(
                    self,
                    gst::ResourceError::OpenRead,
                    ("{text}"),
                    ["{text}"],
                    details: details(FaultKind::Bus, connect_code(&why), &text)
                );
                Err(gst::FlowError::Error)
            }
        }
    }

    /// Settles with downstream how frames of this format are called.
    fn negotiate_format(&self, format: &Format) -> Result<(), gst::FlowError> {
        let (major, minor, ..) = gst::version();
        let candidates =
            caps::candidates(format, (major, minor) >= (1, 24), Build::THIS).map_err(|why| {
                self.not_negotiated(
                    "format",
                    &why.to_string(),
                    "have the producer publish what this build can take",
                )
            })?;
        let src = self.obj();
        let downstream = src.src_pad().peer_query_caps(None);
        let Some(caps) = candidates
            .iter()
            .find(|caps| downstream.can_intersect(caps))
        else {
            let text = format!("downstream takes none of the stream's caps: {candidates:?}");
            return Err(self.not_negotiated(
                "not-negotiated",
                &text,
                "let downstream take dma-bufs, or convert the size or format behind this element",
            ));
        };
        gst::info!(CAT, imp = self, "sending {caps}");
        *lock(&self.frame_time) = frame_time(format);
        src.set_caps(caps)
            .map_err(|_| gst::FlowError::NotNegotiated)?;
        let latency = gst::message::Latency::builder().src(&*src).build();
        // Nobody listens to an element without a pipeline.
        let _ = src.post_message(latency);
        Ok(())
    }

    fn buffer(&self, lease: Lease, change: Change) -> Result<gst::Buffer, gst::FlowError> {
        let frame = lease.frame();
        let (seq, meta, duration) = (frame.seq(), *frame.meta(), frame_time(frame.format()));
        let mut buffer = self.wrapper.wrap(lease).map_err(|why| {
            gst::element_imp_error!(
                self,
                gst::ResourceError::Read,
                ["frame {seq} can't be wrapped: {why}"]
            );
            gst::FlowError::Error
        })?;
        let writable = buffer.make_mut();
        writable.set_offset(seq);
        writable.set_offset_end(seq.wrapping_add(1));
        writable.set_duration(duration);
        writable.set_pts(Now::read(&*self.obj()).map(|now| now.running_at(meta.capture_ns)));
        if change.gap || meta.flags.contains(FrameFlags::DISCONT) {
            writable.set_flags(gst::BufferFlags::DISCONT);
        }
        add_wall_clock(writable, &meta);
        Ok(buffer)
    }

    fn timed_out(&self, after: std::time::Duration) -> gst::FlowError {
        let advice = "check that the producer runs and that its camera delivers (mosctl status)";
        gst::element_imp_error!(
            self,
            gst::ResourceError::Read,
            ("no frame for {after:?}"),
            ["{advice}"],
            details: details(FaultKind::Bus, "timeout", advice)
        );
        gst::FlowError::Error
    }

    fn receive_failed(&self, why: &RecvError) -> gst::FlowError {
        let (reason, advice) = recv_advice(why);
        gst::element_imp_error!(
            self,
            gst::ResourceError::Read,
            ("{why}"),
            ["{advice}"],
            details: details(FaultKind::Bus, reason, advice)
        );
        gst::FlowError::Error
    }

    fn not_negotiated(&self, reason: &str, text: &str, advice: &str) -> gst::FlowError {
        gst::element_imp_error!(
            self,
            gst::StreamError::Format,
            ("{text}"),
            ["{advice}"],
            details: details(FaultKind::Contract, reason, advice)
        );
        gst::FlowError::NotNegotiated
    }

    /// Posts the error with its details; what is returned only fails the state change.
    fn start_error(
        &self,
        code: gst::ResourceError,
        text: &str,
        reason: &str,
        advice: &str,
    ) -> gst::ErrorMessage {
        gst::element_imp_error!(self, code, ("{text}"), ["{advice}"], details: details(FaultKind::Bus, reason, advice));
        gst::error_msg!(code, ["{text}"])
    }
}

/// The value of the property `stats`.
fn structure(stats: SubscriberStats) -> gst::Structure {
    gst::Structure::builder("mos-frame-src-stats")
        .field("received", stats.received)
        .field("missed", stats.missed)
        .field("gaps", stats.gaps)
        .field("reconnects", stats.reconnects)
        .build()
}

fn inlet(subscriber: Subscriber, settings: &Settings) -> std::io::Result<Inlet> {
    Inlet::new(subscriber, settings.latest, settings.patience())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Time from frame to frame; `None` if it varies.
fn frame_time(format: &Format) -> Option<gst::ClockTime> {
    let (numer, denom) = format.framerate;
    gst::ClockTime::SECOND
        .mul_div_floor(denom.into(), numer.into())
        .filter(|_| numer > 0)
}

fn add_wall_clock(buffer: &mut gst::BufferRef, meta: &FrameMeta) {
    static UNIX: LazyLock<gst::Caps> =
        LazyLock::new(|| gst::Caps::new_empty_simple("timestamp/x-unix"));
    if let Some(wall) = meta.wall_ns {
        gst::ReferenceTimestampMeta::add(
            buffer,
            &UNIX,
            gst::ClockTime::from_nseconds(wall),
            gst::ClockTime::NONE,
        );
    }
}
