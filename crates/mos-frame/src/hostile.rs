//! Tests with peers that break the protocol on purpose: only they are hurt, and they are told why.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::admission::Budget;
use crate::format::{Format, FrameMeta};
use crate::memory;
use crate::pool::{MemfdPool, PoolFrame};
use crate::publisher::{Access, Publisher, PublisherOptions, PublisherStats};
use crate::shm::LeaseView;
use crate::socket::{self, Packet, Received, Sent, Wait};
use crate::subscriber::{ConnectError, Subscriber, SubscriberOptions};
use crate::wire::{Message, Reason, VERSION};

const PATIENCE: Duration = Duration::from_secs(20);

/// A stream with one honest subscriber, who must never notice anything.
struct Scene {
    _dir: tempfile::TempDir,
    publisher: Publisher<PoolFrame>,
    pool: MemfdPool,
    honest: Subscriber,
}

impl Scene {
    fn new() -> Self {
        Self::with(PublisherOptions::default())
    }

    fn with(options: PublisherOptions) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = crate::socket_path(dir.path(), "hostile");
        let budget = Budget {
            slots: 16,
            in_flight: 1,
            fences: 0,
        };
        let publisher = Publisher::bind(&path, PublisherOptions { budget, ..options }).unwrap();
        let format = Format::nv12_memfd(64, 48, (30, 1));
        publisher.set_format(format.clone());
        let pool = MemfdPool::new(&publisher, &format, 16).unwrap();
        let honest = Subscriber::connect(&path, SubscriberOptions::default()).unwrap();
        Self {
            _dir: dir,
            publisher,
            pool,
            honest,
        }
    }

    fn publish(&mut self) -> u64 {
        let frame = self.pool.acquire().expect("a free buffer");
        let seq = frame
            .publish(&self.publisher, FrameMeta::default())
            .unwrap();
        assert_eq!(
            self.honest.next().unwrap().seq(),
            seq,
            "the honest subscriber lost a frame"
        );
        seq
    }

    fn connect(&self) -> Raw {
        Raw {
            socket: socket::connect(self.publisher.path(), None).unwrap(),
        }
    }

    /// A peer that is through the handshake.
    fn started(&self, window: u32, hold: u32) -> (Raw, LeaseView) {
        let raw = self.connect();
        raw.send(&Message::Hello {
            min_version: VERSION,
            max_version: VERSION,
            window,
            hold,
            name: "raw".into(),
        });
        let mut page = None;
        loop {
            let packet = raw.receive().expect("the handshake goes on");
            match Message::decode(&packet.bytes).unwrap().unwrap() {
                Message::Welcome { .. } => {
                    page = Some(LeaseView::new(packet.fds[1].as_fd()).unwrap());
                }
                Message::BufferAdd { .. } => raw.send(&Message::BufferAck { count: 1 }),
                Message::Start => return (raw, page.unwrap()),
                _ => {}
            }
        }
    }

    fn wait(&self, what: &str, done: impl Fn(&PublisherStats) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(&self.publisher.stats()) {
            assert!(
                Instant::now() < deadline,
                "waited in vain: {what}; {:?}",
                self.publisher.stats()
            );
            std::thread::yield_now();
        }
    }
}

struct Raw {
    socket: OwnedFd,
}

impl Raw {
    fn send(&self, message: &Message) {
        assert_eq!(
            socket::send(self.socket.as_fd(), &message.encode(), &[]).unwrap(),
            Sent::Done
        );
    }

    /// The next packet, or `None` at the end of the connection.
    fn receive(&self) -> Option<Packet> {
        match socket::receive(self.socket.as_fd(), Wait::Yes) {
            Ok(Received::Packet(packet)) => Some(packet),
            Ok(Received::Gone) => None,
            other => panic!("{other:?}"),
        }
    }

