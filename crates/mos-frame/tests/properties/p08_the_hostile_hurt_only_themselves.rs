//! Property 8: whatever a peer does to the socket, its lease page or its descriptors, the worst that happens is that it is cut
//! off, with a reason that it can read and that is counted. Its neighbours lose no frame, the producer no descriptor.

use std::os::fd::AsFd;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

use mos_frame::{PublisherOptions, Reason, Subscriber};
use rustix::fs::{FallocateFlags, SealFlags};
use rustix::io::Errno;
use rustix::net::SendFlags;

use crate::common::{PATIENCE, Stream, assert_whole, own, wait_until};
use crate::faults::{Dice, Joined, Raw, State, kind, packet};
use crate::parts::Part;
use crate::runner::Properties;

pub(crate) fn list(properties: &mut Properties) {
    properties.add(
        "p08_the_hostile_hurt_only_themselves",
        &[
            ("whatever_a_subscriber_does", hostile_subscribers),
            ("whatever_is_said_instead_of_hello", hostile_greetings),
            ("however_slow_the_handshake", slow_handshakes),
            ("however_fast_the_words_change", hammering),
            ("what_is_legal_is_no_offence", legal_oddities),
        ],
    );
}

struct Scene {
    stream: Stream,
    neighbour: Subscriber,
}

impl Scene {
    fn new(options: PublisherOptions) -> Self {
        let stream = Stream::with(16, options);
        let neighbour = stream.subscribe(2, 1);
        Self { stream, neighbour }
    }

    /// Each frame reaches the neighbour.
    fn go_on(&mut self, frames: usize) {
        for _ in 0..frames {
            let seq = self.stream.publish();
            let frame = self
                .neighbour
                .next_timeout(PATIENCE)
                .unwrap()
                .expect("a frame");
            assert_eq!(frame.seq(), seq, "the neighbour lost a frame");
            assert_whole(&frame);
        }
    }
}

/// What a subscriber does once it is in. What it gets for it stands beside.
#[derive(Debug, Clone, Copy)]
enum Act {
    RandomWords,
    FutureSequence,
    ForgedRevocation,
    OfferedAgain,
    Hole,
    HoldTooMany,
    AckOfNothing,
    AckOfZero,
    Chatter,
    SecondHello,
    ProducersMessage,
    UnknownCritical,
    WrongLength,
    Garbage,
    TooLong,
    TooManyDescriptors,
}

const ACTS: [(Act, Reason); 16] = [
    (Act::RandomWords, Reason::BadLease),
    (Act::FutureSequence, Reason::BadLease),
    (Act::ForgedRevocation, Reason::BadLease),
    (Act::OfferedAgain, Reason::BadLease),
    (Act::Hole, Reason::BadLease),
    (Act::HoldTooMany, Reason::HoldExceeded),
    (Act::AckOfNothing, Reason::Protocol),
    (Act::AckOfZero, Reason::Protocol),
    (Act::Chatter, Reason::Protocol),
    (Act::SecondHello, Reason::Protocol),
    (Act::ProducersMessage, Reason::Protocol),
    (Act::UnknownCritical, Reason::Protocol),
    (Act::WrongLength, Reason::Protocol),
    (Act::Garbage, Reason::Protocol),
    (Act::TooLong, Reason::Protocol),
    (Act::TooManyDescriptors, Reason::Protocol),
];

/// A message of a later version that this one may skip.
fn skippable() -> Vec<u8> {
    let mut later = packet(900, &[1, 2, 3]);
    later[2] = 0;
    later
}

