//! Property 7: full sockets, in either or both directions, stop nobody but the peer that does not read; and descriptors that one
//! peer leaves unread never keep another from getting its own, although the kernel counts them per user.

use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::Duration;

use mos_frame::{Publisher, PublisherOptions, Reason, Subscriber, SubscriberOptions};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::common::{PATIENCE, Stream, make_pool, publish_stamped, wait_until};
use crate::faults::{Joined, Raw, kind, packet};
use crate::parts::Part;
use crate::runner::Properties;

pub(crate) fn list(properties: &mut Properties) {
    properties.add(
        "p07_nobody_fills_anothers_socket",
        &[
            ("both_directions_full", both_directions_full),
            (
                "both_directions_full_and_the_producer_stopped",
                stopped_producer,
            ),
            ("bells_that_nobody_reads", bells_nobody_reads),
            ("who_reads_again_has_missed_no_message", reads_again),
            ("unread_descriptors_of_an_ordinary_user", unread_descriptors),
        ],
    );
}

/// Sends messages that may be skipped until the kernel takes no more; how many it took.
fn fill(raw: &Raw) -> usize {
    let mut idle = packet(900, &[]);
    idle[2] = 0;
    let takes = |_: &usize| raw.try_send(&idle, &[], SendFlags::DONTWAIT).is_ok();
    (0..100_000).take_while(takes).count()
}

/// The peers flood the producer, read nothing and ask for a ring with every frame.
fn both_directions_full() {
    let stream = Stream::new(16);
    let mut healthy = stream.subscribe(2, 1);
    let peers: Vec<Joined> = (0..3).map(|_| Raw::join(&stream.path, 2, 1)).collect();
    thread::scope(|scope| {
        for peer in &peers {
            scope.spawn(|| {
                for _ in 0..1000 {
                    fill(&peer.raw);
                    peer.page.arm();
                }
            });
        }
        for _ in 0..3000 {
            for peer in &peers {
                peer.page.arm();
            }
            let seq = stream.publish();
            let frame = healthy.next_timeout(PATIENCE).unwrap().expect("a frame");
            assert_eq!(frame.seq(), seq, "the healthy subscriber lost a frame");
        }
    });
    for peer in &peers {
        // Where its socket is full to the last byte there is no room for the reason either: then it sees the end alone.
        if let Some((reason, text)) = peer.raw.last_words() {
            assert_eq!(reason, Reason::Protocol as u16, "{text}");
        }
    }
    let stats = stream.publisher.stats();
    assert_eq!(stats.evicted, 3);
    let as_told = |e: &mos_frame::Refusal| e.reason == Reason::Protocol;
    assert!(stats.evictions.iter().all(as_told), "{:?}", stats.evictions);
    let mut late = stream.subscribe(2, 1);
    assert_eq!(late.next().unwrap().seq(), 3000);
    drop(late);
    stream.wait_for_subscribers(1);
}

/// Neither end reads: the producer's process stands still, and what it sent before is left in the peer's socket.
fn stopped_producer() {
    let dir = tempfile::tempdir().unwrap();
    let path = mos_frame::socket_path(dir.path(), "test");
    let mut producer = Part::Produce.start(&path);
    assert_eq!(producer.line(), "published");
    let mut honest = Subscriber::connect(&path, SubscriberOptions::default()).unwrap();
    drop(honest.next().unwrap());
    let peer = Raw::join(&path, 2, 1);
    for _ in 0..20 {
        producer.ask("renew");
        assert_eq!(producer.line(), "published");
    }
    producer.stop();
    assert!(fill(&peer.raw) > 64, "the producer does not read");
    // Nobody waits for the one that stands still.
    while honest.try_next().unwrap().is_some() {}
    producer.resume();
    // It first has to read what the honest one acknowledges, of the many buffers that came meanwhile.
    wait_until("a frame of the newest format", || {
        producer.ask("renew");
        assert_eq!(producer.line(), "published");
        let frame = honest.next_timeout(Duration::from_millis(50)).unwrap();
        frame.is_some_and(|frame| frame.epoch() > 21)
    });
    let (reason, text) = peer.raw.last_words().expect("a reason");
    assert_eq!(reason, Reason::Protocol as u16, "{text}");
}

fn bells_nobody_reads() {
    let stream = Stream::new(8);
    let mut healthy = stream.subscribe(2, 1);
    let peer = Raw::join(&stream.path, 2, 1);
    for _ in 0..5000 {
        peer.page.arm();
        let seq = stream.publish();
        assert_eq!(healthy.next().unwrap().seq(), seq);
    }
    let stats = stream.publisher.stats();
    assert_eq!(
        (stats.evicted, stats.subscribers.len()),
        (0, 2),
        "asking for rings is no offence"
    );
    let mut bells = 0;
    while let Ok(Some(packet)) = peer.raw.try_receive(RecvFlags::DONTWAIT) {
        assert_eq!(packet.kind, kind::BELL);
        bells += 1;
    }
    assert!(
        (1..5000).contains(&bells),
        "the socket was full: {bells} bells in it"
    );
}

