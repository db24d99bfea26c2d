//! What the other processes of a scenario do: subscribers that follow, hold or stay at a step, and a producer.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use mos_frame::{Budget, Publisher, PublisherOptions, RecvError, Subscriber, SubscriberOptions};
use rustix::process::{Pid, Signal};

use crate::common::{PATIENCE, assert_whole, make_pool, publish_stamped};
use crate::faults::{Dice, Joined, Peer, Raw, Step, say};

/// A part and where it is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Goes to a step of the protocol by hand, says `there <pid of the child>` and does nothing more. The child, if one is
    /// wanted, holds copies of all its descriptors.
    Stay { step: Step, child: bool },
    /// Takes frame after frame by the library, and says the sequence of each.
    Tell { window: u32 },
    /// The same, but says nothing until its standard input ends: then `<received> <missed>`.
    Follow {
        window: u32,
        hold: u32,
        /// What it does with each frame.
        work: Work,
    },
    /// Writes random words into its lease page as fast as it can; says `cut off: <reason>` when it is.
    Hammer { seed: u64 },
    /// Publishes one frame and says `published`; the same with a new format for every line that it is told.
    Produce,
}

/// What a follower does with a frame between two looks at its stamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Nothing,
    /// Is busy with it for so many microseconds.
    Micros(u32),
    /// Keeps as many as it may, and lets the oldest go for the next.
    Keep,
}

impl Part {
    /// Starts a process for it.
    pub(crate) fn start(self, path: &Path) -> Peer {
        let words = match self {
            Self::Stay { step, child } => format!("stay {} {child}", step.name()),
            Self::Tell { window } => format!("tell {window}"),
            Self::Follow { window, hold, work } => {
                let work = match work {
                    Work::Nothing => "0".into(),
                    Work::Micros(n) => n.to_string(),
                    Work::Keep => "keep".into(),
                };
                format!("follow {window} {hold} {work}")
            }
            Self::Hammer { seed } => format!("hammer {seed}"),
            Self::Produce => "produce".into(),
        };
        Peer::start(&format!("{words} {}", path.display()))
    }
}

/// Starts a peer that stays at a step, and waits until it is there.
pub(crate) fn stay(step: Step, path: &Path) -> Peer {
    let mut peer = Part::Stay { step, child: false }.start(path);
    assert_eq!(peer.line(), "there 0");
    peer
}

/// As [`stay`]; also gives the child that holds copies of the peer's descriptors.
pub(crate) fn stay_with_child(step: Step, path: &Path) -> (Peer, Pid) {
    let mut peer = Part::Stay { step, child: true }.start(path);
    let line = peer.line();
    let child = line.strip_prefix("there ").unwrap().parse().unwrap();
    (peer, Pid::from_raw(child).expect("a child"))
}

/// Plays what [`Part::start`] asked for.
pub(crate) fn play(part: &str) {
    // Whatever becomes of the scenario, its processes end with it.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    let words: Vec<&str> = part.split(' ').collect();
    let path = PathBuf::from(words[words.len() - 1]);
    match words[..words.len() - 1] {
        ["stay", step, child] => {
            let reached = Step::from_name(step).reach(&path);
            let child = if child == "true" { fork() } else { 0 };
            say(&format!("there {child}"));
            rest();
            drop(reached);
        }
        ["tell", window] => tell(&path, window.parse().unwrap()),
        ["follow", window, hold, work] => {
            let work = match work {
                "keep" => Work::Keep,
                micros => Work::Micros(micros.parse().unwrap()),
            };
            follow(&path, window.parse().unwrap(), hold.parse().unwrap(), work);
        }
        ["hammer", seed] => hammer(&path, seed.parse().unwrap()),
        ["produce"] => produce(&path),
        _ => panic!("no such part: {part}"),
    }
}

/// Until it is killed.
fn rest() {
    loop {
        thread::park();
    }
}

