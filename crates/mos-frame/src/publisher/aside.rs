//! Closing what strangers sent, aside of every thread that somebody waits for.
//!
//! Nobody sends a producer descriptors that it wants. Since Linux 6.16 the kernel keeps them away; before, whoever is sent
//! one may be the last to close it, and that takes as long as the sender likes: a TCP socket that lingers (socket(7)), a file
//! of a user's file system. So a packet with descriptors is looked at and left where it is, its sender is cut off, and the
//! socket goes to a thread of its own, which has the kernel close them without ever having them in hand.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;

use crate::socket;

/// Most sockets that are being emptied; while there are as many nobody new is taken in.
const MOST: usize = 64;
/// More packets than a socket's queue has: each takes some 700 bytes of its sender's `SO_SNDBUF`, at most twice `wmem_max`
/// (socket(7), 2 * 212992). As many are asked for, since a packet without a byte looks like the end.
const MOST_PACKETS: usize = 1024;

/// Connections that are over, with descriptors left in them.
#[derive(Debug, Default)]
pub(super) struct Aside {
    open: Arc<AtomicUsize>,
}

/// A socket that is being emptied, and its share of the count.
struct Left {
    socket: Arc<OwnedFd>,
    open: Arc<AtomicUsize>,
}

impl Drop for Left {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Relaxed);
    }
}

impl Aside {
    /// Ends a connection before its socket is closed, which the publishing thread may do last, with a ring in hand: the peer
    /// sees the end now, and no descriptor is left in the socket that would be closed with it. An error means that there is
    /// no thread for that.
    pub(super) fn part(&self, socket: &Arc<OwnedFd>) -> io::Result<()> {
        // From now on nothing is added.
        socket::shut(socket);
        if socket::refuses_descriptors(socket.as_fd()) {
            return Ok(());
        }
        self.open.fetch_add(1, Relaxed);
        let left = Left {
            socket: Arc::clone(socket),
            open: Arc::clone(&self.open),
        };
        let thread = thread::Builder::new().name("mos-frame-close".into());
        thread.spawn(move || {
            for _ in 0..MOST_PACKETS {
                if !socket::discard(left.socket.as_fd()) {
                    break;
                }
            }
        })?;
        Ok(())
    }

    /// Whether so many are slow that nobody new can be taken in.
    pub(super) fn is_full(&self) -> bool {
        self.open.load(Relaxed) >= MOST
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
        let on: libc::c_int = 1;
        // SAFETY: the kernel reads one int from `on`. An older kernel says that it knows no such option: it takes them anyway.
        unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                socket::SO_PASSRIGHTS,
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
        // It is come upon, or left behind by one who is cut off for what comes before it.
        let ack = Message::BufferAck { count: 0 }.encode();
        let (offence, long, empty) = (Message::Start.encode(), vec![0; 4000], Vec::new());
        for (first, count, behind) in [
            (&ack, 1, None),
            (&offence, 2 * BURST, None),
            (&offence, 2 * BURST, Some(&long)),
            (&offence, 2 * BURST, Some(&empty)),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let path = crate::socket_path(dir.path(), "aside");
            let publisher = Publisher::<()>::bind(&path, PublisherOptions::default()).unwrap();
            let raw = started(&path);
            let ends = {
                // The control thread gets as far as this message, so that ours is not the last copy to be closed.
                let state = publisher.shared.lock();
                take_descriptors(&state.subs[0].socket);
                for packet in std::iter::repeat_n(first, count).chain(behind) {
                    socket::send(raw.as_fd(), packet, &[]).unwrap();
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
    fn sockets_that_are_being_emptied_are_counted() {
        let pair = || {
            let flags = rustix::net::SocketFlags::CLOEXEC;
            let kind = rustix::net::SocketType::SEQPACKET;
            rustix::net::socketpair(rustix::net::AddressFamily::UNIX, kind, flags, None).unwrap()
        };
        let (aside, deadline) = (Aside::default(), Instant::now() + PATIENCE);
        let mut ends = Vec::new();
        for n in 0..MOST {
            assert!(!aside.is_full(), "{n}");
            let (ours, theirs) = pair();
            ends.push(Slow::new().give(&theirs, b"slow"));
            aside.part(&Arc::new(ours)).unwrap();
        }
        assert!(aside.is_full());
        ends.clear();
        while aside.open.load(Relaxed) > 0 {
            assert!(Instant::now() < deadline, "they are not closed");
            thread::yield_now();
        }
    }
}