/// Does it, with three frames on offer.
fn act(act: Act, peer: &Joined, dice: &mut Dice) {
    let page = &peer.page;
    let (slot, seq) = page.offers().next().expect("a frame is on offer");
    let held = |seq: u64| seq << 2 | State::Held as u64;
    let send = |bytes: &[u8]| peer.raw.send(bytes);
    match act {
        Act::RandomWords => (0..256).for_each(|slot| page.word(slot).store(dice.next(), Relaxed)),
        Act::FutureSequence => page
            .word(slot)
            .store(held(seq + dice.within(1..1000)), Release),
        Act::ForgedRevocation => page
            .word(slot)
            .store(seq << 2 | State::Revoked as u64, Release),
        Act::OfferedAgain => {
            // The word of a frame that left the window, back from the dead.
            let word = page.word(slot).load(Acquire);
            page.scribble(word);
        }
        Act::Hole => {
            let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            rustix::fs::fallocate(&page.fd, hole, 0, 4096).unwrap();
        }
        Act::HoldTooMany => {
            let offers: Vec<_> = page.offers().collect();
            assert!(offers.len() >= 2 && offers.iter().all(|(slot, seq)| page.claim(*slot, *seq)));
        }
        Act::AckOfNothing => peer
            .raw
            .acknowledge(dice.within(1..u64::from(u32::MAX)) as u32),
        Act::AckOfZero => peer.raw.acknowledge(0),
        Act::Chatter => {
            // A message that may be skipped, far more often than anybody has reason to send one.
            let unknown = skippable();
            // Some come too late to be taken.
            while peer.raw.try_send(&unknown, &[], SendFlags::empty()).is_ok() {}
        }
        Act::SecondHello => peer.raw.hello(2, 1, "again"),
        Act::ProducersMessage => {
            let kinds = [
                kind::WELCOME,
                kind::REFUSED,
                kind::FORMAT,
                kind::BUFFER_ADD,
                kind::START,
            ];
            send(&packet(dice.pick(&kinds), &dice.bytes(100)));
        }
        Act::UnknownCritical => send(&packet(dice.within(1000..60_000) as u16, &[])),
        Act::WrongLength => {
            let mut bytes = packet(kind::BUFFER_ACK, &[0; 4]);
            bytes[4] = bytes[4].wrapping_add(dice.within(1..256) as u8);
            send(&bytes);
        }
        Act::Garbage => {
            let len = dice.within(1..1024) as usize;
            let mut bytes = dice.bytes(len);
            // A length that is wrong for certain, where there is one.
            bytes.iter_mut().skip(4).take(4).for_each(|b| *b = 0xff);
            send(&bytes);
        }
        Act::TooLong => send(&dice.bytes(4000)),
        Act::TooManyDescriptors => {
            let gift = vec![page.fd.as_fd(); dice.within(8..65) as usize];
            let ack = packet(kind::BUFFER_ACK, &[0; 4]);
            match peer.raw.try_send(&ack, &gift, SendFlags::empty()) {
                // Since Linux 6.16 the kernel refuses them; the acknowledgement of nothing is an offence by itself.
                Err(Errno::PERM) => send(&ack),
                sent => sent.unwrap(),
            }
        }
    }
}

fn hostile_subscribers() {
    let mut dice = Dice::from_env();
    let mut scene = Scene::new(PublisherOptions::default());
    scene.go_on(3);
    drop(Raw::join(&scene.stream.path, 2, 1));
    scene.stream.wait_for_subscribers(1);
    let fds = own::fds();
    for round in 0..210_u64 {
        let (what, reason) = ACTS[dice.index(ACTS.len())];
        let peer = Raw::join(&scene.stream.path, 4, 1);
        scene.go_on(3);
        println!("round {round}: {what:?}");
        act(what, &peer, &mut dice);
        // An offence on the page shows with the next look at it, here within the window.
        scene.go_on(4);
        let (number, text) = peer.raw.last_words().expect("a reason");
        assert_eq!(number, reason as u16, "{what:?}: {text}");
        assert!(!text.is_empty(), "{what:?}");
        assert!(page_is_void(&peer), "{what:?}: a lease is left on its page");
        scene.stream.wait_for_subscribers(1);
        assert_eq!(
            scene.stream.publisher.stats().evicted,
            round + 1,
            "{what:?}"
        );
        drop(peer);
        wait_until("its descriptors to be closed", || own::fds() <= fds);
    }
    assert_eq!(scene.neighbour.stats().missed, 0);
}

/// Its handles see that their frames are void.
fn page_is_void(peer: &Joined) -> bool {
    peer.page.in_state(State::Held).next().is_none()
        && peer.page.in_state(State::Offered).next().is_none()
}

fn hostile_greetings() {
    let mut dice = Dice::from_env();
    let mut scene = Scene::new(PublisherOptions::default());
    scene.go_on(3);
    let fds = own::fds();
    let hello = |versions: [u16; 2], window: u32, hold: u32| {
        let mut body = Vec::from(*b"MOSF");
        for version in versions {
            body.extend(version.to_le_bytes());
        }
        body.extend(window.to_le_bytes());
        body.extend(hold.to_le_bytes());
        body.extend(0_u16.to_le_bytes());
        packet(kind::HELLO, &body)
    };
    let mut refused = 0;
    for _ in 0..20 {
        let mut garbage = dice.bytes(64);
        garbage[4..8].fill(0xff);
        let cut = hello([1, 1], 2, 1);
        let cases = [
            (garbage, Reason::Protocol),
            (dice.bytes(3), Reason::Protocol),
            (dice.bytes(2000), Reason::Protocol),
            (
                cut[..dice.within(8..26) as usize].to_vec(),
                Reason::Protocol,
            ),
            (packet(kind::HELLO, &dice.bytes(40)), Reason::Protocol),
            (packet(kind::BUFFER_ACK, &[1, 0, 0, 0]), Reason::Protocol),
            (packet(kind::START, &[]), Reason::Protocol),
            (hello([7, 9], 2, 1), Reason::Version),
            (hello([0, 0], 2, 1), Reason::Version),
            (hello([9, 7], 2, 1), Reason::Version),
            (hello([1, 1], 0, 1), Reason::BadRequest),
            (hello([1, 1], u32::MAX, 1), Reason::BadRequest),
            (hello([1, 1], 2, u32::MAX), Reason::BadRequest),
            (hello([1, 1], 64, 64), Reason::OverBudget),
        ];
        for (bytes, reason) in cases {
            let raw = Raw::connect(&scene.stream.path);
            raw.send(&bytes);
            scene.go_on(1);
            let (number, text) = raw.last_words().expect("a reason");
            assert_eq!(number, reason as u16, "{text}; it was for {bytes:x?}");
            refused += 1;
        }
    }
    assert_eq!(scene.stream.publisher.stats().refused, refused);
    wait_until("all descriptors", || own::fds() <= fds);
}

