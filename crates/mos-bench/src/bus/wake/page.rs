//! A page that the producer shares with all listeners: time stamps for the ways that can't carry one, and the futex word.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, AtomicU64};

use mos_frame::memory;
use vm_memory::mmap::MmapRegion;
use vm_memory::{FileOffset, VolatileMemory};

use crate::contender::Error;

const BYTES: usize = 4096;

#[derive(Debug)]
pub(super) struct Page {
    region: MmapRegion,
}

impl Page {
    /// A new page, and the descriptor to share it by.
    pub(super) fn new() -> Result<(Self, OwnedFd), Error> {
        let fd = memory::memfd("mos-bench-page", BYTES as u64)?;
        Ok((Self::open(fd.try_clone()?)?, fd))
    }

    /// Maps a page that was made elsewhere.
    pub(super) fn open(fd: OwnedFd) -> Result<Self, Error> {
        let offset = FileOffset::new(File::from(fd), 0);
        Ok(Self {
            region: MmapRegion::from_file(offset, BYTES)?,
        })
    }

    /// Not 0 once the run is over.
    pub(super) fn stop(&self) -> Result<&AtomicU32, Error> {
        Ok(self.region.get_atomic_ref(0)?)
    }

    /// Counts the wake-ups by futex.
    pub(super) fn futex(&self) -> Result<&AtomicU32, Error> {
        Ok(self.region.get_atomic_ref(64)?)
    }

    /// When the newest wake-up by eventfd or futex began, `CLOCK_MONOTONIC`.
    pub(super) fn stamp(&self) -> Result<&AtomicU64, Error> {
        Ok(self.region.get_atomic_ref(128)?)
    }
}
