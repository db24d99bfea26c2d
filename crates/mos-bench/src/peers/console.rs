//! The end of a peer process that talks to the benchmark: orders come as lines on standard input, answers go as lines of
//! JSON to standard output. Once it says `ready`, frames flow; it ends when standard input does.

use std::io::{BufRead, Write, stdin, stdout};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use mos_frame::monotonic_ns;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::contender::Error;

/// A line from a peer process.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// The first frame went through.
    Ready,
    /// What was seen since the last `begin`.
    Tally(Tally),
    /// It can't go on.
    Failed(String),
}

/// Orders to a peer process.
pub(super) mod order {
    /// Forget what was seen so far.
    pub(in crate::peers) const BEGIN: &str = "begin";
    /// Say what was seen since.
    pub(in crate::peers) const TELL: &str = "tell";
}

/// What a process saw and spent in a stretch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tally {
    /// User and system time of the whole process, nanoseconds.
    pub(super) cpu_ns: u64,
    /// When each frame passed (`CLOCK_MONOTONIC`, nanoseconds): at the producer before it was handed over, at a subscriber
    /// when it had arrived.
    pub(super) times_ns: Vec<u64>,
    /// Frames whose stamps did not agree; `None` where nobody looked.
    pub(super) torn: Option<u64>,
}

/// Counts frames; shared with whatever thread carries them.
#[derive(Debug, Clone)]
pub(super) struct Meter {
    seen: Arc<Mutex<Tally>>,
    events: Sender<Event>,
}

#[derive(Debug)]
enum Event {
    First,
    Failed(String),
    Order(String),
    Closed,
}

impl Meter {
    /// A frame passed now.
    pub(super) fn frame(&self) {
        self.frame_at(monotonic_ns());
    }

    /// A frame passed at `now` (`CLOCK_MONOTONIC`, nanoseconds).
    pub(super) fn frame_at(&self, now: u64) {
        let mut seen = self.lock();
        seen.times_ns.push(now);
        if seen.times_ns.len() == 1 {
            self.tell(Event::First);
        }
    }

    /// Whether the frame just taken was whole.
    #[cfg(feature = "iceoryx2")]
    pub(super) fn checked(&self, whole: bool) {
        *self.lock().torn.get_or_insert(0) += u64::from(!whole);
    }

    /// The process can't go on.
    pub(super) fn failed(&self, why: &dyn std::fmt::Display) {
        self.tell(Event::Failed(why.to_string()));
    }

    fn tell(&self, event: Event) {
        // The console is gone only when the process ends.
        let _ = self.events.send(event);
    }

    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> u64 {
        let mut seen = self.lock();
        seen.times_ns.clear();
        seen.torn = seen.torn.map(|_| 0);
        cpu_ns()
    }

    fn tally(&self, began: u64) -> Tally {
        let cpu_ns = cpu_ns().saturating_sub(began);
        Tally {
            cpu_ns,
            ..self.lock().clone()
        }
    }
}

/// Standard input and output of a peer process.
#[derive(Debug)]
pub(super) struct Console {
    events: Receiver<Event>,
}

impl Console {
    /// The console, and the meter for those who carry frames.
    pub(super) fn new() -> (Self, Meter) {
        let (sender, events) = channel();
        let meter = Meter {
            seen: Arc::default(),
            events: sender.clone(),
        };
        thread::spawn(move || {
            for line in stdin().lock().lines().map_while(Result::ok) {
                let _ = sender.send(Event::Order(line));
            }
            let _ = sender.send(Event::Closed);
        });
        (Self { events }, meter)
    }

    /// Follows orders until standard input ends.
    pub(super) fn serve(&self, meter: &Meter) -> Result<(), Error> {
        let (mut ready, mut began) = (false, 0);
        while let Ok(event) = self.events.recv() {
            match event {
                Event::First if !ready => {
                    ready = true;
                    say(&Answer::Ready)?;
                }
                Event::First => (),
                Event::Failed(why) => say(&Answer::Failed(why))?,
                Event::Order(line) if line == order::BEGIN => began = meter.begin(),
                Event::Order(line) if line == order::TELL => {
                    say(&Answer::Tally(meter.tally(began)))?;
                }
                Event::Order(line) => return Err(format!("no such order: {line}").into()),
                Event::Closed => return Ok(()),
            }
        }
        Ok(())
    }
}

/// Sleeps until `due` (`CLOCK_MONOTONIC`, nanoseconds): the pace of a source.
#[cfg(feature = "iceoryx2")]
pub(super) fn sleep_until(due: u64) {
    thread::sleep(Duration::from_nanos(due.saturating_sub(monotonic_ns())));
}

fn say(answer: &Answer) -> Result<(), Error> {
    let mut out = stdout().lock();
    writeln!(out, "{}", serde_json::to_string(answer)?)?;
    Ok(out.flush()?)
}

fn cpu_ns() -> u64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.cast_unsigned(), now.tv_nsec as u32).as_nanos() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_forgets_what_was_before_it() {
        let (console, meter) = Console::new();
        meter.frame_at(1);
        meter.frame_at(2);
        let began = meter.begin();
        meter.frame_at(3);
        assert_eq!(meter.tally(began).times_ns, [3]);
        let mut events: Vec<_> = console.events.try_iter().collect();
        // This test's own standard input may be at its end.
        events.retain(|event| !matches!(event, Event::Closed));
        assert!(matches!(events.first(), Some(Event::First)), "{events:?}");
    }

    #[test]
    fn answers_survive_the_wire() {
        let tally = Tally {
            cpu_ns: 7,
            times_ns: vec![1, u64::MAX],
            torn: Some(0),
        };
        let line = serde_json::to_string(&Answer::Tally(tally.clone())).unwrap();
        assert!(!line.contains('\n'));
        match serde_json::from_str(&line).unwrap() {
            Answer::Tally(back) => assert_eq!(back, tally),
            other => panic!("{other:?}"),
        }
    }
}