    /// Why the producer ended the connection.
    fn last_words(&self) -> Reason {
        let mut reason = None;
        while let Some(packet) = self.receive() {
            if let Ok(Some(Message::Evict { reason: r, .. } | Message::Refused { reason: r, .. })) =
                Message::decode(&packet.bytes)
            {
                reason = Some(r);
            }
        }
        reason.expect("a reason")
    }
}

#[test]
fn garbage_instead_of_hello_is_refused() {
    let mut scene = Scene::new();
    for packet in [
        &b"hello"[..],
        &[0; 8],
        &[0xff; 600],
        &Message::Start.encode(),
    ] {
        let raw = scene.connect();
        socket::send(raw.socket.as_fd(), packet, &[]).unwrap();
        assert_eq!(raw.last_words(), Reason::Protocol);
        scene.publish();
    }
    assert_eq!(scene.publisher.stats().refused, 4);
}

#[test]
fn an_unknown_version_is_refused_by_name() {
    let scene = Scene::new();
    let raw = scene.connect();
    raw.send(&Message::Hello {
        min_version: 7,
        max_version: 9,
        window: 2,
        hold: 1,
        name: String::new(),
    });
    assert_eq!(raw.last_words(), Reason::Version);
}

#[test]
fn strange_lease_words_end_in_eviction() {
    let mut scene = Scene::new();
    let seq = scene.publish();
    for word in [0, u64::MAX, seq << 2 | 3, (seq + 1) << 2 | 2] {
        let (raw, page) = scene.started(2, 1);
        page.scribble(word);
        scene.publish();
        assert_eq!(raw.last_words(), Reason::BadLease, "{word:#x}");
        scene.wait("one subscriber is left", |s| s.subscribers.len() == 1);
    }
    scene.publish();
    assert_eq!(scene.publisher.stats().evicted, 4);
}

#[test]
fn holding_more_than_agreed_ends_in_eviction() {
    let mut scene = Scene::new();
    let (raw, page) = scene.started(4, 1);
    for seq in [scene.publish(), scene.publish()] {
        assert!((0..crate::shm::SLOTS).any(|slot| page.claim(slot, seq)));
    }
    scene.publish();
    assert_eq!(raw.last_words(), Reason::HoldExceeded);
}

#[test]
fn acknowledging_what_was_never_sent_ends_in_eviction() {
    let mut scene = Scene::new();
    let (raw, _page) = scene.started(2, 1);
    raw.send(&Message::BufferAck { count: 1 });
    assert_eq!(raw.last_words(), Reason::Protocol);
    scene.publish();
}

/// A message of a later version, which may be skipped.
fn unknown() -> Vec<u8> {
    let mut packet = Message::Start.encode();
    packet[0..4].copy_from_slice(&[200, 0, 0, 0]);
    packet
}

/// Neither says anything; each costs the producer a turn.
#[test]
fn messages_that_say_nothing_are_bounded() {
    let mut scene = Scene::new();
    let (raw, _page) = scene.started(2, 1);
    for _ in 0..20 {
        assert_eq!(
            socket::send(raw.socket.as_fd(), &unknown(), &[]).unwrap(),
            Sent::Done
        );
    }
    scene.publish();
    assert_eq!(scene.publisher.stats().evicted, 0, "a few are fine");
    while let Ok(Sent::Done | Sent::Full) = socket::send(raw.socket.as_fd(), &unknown(), &[]) {}
    assert_eq!(raw.last_words(), Reason::Protocol);
    let (raw, _page) = scene.started(2, 1);
    raw.send(&Message::BufferAck { count: 0 });
    assert_eq!(raw.last_words(), Reason::Protocol);
    scene.publish();
    assert_eq!(scene.publisher.stats().evicted, 2);
}

