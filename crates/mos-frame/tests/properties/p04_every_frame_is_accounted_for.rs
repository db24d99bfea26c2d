//! Property 4: offered = claimed (released or held) + recalled + skipped + still offered, for every subscriber, always; and no
//! buffer is given back twice, or too early.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use mos_frame::LeaseCounters;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::common::{PATIENCE, Stream, wait_until};
use crate::faults::{Dice, Joined, Raw, State};
use crate::runner::Properties;

pub(crate) fn list(properties: &mut Properties) {
    properties.add(
        "p04_every_frame_is_accounted_for",
        &[
            ("after_every_step_as_a_model_says", model),
            ("at_random_moments_under_load", under_load),
            ("for_who_takes_only_some", who_takes_only_some),
        ],
    );
}

// ---- against a model -------------------------------------------------------------------------------------------------

/// What may happen; numbers choose among what is there.
#[derive(Debug, Clone, Copy)]
enum Op {
    Publish,
    Claim { who: usize, which: usize },
    Release { who: usize, which: usize },
    Join { window: u32, hold: u32 },
    Leave { who: usize },
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let number = || 0..64_usize;
    let op = prop_oneof![
        6 => Just(Op::Publish),
        5 => (number(), number()).prop_map(|(who, which)| Op::Claim { who, which }),
        4 => (number(), number()).prop_map(|(who, which)| Op::Release { who, which }),
        1 => (1..5_u32, 0..4_u32).prop_map(|(window, hold)| Op::Join { window, hold }),
        1 => number().prop_map(|who| Op::Leave { who }),
    ];
    prop::collection::vec(op, 1..80)
}

const MOST: usize = 3;
/// One in flight, the widest window, the largest holds.
const BUFFERS: u32 = 1 + 4 + 3 * MOST as u32;

/// One subscriber as it should be, beside the real one.
struct Modelled {
    peer: Joined,
    window: u64,
    hold: usize,
    offered: BTreeSet<u64>,
    held: BTreeSet<u64>,
    counters: LeaseCounters,
}

impl Modelled {
    fn join(stream: &Stream, window: u32, hold: u32) -> Self {
        let mut new = Self {
            peer: Raw::join(&stream.path, window, hold),
            window: u64::from(window),
            hold: hold as usize,
            offered: BTreeSet::new(),
            held: BTreeSet::new(),
            counters: LeaseCounters::default(),
        };
        let newest = stream.publisher.newest_seq();
        if newest > 0 {
            new.offer(newest);
        }
        new
    }

    fn offer(&mut self, seq: u64) {
        self.offered.insert(seq);
        self.counters.offered += 1;
        let outside = |q: &u64| q + self.window <= seq;
        let before = self.offered.len();
        self.offered.retain(|q| !outside(q));
        self.counters.recalled += (before - self.offered.len()) as u64;
        if self.hold == 0 {
            let before = self.held.len();
            self.held.retain(|q| !outside(q));
            self.counters.revoked += (before - self.held.len()) as u64;
        }
    }

    fn claim(&mut self, which: usize) {
        let most = if self.hold == 0 { 64 } else { self.hold };
        let Some(seq) = nth(&self.offered, which).filter(|_| self.held.len() < most) else {
            return;
        };
        assert!(self.peer.page.claim(self.slot(seq, State::Offered), seq));
        self.offered.remove(&seq);
        self.held.insert(seq);
        self.counters.claimed += 1;
    }

    fn release(&mut self, which: usize) {
        if let Some(seq) = nth(&self.held, which) {
            assert!(self.peer.page.release(self.slot(seq, State::Held), seq));
            self.held.remove(&seq);
        }
    }

    fn slot(&self, seq: u64, state: State) -> usize {
        let mut slots = self.peer.page.in_state(state);
        slots.find(|(_, q)| *q == seq).expect("the model's frame").0
    }
}

fn nth(set: &BTreeSet<u64>, which: usize) -> Option<u64> {
    set.iter().copied().nth(which % set.len().max(1))
}

fn run(ops: &[Op]) {
    let stream = Stream::new(BUFFERS);
    let mut all: Vec<Modelled> = Vec::new();
    for op in ops {
        let among = all.len().max(1);
        match *op {
            Op::Publish => {
                let seq = stream.publish();
                for m in &mut all {
                    m.offer(seq);
                }
            }
            Op::Claim { who, which } => {
                if let Some(m) = all.get_mut(who % among) {
                    m.claim(which);
                }
            }
            Op::Release { who, which } => {
                if let Some(m) = all.get_mut(who % among) {
                    m.release(which);
                }
            }
            Op::Join { window, hold } if all.len() < MOST => {
                all.push(Modelled::join(&stream, window, hold));
            }
            Op::Leave { who } if !all.is_empty() => {
                drop(all.swap_remove(who % among));
                stream.wait_for_subscribers(all.len());
            }
            Op::Join { .. } | Op::Leave { .. } => {}
        }
        check(&stream, &all);
    }
}

