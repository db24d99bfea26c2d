//! A publisher whose control thread is turned by hand, for fuzz targets: what happens follows from the input alone.

use std::path::Path;
use std::sync::Arc;

use super::control::Control;
use super::{Publisher, PublisherOptions, Shared};
use crate::socket::Listener;

/// A publisher without a thread of its own.
pub(crate) struct ByHand<K: Send + 'static> {
    pub(crate) publisher: Publisher<K>,
    control: Control<K>,
}

impl<K: Send + 'static> ByHand<K> {
    /// Publishes at `path`. Panics where the kernel refuses, which is no finding.
    pub(crate) fn bind(path: &Path, options: PublisherOptions) -> Self {
        let listener = Listener::bind(path, options.mode, options.gid).expect("a socket");
        let shared = Arc::new(Shared::new(path, options).expect("shared memory"));
        let control = Control::new(Arc::clone(&shared), listener).expect("an epoll");
        let publisher = Publisher {
            shared,
            control: None,
        };
        Self { publisher, control }
    }

    /// One turn of the control thread: what is there now is handled, nothing is waited for.
    pub(crate) fn turn(&mut self) {
        self.publisher.shared.wake();
        assert!(self.control.turn(), "the control thread ended");
        self.check();
    }

    /// Panics if the state contradicts itself.
    pub(crate) fn check(&self) {
        let checked = self.publisher.shared.lock().check_invariants();
        checked.expect("the publisher's state is consistent");
    }
}
