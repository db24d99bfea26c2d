//! Sixty-four subscribers at 60 frames a second.

use serde::Serialize;

use super::producer::{Place, Producer, Shape};
use super::subscriber;
use crate::contender::Error;
use crate::stats::Times;

const SUBSCRIBERS: u32 = 64;
const FPS: u32 = 60;

#[derive(Debug, Clone, Serialize)]
pub(super) struct Figures {
    pub(super) subscribers: u32,
    pub(super) fps: u32,
    pub(super) published: u64,
    pub(super) producer_fps: f64,
    /// Frames that a subscriber did not get, summed over all.
    pub(super) lost: u64,
    /// Frames that the worst one did not get.
    pub(super) worst: u64,
    pub(super) wake: Times,
    pub(super) torn: u64,
    pub(super) evicted: u64,
    /// CPU of all processes together, percent of one core.
    pub(super) cpu_percent: f64,
}

pub(super) fn measure(seconds: u32) -> Result<Figures, Error> {
    let place = Place::new()?;
    let producer = Producer::new(&place.path, Shape::for_subscribers(Shape::VGA, SUBSCRIBERS))?;
    let processes = subscriber::start_many(&place.path, "crowd", SUBSCRIBERS, &["--check"])?;
    producer.wait_for(processes.len())?;
    let stretch = producer.publish(u64::from(seconds * FPS), FPS, |_| Ok(()))?;
    producer.wait_until_taken("crowd")?;
    let evicted = producer.publisher.stats().evicted;
    drop(producer);
    let seen = subscriber::finish_all(processes)?;
    let lost = |s: &subscriber::Seen| stretch.published.saturating_sub(s.frames).max(s.missed);
    let wake: Vec<u64> = seen.iter().flat_map(|s| &s.wake_ns).copied().collect();
    let cpu_ns = stretch.cpu.as_nanos() as f64 + seen.iter().map(|s| s.cpu_ns as f64).sum::<f64>();
    Ok(Figures {
        subscribers: SUBSCRIBERS,
        fps: FPS,
        published: stretch.published,
        producer_fps: stretch.published as f64 / stretch.seconds,
        lost: seen.iter().map(lost).sum(),
        worst: seen.iter().map(lost).max().unwrap_or_default(),
        wake: Times::of(&wake),
        torn: seen.iter().map(|s| s.torn).sum(),
        evicted,
        cpu_percent: cpu_ns / 1e7 / stretch.seconds,
    })
}

impl Figures {
    pub(super) fn line(&self) -> String {
        format!(
            "  {} frames at {:.2} a second to {}: {} lost, wake p50 {:.0} us, p99 {:.0} us, {:.1} % of one core",
            self.published,
            self.producer_fps,
            self.subscribers,
            self.lost,
            self.wake.p50_us,
            self.wake.p99_us,
            self.cpu_percent,
        )
    }
}
