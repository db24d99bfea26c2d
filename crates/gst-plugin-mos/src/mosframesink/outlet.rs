//! The way of one buffer onto the bus.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use gst::prelude::*;
use gst_video::VideoInfo;
use mos_frame::memory::MemoryId;
use mos_frame::{
    Budget, Format, FourCc, FrameMeta, ImportError, MemoryKind, PublishError, Publisher,
};

use super::SinkStats;
use super::fault::Fault;
use crate::budget;
use crate::memory::{self, Facts, Kind, Probe};
use crate::planes::{self, Planes};

/// What became of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is on the bus under this sequence.
    Published(u64),
    /// It was left out, for this reason; the stream goes on.
    Dropped(String),
}

/// What the stream's budget is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Demand {
    /// Slots that were asked for; 0 finds out.
    pub(crate) slots: u32,
    /// Buffers in the camera or decoder.
    pub(crate) in_flight: u32,
    /// Buffers that the configured subscribers need.
    pub(crate) needed: u32,
}

impl Demand {
    /// The budget for a stream whose buffers come from a pool with this upper bound.
    pub(crate) fn budget(&self, pool_max: Option<u32>) -> Budget {
        let slots = budget::slots(self.slots, pool_max, self.needed);
        Budget {
            slots,
            in_flight: self.in_flight,
            fences: 0,
        }
    }
}

/// Caps and what they mean for the bus.
#[derive(Debug, Clone)]
struct Stream {
    info: VideoInfo,
    format: Format,
    /// Memory that the bus was told of for this format.
    announced: Option<(MemoryKind, bool)>,
}

/// Publishes the buffers of one stream.
#[derive(Debug)]
pub(crate) struct Outlet {
    publisher: Publisher<gst::Buffer>,
    demand: Demand,
    stream: Option<Stream>,
    pool: PoolSeen,
    probe: Probe,
    copied: u64,
    corrupted: u64,
    dropped: u64,
    #[cfg(feature = "development")]
    copier: super::copy::Copier,
}

impl Outlet {
    pub(crate) fn new(publisher: Publisher<gst::Buffer>, demand: Demand) -> Self {
        Self {
            publisher,
            demand,
            stream: None,
            pool: PoolSeen::default(),
            probe: Probe::default(),
            copied: 0,
            corrupted: 0,
            dropped: 0,
            #[cfg(feature = "development")]
            copier: super::copy::Copier::default(),
        }
    }

    /// Caps of the buffers that follow. What they mean for the bus is known with the next buffer.
    pub(crate) fn set_info(&mut self, info: VideoInfo) {
        let format = describe(&info);
        self.stream = Some(Stream {
            info,
            format,
            announced: None,
        });
    }

    /// Publishes a buffer; the bus keeps it until the last subscriber lets go. Neither a damaged frame is published, nor
    /// one that its device had not `finished`.
    pub(crate) fn publish(
        &mut self,
        buffer: &gst::Buffer,
        meta: FrameMeta,
        finished: bool,
    ) -> Result<Outcome, Fault> {
        if buffer.flags().contains(gst::BufferFlags::CORRUPTED) {
            self.corrupted += 1;
            return Ok(Outcome::Dropped("it is damaged".to_owned()));
        }
        let outcome = if finished {
            self.try_publish(buffer, meta)?
        } else {
            Outcome::Dropped(format!("its device did not finish it within {FENCE:?}"))
        };
        if matches!(outcome, Outcome::Dropped(_)) {
            self.dropped += 1;
        }
        Ok(outcome)
    }

    fn try_publish(&mut self, buffer: &gst::Buffer, meta: FrameMeta) -> Result<Outcome, Fault> {
        let info = self.stream.as_ref().ok_or(Fault::NoCaps)?.info.clone();
        let planes = planes::of(buffer, &info).map_err(Fault::Planes)?;
        let facts = self.facts(buffer, &planes);
        if let Some(kind) = shareable(&facts)? {
            return self.publish_shareable(buffer.clone(), &planes, kind, &facts, meta);
        }
        self.publish_copy(buffer, &info, meta)
    }

    /// What the kernel says about each block of memory.
    fn facts(&mut self, buffer: &gst::BufferRef, planes: &Planes) -> Vec<Facts> {
        let blocks = planes.memories.iter();
        blocks
            .map(|&block| self.probe.facts(buffer.peek_memory(block)))
            .collect()
    }