/// A child that holds copies of all descriptors, the socket among them, and does nothing.
fn fork() -> i32 {
    // SAFETY: the child calls nothing but pause(2) and _exit(2), which are async-signal-safe, so no lock that another thread
    // held at the fork is ever taken.
    unsafe {
        match libc::fork() {
            0 => {
                libc::pause();
                libc::_exit(0)
            }
            child => child,
        }
    }
}

fn subscribe(path: &Path, window: u32, hold: u32) -> Subscriber {
    let options = SubscriberOptions {
        name: "part".into(),
        window,
        hold,
        reconnect: false,
        timeout: PATIENCE,
    };
    Subscriber::connect(path, options).unwrap()
}

fn tell(path: &Path, window: u32) {
    let mut subscriber = subscribe(path, window, 1);
    say("joined");
    loop {
        let frame = subscriber.next().unwrap();
        assert_whole(&frame);
        say(&frame.seq().to_string());
    }
}

fn follow(path: &Path, window: u32, hold: u32, work: Work) {
    let mut subscriber = subscribe(path, window, hold);
    say("joined");
    let ending = ends_with_stdin();
    let (mut last, mut kept) = (0, VecDeque::new());
    while !ending.load(Ordering::Acquire) {
        let frame = match subscriber.next_timeout(Duration::from_millis(20)) {
            Ok(Some(frame)) => frame,
            Ok(None) => continue,
            Err(RecvError::Disconnected) => break,
            Err(error) => panic!("an honest subscriber: {error}"),
        };
        assert!(frame.seq() > last, "{} after {last}", frame.seq());
        last = frame.seq();
        assert_whole(&frame);
        if let Work::Micros(micros) = work {
            thread::sleep(Duration::from_micros(micros.into()));
        }
        kept.push_back(frame);
        kept.iter().for_each(assert_whole);
        if work != Work::Keep || kept.len() >= hold as usize {
            kept.pop_front();
        }
    }
    let stats = subscriber.stats();
    say(&format!("{} {}", stats.received, stats.missed));
}

fn hammer(path: &Path, seed: u64) {
    let Joined { raw, page, .. } = Raw::join(path, 4, 1);
    say("joined");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let (page, over) = (&page, &over);
        for n in 0..2 {
            let mut dice = Dice::from_seed(seed * 2 + n);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let word = page.word(dice.index(256));
                    let seen = word.load(Ordering::Relaxed);
                    // Stale words, future words and nonsense, at the very moment that the producer looks.
                    let forged = if dice.one_in(2) {
                        seen ^ 3
                    } else {
                        dice.next()
                    };
                    let _ =
                        word.compare_exchange(seen, forged, Ordering::AcqRel, Ordering::Relaxed);
                }
            });
        }
        let reason = raw.last_words();
        over.store(true, Ordering::Relaxed);
        say(&format!("cut off: {}", reason.expect("a reason").0));
    });
    rest();
}

/// Becomes true when the scenario closes this process's standard input.
fn ends_with_stdin() -> Arc<AtomicBool> {
    let ending = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&ending);
    thread::spawn(move || {
        let stdin = std::io::stdin();
        while rustix::io::read(stdin.as_fd(), &mut [0; 64]).is_ok_and(|n| n > 0) {}
        told.store(true, Ordering::Release);
    });
    ending
}

fn produce(path: &Path) {
    let budget = Budget {
        slots: 8,
        in_flight: 1,
        fences: 0,
    };
    let options = PublisherOptions {
        budget,
        ..Default::default()
    };
    let publisher = Publisher::bind(path, options).unwrap();
    let mut pool = make_pool(&publisher, 64, 48, 8);
    let mut lines = std::io::stdin().lines();
    for round in 1.. {
        publish_stamped(&publisher, &pool);
        say("published");
        if lines.next().is_none() {
            return;
        }
        pool = make_pool(&publisher, 64 + 2 * round, 48, 8);
    }
}
