//! What it does.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::prelude::*;

/// Buffers that a pool of its own starts with.
const BUFFERS: u32 = 2;

#[derive(Debug, Default)]
pub struct BenchSrc {
    pace: Mutex<Pace>,
}

#[derive(Debug, Default)]
struct Pace {
    frame: u64,
    period: gst::ClockTime,
}

#[glib::object_subclass]
impl ObjectSubclass for BenchSrc {
    const NAME: &'static str = "MosBenchSrc";
    type Type = super::BenchSrc;
    type ParentType = gst_base::BaseSrc;
}

impl ObjectImpl for BenchSrc {
    fn constructed(&self) {
        self.parent_constructed();
        self.obj().set_live(true);
        self.obj().set_format(gst::Format::Time);
    }
}

impl GstObjectImpl for BenchSrc {}

impl ElementImpl for BenchSrc {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Benchmark source",
                "Source/Video",
                "Paces frames without painting them",
                "The mos-camera maintainers",
            )
        });
        Some(&*METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let caps = gst_video::VideoCapsBuilder::new().build();
            gst::PadTemplate::new(
                "src",
                gst::PadDirection::Src,
                gst::PadPresence::Always,
                &caps,
            )
            .into_iter()
            .collect()
        });
        TEMPLATES.as_slice()
    }
}

impl BaseSrcImpl for BenchSrc {
    fn set_caps(&self, caps: &gst::Caps) -> Result<(), gst::LoggableError> {
        let info = info(caps)?;
        let fps = info.fps();
        let period = gst::ClockTime::SECOND.mul_div_floor(
            fps.denom().cast_unsigned().into(),
            fps.numer().cast_unsigned().into(),
        );
        let period = period.ok_or_else(|| gst::loggable_error!(gst::CAT_RUST, "no fixed rate"))?;
        self.pace().period = period;
        Ok(())
    }

    fn decide_allocation(
        &self,
        query: &mut gst::query::Allocation,
    ) -> Result<(), gst::LoggableError> {
        let (caps, _) = query.get_owned();
        let caps = caps.ok_or_else(|| gst::loggable_error!(gst::CAT_RUST, "no caps"))?;
        let size = info(&caps)?.size() as u32;
        let (allocator, params) = query.allocation_params().next().unwrap_or_default();
        let offered = query.allocation_pools().next();
        let is_offered = offered.is_some();
        let (pool, size, min, max) = offered
            .map_or((None, size, BUFFERS, 0), |(pool, at_least, min, max)| {
                (pool, size.max(at_least), min, max)
            });
        let pool = pool.unwrap_or_else(|| gst_video::VideoBufferPool::new().upcast());
        let mut config = pool.config();
        config.set_params(Some(&caps), size, min, max);
        config.set_allocator(allocator.as_ref(), Some(&params));
        pool.set_config(config)
            .map_err(|why| gst::loggable_error!(gst::CAT_RUST, "{why}"))?;
        if is_offered {
            query.set_nth_allocation_pool(0, Some(&pool), size, min, max);
        } else {
            query.add_allocation_pool(Some(&pool), size, min, max);
        }
        self.parent_decide_allocation(query)
    }

    fn fill(
        &self,
        _offset: u64,
        _length: u32,
        buffer: &mut gst::BufferRef,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let mut pace = self.pace();
        buffer.set_pts(pace.period * pace.frame);
        buffer.set_duration(pace.period);
        buffer.set_offset(pace.frame);
        pace.frame += 1;
        Ok(gst::FlowSuccess::Ok)
    }

    /// A live source waits for its frame's time.
    fn times(&self, buffer: &gst::BufferRef) -> (Option<gst::ClockTime>, Option<gst::ClockTime>) {
        let start = buffer.pts();
        (
            start,
            start.zip(buffer.duration()).map(|(pts, time)| pts + time),
        )
    }
}

impl BenchSrc {
    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn info(caps: &gst::Caps) -> Result<gst_video::VideoInfo, gst::LoggableError> {
    gst_video::VideoInfo::from_caps(caps)
        .map_err(|why| gst::loggable_error!(gst::CAT_RUST, "{why}"))
}
