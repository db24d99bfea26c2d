//! A producer and its subscribers, whatever system they speak: a measured stretch, and the story of one that is stopped.

use std::thread;
use std::time::{Duration, Instant};

use mos_frame::monotonic_ns;
use rustix::process::Signal;

use super::console::Tally;
use super::process::{Held, Peer};
use super::story;
use crate::contender::{Error, Load, StopPlan, StopStory};

/// Between the first frame at the last subscriber and the measured stretch.
const WARM_UP: Duration = Duration::from_secs(1);
/// How often the producer's memory is looked at while a subscriber is stopped.
const LOOK: Duration = Duration::from_millis(200);

/// Processes of one run. The subscribers go first.
#[derive(Debug)]
pub(super) struct Course {
    subscribers: Vec<Peer>,
    producer: Peer,
}

/// What a stretch took.
#[derive(Debug)]
pub(super) struct Stretch {
    pub(super) producer: Tally,
    pub(super) subscribers: Vec<Tally>,
}

impl Stretch {
    /// User and system time of all processes, nanoseconds.
    pub(super) fn cpu_ns(&self) -> u64 {
        self.producer.cpu_ns + self.subscribers.iter().map(|seen| seen.cpu_ns).sum::<u64>()
    }

    /// Frames that reached a subscriber.
    pub(super) fn deliveries(&self) -> u64 {
        let of_one = |seen: &Tally| seen.times_ns.len() as u64;
        self.subscribers.iter().map(of_one).sum()
    }

    /// One a delivery.
    pub(super) fn wake_ns(&self) -> Vec<u64> {
        let of_one = |seen: &Tally| story::wakes(&self.producer.times_ns, &seen.times_ns);
        self.subscribers.iter().flat_map(of_one).collect()
    }

    /// Over all subscribers that looked.
    pub(super) fn torn(&self) -> Option<u64> {
        total_torn(&self.subscribers)
    }
}

impl Course {
    /// Starts the producer and, once frames leave it, `count` subscribers one after the other.
    pub(super) fn start(
        producer: Peer,
        count: u32,
        mut subscriber: impl FnMut(u32) -> Result<Peer, Error>,
    ) -> Result<Self, Error> {
        let mut course = Self {
            subscribers: Vec::new(),
            producer,
        };
        course.producer.wait_ready()?;
        for number in 0..count {
            course.subscribers.push(subscriber(number)?);
            if let Some(peer) = course.subscribers.last_mut() {
                peer.wait_ready()?;
            }
        }
        Ok(course)
    }

    /// Process id of the producer.
    pub(super) fn producer_id(&self) -> u32 {
        self.producer.id()
    }

    /// The time of `load.frames` frames at the pace of the load.
    pub(super) fn stretch(&mut self, load: &Load) -> Result<Stretch, Error> {
        thread::sleep(WARM_UP);
        self.begin()?;
        thread::sleep(Duration::from_secs_f64(
            load.frames as f64 / f64::from(load.fps),
        ));
        // The producer began first and is asked last, so it knows of every frame that arrived.
        let subscribers = self
            .subscribers
            .iter_mut()
            .map(Peer::tally)
            .collect::<Result<_, _>>()?;
        Ok(Stretch {
            producer: self.producer.tally()?,
            subscribers,
        })
    }

    /// Stops the last subscriber, kills it later, and tells what the others noticed.
    pub(super) fn stop(mut self, plan: &StopPlan) -> Result<StopStory, Error> {
        thread::sleep(WARM_UP);
        self.begin()?;
        let start = monotonic_ns();
        thread::sleep(plan.before);
        let stopped = self.subscribers.pop().ok_or("no subscriber to stop")?;
        let before = self.producer.held()?;
        stopped.signal(Signal::STOP)?;
        let worst = self.watch(plan.stopped)?;
        stopped.signal(Signal::KILL)?;
        thread::sleep(plan.after_kill);
        let healthy: Vec<Tally> = self
            .subscribers
            .iter_mut()
            .map(|peer| peer.tally_if_alive().unwrap_or_default())
            .collect();
        let produced = self.producer.tally()?;
        let seconds = (plan.before + plan.stopped + plan.after_kill).as_secs();
        let growth = |of: fn(&Held) -> u64| Some(of(&worst) as i64 - of(&before) as i64);
        let times: Vec<_> = healthy.iter().map(|seen| seen.times_ns.clone()).collect();
        Ok(StopStory {
            timeline: story::timeline(start, seconds, &produced.times_ns, &times),
            rss_growth_kib: growth(|held| held.kib),
            fd_growth: growth(|held| held.fds),
            torn: total_torn(&healthy),
        })
    }

    fn begin(&mut self) -> Result<(), Error> {
        self.producer.begin()?;
        self.subscribers.iter_mut().try_for_each(Peer::begin)
    }

    /// The most that the producer holds within `time`.
    fn watch(&self, time: Duration) -> Result<Held, Error> {
        let (mut worst, end) = (Held::default(), Instant::now() + time);
        loop {
            let now = self.producer.held()?;
            worst.kib = worst.kib.max(now.kib);
            worst.fds = worst.fds.max(now.fds);
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(worst);
            }
            thread::sleep(LOOK.min(left));
        }
    }
}

fn total_torn(subscribers: &[Tally]) -> Option<u64> {
    subscribers
        .iter()
        .filter_map(|seen| seen.torn)
        .reduce(|sum, torn| sum + torn)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(times_ns: &[u64], torn: Option<u64>) -> Tally {
        Tally {
            cpu_ns: 10,
            times_ns: times_ns.to_vec(),
            torn,
        }
    }

    #[test]
    fn a_stretch_is_the_sum_of_its_processes() {
        let stretch = Stretch {
            producer: seen(&[100, 200], None),
            subscribers: vec![seen(&[103, 204], Some(1)), seen(&[207], None)],
        };
        assert_eq!((stretch.cpu_ns(), stretch.deliveries()), (30, 3));
        assert_eq!(stretch.wake_ns(), [3, 4, 7]);
        assert_eq!(stretch.torn(), Some(1));
    }

    #[test]
    fn nobody_looked_is_not_nothing_torn() {
        assert_eq!(total_torn(&[seen(&[], None)]), None);
        assert_eq!(total_torn(&[seen(&[], Some(0)), seen(&[], None)]), Some(0));
    }
}
