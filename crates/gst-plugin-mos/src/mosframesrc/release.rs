//! Learning that downstream let go of a frame.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mos_frame::Frame;

use super::wait::Stop;

/// Rings when a frame is released, but only for who said that they wait for it.
#[derive(Debug)]
pub(crate) struct Releases {
    awaited: AtomicBool,
    bell: Stop,
}

impl Releases {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            awaited: AtomicBool::new(false),
            bell: Stop::new()?,
        })
    }

    /// Asks for a ring with the next release. Look once more whether the wait is needed before waiting.
    pub(crate) fn expect(&self) -> std::io::Result<()> {
        self.bell.clear()?;
        self.awaited.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Rings, if somebody waits.
    pub(crate) fn ring(&self) {
        if self.awaited.swap(false, Ordering::SeqCst)
            && let Err(why) = self.bell.set()
        {
            gst::error!(gst::CAT_RUST, "a release can't be signalled: {why}");
        }
    }
}

impl AsFd for Releases {
    /// Readable after a release that was expected.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

/// A frame in use downstream. Its lease ends when the last clone goes.
#[derive(Debug)]
pub(crate) struct Lease {
    // Fields are dropped in this order: the lease ends, then the bell rings.
    frame: Frame,
    _ring: RingOnDrop,
}

impl Lease {
    pub(crate) fn new(frame: Frame, releases: Arc<Releases>) -> Self {
        Self {
            frame,
            _ring: RingOnDrop(releases),
        }
    }

    pub(crate) fn frame(&self) -> &Frame {
        &self.frame
    }
}

#[derive(Debug)]
struct RingOnDrop(Arc<Releases>);

impl Drop for RingOnDrop {
    fn drop(&mut self) {
        self.0.ring();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::wait::Woken;
    use super::*;

    #[test]
    fn only_an_expected_release_rings() {
        let (releases, stop) = (Arc::new(Releases::new().unwrap()), Stop::new().unwrap());
        let look = || stop.wait(releases.as_fd(), Some(Instant::now())).unwrap();
        drop(RingOnDrop(Arc::clone(&releases)));
        assert_eq!(look(), Woken::TimedOut);
        releases.expect().unwrap();
        assert_eq!(look(), Woken::TimedOut);
        drop(RingOnDrop(Arc::clone(&releases)));
        assert_eq!(look(), Woken::Ready);
        releases.expect().unwrap();
        assert_eq!(look(), Woken::TimedOut);
    }
}
