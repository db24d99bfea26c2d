//! The producer's end of a stream.

mod allowance;
mod aside;
mod buffers;
#[cfg(any(test, fuzzing))]
mod by_hand;
mod caller;
mod control;
mod errors;
#[cfg(test)]
mod exhaustive;
mod greeting;
mod inspection;
mod invariants;
mod metrics;
mod outbox;
mod publishing;
mod report;
#[cfg(test)]
mod sequence_limits;
mod state;
mod subscribers;
mod upkeep;

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};

pub use crate::admission::Budget;
pub use crate::books::LeaseCounters;
use crate::format::{Format, FrameMeta, Layout, monotonic_ns};
use crate::memory::{self, MemoryId};
use crate::shm::Board;
use crate::socket::Listener;
use crate::wire::Message;
#[cfg(any(test, fuzzing))]
pub(crate) use by_hand::ByHand;
pub use caller::Caller;
pub use errors::{BindError, ImportError, PublishError};
use metrics::Histogram;
pub use report::{
    EpochDrain, HoldInfo, LeaseInfo, PublisherStats, Refusal, SubscriberInfo, TimeSummary,
};
use state::{Aftermath, Identity, State};

/// Who may subscribe, besides what the socket's permissions say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// User ids.
    pub uids: Vec<u32>,
    /// Group ids, primary or supplementary.
    pub gids: Vec<u32>,
}

impl Default for Access {
    /// Our own user and root.
    fn default() -> Self {
        Self {
            uids: vec![rustix::process::geteuid().as_raw(), 0],
            gids: Vec::new(),
        }
    }
}

/// How a stream is published.
#[derive(Debug, Clone)]
pub struct PublisherOptions {
    /// Buffers of the pool; decides whom we can admit.
    pub budget: Budget,
    /// Who may subscribe.
    pub access: Access,
    /// Permissions of the socket; default 0660.
    pub mode: u32,
    /// Group of the socket; default ours.
    pub gid: Option<u32>,
    /// Longest time from connect to START before a subscriber is cut off, at most a day; default 5 s.
    pub handshake_timeout: Duration,
}

impl Default for PublisherOptions {
    fn default() -> Self {
        Self {
            budget: Budget::default(),
            access: Access::default(),
            mode: 0o660,
            gid: None,
            handshake_timeout: Duration::from_secs(5),
        }
    }
}

/// Keeps deadlines within what `Instant` can hold.
const LONGEST_HANDSHAKE: Duration = Duration::from_hours(24);

/// A buffer's place on the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SlotId {
    index: u16,
    generation: u32,
}

/// What publishing and control threads share.
#[derive(Debug)]
struct Shared<K> {
    state: Mutex<State<K>>,
    /// Told after each send of a control message; see `flush_all`.
    sent: Condvar,
    board: Board,
    publish_time: Histogram,
    session: u64,
    /// An eventfd that wakes the control thread.
    wake: OwnedFd,
    bell: Vec<u8>,
    options: PublisherOptions,
    path: PathBuf,
}

impl<K> Shared<K> {
    fn new(path: &Path, options: PublisherOptions) -> io::Result<Self> {
        Ok(Self {
            state: Mutex::new(State::new(options.budget)),
            sent: Condvar::new(),
            board: Board::new()?,
            publish_time: Histogram::new(),
            session: RandomState::new().hash_one(path),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            bell: Message::Bell.encode(),
            options,
            path: path.to_owned(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        // A panic elsewhere leaves the books consistent: each method finishes its change or does none.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        if let Err(error) = rustix::io::write(&self.wake, &1_u64.to_ne_bytes()) {
            // EAGAIN means that the counter is full: the thread is being woken already.
            tracing::trace!(path = %self.path.display(), %error, "wake");
        }
    }

    /// Wakes the subscribers that are to be woken; without the lock, since the kernel may take its time.
    fn ring(&self, after: &mut Aftermath<K>) {
        for bell in after.rings.drain(..) {
            if let Err(error) = bell.ring(&self.bell) {
                tracing::debug!(path = %self.path.display(), %error, "a subscriber could not be rung");
            }
        }
    }

    /// Does what waited for the lock to be released.
    fn finish(&self, mut after: Aftermath<K>) {
        self.ring(&mut after);
        if after.wake {
            self.wake();
        }
        drop(after.released);
    }
}

/// A stream of frames that other processes subscribe to.
///
/// `K` keeps a frame's memory from being written again: the bus drops it when the last subscriber let go of the frame.
/// No method waits for a subscriber. Dropping the publisher ends the stream; subscribers keep what they hold.
///
/// ```
/// use mos_frame::{Format, FrameMeta, MemfdPool, Publisher, PublisherOptions, Subscriber, SubscriberOptions};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let path = mos_frame::socket_path(dir.path(), "front");
/// let publisher = Publisher::bind(&path, PublisherOptions::default())?;
/// let format = Format::nv12_memfd(640, 480, (30, 1));
/// publisher.set_format(format.clone());
/// let pool = MemfdPool::new(&publisher, &format, 8)?;
///
/// let mut subscriber = Subscriber::connect(&path, SubscriberOptions::default())?;
/// let frame = pool.acquire().ok_or("no buffer is free")?;
/// let seq = frame.publish(&publisher, FrameMeta::default())?;
/// assert_eq!(subscriber.next()?.seq(), seq);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Publisher<K: Send + 'static> {
    shared: Arc<Shared<K>>,
    control: Option<JoinHandle<()>>,
}

impl<K: Send + 'static> Publisher<K> {
    /// Publishes a stream at `path`, replacing the socket of a producer that died.
    pub fn bind(path: &Path, mut options: PublisherOptions) -> Result<Self, BindError> {
        options.handshake_timeout = options.handshake_timeout.min(LONGEST_HANDSHAKE);
        let failed = |e: io::Error| BindError::new(path, e);
        let listener =
            Listener::bind(path, options.mode, options.gid).map_err(|e| BindError::new(path, e))?;
        let shared = Arc::new(Shared::new(path, options).map_err(failed)?);
        let control = control::Control::new(Arc::clone(&shared), listener).map_err(failed)?;
        let thread = thread::Builder::new()
            .name("mos-frame".into())
            .spawn(move || control.run())
            .map_err(failed)?;
        Ok(Self {
            shared,
            control: Some(thread),
        })
    }

