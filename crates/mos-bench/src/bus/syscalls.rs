//! System calls of a publish, a delivery and a release, counted by strace(1), that is by ptrace(2): it needs no privilege for
//! one's own children and works in containers.
//!
//! The traced processes mark what they do by asking for a file that can't exist; those calls show up in the trace of the very
//! thread, in order, and are not counted.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde::{Deserialize, Serialize};

use super::process::Process;
use super::producer::{Place, Producer, Shape};
use super::subscriber::{self, Seen};
use crate::contender::Error;

const SUBSCRIBERS: u32 = 4;
const PUBLISHES: u64 = 200;
const IDLE_FPS: u32 = 60;
/// Tracing makes every call slow; this leaves all subscribers the time to fall asleep again.
const RING_FPS: u32 = 20;

/// Where marks point to: a folder that nobody has.
const MARKS: &str = "/mos-bench-mark/";

/// Leaves a mark in a trace.
pub(super) fn mark(name: &str) {
    // Not there, which is the point.
    let _ = fs::metadata(format!("{MARKS}{name}"));
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Figures {
    method: &'static str,
    pub(super) subscribers: u32,
    pub(super) publishes: u64,
    /// Of the publishing thread, while every subscriber is busy with an earlier frame.
    pub(super) per_publish_nobody_sleeps: f64,
    /// Of the publishing thread, divided by the subscribers that slept: all of them.
    pub(super) per_sleeping_subscriber: f64,
    /// Of the subscriber, from asking for a frame to having it.
    pub(super) per_delivery: f64,
    /// Of the subscriber, while it lets go of a frame.
    pub(super) per_release: f64,
    /// Of the producer's other threads per publish, at the pace of each part of the measurement: looking for released frames.
    pub(super) background_nobody_sleeps: f64,
    pub(super) background_sleepers: f64,
    /// Deliveries that there could have been, and that there were, at subscribers that sleep.
    pub(super) possible: u64,
    pub(super) deliveries: u64,
    pub(super) evicted: u64,
}

impl Figures {
    pub(super) fn line(&self) -> String {
        format!(
            "  publish, nobody sleeps: {:.3}; per sleeping subscriber: {:.3}; delivery: {:.3}; release: {:.3} (by {})",
            self.per_publish_nobody_sleeps,
            self.per_sleeping_subscriber,
            self.per_delivery,
            self.per_release,
            self.method
        )
    }
}

pub(super) fn measure() -> Result<Figures, Error> {
    can_trace()?;
    let place = Place::new()?;
    let path = place.path.to_string_lossy().into_owned();
    let trace = |name: &str| place.dir.path().join(format!("{name}.strace"));
    let (of_producer, of_subscriber) = (trace("producer"), trace("subscriber"));
    let role = ["count-publish", "--path", &path].map(str::to_owned);
    let mut producer = traced(&of_producer, &role)?;
    expect(&mut producer, "bound")?;
    // They take one frame each and are busy with it until they are killed.
    let busy = subscriber::start_many(&place.path, "busy", SUBSCRIBERS, &["--work-ms", "600000"])?;
    expect(&mut producer, "busy done")?;
    busy.into_iter().try_for_each(Process::kill)?;
    let mut sleepers = subscriber::start_many(&place.path, "sleeper", SUBSCRIBERS - 1, &[])?;
    let arguments = subscriber::arguments(&place.path, "sleeper-traced", &["--mark"]);
    sleepers.push(traced(&of_subscriber, &arguments)?);
    let done: Published = producer.finish()?;
    let seen: Vec<Seen> = subscriber::finish_all(sleepers)?;
    let producer = Trace::parse(&fs::read_to_string(&of_producer)?);
    let subscriber = Trace::parse(&fs::read_to_string(&of_subscriber)?);
    let publishes = PUBLISHES as f64;
    let idle = producer.between("busy", "busy-end");
    let ring = producer.between("ring", "ring-end");
    let delivery = subscriber.between("wait", "release");
    let release = subscriber.between("release", "released");
    if idle.times != PUBLISHES || ring.times != PUBLISHES || release.times == 0 {
        return Err(format!(
            "the traces have {} and {} publishes and {} releases, not {PUBLISHES} each",
            idle.times, ring.times, release.times
        )
        .into());
    }
    Ok(Figures {
        method: "ptrace (strace)",
        subscribers: SUBSCRIBERS,
        publishes: PUBLISHES,
        per_publish_nobody_sleeps: idle.calls as f64 / publishes,
        per_sleeping_subscriber: ring.calls as f64 / publishes / f64::from(SUBSCRIBERS),
        per_delivery: delivery.calls as f64 / delivery.times as f64,
        per_release: release.calls as f64 / release.times as f64,
        background_nobody_sleeps: producer.background("busy-part", "busy-part-end") / publishes,
        background_sleepers: producer.background("ring-part", "ring-part-end") / publishes,
        possible: PUBLISHES * u64::from(SUBSCRIBERS),
        deliveries: seen.iter().map(|s| s.frames).sum(),
        evicted: done.evicted,
    })
}

fn can_trace() -> Result<(), Error> {
    let tried = Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(|e| format!("strace can't be run ({e}); install the package strace"))?;
    if !tried.status.success() {
        let why = String::from_utf8_lossy(&tried.stderr);
        return Err(format!("strace can't trace here: {}", why.trim()).into());
    }
    Ok(())
}

/// This program in a role, under strace, which ends with it.
fn traced(output: &Path, arguments: &[String]) -> Result<Process, Error> {
    Process::spawn(
        Command::new("strace")
            .args(["-f", "-qq", "-o"])
            .arg(output)
            .arg(std::env::current_exe()?)
            .args(arguments),
    )
}

fn expect(process: &mut Process, word: &str) -> Result<(), Error> {
    let line = process.line()?;
    if line.trim() == word {
        Ok(())
    } else {
        Err(format!("a traced process said {line:?}, not {word:?}").into())
    }
}

/// Arguments of the traced producer.
#[derive(Debug, Args)]
pub(crate) struct CountPublishArgs {
    #[arg(long)]
    path: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
struct Published {
    evicted: u64,
}

/// The body of the traced producer.
pub(crate) fn count_publish(args: &CountPublishArgs) -> Result<(), Error> {
    let shape = Shape::for_subscribers(Shape::VGA, 2 * SUBSCRIBERS);
    let producer = Producer::new(&args.path, shape)?;
    println!("bound");
    wait_for(&producer, "busy subscribers", |p| {
        named(p, "busy") == SUBSCRIBERS as usize
    })?;
    producer.publish_one()?;
    wait_for(&producer, "busy subscribers to take a frame", |p| {
        let subscribers = p.publisher.stats().subscribers;
        subscribers.iter().all(|s| s.counters.claimed == 1)
    })?;
    marked_publishes(&producer, "busy", IDLE_FPS)?;
    println!("busy done");
    wait_for(&producer, "sleeping subscribers", |p| {
        named(p, "busy") == 0 && named(p, "sleeper") == SUBSCRIBERS as usize
    })?;
    producer.wait_until_taken("sleeper")?;
    marked_publishes(&producer, "ring", RING_FPS)?;
    producer.wait_until_taken("sleeper")?;
    let evicted = producer.publisher.stats().evicted;
    drop(producer);
    println!("{}", serde_json::to_string(&Published { evicted })?);
    Ok(())
}

fn marked_publishes(producer: &Producer, name: &str, fps: u32) -> Result<(), Error> {
    let end = format!("{name}-end");
    mark(&format!("{name}-part"));
    let start = Instant::now();
    for n in 0..PUBLISHES {
        super::producer::sleep_until(start + super::producer::due(n, fps));
        mark(name);
        producer.publish_one()?;
        mark(&end);
    }
    mark(&format!("{name}-part-end"));
    Ok(())
}

fn named(producer: &Producer, prefix: &str) -> usize {
    let subscribers = producer.publisher.stats().subscribers;
    subscribers
        .iter()
        .filter(|s| s.name.starts_with(prefix))
        .count()
}

fn wait_for(
    producer: &Producer,
    what: &str,
    reached: impl Fn(&Producer) -> bool,
) -> Result<(), Error> {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !reached(producer) {
        if Instant::now() > deadline {
            return Err(format!("no {what} within a minute").into());
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// What strace wrote with `-f`: a line per call, led by the thread's number.
#[derive(Debug)]
struct Trace {
    events: Vec<(u32, Event)>,
}

#[derive(Debug, PartialEq, Eq)]
enum Event {
    Mark(String),
    Call,
}

/// Calls between two marks of a thread.
#[derive(Debug, Default, PartialEq, Eq)]
struct Between {
    /// Pairs of marks.
    times: u64,
    calls: u64,
}

impl Trace {
    fn parse(text: &str) -> Self {
        let events = text.lines().filter_map(|line| {
            let (thread, rest) = line.split_once(' ')?;
            Some((thread.parse().ok()?, event(rest.trim_start())?))
        });
        Self {
            events: events.collect(),
        }
    }

    /// Calls of a thread from its mark `begin` to its next mark `end`.
    fn between(&self, begin: &str, end: &str) -> Between {
        let mut open: BTreeMap<u32, u64> = BTreeMap::new();
        let mut sum = Between::default();
        for (thread, event) in &self.events {
            match event {
                Event::Mark(mark) if mark == end => {
                    if let Some(calls) = open.remove(thread) {
                        sum.times += 1;
                        sum.calls += calls;
                    }
                }
                Event::Mark(mark) if mark == begin => {
                    open.insert(*thread, 0);
                }
                Event::Mark(_) => {}
                Event::Call => {
                    if let Some(calls) = open.get_mut(thread) {
                        *calls += 1;
                    }
                }
            }
        }
        sum
    }

    /// Calls of the threads that leave no marks, from the mark `begin` to the mark `end`.
    fn background(&self, begin: &str, end: &str) -> f64 {
        let at = |name: &str| {
            let is = |e: &Event| matches!(e, Event::Mark(mark) if mark == name);
            self.events.iter().position(|(_, e)| is(e))
        };
        let (Some(from), Some(to)) = (at(begin), at(end)) else {
            return f64::NAN;
        };
        let marker = self.events[from].0;
        let part = self.events[from..to.max(from)].iter();
        part.filter(|(thread, event)| *thread != marker && *event == Event::Call)
            .count() as f64
    }
}

/// What a line of a trace stands for; `None` for ends of interrupted calls, signals and exits.
fn event(line: &str) -> Option<Event> {
    if line.starts_with("<...") || line.starts_with("---") || line.starts_with("+++") {
        return None;
    }
    let Some((_, path)) = line.split_once(MARKS) else {
        return Some(Event::Call);
    };
    let name = path.split('"').next()?;
    Some(Event::Mark(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "\
10    statx(AT_FDCWD, \"/mos-bench-mark/ring\", AT_STATX_SYNC_AS_STAT, STATX_ALL, 0x7ffd) = -1 ENOENT (No such file or directory)
11    poll([{fd=3, events=POLLIN}], 1, 4 <unfinished ...>
10    sendto(7, \"\\1\\0\", 8, MSG_DONTWAIT|MSG_NOSIGNAL, NULL, 0) = 8
11    <... poll resumed>)               = 0 (Timeout)
10    sendto(8, \"\\1\\0\", 8, MSG_DONTWAIT|MSG_NOSIGNAL, NULL, 0 <unfinished ...>
12    --- SIGCHLD {si_signo=SIGCHLD} ---
10    <... sendto resumed>) = 8
10    statx(AT_FDCWD, \"/mos-bench-mark/ring-end\", AT_STATX_SYNC_AS_STAT, STATX_ALL, 0x7ffd) = -1 ENOENT (No such file or directory)
10    clock_nanosleep(CLOCK_MONOTONIC, 0, {tv_sec=0}, NULL) = 0
10    stat(\"/mos-bench-mark/ring\", 0x7ffd) = -1 ENOENT (No such file or directory)
10    stat(\"/mos-bench-mark/ring-end\", 0x7ffd) = -1 ENOENT (No such file or directory)
10    +++ exited with 0 +++
";

    #[test]
    fn calls_between_marks_are_counted_once_and_by_thread() {
        let trace = Trace::parse(TRACE);
        let expected = Between { times: 2, calls: 2 };
        assert_eq!(trace.between("ring", "ring-end"), expected);
        assert_eq!(trace.between("nothing", "ring-end"), Between::default());
    }

    #[test]
    fn background_is_what_other_threads_do() {
        let trace = Trace::parse(TRACE);
        assert!((trace.background("ring", "ring-end") - 1.0).abs() < 1e-9);
        assert!(trace.background("ring", "nothing").is_nan());
    }

    #[test]
    fn only_calls_and_marks_are_events() {
        let cases = [
            ("read(3, \"\", 8) = 0", Some(Event::Call)),
            ("<... read resumed>) = 8", None),
            ("--- SIGTERM {si_signo=SIGTERM} ---", None),
            ("+++ killed by SIGKILL +++", None),
            (
                "statx(AT_FDCWD, \"/mos-bench-mark/wait\", 0) = -1 ENOENT",
                Some(Event::Mark("wait".into())),
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(event(line), expected, "{line}");
        }
    }
}
