//! A pool of memfd buffers for producers that make their own pictures (tests, benchmarks, simulators).

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use crate::format::{Format, FrameMeta, Layout};
use crate::memory::{self, Mapping};
use crate::publisher::{ImportError, PublishError, Publisher, SlotId};

/// Buffers that one producer fills and publishes; each comes back when its last subscriber let go.
#[derive(Debug, Clone)]
pub struct MemfdPool {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    buffers: Vec<Buffer>,
    free: Mutex<Vec<usize>>,
}

#[derive(Debug)]
struct Buffer {
    slot: SlotId,
    #[cfg_attr(
        not(feature = "cpu-access"),
        expect(
            dead_code,
            reason = "the writable mapping has to exist before the seal"
        )
    )]
    mapping: Mapping,
    _fd: OwnedFd,
}

impl MemfdPool {
    /// Makes `count` buffers of packed NV12 in the publisher's current epoch. Subscribers can only read them.
    pub fn new(
        publisher: &Publisher<PoolFrame>,
        format: &Format,
        count: usize,
    ) -> Result<Self, ImportError> {
        let layout = Layout::nv12(format.width, format.height);
        let buffers = (0..count)
            .map(|_| Buffer::new(publisher, &layout))
            .collect::<Result<Vec<_>, _>>()?;
        // Lowest first: buffers are made known in this order, so the first frames find theirs known.
        let free = Mutex::new((0..count).rev().collect());
        Ok(Self {
            inner: Arc::new(Inner { buffers, free }),
        })
    }

    /// A buffer that nobody has, or `None` if all are out.
    pub fn acquire(&self) -> Option<PoolFrame> {
        let index = self
            .inner
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()?;
        Some(PoolFrame {
            pool: Arc::clone(&self.inner),
            index,
        })
    }

    /// Buffers that nobody has.
    pub fn free_count(&self) -> usize {
        self.inner
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }
}

impl Buffer {
    fn new(publisher: &Publisher<PoolFrame>, layout: &Layout) -> Result<Self, ImportError> {
        let size = layout.bytes_of(0);
        let fd = memory::memfd("mos-frame-pool", size)?;
        let len = usize::try_from(size).map_err(io::Error::other)?;
        let mapping = Mapping::read_write(fd.as_fd(), len)?;
        memory::seal_read_only(fd.as_fd())?;
        let slot = publisher.import(&[fd.as_fd()], layout)?;
        Ok(Self {
            slot,
            mapping,
            _fd: fd,
        })
    }
}

/// A buffer of a pool that is being filled, or that is on the bus.
#[derive(Debug)]
pub struct PoolFrame {
    pool: Arc<Inner>,
    index: usize,
}

impl PoolFrame {
    /// Its place on the bus.
    pub fn slot(&self) -> SlotId {
        self.pool.buffers[self.index].slot
    }

    /// Its pixels.
    #[cfg(feature = "cpu-access")]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let mapping = &self.pool.buffers[self.index].mapping;
        // SAFETY: the mapping covers `len` bytes and lives as long as the pool. This handle is the only one of its
        // index: it left the free list when it was made and returns on drop, which on the bus is after the last lease.
        // Other processes can't write: the memory is sealed against new writable mappings.
        unsafe { std::slice::from_raw_parts_mut(mapping.start().as_ptr(), mapping.len()) }
    }

    /// Publishes the frame; see [`Publisher::publish`].
    pub fn publish(
        self,
        publisher: &Publisher<Self>,
        meta: FrameMeta,
    ) -> Result<u64, PublishError> {
        publisher.publish(self.slot(), meta, self)
    }
}

impl Drop for PoolFrame {
    fn drop(&mut self) {
        self.pool
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(self.index);
    }
}