    /// Sets the format of the frames that follow; a change starts a new epoch with new buffers. Gives the epoch.
    pub fn set_format(&self, format: Format) -> u32 {
        let mut after = Aftermath::default();
        let epoch = self.shared.lock().set_format(format, &mut after);
        self.shared.flush_all();
        self.shared.finish(after);
        epoch
    }

    /// Changes the buffer budget; subscribers that are there stay.
    pub fn set_budget(&self, budget: Budget) {
        self.shared.lock().set_budget(budget);
    }

    /// The place of a buffer, by the memory behind its descriptors: found, or made and told to the subscribers. The
    /// descriptors are duplicated, so their numbers may be closed and used again.
    pub fn import(&self, fds: &[BorrowedFd<'_>], layout: &Layout) -> Result<SlotId, ImportError> {
        let memory: Result<Vec<_>, _> = fds.iter().map(|fd| memory::memory_id(*fd)).collect();
        self.import_known(&memory?, fds, layout)
    }

    /// As [`Self::import`], without a system call for a buffer that has a place: `memory` is what [`memory::memory_id`] said
    /// of the descriptors, which are still open.
    pub fn import_known(
        &self,
        memory: &[MemoryId],
        fds: &[BorrowedFd<'_>],
        layout: &Layout,
    ) -> Result<SlotId, ImportError> {
        {
            let state = self.shared.lock();
            if state.format.is_none() {
                return Err(ImportError::NoFormat);
            }
            if let Some(slot) = state.find(memory, layout) {
                return Ok(slot);
            }
        }
        check_layout(fds, layout)?;
        if memory.len() != fds.len() {
            let text = format!("{} descriptors of {} memories", fds.len(), memory.len());
            return Err(ImportError::Layout(text));
        }
        let identity = Identity {
            memory: memory.to_vec(),
            layout: layout.clone(),
        };
        let writable = fds.iter().position(|fd| !memory::is_read_only(*fd));
        let owned = fds
            .iter()
            .map(BorrowedFd::try_clone_to_owned)
            .collect::<Result<_, _>>()?;
        let mut after = Aftermath::default();
        let slot = {
            let mut state = self.shared.lock();
            match (&state.format, writable) {
                // Of the format that the buffer joins, which may be newer than the one that was there above.
                (
                    Some(Format {
                        read_only: true, ..
                    }),
                    Some(index),
                ) => Err(ImportError::Writable { index }),
                _ => state.insert(identity, owned, &mut after),
            }
        };
        self.shared.flush_all();
        self.shared.finish(after);
        slot
    }

    /// Publishes the frame in `slot`; never waits. Gives its sequence, which rises by one a frame within a session.
    /// On an error `keep` is dropped and no subscriber sees the frame.
    pub fn publish(&self, slot: SlotId, meta: FrameMeta, keep: K) -> Result<u64, PublishError> {
        let shared = &*self.shared;
        let began = monotonic_ns();
        let mut after = Aftermath::default();
        let offered = shared
            .lock()
            .offer(&shared.board, slot, meta, began, keep, &mut after);
        if offered.is_ok() {
            shared.ring(&mut after);
            shared.lock().take_back(&mut after);
        }
        shared.finish(after);
        if offered.is_ok() {
            shared.publish_time.add(monotonic_ns() - began);
        }
        offered
    }

    /// Takes back what subscribers let go of since the last publish. The publisher also does this by itself.
    pub fn reap(&self) {
        let mut after = Aftermath::default();
        {
            let mut state = self.shared.lock();
            let head = state.head;
            state.sweep(head, &mut after);
        }
        self.shared.finish(after);
    }

    /// Sequence of the newest frame; 0 before the first.
    pub fn newest_seq(&self) -> u64 {
        self.shared.lock().head
    }

    /// The socket that subscribers connect to.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// What happened so far. The books are brought up to date first.
    pub fn stats(&self) -> PublisherStats {
        self.shared.report()
    }
}

impl<K: Send + 'static> Drop for Publisher<K> {
    fn drop(&mut self) {
        self.shared.lock().stopping = true;
        self.shared.wake();
        if let Some(control) = self.control.take()
            && control.join().is_err()
        {
            tracing::error!(path = %self.shared.path.display(), "the stream's control thread panicked");
        }
    }
}

fn check_layout(fds: &[BorrowedFd<'_>], layout: &Layout) -> Result<(), ImportError> {
    if !layout.is_valid() || layout.fd_count() != fds.len() {
        return Err(ImportError::Layout(format!(
            "{} descriptors for {layout:?}",
            fds.len()
        )));
    }
    for (index, fd) in fds.iter().enumerate() {
        let (has, needs) = (memory::size_of(*fd)?, layout.bytes_of(index as u8));
        if has < needs {
            return Err(ImportError::Layout(format!(
                "descriptor {index} has {has} bytes, the planes need {needs}"
            )));
        }
    }
    Ok(())
}
