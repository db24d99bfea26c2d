use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;
use gst_video::{VideoInfo, VideoMeta};
use mos_frame::{BindError, FrameFlags, FrameMeta, Publisher, PublisherOptions};

use super::fault::Fault;
use super::outlet::{self, Outcome, Outlet};
use super::settings::{self, Settings};
use super::{SinkStats, StreamAccess};
use crate::clock::{self, Now, Stamper};
use crate::fault::{Kind as FaultKind, details};
use crate::mosnv12contract::CONTRACT_CAPS;
use crate::origins::Origins;

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "mosframesink",
        gst::DebugColorFlags::empty(),
        Some("publishes frames on the frame bus"),
    )
});

#[derive(Debug, Default)]
pub struct FrameSink {
    settings: Mutex<Settings>,
    /// There while the sink is started.
    outlet: Mutex<Option<Outlet>>,
    stamper: Mutex<Stamper>,
}

#[glib::object_subclass]
impl ObjectSubclass for FrameSink {
    const NAME: &'static str = "MosFrameSink";
    type Type = super::MosFrameSink;
    type ParentType = gst_base::BaseSink;
}

impl ObjectImpl for FrameSink {
    fn constructed(&self) {
        self.parent_constructed();
        let sink = self.obj();
        sink.set_sync(false);
        // The last sample would keep a buffer from its pool for ever.
        sink.set_property("enable-last-sample", false);
        sink.set_property("qos", false);
    }

    fn properties() -> &'static [glib::ParamSpec] {
        settings::properties()
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        self.settings().set(pspec.name(), value);
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        match pspec.name() {
            "stats" => self.stats().map(|stats| stats.to_structure()).to_value(),
            name => self.settings().get(name),
        }
    }
}

impl GstObjectImpl for FrameSink {}

impl ElementImpl for FrameSink {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Frame bus sink",
                "Sink/Video",
                "Publishes frames to other processes without copying them",
                "The mos-camera maintainers",
            )
        });
        Some(&*METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let sink = gst::PadTemplate::new(
                "sink",
                gst::PadDirection::Sink,
                gst::PadPresence::Always,
                &CONTRACT_CAPS,
            );
            sink.into_iter().collect()
        });
        TEMPLATES.as_slice()
    }
}

impl BaseSinkImpl for FrameSink {
    fn start(&self) -> Result<(), gst::ErrorMessage> {
        let settings = self.settings().clone();
        let Some(path) = settings.path() else {
            let advice = "set the property stream to a plain name, or socket-path to a file";
            return Err(self.start_error(
                gst::ResourceError::Settings,
                "no stream to publish",
                "no-stream",
                advice,
            ));
        };
        if let Some(list) = settings.bad_list {
            let text = format!("the property {list} is no list of ids");
            let advice = "set it to numbers separated by commas";
            return Err(self.start_error(gst::ResourceError::Settings, &text, "access", advice));
        }
        let demand = settings.demand();
        let options = PublisherOptions {
            budget: demand.budget(None),
            ..PublisherOptions::default()
        };
        let options = settings.access.apply(options);
        let publisher = Publisher::bind(&path, options).map_err(|why| self.bind_error(&why))?;
        gst::info!(CAT, imp = self, "publishing at {}", path.display());
        *self.stamper() = Stamper::default();
        *self.outlet() = Some(Outlet::new(publisher, demand));
        Ok(())
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        // Taken out first: ending the publisher gives buffers back upstream, which must not happen under our lock.
        let outlet = self.outlet().take();
        drop(outlet);
        Ok(())
    }

    fn set_caps(&self, caps: &gst::Caps) -> Result<(), gst::LoggableError> {
        let info = VideoInfo::from_caps(caps)?;
        if let Some(outlet) = self.outlet().as_mut() {
            outlet.set_info(info);
        }
        Ok(())
    }

    fn propose_allocation(
        &self,
        query: &mut gst::query::Allocation,
    ) -> Result<(), gst::LoggableError> {
        let (caps, _) = query.get_owned();
        let caps =
            caps.ok_or_else(|| gst::loggable_error!(CAT, "an ALLOCATION query without caps"))?;
        let size = VideoInfo::from_caps(&caps)?.size() as u32;
        let needed = self.settings().demand().needed;
        query.add_allocation_meta::<VideoMeta>(None);
        #[cfg(feature = "development")]
        if crate::memory::is_plain(&caps) {
            let max = needed
                .saturating_add(crate::pool::BusPool::HEADROOM)
                .min(crate::budget::MAX_BUFFERS);
            let pool = crate::pool::BusPool::configured(&caps, size, needed, max)?;
            query.add_allocation_pool(Some(&pool), size, needed, max);
            return Ok(());
        }
        query.add_allocation_pool(None::<&gst::BufferPool>, size, needed, 0);
        Ok(())
    }