/// Far more silent peers than may greet at once keep nobody out for longer than their places turn over.
#[test]
fn silent_peers_make_room_for_those_who_speak() {
    let options = PublisherOptions {
        handshake_timeout: Duration::from_hours(1),
        ..PublisherOptions::default()
    };
    let mut scene = Scene::with(options);
    let silent: Vec<Raw> = (0..50).map(|_| scene.connect()).collect();
    let timeout = PATIENCE;
    let late = SubscriberOptions {
        timeout,
        ..SubscriberOptions::default()
    };
    let mut late = Subscriber::connect(scene.publisher.path(), late).unwrap();
    let seq = scene.publish();
    assert_eq!(late.next().unwrap().seq(), seq);
    assert_eq!(silent[0].last_words(), Reason::Timeout);
}

#[test]
fn a_handshake_that_takes_too_long_is_ended() {
    let options = PublisherOptions {
        handshake_timeout: Duration::from_millis(200),
        ..PublisherOptions::default()
    };
    let mut scene = Scene::with(options);
    // More slow ones than may greet at once, so that the last wait in the backlog for their turn.
    let silent: Vec<Raw> = (0..20).map(|_| scene.connect()).collect();
    for raw in &silent {
        assert_eq!(raw.last_words(), Reason::Timeout);
        scene.publish();
    }
    // One who greets but never acknowledges a buffer.
    let raw = scene.connect();
    raw.send(&Message::Hello {
        min_version: 1,
        max_version: 1,
        window: 2,
        hold: 1,
        name: String::new(),
    });
    assert_eq!(raw.last_words(), Reason::Timeout);
    scene.publish();
}

/// Whether the kernel keeps descriptors away from the producer.
fn refuses_descriptors(raw: &Raw) -> bool {
    let gift = memory::memfd("gift", 4096).unwrap();
    socket::send(raw.socket.as_fd(), &unknown(), &[gift.as_fd()])
        .is_err_and(|e| e.kind() == std::io::ErrorKind::PermissionDenied)
}

/// A socket whose last owner waits for an hour when closing it: what was sent over it is never read.
#[test]
fn a_descriptor_that_is_slow_to_close_stalls_nobody() {
    let mut scene = Scene::new();
    let (raw, _page) = scene.started(2, 1);
    if !refuses_descriptors(&raw) {
        // Before Linux 6.16 they are closed aside, as the tests there show.
        return;
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let slow = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let _never_reads = listener.accept().unwrap();
    slow.set_nonblocking(true).unwrap();
    while (&slow).write(&[0; 4096]).is_ok() {}
    let hour = Some(Duration::from_hours(1));
    rustix::net::sockopt::set_socket_linger(&slow, hour).unwrap();
    // What it waits for is kept away from the producer by an error here.
    socket::send(raw.socket.as_fd(), &unknown(), &[slow.as_fd()]).unwrap_err();
    rustix::net::sockopt::set_socket_linger(&slow, None).unwrap();
    drop(slow);
    drop(raw);
    scene.wait("the peer is gone", |s| s.subscribers.len() == 1);
    scene.publish();
}

#[test]
fn descriptors_that_nobody_asked_for_are_closed() {
    let mut scene = Scene::new();
    let (raw, _page) = scene.started(2, 1);
    let gift = memory::memfd("gift", 4096).unwrap();
    let open = |what: &str| {
        let links = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        links
            .filter(|e| {
                std::fs::read_link(e.path()).is_ok_and(|l| l.to_string_lossy().contains(what))
            })
            .count()
    };
    for _ in 0..50 {
        let packet = unknown();
        let sent = socket::send(raw.socket.as_fd(), &packet, &[gift.as_fd(), gift.as_fd()]);
        // Since Linux 6.16 the kernel refuses them; before, who sends some is cut off.
        assert!(matches!(sent, Ok(Sent::Done | Sent::Gone)) || refuses_descriptors(&raw));
    }
    socket::send(raw.socket.as_fd(), &Message::Bye.encode(), &[]).unwrap();
    scene.wait("the peer is gone", |s| s.subscribers.len() == 1);
    assert_eq!(open("memfd:gift"), 1, "ours is the only one left");
    scene.publish();
}

#[test]
fn a_peer_that_never_reads_fills_only_its_own_socket() {
    let mut scene = Scene::new();
    let (_raw, page) = scene.started(2, 1);
    for _ in 0..5000 {
        page.arm();
        scene.publish();
    }
    assert_eq!(scene.publisher.stats().evicted, 0);
    assert_eq!(scene.publisher.stats().subscribers.len(), 2);
}

#[test]
fn hammering_on_the_words_wins_nothing() {
    let mut scene = Scene::new();
    let (_raw, page) = scene.started(2, 1);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut word = 1_u64;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                page.scribble(word);
            }
        });
        for _ in 0..2000 {
            scene.publish();
        }
        scene.wait("the peer is cut off", |s| {
            s.evicted == 1 && s.subscribers.len() == 1
        });
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn a_user_who_is_not_on_the_list_is_refused() {
    let access = Access {
        uids: vec![],
        gids: vec![],
    };
    let dir = tempfile::tempdir().unwrap();
    let path = crate::socket_path(dir.path(), "closed");
    let _publisher = Publisher::<()>::bind(
        &path,
        PublisherOptions {
            access,
            ..Default::default()
        },
    )
    .unwrap();
    match Subscriber::connect(&path, SubscriberOptions::default()).unwrap_err() {
        ConnectError::Refused {
            reason: Reason::NotAllowed,
            text,
            ..
        } => assert!(text.contains("uid"), "{text}"),
        other => panic!("{other}"),
    }
}

