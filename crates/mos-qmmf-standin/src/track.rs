//! A stream of a camera: its buffers, and the thread that fills them at the camera's rate.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gst_video::{VideoFormat, VideoFrameFlags, VideoMeta};

use crate::layout::{self, Layout};
use crate::pool::LentPool;
use crate::service::{Report, service};

/// Buffers of a stream beside the extra ones (`STREAM_BUFFER_COUNT` in the service's `qmmf_camera_context.h`).
const BUFFERS: u32 = 12;

/// What a stream is made for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) camera: u32,
    pub(crate) size: (u32, u32),
    /// Frames per second, as a fraction.
    pub(crate) rate: (u32, u32),
    pub(crate) extra_buffers: u32,
    /// Whether memory is GStreamer's dma-buf memory, as since March 2026.
    pub(crate) labelled: bool,
    pub(crate) nv12: bool,
}

/// A stream.
#[derive(Debug)]
pub(crate) struct Track {
    wanted: Wanted,
    layout: Layout,
    pool: LentPool,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    slots: Vec<Slot>,
    running: bool,
    frozen: bool,
    /// So many of the next frames are flagged as broken.
    spoiled: u64,
    frames: u64,
    starved: u64,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Slot {
    /// The service's descriptor in this process; gone when the service closed it.
    fd: Option<Arc<OwnedFd>>,
    lent: bool,
}

/// More buffers for faster streams (`GetExtraBufferCount` in the service's `qmmf_camera_context.cc`).
const fn for_rate(fps: u32) -> u32 {
    match fps {
        0..24 => 0,
        24..60 => 2,
        60..120 => 4,
        120..240 => 8,
        _ => 12,
    }
}

impl Track {
    /// A stream with its buffers.
    pub(crate) fn new(wanted: Wanted) -> io::Result<Arc<Self>> {
        let (width, height) = wanted.size;
        let layout = layout::nv12(width, height);
        let count = BUFFERS + for_rate(wanted.rate.0 / wanted.rate.1) + wanted.extra_buffers;
        let slot = |_| -> io::Result<Slot> {
            Ok(Slot {
                fd: Some(Arc::new(crate::memory::allocate(layout.size)?)),
                lent: false,
            })
        };
        let slots = (0..count).map(slot).collect::<Result<_, _>>()?;
        let mut failure = None;
        let track = Arc::new_cyclic(|weak| {
            let pool = LentPool::new(weak.clone()).unwrap_or_else(|error| {
                failure = Some(io::Error::other(error));
                gst::glib::Object::new()
            });
            Self {
                wanted,
                layout,
                pool,
                state: Mutex::new(State {
                    slots,
                    ..State::default()
                }),
                wake: Condvar::new(),
            }
        });
        failure.map_or(Ok(track), Err)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) const fn camera(&self) -> u32 {
        self.wanted.camera
    }

    pub(crate) const fn size(&self) -> (u32, u32) {
        self.wanted.size
    }

    pub(crate) fn period(&self) -> Duration {
        let (num, den) = self.wanted.rate;
        Duration::from_secs(u64::from(den)) / num.max(1)
    }

    pub(crate) fn report(&self) -> Report {
        let state = self.lock();
        Report {
            buffers: state.slots.len() as u32,
            lent: state.slots.iter().filter(|slot| slot.lent).count() as u32,
            frames: state.frames,
            starved: state.starved,
        }
    }

    /// Begins to give frames to `deliver`, which may not block.
    pub(crate) fn start(self: &Arc<Self>, deliver: impl Fn(gst::Buffer) + Send + 'static) -> bool {
        let mut state = self.lock();
        state.running = true;
        let track = Arc::clone(self);
        let thread = std::thread::Builder::new()
            .name("qmmf-standin".to_owned())
            .spawn(move || track.run(&deliver));
        state.thread = thread.ok();
        state.thread.is_some()
    }

