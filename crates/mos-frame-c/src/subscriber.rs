//! A C program's end of a stream.

use std::ffi::{OsStr, c_char};
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::ptr;
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use ::mos_frame::{Frame, Subscriber, SubscriberOptions};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::boundary::{Versioned, borrow, guard, is_null, out, read, text, write};
use crate::frame::{into_handle, mos_frame};
use crate::options::mos_subscriber_options;
use crate::status::{Failure, MOS_AGAIN, MOS_ERR_BUSY, MOS_ERR_INTERNAL, MOS_OK, mos_status};

/// Receives the frames of one stream.
#[derive(Debug)]
pub struct mos_subscriber {
    /// Never waited for: two threads in one subscriber are a mistake of the caller that has to show.
    inner: Mutex<Subscriber>,
    fd: RawFd,
}

/// What a subscriber received so far.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct mos_subscriber_stats {
    /// Set it to `sizeof(mos_subscriber_stats)` before the call.
    pub struct_size: usize,
    /// Frames received.
    pub received: u64,
    /// Frames that were published in between and not received.
    pub missed: u64,
    /// Places where at least one frame was missed.
    pub gaps: u64,
    /// Producers that came back after the first.
    pub reconnects: u64,
}

// SAFETY: repr(C); a size and four words of 64 bits leave no gap; numbers only.
unsafe impl Versioned for mos_subscriber_stats {
    const FIRST: usize = size_of::<usize>() + 4 * 8;
    const NAME: &'static str = "mos_subscriber_stats";
}

impl mos_subscriber {
    fn lock(&self) -> Result<MutexGuard<'_, Subscriber>, Failure> {
        self.inner.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => Failure::new(
                MOS_ERR_BUSY,
                "another thread is in a call of this subscriber; use one thread, or a subscriber for each",
            ),
            TryLockError::Poisoned(_) => Failure::new(
                MOS_ERR_INTERNAL,
                "a fault in libmos_frame broke this subscriber before; close it",
            ),
        })
    }
}

/// The socket that a caller names.
///
/// # Safety
/// `stream` is NULL or a string with a NUL at its end.
pub(crate) unsafe fn socket_of(stream: *const c_char) -> Result<PathBuf, Failure> {
    // SAFETY: as the caller promises.
    let name = unsafe { text(stream) }.ok_or_else(|| is_null("stream"))?;
    ::mos_frame::find_socket(OsStr::from_bytes(name.to_bytes())).ok_or_else(|| {
        Failure::argument("stream is neither a stream's name nor the path of a socket")
    })
}

/// Subscribes to a stream and waits for the producer's answer.
///
/// `stream` is a stream's name, such as "front", or the path of its socket, with a '/'. Names are looked for in the folder
/// that `$MOS_FRAME_DIR` says, else the service's. `options` may be NULL for the defaults.
///
/// # Safety
/// `stream` is NULL or a string with a NUL at its end; `options` is NULL or has the size that its `struct_size` says, with a
/// `name` that is NULL or a string; `subscriber` is NULL or has room for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mos_subscriber_connect(
    stream: *const c_char,
    options: *const mos_subscriber_options,
    subscriber: *mut *mut mos_subscriber,
) -> mos_status {
    guard(|| {
        // SAFETY: as the caller promises.
        let result = unsafe { out(subscriber, "subscriber") }?.write(ptr::null_mut());
        // SAFETY: as the caller promises.
        let path = unsafe { socket_of(stream) }?;
        // SAFETY: as the caller promises.
        let (options, awaits) = unsafe { resolve(options) }?;
        let inner = if awaits {
            Subscriber::await_stream(&path, options)
                .map_err(|e| Failure::io("the stream can't be waited for", &e))?
        } else {
            Subscriber::connect(&path, options)?
        };
        let fd = inner.as_raw_fd();
        let inner = Mutex::new(inner);
        *result = Box::into_raw(Box::new(mos_subscriber { inner, fd }));
        Ok(MOS_OK)
    })
}

/// # Safety
/// As for [`mos_subscriber_connect`].
unsafe fn resolve(
    options: *const mos_subscriber_options,
) -> Result<(SubscriberOptions, bool), Failure> {
    if options.is_null() {
        return Ok((SubscriberOptions::default(), false));
    }
    // SAFETY: as the caller promises.
    let options = unsafe { read(options) }?;
    // SAFETY: as the caller promises.
    Ok((unsafe { options.resolve() }?, options.awaits_stream()))
}

/// Ends a subscription. Frames in hand stay valid. NULL does nothing.
///
/// # Safety
/// `subscriber` is NULL or a subscriber that no thread uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mos_subscriber_close(subscriber: *mut mos_subscriber) {
    if subscriber.is_null() {
        return;
    }
    guard(|| {
        // SAFETY: `mos_subscriber_connect` made it from a box, and the caller gives it up.
        drop(unsafe { Box::from_raw(subscriber) });
        Ok(MOS_OK)
    });
}

