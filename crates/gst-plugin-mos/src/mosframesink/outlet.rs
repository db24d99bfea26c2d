//! The way of one buffer onto the bus.

use std::os::fd::BorrowedFd;

use gst::prelude::*;
use gst_video::VideoInfo;
use mos_frame::{
    Budget, Format, FourCc, FrameMeta, ImportError, MemoryKind, PublishError, Publisher,
};

use super::SinkStats;
use crate::budget;
use crate::memory::{self, Kind, Probe};
use crate::planes::{self, Planes};

/// A buffer could not be published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("a frame came before its caps")]
    NoCaps,
    #[error("the frame's planes don't fit its memory: {0}")]
    Planes(String),
    #[error("the frame's memory is {0}, which other processes can't be given")]
    NotShareable(&'static str),
    #[error("the frame bus did not take the frame's memory: {0}")]
    Import(#[from] ImportError),
    #[error("the frame was not published: {0}")]
    Publish(#[from] PublishError),
    #[cfg(feature = "development")]
    #[error("the frame could not be copied into shareable memory: {0}")]
    Copy(String),
}

impl Fault {
    /// Stable code of the reason.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::NoCaps => "no-caps",
            Self::Planes(_) => "planes",
            Self::NotShareable(_) => "not-shareable",
            Self::Import(_) => "import",
            Self::Publish(_) => "publish",
            #[cfg(feature = "development")]
            Self::Copy(_) => "copy",
        }
    }

    /// What to do about it.
    pub(crate) const fn advice(&self) -> &'static str {
        match self {
            Self::NoCaps => "put mosnv12contract before the sink",
            Self::Planes(_) => {
                "the element before the sink must attach a GstVideoMeta that describes its real layout"
            }
            Self::NotShareable(_) => {
                "put mosnv12contract before the sink and let the source or decoder export dma-bufs; only a development build copies"
            }
            Self::Import(_) => {
                "check the limits of this process on open files, and that upstream reuses its buffers"
            }
            Self::Publish(_) => {
                "the source reuses memory that it gave away; report it to the maintainers of that element"
            }
            #[cfg(feature = "development")]
            Self::Copy(_) => {
                "check that there is memory left, and the limit of this process on open files"
            }
        }
    }

    /// Whether the fault lies in the frames (the contract) and not in the bus.
    pub(crate) const fn breaks_contract(&self) -> bool {
        matches!(self, Self::NoCaps | Self::Planes(_) | Self::NotShareable(_))
    }
}

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

/// Publishes the buffers of one stream.
#[derive(Debug)]
pub(crate) struct Outlet {
    publisher: Publisher<gst::Buffer>,
    demand: Demand,
    info: Option<VideoInfo>,
    format: Option<Format>,
    pool_max: Option<u32>,
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
            info: None,
            format: None,
            pool_max: None,
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
        self.info = Some(info);
    }

    /// Publishes a buffer; the bus keeps it until the last subscriber lets go. A damaged frame is never published.
    pub(crate) fn publish(
        &mut self,
        buffer: &gst::Buffer,
        meta: FrameMeta,
    ) -> Result<Outcome, Fault> {
        if buffer.flags().contains(gst::BufferFlags::CORRUPTED) {
            self.corrupted += 1;
            return Ok(Outcome::Dropped("it is damaged".to_owned()));
        }
        let outcome = self.try_publish(buffer, meta)?;
        if matches!(outcome, Outcome::Dropped(_)) {
            self.dropped += 1;
        }
        Ok(outcome)
    }

    fn try_publish(&mut self, buffer: &gst::Buffer, meta: FrameMeta) -> Result<Outcome, Fault> {
        let info = self.info.clone().ok_or(Fault::NoCaps)?;
        let planes = planes::of(buffer, &info).map_err(Fault::Planes)?;
        if let Some(kind) = self.shareable(buffer, &planes)? {
            return self.publish_shareable(buffer.clone(), &info, &planes, kind, meta);
        }
        self.publish_copy(buffer, &info, meta)
    }

    /// What the memory is on the bus; `None` if it has to be copied.
    fn shareable(
        &mut self,
        buffer: &gst::BufferRef,
        planes: &Planes,
    ) -> Result<Option<MemoryKind>, Fault> {
        let mut kinds = planes
            .memories
            .iter()
            .map(|&block| self.probe.kind(buffer.peek_memory(block)));
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

    fn publish_shareable(
        &mut self,
        buffer: gst::Buffer,
        info: &VideoInfo,
        planes: &Planes,
        kind: MemoryKind,
        meta: FrameMeta,
    ) -> Result<Outcome, Fault> {
        let fds: Vec<BorrowedFd<'_>> = planes
            .memories
            .iter()
            .filter_map(|&block| memory::fd_of(buffer.peek_memory(block)))
            .collect();
        let read_only = kind == MemoryKind::Memfd && fds.iter().all(|&fd| memory::is_read_only(fd));
        if kind == MemoryKind::Memfd && !read_only {
            fds.iter()
                .try_for_each(|&fd| memory::fix_size(fd))
                .map_err(ImportError::from)?;
        }
        self.announce(&buffer, format(info, kind, read_only));
        let slot = match self.publisher.import(&fds, &planes.layout) {
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
    fn announce(&mut self, buffer: &gst::BufferRef, format: Format) {
        let pool_max = pool_max(buffer);
        if self.pool_max != pool_max || self.format.is_none() {
            self.pool_max = pool_max;
            self.publisher.set_budget(self.demand.budget(pool_max));
        }
        if self.format.as_ref() != Some(&format) {
            self.publisher.set_format(format.clone());
            self.format = Some(format);
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
        self.publish_shareable(copy, info, &planes, MemoryKind::Memfd, meta)
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
        }
    }
}

/// Upper bound of the pool that a buffer comes from; `None` if it comes from none.
fn pool_max(buffer: &gst::BufferRef) -> Option<u32> {
    // SAFETY: a buffer that lives keeps a reference to its pool; `from_glib_none` takes another one.
    let pool: Option<gst::BufferPool> =
        unsafe { gst::glib::translate::from_glib_none((*buffer.as_ptr()).pool) };
    pool?.config().params().map(|(_, _, _, max)| max)
}

fn format(info: &VideoInfo, memory: MemoryKind, read_only: bool) -> Format {
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
        memory,
        read_only,
        colorimetry: colorimetry(info),
    }
}

/// The name of the colorimetry, or its four numbers where it has none.
fn colorimetry(info: &VideoInfo) -> String {
    info.to_caps()
        .ok()
        .and_then(|caps| {
            caps.structure(0)
                .and_then(|s| s.get::<String>("colorimetry").ok())
        })
        .unwrap_or_default()
}