fn check(stream: &Stream, all: &[Modelled]) {
    let infos = stream.info();
    assert_eq!(infos.len(), all.len());
    let mut busy = BTreeSet::new();
    busy.extend(Some(stream.publisher.newest_seq()).filter(|newest| *newest > 0));
    for m in all {
        let info = infos.iter().find(|i| i.id == m.peer.id).expect("a book");
        let expected = LeaseCounters {
            held: m.held.len() as u32,
            max_held: info.counters.max_held,
            ..m.counters
        };
        assert_eq!(info.counters, expected);
        let c = &info.counters;
        assert_eq!(c.offered, c.claimed + c.recalled + m.offered.len() as u64);
        let on_page = |state| {
            m.peer
                .page
                .in_state(state)
                .map(|(_, q)| q)
                .collect::<BTreeSet<_>>()
        };
        assert_eq!(on_page(State::Offered), m.offered);
        assert_eq!(on_page(State::Held), m.held);
        busy.extend(&m.offered);
        busy.extend(&m.held);
    }
    // The control thread may be about to give one back; a buffer given back twice would stay one too many.
    let free = BUFFERS as usize - busy.len();
    wait_until(&format!("{free} free buffers"), || {
        stream.pool.free_count() == free
    });
}

fn model() {
    let mut dice = Dice::from_env();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &dice.bytes(32));
    let config = Config {
        cases: 60,
        failure_persistence: None,
        max_shrink_time: 20_000,
        ..Config::default()
    };
    let result = TestRunner::new_with_rng(config, rng).run(&ops(), |ops| {
        std::panic::catch_unwind(|| run(&ops)).map_err(|_| TestCaseError::fail("see above"))
    });
    result.unwrap();
}

// ---- against the library's own subscribers ---------------------------------------------------------------------------

fn under_load() {
    const FRAMES: usize = 40_000;
    let mut dice = Dice::from_env();
    let stream = Stream::new(16);
    let shapes = [(1, 1, 0), (2, 1, 1), (4, 2, 40), (3, 0, 400)];
    let mut subscribers = shapes.map(|(window, hold, _)| stream.subscribe(window, hold));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for (subscriber, (_, _, pause)) in subscribers.iter_mut().zip(shapes) {
            let (mut dice, over) = (Dice::from_seed(dice.next()), &over);
            scope.spawn(move || {
                while let Some(frame) = next_unless(subscriber, over) {
                    // Works on some frames for a while.
                    for _ in 0..dice.within(0..pause + 1) {
                        std::hint::spin_loop();
                    }
                    drop(frame);
                }
            });
        }
        for _ in 0..FRAMES {
            stream.publish();
            if dice.one_in(50) {
                check_sums(&stream);
            }
        }
        over.store(true, Ordering::Release);
    });
    // All are asleep: what is not claimed or recalled is on offer still, and now taken.
    for subscriber in &mut subscribers {
        while subscriber.try_next().unwrap().is_some() {}
    }
    let published = stream.publisher.newest_seq();
    for info in stream.info() {
        let c = info.counters;
        assert_eq!(
            c.offered, published,
            "all were there from the first frame: {info:?}"
        );
        assert_eq!(c.offered, c.claimed + c.recalled, "{info:?}");
        let subscriber = &subscribers[info.id as usize - 1];
        // A frame that is revoked right after its claim is never handed out (hold 0 only).
        let lost = c.claimed - subscriber.stats().received;
        assert!(lost <= c.revoked, "{info:?}");
    }
    wait_until("all buffers but the newest", || {
        stream.pool.free_count() == 15
    });
}

fn next_unless(
    subscriber: &mut mos_frame::Subscriber,
    over: &AtomicBool,
) -> Option<mos_frame::Frame> {
    loop {
        let within = std::time::Duration::from_millis(20);
        if let Some(frame) = subscriber.next_timeout(within).unwrap() {
            return Some(frame);
        }
        if over.load(Ordering::Acquire) {
            return None;
        }
    }
}

/// What holds at any moment, whatever the subscribers are doing.
fn check_sums(stream: &Stream) {
    for info in stream.info() {
        let c = info.counters;
        let open = c.offered.checked_sub(c.claimed + c.recalled);
        let fits = open.is_some_and(|open| open <= u64::from(info.window));
        assert!(fits && c.skipped == 0, "{info:?}");
    }
    assert_eq!(stream.publisher.stats().evicted, 0);
}

fn who_takes_only_some() {
    let stream = Stream::new(12);
    let mut subscribers: Vec<_> = [(1, 1), (2, 1), (4, 2)]
        .map(|(n, h)| stream.subscribe(n, h))
        .into();
    for round in 0..300_usize {
        let seq = stream.publish();
        for (index, subscriber) in subscribers.iter_mut().enumerate() {
            if round.is_multiple_of(index + 2) {
                assert!(subscriber.next_timeout(PATIENCE).unwrap().is_some());
            }
        }
        for info in stream.info() {
            let c = info.counters;
            let open = seq - c.claimed - c.recalled - c.skipped;
            assert!(
                open <= u64::from(info.window),
                "{open} unaccounted for: {c:?}"
            );
            assert_eq!(c.skipped, 0);
        }
    }
}
