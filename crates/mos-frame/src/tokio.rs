//! Waiting for frames in an async task (feature `tokio`).

use std::io;

use tokio::io::unix::AsyncFd;

use crate::subscriber::{Frame, RecvError, Subscriber, SubscriberStats};

/// A [`Subscriber`] for tasks of a tokio runtime.
#[derive(Debug)]
pub struct AsyncSubscriber {
    inner: AsyncFd<Subscriber>,
}

impl AsyncSubscriber {
    /// Hands a subscriber to the runtime that runs the caller.
    pub fn new(subscriber: Subscriber) -> io::Result<Self> {
        // SAFETY: `AsRawFd` of a subscriber always gives the same descriptor, which it owns and closes only when it is dropped.
        let inner = unsafe { AsyncFd::register(subscriber)? };
        Ok(Self { inner })
    }

    /// The next frame in order. Cancel-safe: a dropped future has taken no frame.
    pub async fn next(&mut self) -> Result<Frame, RecvError> {
        self.wait(Subscriber::try_next).await
    }

    /// The newest frame; waits if it was taken already. Cancel-safe.
    pub async fn latest(&mut self) -> Result<Frame, RecvError> {
        self.wait(Subscriber::try_latest).await
    }

    /// What was received so far.
    pub fn stats(&self) -> SubscriberStats {
        self.inner.get_ref().stats()
    }

    async fn wait(
        &mut self,
        mut take: impl FnMut(&mut Subscriber) -> Result<Option<Frame>, RecvError>,
    ) -> Result<Frame, RecvError> {
        loop {
            if let Some(frame) = take(self.inner.get_mut())? {
                return Ok(frame);
            }
            // All messages were read before the subscriber said that there is nothing, so the next one is an edge.
            self.inner.readable_mut().await?.clear_ready();
        }
    }
}
