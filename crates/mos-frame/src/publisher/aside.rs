//! Closing what strangers sent, aside of every thread that somebody waits for.
//!
//! Nobody sends a producer descriptors that it wants. Since Linux 6.16 the kernel keeps them away; before, whoever is sent
//! one may be the last to close it, and that takes as long as the sender likes: a TCP socket that lingers (socket(7)), a file
//! of a user's file system. So none is closed by the control thread, which others wait for.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Descriptors of one user that may wait to be closed; beyond, he is cut off and refused until they are.
const MOST: usize = 128;

/// Descriptors that are being closed, by the user who sent them.
#[derive(Debug, Default)]
pub(super) struct Aside {
    open: Mutex<HashMap<u32, Arc<AtomicUsize>>>,
}

/// Descriptors and their share of the count.
struct Batch {
    fds: Vec<OwnedFd>,
    open: Arc<AtomicUsize>,
}

impl Drop for Batch {
    fn drop(&mut self) {
        let count = self.fds.len();
        self.fds.clear();
        self.open.fetch_sub(count, Relaxed);
    }
}

impl Aside {
    /// Closes them on a thread of their own. Where none can be started they are closed here.
    pub(super) fn close(&self, uid: u32, fds: Vec<OwnedFd>) {
        if fds.is_empty() {
            return;
        }
        let open = {
            let mut users = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            users.retain(|user, open| *user == uid || open.load(Relaxed) > 0);
            Arc::clone(users.entry(uid).or_default())
        };
        open.fetch_add(fds.len(), Relaxed);
        let batch = Batch { fds, open };
        let thread = thread::Builder::new().name("mos-frame-close".into());
        if let Err(error) = thread.spawn(move || drop(batch)) {
            tracing::warn!(uid, %error, "descriptors that a peer sent were closed without a thread of their own");
        }
    }

    /// Whether too many descriptors of this user are slow to close.
    pub(super) fn is_full(&self, uid: u32) -> bool {
        let users = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        users
            .get(&uid)
            .is_some_and(|open| open.load(Relaxed) >= MOST)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::{AsFd, AsRawFd};
    use std::path::Path;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::publisher::control::BURST;
    use crate::publisher::{Publisher, PublisherOptions};
    use crate::socket::{self, Received, Sent, Wait};
    use crate::subscriber::{Subscriber, SubscriberOptions};
    use crate::wire::{Message, VERSION};

    const PATIENCE: Duration = Duration::from_secs(20);

    /// A socket whose last owner waits for an hour when closing it: what was sent over it is never read.
    struct Slow {
        socket: TcpStream,
        /// Once it is gone nobody waits any more.
        never_reads: TcpStream,
    }

    impl Slow {
        fn new() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (never_reads, _) = listener.accept().unwrap();
            socket.set_nonblocking(true).unwrap();
            while (&socket).write(&[0; 4096]).is_ok() {}
            // Only with a blocking socket does closing wait.
            socket.set_nonblocking(false).unwrap();
            let hour = Some(Duration::from_hours(1));
            rustix::net::sockopt::set_socket_linger(&socket, hour).unwrap();
            Self {
                socket,
                never_reads,
            }
        }

        /// Sends it and keeps no copy; gives what has to be dropped to end the wait.
        fn give(self, raw: &OwnedFd, packet: &[u8]) -> TcpStream {
            let sent = socket::send(raw.as_fd(), packet, &[self.socket.as_fd()]).unwrap();
            assert_eq!(sent, Sent::Done);
            self.never_reads
        }
    }

    /// Makes the kernel take descriptors for this connection of the producer, as it does for all before Linux 6.16.
    fn take_descriptors(socket: &OwnedFd) {
        const SO_PASSRIGHTS: libc::c_int = 83;
        let on: libc::c_int = 1;
        // SAFETY: the kernel reads one int from `on`. An older kernel says that it knows no such option: it takes them anyway.
        unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                SO_PASSRIGHTS,
                (&raw const on).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            );
        }
    }

    /// A peer that is through the handshake.
    fn started(path: &Path) -> OwnedFd {
        let raw = socket::connect(path, None).unwrap();
        let hello = Message::Hello {
            min_version: VERSION,
            max_version: VERSION,
            window: 2,
            hold: 1,
            name: "raw".into(),
        };
        socket::send(raw.as_fd(), &hello.encode(), &[]).unwrap();
        loop {
            let Received::Packet(packet) = socket::receive(raw.as_fd(), Wait::Yes).unwrap() else {
                panic!("the handshake goes on")
            };
            if Message::decode(&packet.bytes).unwrap() == Some(Message::Start) {
                return raw;
            }
        }
    }

    fn wait_for(publisher: &Publisher<()>, subscribers: usize) {
        let deadline = Instant::now() + PATIENCE;
        while publisher.stats().subscribers.len() != subscribers {
            assert!(Instant::now() < deadline, "{:?}", publisher.stats());
            thread::yield_now();
        }
    }

    /// Others come and go meanwhile, and the stream can end.
    #[test]
    fn a_descriptor_that_is_slow_to_close_stalls_nobody() {
        // It comes with a message that is read, or is left behind by one who is cut off for what comes before it.
        for (first, count) in [
            (Message::BufferAck { count: 0 }, 1),
            (Message::Start, 2 * BURST),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let path = crate::socket_path(dir.path(), "aside");
            let publisher = Publisher::<()>::bind(&path, PublisherOptions::default()).unwrap();
            let raw = started(&path);
            let ends = {
                // The control thread gets as far as this message, so that ours is not the last copy to be closed.
                let state = publisher.shared.lock();
                take_descriptors(&state.subs[0].socket);
                for _ in 0..count {
                    socket::send(raw.as_fd(), &first.encode(), &[]).unwrap();
                }
                Slow::new().give(&raw, &Message::Bye.encode())
            };
            wait_for(&publisher, 0);
            let another = Subscriber::connect(&path, SubscriberOptions::default()).unwrap();
            wait_for(&publisher, 1);
            drop(another);
            wait_for(&publisher, 0);
            drop(publisher);
            drop(ends);
        }
    }

    #[test]
    fn a_user_with_too_many_of_them_is_known_until_they_are_closed() {
        let (aside, deadline) = (Aside::default(), Instant::now() + PATIENCE);
        assert!(!aside.is_full(1));
        let (mut ends, mut fds) = (Vec::new(), Vec::new());
        let slow = Slow::new();
        ends.push(slow.never_reads);
        fds.push(OwnedFd::from(slow.socket));
        while fds.len() < MOST {
            fds.push(crate::memory::memfd("quick", 1).unwrap());
        }
        aside.close(1, fds);
        assert!(aside.is_full(1) && !aside.is_full(2));
        ends.clear();
        while aside.is_full(1) {
            assert!(Instant::now() < deadline, "they are not closed");
            thread::yield_now();
        }
        // Who has none left is forgotten.
        aside.close(2, vec![crate::memory::memfd("quick", 1).unwrap()]);
        assert!(!aside.open.lock().unwrap().contains_key(&1));
    }
}