    /// Gives no more frames; returns when the last is delivered.
    pub(crate) fn stop(&self) {
        let thread = {
            let mut state = self.lock();
            state.running = false;
            state.thread.take()
        };
        self.wake.notify_all();
        if let Some(thread) = thread {
            // A panic of it was reported by itself.
            let _ended = thread.join();
        }
    }

    /// Gives no more frames, and nobody is told.
    pub(crate) fn freeze(&self) {
        self.lock().frozen = true;
    }

    /// Flags the next frames as broken.
    pub(crate) fn spoil(&self, frames: u64) {
        self.lock().spoiled = frames;
    }

    /// Gives no more frames; descriptors stay open.
    pub(crate) fn halt(&self) {
        self.lock().running = false;
        self.wake.notify_all();
    }

    /// The service closes its descriptors. Says how many are in use by somebody who should have made his own.
    pub(crate) fn close(&self) -> usize {
        let mut state = self.lock();
        state.running = false;
        let fds: Vec<_> = state
            .slots
            .iter_mut()
            .filter_map(|slot| slot.fd.take())
            .collect();
        drop(state);
        self.wake.notify_all();
        fds.iter().filter(|fd| Arc::strong_count(fd) > 1).count()
    }

    /// GStreamer is done with a buffer.
    pub(crate) fn give_back(&self, slot: usize) {
        if let Some(slot) = self.lock().slots.get_mut(slot) {
            slot.lent = false;
        }
        service().moved();
    }

    fn run(&self, deliver: &dyn Fn(gst::Buffer)) {
        let mut due = Instant::now();
        loop {
            due += self.period();
            let mut state = self.lock();
            while state.running {
                let left = due.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                let waited = self.wake.wait_timeout(state, left);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            if !state.running {
                return;
            }
            if state.frozen {
                continue;
            }
            let Some(index) = state.slots.iter().position(|s| !s.lent && s.fd.is_some()) else {
                state.starved += 1;
                drop(state);
                service().moved();
                continue;
            };
            state.slots[index].lent = true;
            state.frames += 1;
            let (fd, sequence) = (state.slots[index].fd.clone(), state.frames);
            let spoiled = state.spoiled > 0;
            state.spoiled = state.spoiled.saturating_sub(1);
            drop(state);
            match fd.map(|fd| self.frame(index, fd, sequence, spoiled)) {
                Some(Ok(buffer)) => deliver(buffer),
                Some(Err(why)) => service().violated(format!("no frame: {why}")),
                None => {}
            }
            service().moved();
        }
    }

    /// A buffer of GStreamer around one of the service's: its descriptor, layout, number and time.
    fn frame(
        &self,
        index: usize,
        fd: Arc<OwnedFd>,
        sequence: u64,
        spoiled: bool,
    ) -> Result<gst::Buffer, Box<dyn std::error::Error>> {
        // Fails on dma-bufs, which can't be written to that way: their pictures have no number.
        let _unnumbered = rustix::io::pwrite(&fd, &sequence.to_ne_bytes(), 0);
        let mut buffer = self.pool.acquire(index)?;
        let writable = buffer.get_mut().ok_or("the buffer is shared")?;
        writable.append_memory(gstmos::lend::lend(
            fd,
            self.layout.size,
            self.wanted.labelled,
        )?);
        if self.wanted.nv12 {
            let (width, height) = self.wanted.size;
            let stride = self.layout.stride as i32;
            VideoMeta::add_full(
                writable,
                VideoFrameFlags::empty(),
                VideoFormat::Nv12,
                width,
                height,
                &self.layout.offsets,
                &[stride, stride],
            )?;
        }
        writable.set_flags(gst::BufferFlags::LIVE);
        if spoiled {
            writable.set_flags(gst::BufferFlags::CORRUPTED);
        }
        writable.set_offset(sequence);
        writable.set_offset_end(mos_frame::monotonic_ns());
        Ok(buffer)
    }
}