    fn publish_shareable(
        &mut self,
        buffer: gst::Buffer,
        planes: &Planes,
        kind: MemoryKind,
        facts: &[Facts],
        meta: FrameMeta,
    ) -> Result<Outcome, Fault> {
        let blocks = planes.memories.iter();
        let fds: Vec<BorrowedFd<'_>> = blocks
            .filter_map(|&block| memory::fd_of(buffer.peek_memory(block)))
            .collect();
        let read_only = facts.iter().all(|facts| facts.read_only);
        if kind == MemoryKind::Memfd && !read_only {
            let fixed = fds.iter().try_for_each(|&fd| memory::fix_size(fd));
            fixed.map_err(ImportError::from)?;
        }
        self.announce(&buffer, kind, read_only);
        let ids: Vec<MemoryId> = facts.iter().filter_map(|facts| facts.id).collect();
        let slot = match self.publisher.import_known(&ids, &fds, &planes.layout) {
            Err(full @ ImportError::Full) => return Ok(Outcome::Dropped(full.to_string())),
            slot => slot?,
        };
        drop(fds);
        match self.publisher.publish(slot, meta, buffer) {
            Err(busy @ PublishError::Busy { .. }) => Ok(Outcome::Dropped(busy.to_string())),
            seq => Ok(Outcome::Published(seq?)),
        }
    }

    /// Tells the bus the format and the budget if they changed.
    fn announce(&mut self, buffer: &gst::BufferRef, memory: MemoryKind, read_only: bool) {
        if self.pool.look_at(buffer) {
            self.publisher.set_budget(self.demand.budget(self.pool.max));
        }
        if let Some(stream) = &mut self.stream
            && stream.announced.replace((memory, read_only)) != Some((memory, read_only))
        {
            self.publisher.set_format(Format {
                memory,
                read_only,
                ..stream.format.clone()
            });
        }
    }

    #[cfg(feature = "development")]
    fn publish_copy(
        &mut self,
        buffer: &gst::BufferRef,
        info: &VideoInfo,
        meta: FrameMeta,
    ) -> Result<Outcome, Fault> {
        let slots = self.demand.budget(None).slots;
        let Some(copy) = self.copier.copy(buffer, info, slots).map_err(Fault::Copy)? else {
            return Ok(Outcome::Dropped(format!(
                "all {slots} buffers for copies are in use"
            )));
        };
        self.copied += 1;
        let planes = planes::of(&copy, info).map_err(Fault::Planes)?;
        let facts = self.facts(&copy, &planes);
        self.publish_shareable(copy, &planes, MemoryKind::Memfd, &facts, meta)
    }

    #[cfg(not(feature = "development"))]
    #[expect(clippy::unused_self, reason = "the signature of the development build")]
    fn publish_copy(
        &mut self,
        _: &gst::BufferRef,
        _: &VideoInfo,
        _: FrameMeta,
    ) -> Result<Outcome, Fault> {
        Err(Fault::NotShareable("system memory"))
    }

    pub(crate) fn stats(&self) -> SinkStats {
        SinkStats {
            bus: self.publisher.stats(),
            copied: self.copied,
            corrupted: self.corrupted,
            dropped: self.dropped,
            clock: None,
        }
    }
}

/// The pool that buffers come from, as far as it was looked at.
#[derive(Debug, Default)]
struct PoolSeen {
    /// Address of the pool, to notice another one; 0 is none.
    address: usize,
    /// Its upper bound.
    max: Option<u32>,
}

impl PoolSeen {
    /// Looks at a buffer's pool; true if its upper bound is another than before.
    fn look_at(&mut self, buffer: &gst::BufferRef) -> bool {
        // A sealed frame is of no pool itself.
        let buffer = crate::seal::original(buffer).unwrap_or(buffer);
        // SAFETY: the field of a live buffer is read, which nobody changes while the buffer is out of its pool.
        let pool = unsafe { (*buffer.as_ptr()).pool };
        if std::mem::replace(&mut self.address, pool.addr()) == pool.addr() {
            return false;
        }
        // SAFETY: a buffer that is out of its pool keeps a reference to it.
        let max = unsafe { another_reference(pool) }
            .and_then(|pool| pool.config().params())
            .map(|(_, _, _, max)| max);
        std::mem::replace(&mut self.max, max) != max
    }
}

/// A reference of our own to a pool, if it is one.
///
/// Not by `from_glib_none`, which takes over a reference that is floating: libcamera never sinks its pools', and would lose it.
///
/// # Safety
///
/// Somebody holds a reference to the pool while this runs.
unsafe fn another_reference(pool: *mut gst::ffi::GstBufferPool) -> Option<gst::BufferPool> {
    if pool.is_null() {
        return None;
    }
    // SAFETY: the pool lives (the caller's word); the reference that is made here is the one that the value owns.
    Some(unsafe {
        gst::ffi::gst_object_ref(pool.cast());
        gst::glib::translate::from_glib_full(pool)
    })
}

/// Longest wait for a device that still writes the frame. It is no more than a few milliseconds where a device works.
const FENCE: Duration = Duration::from_secs(1);