/// As many at once as may greet, and more, each at another step of a handshake that it never ends.
fn slow_handshakes() {
    let options = PublisherOptions {
        handshake_timeout: Duration::from_millis(300),
        ..Default::default()
    };
    let mut scene = Scene::new(options);
    scene.go_on(3);
    let slow: Vec<Raw> = (0..24)
        .map(|n| {
            let raw = Raw::connect(&scene.stream.path);
            if n % 3 > 0 {
                raw.hello(2, 0, "slow");
            }
            if n % 3 > 1 {
                // Not one of the messages that it reads is ever acknowledged.
                raw.receive_kind(kind::BUFFER_ADD);
            }
            raw
        })
        .collect();
    for raw in &slow {
        let (number, text) = raw.last_words().expect("a reason");
        assert_eq!(number, Reason::Timeout as u16, "{text}");
        scene.go_on(5);
    }
    // The honest get in meanwhile, or at the latest then.
    let mut next = scene.stream.subscribe(2, 1);
    assert!(next.next_timeout(PATIENCE).unwrap().is_some());
}

fn hammering() {
    let mut scene = Scene::new(PublisherOptions::default());
    scene.go_on(3);
    for seed in 0..5 {
        let mut peer = Part::Hammer { seed }.start(&scene.stream.path);
        assert_eq!(peer.line(), "joined");
        let deadline = std::time::Instant::now() + PATIENCE;
        while scene.stream.publisher.stats().evicted == seed {
            scene.go_on(10);
            assert!(std::time::Instant::now() < deadline, "it was never cut off");
        }
        // More frames marked as held than agreed are an offence of another name, and a swift hand may manage that first.
        let offences = [Reason::BadLease, Reason::HoldExceeded];
        let said = offences.map(|reason| format!("cut off: {}", reason as u16));
        let line = peer.line();
        assert!(said.contains(&line), "{line}");
        peer.kill();
        scene.stream.wait_for_subscribers(1);
    }
    scene.go_on(100);
    assert_eq!(scene.neighbour.stats().missed, 0);
}

/// The newest frame that is on offer; there has to be one.
fn served(peer: &Joined) -> (usize, u64) {
    let newest = peer.page.offers().max_by_key(|(_, seq)| *seq);
    newest.unwrap_or_else(|| {
        panic!(
            "nothing is on offer; last words: {:?}",
            peer.raw.last_words()
        )
    })
}

/// What looks odd but hurts nobody: the peer stays, and is served.
fn legal_oddities() {
    let mut scene = Scene::new(PublisherOptions::default());
    scene.go_on(3);
    let peer = Raw::join(&scene.stream.path, 2, 1);
    let sealed = |fd| {
        for seal in [SealFlags::WRITE, SealFlags::FUTURE_WRITE, SealFlags::SEAL] {
            assert_eq!(
                rustix::fs::fcntl_add_seals(fd, seal),
                Err(Errno::PERM),
                "{seal:?}"
            );
        }
        assert_eq!(rustix::fs::ftruncate(fd, 0), Err(Errno::PERM));
        assert_eq!(rustix::fs::ftruncate(fd, 1 << 20), Err(Errno::PERM));
    };
    sealed(&peer.page.fd);
    sealed(&peer.board.fd);
    // A message of the future that may be skipped.
    peer.raw.send(&skippable());
    // An offer that is declined counts as taken.
    scene.go_on(1);
    let (slot, seq) = served(&peer);
    peer.page
        .word(slot)
        .store(seq << 2 | State::Free as u64, Release);
    // A look at a frame that one has already given back changes nothing.
    assert!(!peer.page.release(slot, seq));
    scene.go_on(50);
    assert_eq!(peer.board.head(), scene.stream.publisher.newest_seq());
    let (slot, seq) = served(&peer);
    assert!(peer.page.claim(slot, seq) && peer.page.release(slot, seq));
    scene.go_on(1);
    let stats = scene.stream.publisher.stats();
    assert_eq!((stats.evicted, stats.subscribers.len()), (0, 2));
}