    fn render(&self, buffer: &gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        let meta = self.meta(buffer);
        // Before the lock: a device may take its time, and the status is asked for under it.
        let finished = outlet::wait_finished(buffer).map_err(|fault| self.fail(&fault))?;
        let mut guard = self.outlet();
        let outlet = guard.as_mut().ok_or(gst::FlowError::Flushing)?;
        let outcome = outlet.publish(buffer, meta, finished);
        drop(guard);
        match outcome {
            Ok(Outcome::Published(seq)) => gst::trace!(CAT, imp = self, "published frame {seq}"),
            Ok(Outcome::Dropped(why)) => {
                gst::warning!(CAT, imp = self, "dropped {buffer:?}: {why}");
            }
            Err(fault) => return Err(self.fail(&fault)),
        }
        Ok(gst::FlowSuccess::Ok)
    }
}

impl FrameSink {
    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outlet(&self) -> MutexGuard<'_, Option<Outlet>> {
        self.outlet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stamper(&self) -> MutexGuard<'_, Stamper> {
        self.stamper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_origins(&self, origins: Origins) {
        self.settings().origins = Some(origins);
    }

    pub(super) fn set_access(&self, access: StreamAccess) {
        let mut settings = self.settings();
        settings.access = access;
        settings.bad_list = None;
    }

    pub(super) fn stats(&self) -> Option<SinkStats> {
        let clock = self.stamper().last();
        let stats = self.outlet().as_ref().map(Outlet::stats)?;
        Some(SinkStats { clock, ..stats })
    }

    /// What the bus is told about the frame.
    fn meta(&self, buffer: &gst::BufferRef) -> FrameMeta {
        let sink = self.obj();
        let segment = sink.segment();
        let time = segment.downcast_ref::<gst::ClockTime>();
        let running = time.and_then(|segment| segment.to_running_time(buffer.pts()));
        let pts_ns = buffer.pts().map(gst::ClockTime::nseconds);
        let origins = self.settings().origins.clone();
        let arrival = mos_frame::monotonic_ns();
        let mut stamper = self.stamper();
        let times = if let Some(origins) = origins {
            match pts_ns.and_then(|pts| origins.of(pts)) {
                Some(origin) => stamper.by_camera(&origin),
                // Not a frame that packets were seen of: a decoder made it up.
                None => stamper.placed(clock::arrival(arrival), false),
            }
        } else {
            let times = FrameMeta {
                wall_ns: clock::wall_ns(buffer),
                ..clock::stamp(Now::read(&*sink), running, arrival)
            };
            stamper.placed(times, false)
        };
        let discont = buffer.flags().contains(gst::BufferFlags::DISCONT);
        let flags = if discont {
            FrameFlags::DISCONT
        } else {
            FrameFlags::default()
        };
        FrameMeta {
            pts_ns,
            flags: times.flags.with(flags),
            ..times
        }
    }

    fn fail(&self, fault: &Fault) -> gst::FlowError {
        let kind = if fault.breaks_contract() {
            FaultKind::Contract
        } else {
            FaultKind::Bus
        };
        gst::element_imp_error!(
            self,
            gst::ResourceError::Write,
            ("{fault}"),
            ["{}", fault.advice()],
            details: details(kind, fault.code(), fault.advice())
        );
        gst::FlowError::Error
    }

    fn bind_error(&self, why: &BindError) -> gst::ErrorMessage {
        let (code, reason) = match why {
            BindError::InUse { .. } => (gst::ResourceError::Busy, "in-use"),
            BindError::Permission { .. } => (gst::ResourceError::NotAuthorized, "permission"),
            BindError::NoFolder { .. } => (gst::ResourceError::NotFound, "no-folder"),
            _ => (gst::ResourceError::OpenReadWrite, "io"),
        };
        // The bus's messages say what to do.
        self.start_error(code, &why.to_string(), reason, &why.to_string())
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