/// Waits for the devices that write to a buffer, at most [`FENCE`]; false if one takes longer. Needs no [`Outlet`], so that
/// whoever asks for statistics does not wait along.
///
/// Subscribers get no fence: what they are offered is finished. Memory that no device writes is ready at once.
pub(crate) fn wait_finished(buffer: &gst::BufferRef) -> Result<bool, Fault> {
    let is_memfd = |memory: &gst::MemoryRef| {
        memory::remembered(memory).is_some_and(|facts| facts.kind == Kind::Memfd)
    };
    let memories = buffer.iter_memories().filter(|memory| !is_memfd(memory));
    let fds: Vec<BorrowedFd<'_>> = memories.filter_map(memory::fd_of).collect();
    Ok(memory::wait_written(&fds, FENCE).map_err(ImportError::from)?)
}

/// What the memory is on the bus; `None` if it has to be copied.
fn shareable(facts: &[Facts]) -> Result<Option<MemoryKind>, Fault> {
    let mut kinds = facts.iter().map(|facts| facts.kind);
    let first = kinds.next().unwrap_or(Kind::System);
    match (first, kinds.all(|kind| kind == first)) {
        (Kind::DmaBuf, true) => Ok(Some(MemoryKind::DmaBuf)),
        (Kind::Memfd, true) if cfg!(feature = "development") => Ok(Some(MemoryKind::Memfd)),
        (Kind::System, true) if cfg!(feature = "development") => Ok(None),
        (Kind::System, true) => Err(Fault::NotShareable("system memory")),
        (Kind::Memfd, true) => Err(Fault::NotShareable("a memfd")),
        (Kind::OtherFd, true) => Err(Fault::NotShareable(
            "a descriptor that is neither a dma-buf nor a sealable memfd",
        )),
        (_, false) => Err(Fault::NotShareable("of different kinds")),
    }
}

/// The format of frames with these caps; what their memory is shows with the first of them.
fn describe(info: &VideoInfo) -> Format {
    let fps = info.fps();
    let framerate = match (u32::try_from(fps.numer()), u32::try_from(fps.denom())) {
        (Ok(numer), Ok(denom)) if numer > 0 && denom > 0 => (numer, denom),
        _ => (0, 1),
    };
    Format {
        width: info.width(),
        height: info.height(),
        fourcc: FourCc::NV12,
        modifier: 0,
        framerate,
        memory: MemoryKind::DmaBuf,
        read_only: false,
        colorimetry: colorimetry(info),
    }
}

/// The name of the colorimetry, or its four numbers where it has none.
fn colorimetry(info: &VideoInfo) -> String {
    let caps = info.to_caps().ok();
    let structure = caps.as_ref().and_then(|caps| caps.structure(0));
    structure
        .and_then(|s| s.get("colorimetry").ok())
        .unwrap_or_default()
}

#[cfg(all(test, feature = "development"))]
mod tests {
    use super::*;

    #[test]
    fn the_pool_of_a_sealed_frame_is_that_of_its_original() {
        gst::init().unwrap();
        let info = VideoInfo::builder(gst_video::VideoFormat::Nv12, 64, 32);
        let caps = info.build().unwrap().to_caps().unwrap();
        let pool = crate::pool::BusPool::configured(&caps, 64 * 48, 0, 7).unwrap();
        pool.set_active(true).unwrap();
        let buffer = pool.acquire_buffer(None).unwrap();
        let sealed = crate::seal::Sealer::new(&pool).seal(&buffer).unwrap();
        let mut seen = PoolSeen::default();
        assert!(seen.look_at(&sealed));
        assert_eq!(seen.max, Some(7));
        assert!(!seen.look_at(&buffer), "the same pool");
        drop((sealed, buffer));
        pool.set_active(false).unwrap();
    }

    /// libcamera makes its pools so.
    #[test]
    fn a_pool_that_nobody_sank_stays_its_owners() {
        use gst::glib::gobject_ffi::{GObject, g_object_is_floating, g_object_new, g_object_unref};
        gst::init().unwrap();
        let kind = gst::BufferPool::static_type();
        // SAFETY: an object of a type that can be made without properties; the reference is given back at the end.
        let pool = unsafe {
            g_object_new(
                gst::glib::translate::IntoGlib::into_glib(kind),
                std::ptr::null(),
            )
        };
        // SAFETY: the pool lives until the end of the test.
        let floats = || unsafe { g_object_is_floating(pool) != 0 };
        // SAFETY: the same.
        let references = || unsafe { (*pool.cast::<GObject>()).ref_count };
        assert!(floats());
        // SAFETY: the same.
        let ours = unsafe { another_reference(pool.cast()) };
        assert!(ours.is_some() && floats());
        assert_eq!(references(), 2);
        drop(ours);
        assert!(floats());
        assert_eq!(references(), 1);
        // SAFETY: the reference that was made above.
        unsafe { g_object_unref(pool) };
    }
}