/// The next frame in order; frames that left the window are skipped (`mos_frame_info.seq` has a gap then).
///
/// `timeout_ms` is as for poll(2): -1 waits as long as it takes, also while the producer is away; 0 does not wait. A signal
/// does not end the wait: use a time-out, or poll `mos_subscriber_fd`, where the program has to react to one. `MOS_AGAIN`:
/// none came in time.
///
/// # Safety
/// `subscriber` is NULL or a subscriber; `frame` is NULL or has room for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mos_subscriber_next(
    subscriber: *mut mos_subscriber,
    timeout_ms: i32,
    frame: *mut *mut mos_frame,
) -> mos_status {
    // SAFETY: as the caller promises.
    unsafe {
        take(subscriber, frame, |subscriber| match timeout_ms {
            ..0 => Ok(Some(subscriber.next()?)),
            0 => Ok(subscriber.try_next()?),
            ms => Ok(subscriber.next_timeout(Duration::from_millis(u64::from(ms.unsigned_abs())))?),
        })
    }
}

/// As `mos_subscriber_next`, but the newest frame: older ones are skipped. What was given before is not given again.
///
/// # Safety
/// As for `mos_subscriber_next`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mos_subscriber_latest(
    subscriber: *mut mos_subscriber,
    timeout_ms: i32,
    frame: *mut *mut mos_frame,
) -> mos_status {
    // SAFETY: as the caller promises.
    unsafe {
        take(subscriber, frame, |subscriber| {
            latest(subscriber, timeout_ms)
        })
    }
}

fn latest(subscriber: &mut Subscriber, timeout_ms: i32) -> Result<Option<Frame>, Failure> {
    let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        if let Some(frame) = subscriber.try_latest()? {
            return Ok(Some(frame));
        }
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(None);
        }
        wait(subscriber, left)?;
    }
}

fn wait(subscriber: &Subscriber, left: Option<Duration>) -> Result<(), Failure> {
    let left = left.map(|left| Timespec {
        tv_sec: left.as_secs().cast_signed(),
        tv_nsec: left.subsec_nanos().into(),
    });
    let fd = subscriber.as_fd();
    match poll(&mut [PollFd::new(&fd, PollFlags::IN)], left.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(Failure::io("waiting for a frame failed", &error.into())),
    }
}

/// # Safety
/// As for [`mos_subscriber_next`].
unsafe fn take(
    subscriber: *mut mos_subscriber,
    frame: *mut *mut mos_frame,
    how: impl FnOnce(&mut Subscriber) -> Result<Option<Frame>, Failure>,
) -> mos_status {
    guard(|| {
        // SAFETY: as the caller promises.
        let result = unsafe { out(frame, "frame") }?.write(ptr::null_mut());
        // SAFETY: as the caller promises.
        let subscriber = unsafe { borrow(subscriber, "subscriber") }?;
        Ok(match how(&mut *subscriber.lock()?)? {
            Some(frame) => {
                *result = into_handle(frame);
                MOS_OK
            }
            None => MOS_AGAIN,
        })
    })
}

/// A descriptor for poll(2), epoll(7) or any event loop: once it is readable take frames with a time-out of 0 until
/// `MOS_AGAIN`. It stays the same over all reconnections and belongs to the subscriber; don't read from it or close it.
/// -1 for NULL.
///
/// Take frames until `MOS_AGAIN` before the first wait, too: only that asks the producer for the next wake-up.
///
/// # Safety
/// `subscriber` is NULL or a subscriber.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mos_subscriber_fd(subscriber: *const mos_subscriber) -> i32 {
    // SAFETY: as the caller promises.
    unsafe { subscriber.as_ref() }.map_or(-1, |subscriber| subscriber.fd)
}

/// Whether a producer is there now. False for NULL, or while another thread is in a call.
///
/// # Safety
/// `subscriber` is NULL or a subscriber.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mos_subscriber_is_connected(subscriber: *const mos_subscriber) -> bool {
    let mut connected = false;
    guard(|| {
        // SAFETY: as the caller promises.
        let subscriber = unsafe { borrow(subscriber, "subscriber") }?;
        connected = subscriber.lock()?.is_connected();
        Ok(MOS_OK)
    });
    connected
}

/// What was received so far.
///
/// # Safety
/// `subscriber` is NULL or a subscriber; `stats` is NULL or has the size that its `struct_size` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mos_subscriber_get_stats(
    subscriber: *const mos_subscriber,
    stats: *mut mos_subscriber_stats,
) -> mos_status {
    guard(|| {
        // SAFETY: as the caller promises.
        let subscriber = unsafe { borrow(subscriber, "subscriber") }?;
        let now = subscriber.lock()?.stats();
        let value = mos_subscriber_stats {
            struct_size: size_of::<mos_subscriber_stats>(),
            received: now.received,
            missed: now.missed,
            gaps: now.gaps,
            reconnects: now.reconnects,
        };
        // SAFETY: as the caller promises.
        unsafe { write(stats, &value) }?;
        Ok(MOS_OK)
    })
}
