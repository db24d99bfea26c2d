//! A producer, an honest subscriber who must never notice anything, and connections for others.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::admission::Budget;
use crate::format::{Format, FrameMeta};
use crate::pool::{MemfdPool, PoolFrame};
use crate::publisher::{ByHand as Producer, PublisherOptions};
use crate::shm::LeaseView;
use crate::socket::{self, Packet, Received, Sent, Wait};
use crate::subscriber::{ByHand as Honest, SubscriberOptions};
use crate::wire::{Message, VERSION};

/// Turns after which a handshake is through.
const TURNS: usize = 64;

/// Buffers of the pool: two in flight, the widest window and hold of the honest one and of one peer.
const BUFFERS: u32 = 2 + PEER_WINDOW + 1 + PEER_HOLD;
/// What a peer may ask for.
pub(super) const PEER_WINDOW: u32 = 4;
pub(super) const PEER_HOLD: u32 = 2;

/// See the module.
pub(super) struct Scene {
    pub(super) producer: Producer<PoolFrame>,
    pool: MemfdPool,
    honest: Honest,
    path: PathBuf,
}

impl Scene {
    pub(super) fn new() -> Self {
        let path = fresh_path();
        let budget = Budget {
            slots: BUFFERS,
            in_flight: 2,
            fences: 0,
        };
        let options = PublisherOptions {
            budget,
            ..PublisherOptions::default()
        };
        let producer = Producer::bind(&path, options);
        let format = format(16);
        producer.publisher.set_format(format.clone());
        let pool = MemfdPool::new(&producer.publisher, &format, BUFFERS as usize);
        let options = SubscriberOptions {
            name: "honest".into(),
            ..SubscriberOptions::default()
        };
        let honest = Honest::connect(&path, &options);
        let mut scene = Self {
            producer,
            pool: pool.expect("a pool"),
            honest,
            path,
        };
        let through = (0..TURNS).any(|_| {
            scene.turn();
            scene.honest.is_started()
        });
        assert!(through, "the honest one is not through the handshake");
        scene
    }

    /// Lets the producer handle what came, and the honest one hear what it is told.
    pub(super) fn turn(&mut self) {
        self.producer.turn();
        let heard = self.honest.hear_all();
        heard.expect("the honest one is left alone");
    }

    /// Publishes a frame, which the honest one must get.
    pub(super) fn publish(&mut self) -> u64 {
        let frame = self.pool.acquire().expect("the budget keeps a buffer free");
        let published = frame.publish(&self.producer.publisher, FrameMeta::default());
        let seq = published.expect("a free buffer can be published");
        self.producer.check();
        let claimed = self.honest.claim(false);
        let frame = claimed.expect("the honest one is left alone");
        let frame = frame.expect("the honest one gets every frame");
        assert_eq!(frame.seq(), seq, "the honest one lost a frame");
        assert!(frame.is_valid());
        seq
    }

    /// Changes the format, or back; both ends go on with new buffers.
    pub(super) fn change_format(&mut self, width: u32) {
        let publisher = &self.producer.publisher;
        let (format, before) = (format(width), publisher.stats().epoch);
        if publisher.set_format(format.clone()) != before {
            let pool = MemfdPool::new(publisher, &format, BUFFERS as usize);
            self.pool = pool.expect("a pool");
        }
        // Announcements go out in batches, each acknowledged before the next.
        (0..4).for_each(|_| self.turn());
    }

    pub(super) fn connect(&self) -> Peer {
        Peer {
            socket: socket::connect(&self.path, None).expect("a connection"),
        }
    }

    /// A peer that is through the handshake, with its lease page.
    pub(super) fn started(&mut self, window: u32, hold: u32) -> Option<(Peer, LeaseView)> {
        let peer = self.connect();
        peer.send(&hello(window, hold).encode(), &[]);
        let mut page = None;
        for _ in 0..TURNS {
            self.turn();
            while let Some(packet) = peer.receive() {
                match Message::decode(&packet.bytes) {
                    Ok(Some(Message::Welcome { .. })) => {
                        page = packet.fds.get(1).map(|fd| LeaseView::new(fd.as_fd()));
                    }
                    Ok(Some(Message::BufferAdd { .. })) => {
                        peer.send(&Message::BufferAck { count: 1 }.encode(), &[]);
                    }
                    Ok(Some(Message::Start)) => return Some((peer, page?.ok()?)),
                    Ok(Some(Message::Refused { .. })) => return None,
                    _ => {}
                }
            }
        }
        None
    }

    /// After all that came: the producer is as it should be, and frames flow.
    pub(super) fn end(mut self) {
        for _ in 0..3 {
            self.turn();
            self.publish();
        }
        let stats = self.producer.publisher.stats();
        let honest = &stats.subscribers[0];
        assert_eq!(honest.name, "honest");
        let counters = honest.counters;
        assert_eq!(
            (counters.skipped, counters.recalled, counters.revoked),
            (0, 0, 0),
            "{counters:?}"
        );
        remove_folder_of(&self.path);
    }
}

pub(super) fn format(width: u32) -> Format {
    Format::nv12_memfd(width, 16, (30, 1))
}

pub(super) fn hello(window: u32, hold: u32) -> Message {
    Message::Hello {
        min_version: VERSION,
        max_version: VERSION,
        window,
        hold,
        name: "peer".into(),
    }
}

/// A connection to the producer that says what the input says.
pub(super) struct Peer {
    pub(super) socket: OwnedFd,
}

impl Peer {
    /// Sends a packet, if there is room for it.
    pub(super) fn send(&self, packet: &[u8], fds: &[BorrowedFd<'_>]) {
        let mut sent = socket::send(self.socket.as_fd(), packet, fds);
        if sent
            .as_ref()
            .is_err_and(|e| e.kind() == io::ErrorKind::PermissionDenied)
        {
            // The other end asked the kernel to let no descriptors through (SO_PASSRIGHTS, Linux 6.16).
            assert!(!fds.is_empty());
            sent = socket::send(self.socket.as_fd(), packet, &[]);
        }
        assert!(
            matches!(sent, Ok(Sent::Done | Sent::Full | Sent::Gone)),
            "{sent:?}"
        );
    }

    /// A packet, if one is there.
    pub(super) fn receive(&self) -> Option<Packet> {
        match socket::receive(self.socket.as_fd(), Wait::No) {
            Ok(Received::Packet(packet)) => Some(packet),
            Ok(Received::Empty | Received::Gone) => None,
            Err(error) => panic!("the producer sends whole packets: {error}"),
        }
    }
}

/// A socket's path in a folder of this thread's own: tests run beside each other. The folder goes with the scene, unless
/// that ends by a finding.
fn fresh_path() -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    thread_local! {
        static MINE: u64 = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    let name = MINE.with(|mine| format!("mos-frame-fuzz-{}-{mine}", std::process::id()));
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).expect("a folder for the socket");
    folder.join("s.sock")
}

fn remove_folder_of(path: &Path) {
    let folder = path.parent().expect("a folder of ours");
    std::fs::remove_dir_all(folder).expect("the folder is ours to remove");
}