/// Its socket was full while formats and buffers changed; what it reads then is whole and in order.
fn reads_again() {
    let stream = Stream::new(16);
    let peer = Raw::join(&stream.path, 2, 1);
    for _ in 0..2000 {
        peer.page.arm();
        stream.publish();
    }
    let mut pool = None;
    for round in 0..40 {
        pool = Some(make_pool(&stream.publisher, 32 + 2 * round, 32, 4));
        publish_stamped(&stream.publisher, pool.as_ref().unwrap());
    }
    let (mut epochs, mut adds) = (vec![1], Vec::new());
    while adds.last() != Some(&41) || adds.iter().filter(|e| **e == 41).count() < 4 {
        let packet = peer.raw.receive().expect("the connection goes on");
        match packet.kind {
            kind::FORMAT => epochs.push(packet.u32(0)),
            kind::BUFFER_ADD => {
                let epoch = packet.u32(8);
                assert!(
                    epochs.contains(&epoch),
                    "a buffer of epoch {epoch} before its format"
                );
                assert_eq!(packet.fds.len(), 1);
                adds.push(epoch);
                peer.raw.acknowledge(1);
            }
            _ => assert!(packet.reason().is_none(), "cut off: {:?}", packet.reason()),
        }
    }
    assert!(
        epochs.is_sorted() && adds.is_sorted(),
        "{epochs:?} {adds:?}"
    );
    assert_eq!(epochs.last(), Some(&41));
    // It is served again.
    wait_until("an offer of the new epoch", || {
        publish_stamped(&stream.publisher, pool.as_ref().unwrap());
        peer.page.offers().next().is_some()
    });
}

/// The kernel's limit for root is none, so this runs as somebody else.
fn unread_descriptors() {
    const LIMIT: u64 = 1024;
    let name = "p07_nobody_fills_anothers_socket::unread_descriptors_of_an_ordinary_user";
    if let Err(why) = become_ordinary() {
        return mos_testkit::skip::skip(name, &why).unwrap();
    }
    let most = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: Some(LIMIT),
        maximum: most,
    };
    setrlimit(Resource::Nofile, limit).unwrap();
    if !limit_is_real(LIMIT) {
        let why = "this kernel does not limit the descriptors in flight";
        return mos_testkit::skip::skip(name, why).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let path = mos_frame::socket_path(dir.path(), "test");
    let options = PublisherOptions {
        handshake_timeout: Duration::from_hours(1),
        ..Default::default()
    };
    let publisher = Publisher::bind(&path, options).unwrap();
    let mut pool = make_pool(&publisher, 64, 48, 64);
    publish_stamped(&publisher, &pool);
    // Half of them stop in the handshake, half after it; together they are owed 64 descriptors each.
    let greeted: Vec<Raw> = (0..17).map(|_| Raw::connect(&path)).collect();
    for raw in &greeted {
        raw.hello(2, 1, "unread");
    }
    let joined: Vec<Joined> = (0..17).map(|_| Raw::join(&path, 2, 1)).collect();
    pool = {
        let fresh = make_pool(&publisher, 32, 32, 64);
        drop(pool);
        fresh
    };
    publish_stamped(&publisher, &pool);
    for _ in 0..5 {
        let mut honest = Subscriber::connect(
            &path,
            SubscriberOptions {
                timeout: PATIENCE,
                ..Default::default()
            },
        )
        .expect("a handshake among those who don't read");
        assert_eq!(honest.next().unwrap().seq(), publisher.newest_seq());
        // Every buffer was made known to it: it sees a frame in each.
        for _ in 0..64 {
            let seq = publish_stamped(&publisher, &pool);
            assert_eq!(honest.next().unwrap().seq(), seq);
        }
        let infos = publisher.stats().subscribers;
        let honest = infos.iter().max_by_key(|info| info.id).unwrap();
        assert_eq!(honest.counters.skipped, 0);
    }
    assert_eq!(publisher.stats().evicted, 0);
    drop((greeted, joined));
}

/// Root becomes `nobody`, for the rest of this scenario's process.
fn become_ordinary() -> Result<(), String> {
    const NOBODY: u32 = 65_534;
    if rustix::process::geteuid().is_root() {
        let user = rustix::process::Uid::from_raw(NOBODY);
        // Of this thread alone; no other was started yet, and later ones inherit it.
        rustix::thread::set_thread_res_uid(user, user, user)
            .map_err(|error| format!("this process can't become another user: {error}"))?;
    }
    Ok(())
}

/// Whether this user's descriptors in flight are limited by `limit` or a little more (unix(7), ETOOMANYREFS).
fn limit_is_real(limit: u64) -> bool {
    let kind = SocketType::SEQPACKET;
    let pair = || rustix::net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None);
    let pairs: Vec<(OwnedFd, OwnedFd)> = (0..16).map(|_| pair().unwrap()).collect();
    let mut sent = 0;
    for (ours, _theirs) in &pairs {
        let raw = Raw {
            socket: ours.try_clone().unwrap(),
        };
        loop {
            let gift = [pairs[0].0.as_fd(); 32];
            match raw.try_send(b"x", &gift, SendFlags::DONTWAIT) {
                Ok(()) => sent += gift.len() as u64,
                Err(Errno::TOOMANYREFS) => return true,
                Err(_) => break,
            }
            if sent > 4 * limit {
                return false;
            }
        }
    }
    false
}
