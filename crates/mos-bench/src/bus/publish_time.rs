//! What a stopped subscriber does to the time of a publish call.
//!
//! One run can't tell: on a shared machine its slowest calls are the neighbours'. So short windows alternate in random order
//! between a stopped and a running subscriber, and their samples are pooled. Two more kinds of window, both with a running
//! subscriber, give the ratio that the same procedure finds where there is nothing to find.

use rustix::process::Signal;
use serde::Serialize;

use super::process::Process;
use super::producer::{Place, Producer, Shape};
use super::subscriber::{self, Seen};
use crate::contender::Error;
use crate::stats::{Random, Times};

const FPS: u32 = 1000;
const HEALTHY: u32 = 3;
/// Frames of a window, and how many of its first do not count: the signal itself costs, too.
const WINDOW: u64 = 100;
const SETTLE: u64 = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Window {
    Stopped,
    Running,
    ControlA,
    ControlB,
}

const KINDS: [Window; 4] = [
    Window::Stopped,
    Window::Running,
    Window::ControlA,
    Window::ControlB,
];

#[derive(Debug, Clone, Serialize)]
pub(super) struct Figures {
    pub(super) fps: u32,
    pub(super) healthy_subscribers: u32,
    pub(super) windows: usize,
    pub(super) stopped: Times,
    pub(super) running: Times,
    pub(super) control_a: Times,
    pub(super) control_b: Times,
    /// p99.9, stopped / running.
    pub(super) ratio: f64,
    /// p99.9 of the two kinds of control window.
    pub(super) control_ratio: f64,
    pub(super) torn: u64,
    pub(super) evicted: u64,
    /// Frames lost at the healthy subscribers.
    pub(super) lost: u64,
}

/// Kinds of the windows: each block of four has all four, in random order.
fn schedule(blocks: usize, random: &mut Random) -> Vec<Window> {
    let block = |_| {
        let mut kinds = KINDS;
        random.shuffle(&mut kinds);
        kinds
    };
    (0..blocks).flat_map(block).collect()
}

pub(super) fn measure(seconds: u32, seed: u64) -> Result<Figures, Error> {
    let blocks = (u64::from(seconds * FPS) / WINDOW / KINDS.len() as u64).max(1) as usize;
    let windows = schedule(blocks, &mut Random::new(seed));
    let place = Place::new()?;
    let shape = Shape::for_subscribers(Shape::VGA, HEALTHY + 1);
    let producer = Producer::new(&place.path, shape)?;
    let healthy = subscriber::start_many(&place.path, "healthy", HEALTHY, &["--check"])?;
    let victim = Process::start(&subscriber::arguments(&place.path, "victim", &["--check"]))?;
    producer.wait_for(HEALTHY as usize + 1)?;
    let count = windows.len() as u64 * WINDOW;
    let stretch = producer.publish(count, FPS, |n| {
        if n % WINDOW == 0 {
            // Every window begins with a signal, so that none is dearer for it.
            let stop = windows[(n / WINDOW) as usize] == Window::Stopped;
            victim.signal(if stop { Signal::STOP } else { Signal::CONT })?;
        }
        Ok(())
    })?;
    victim.signal(Signal::CONT)?;
    let evicted = producer.publisher.stats().evicted;
    producer.wait_until_taken("healthy")?;
    drop(producer);
    let seen = subscriber::finish_all(healthy)?;
    let resumed: Seen = victim.finish()?;
    let pool = |kind| Times::of(&pooled(&stretch.publish_ns, &windows, kind));
    let (stopped, running) = (pool(Window::Stopped), pool(Window::Running));
    let (control_a, control_b) = (pool(Window::ControlA), pool(Window::ControlB));
    Ok(Figures {
        fps: FPS,
        healthy_subscribers: HEALTHY,
        windows: windows.len(),
        ratio: stopped.p999_us / running.p999_us,
        control_ratio: control_a.p999_us / control_b.p999_us,
        stopped,
        running,
        control_a,
        control_b,
        torn: seen.iter().chain([&resumed]).map(|s| s.torn).sum(),
        evicted,
        lost: seen.iter().map(|s| count.saturating_sub(s.frames)).sum(),
    })
}

/// Samples of the windows of one kind, without the first of each.
fn pooled(samples: &[u64], windows: &[Window], kind: Window) -> Vec<u64> {
    samples
        .chunks(WINDOW as usize)
        .zip(windows)
        .filter(|(_, window)| **window == kind)
        .flat_map(|(chunk, _)| chunk.iter().skip(SETTLE as usize))
        .copied()
        .collect()
}

impl Figures {
    pub(super) fn line(&self) -> String {
        format!(
            "  p50 {:.1} / {:.1} us stopped / running; p99.9 {:.1} / {:.1} us, ratio {:.3}; control {:.1} / {:.1} us, ratio {:.3}",
            self.stopped.p50_us,
            self.running.p50_us,
            self.stopped.p999_us,
            self.running.p999_us,
            self.ratio,
            self.control_a.p999_us,
            self.control_b.p999_us,
            self.control_ratio,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_block_has_every_kind_once() {
        let windows = schedule(25, &mut Random::new(1));
        for block in windows.chunks(4) {
            for kind in KINDS {
                assert_eq!(block.iter().filter(|k| **k == kind).count(), 1);
            }
        }
        let first: Vec<_> = windows.iter().step_by(4).collect();
        assert!(
            first.windows(2).any(|pair| pair[0] != pair[1]),
            "no order at all"
        );
    }

    #[test]
    fn windows_are_pooled_by_kind_without_their_start() {
        let samples: Vec<u64> = (0..4 * WINDOW).collect();
        let windows = [
            Window::Running,
            Window::Stopped,
            Window::Running,
            Window::ControlA,
        ];
        let running = pooled(&samples, &windows, Window::Running);
        let expected: Vec<u64> = (SETTLE..WINDOW)
            .chain(2 * WINDOW + SETTLE..3 * WINDOW)
            .collect();
        assert_eq!(running, expected);
        assert!(pooled(&samples, &windows, Window::ControlB).is_empty());
    }
}
