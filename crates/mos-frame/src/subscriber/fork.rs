//! Telling a forked child from the process that made a subscription.
//!
//! A child shares the lease page and the socket with its parent (fork(2)): what it gives back, its parent loses. So nothing of
//! a subscription is given back by a child, whatever it drops.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

/// Forks between the program's start and this process. Counted, since to ask for the process's number is a system call.
static FORKS: AtomicU32 = AtomicU32::new(0);

extern "C" fn in_child() {
    FORKS.fetch_add(1, Relaxed);
}

/// The process that made something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Origin(u32);

impl Origin {
    /// This process.
    pub(super) fn here() -> io::Result<Self> {
        static REGISTERED: OnceLock<i32> = OnceLock::new();
        let code = *REGISTERED.get_or_init(|| {
            // SAFETY: the handler is a plain function that lives as long as this library, and does nothing but add to an
            // atomic, which is allowed in the child of a process with threads. (A library that is unloaded takes its handlers
            // along, pthread_atfork(3).)
            unsafe { libc::pthread_atfork(None, None, Some(in_child)) }
        });
        if code != 0 {
            return Err(io::Error::from_raw_os_error(code));
        }
        Ok(Self(FORKS.load(Relaxed)))
    }

    /// Whether this is still that process.
    pub(super) fn is_here(self) -> bool {
        self.0 == FORKS.load(Relaxed)
    }
}

/// What a child is told that uses its parent's subscription.
pub(super) fn inherited() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "this subscription belongs to the process that made it; after fork(2) make one of your own",
    )
}