#[test]
fn a_stream_that_makes_new_buffers_for_ever_keeps_no_more_than_its_budget() {
    let mut scene = Scene::new();
    scene.publisher.set_budget(Budget {
        slots: 16,
        in_flight: 1,
        fences: 0,
    });
    let layout = crate::Layout::nv12(64, 48);
    let spare = scene.pool.acquire().unwrap();
    for _ in 0..1000 {
        let fd = memory::memfd("unpooled", layout.bytes_of(0)).unwrap();
        memory::seal_read_only(fd.as_fd()).unwrap();
        scene.publisher.import(&[fd.as_fd()], &layout).unwrap();
        assert!(scene.publisher.stats().buffers <= 17);
    }
    drop(spare);
    assert!(matches!(scene.honest.try_next(), Ok(None)));
}

/// Another subscriber's hold keeps a buffer of an epoch alive whose FORMAT the slow one never got.
#[test]
fn formats_that_change_while_a_subscriber_joins_do_not_confuse_it() {
    let mut scene = Scene::new();
    let raw = scene.connect();
    raw.send(&Message::Hello {
        min_version: VERSION,
        max_version: VERSION,
        window: 2,
        hold: 1,
        name: "slow".into(),
    });
    scene.wait("the slow one is known", |s| s.subscribers.len() == 2);
    // It does not acknowledge, so the second epoch waits in its outbox.
    let format = Format::nv12_memfd(32, 16, (30, 1));
    scene.publisher.set_format(format.clone());
    scene.pool = MemfdPool::new(&scene.publisher, &format, 4).unwrap();
    let frame = scene.pool.acquire().expect("a free buffer");
    frame
        .publish(&scene.publisher, FrameMeta::default())
        .unwrap();
    let held = scene.honest.next().unwrap();
    assert_eq!(held.epoch(), 2);
    scene
        .publisher
        .set_format(Format::nv12_memfd(16, 16, (30, 1)));
    let mut epochs = Vec::new();
    loop {
        let packet = raw.receive().expect("the handshake goes on");
        match Message::decode(&packet.bytes).unwrap().unwrap() {
            Message::Format { epoch, .. } => epochs.push(epoch),
            Message::BufferAdd { epoch, slot, .. } => {
                assert!(
                    epochs.contains(&epoch),
                    "buffer {slot} of epoch {epoch}, whose format never came"
                );
                raw.send(&Message::BufferAck { count: 1 });
            }
            _ => {}
        }
        if epochs.last() == Some(&3) {
            break;
        }
    }
    drop(held);
}
