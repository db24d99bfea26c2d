//! What a delivery costs, and that it does not depend on the frame's size: VGA and 4K in turn, paired.

use serde::Serialize;

use super::producer::{Place, Producer, Shape};
use super::subscriber::{self, Seen};
use crate::contender::Error;
use crate::stats::{Random, median};

const FPS: u32 = 1000;
const FRAMES: u64 = 1000;
const SUBSCRIBERS: u32 = 4;

#[derive(Debug, Clone, Serialize)]
pub(super) struct Figures {
    pub(super) pairs: usize,
    pub(super) subscribers: u32,
    pub(super) fps: u32,
    /// CPU of the producer and all subscribers per delivery, microseconds, median over the runs.
    pub(super) vga_us_per_delivery: f64,
    pub(super) uhd_us_per_delivery: f64,
    /// The producer's part of a 4K run, per publish: pacing, filling in and publishing to four sleeping subscribers.
    pub(super) uhd_us_per_publish: f64,
    /// Median over the pairs.
    pub(super) uhd_to_vga: f64,
    /// The same between the two VGA runs of a pair: the noise.
    pub(super) control: f64,
    /// Frames whose memory was not the producer's own.
    pub(super) copies: u64,
    pub(super) deliveries: u64,
    /// Deliveries that there could have been: figures of frames that never came would be flattering.
    pub(super) possible: u64,
    pub(super) evicted: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Run {
    us_per_delivery: f64,
    us_per_publish: f64,
    copies: u64,
    deliveries: u64,
    evicted: u64,
}

/// Three runs a pair in random order, VGA, VGA again and 4K: the second VGA run gives the control ratio.
pub(super) fn measure(pairs: u32, seed: u64) -> Result<Figures, Error> {
    let mut random = Random::new(seed);
    let mut all: Vec<[Run; 3]> = Vec::new();
    for _ in 0..pairs {
        let mut order = [0, 1, 2];
        random.shuffle(&mut order);
        let mut runs = [Run::default(); 3];
        for which in order {
            runs[which] = run(if which == 2 { Shape::UHD } else { Shape::VGA })?;
        }
        all.push(runs);
    }
    let over = |of: &dyn Fn(&[Run; 3]) -> f64| median(&all.iter().map(of).collect::<Vec<_>>());
    let small = |runs: &[Run; 3]| f64::midpoint(runs[0].us_per_delivery, runs[1].us_per_delivery);
    let sum = |of: fn(&Run) -> u64| all.iter().flatten().map(of).sum::<u64>();
    Ok(Figures {
        pairs: all.len(),
        subscribers: SUBSCRIBERS,
        fps: FPS,
        vga_us_per_delivery: over(&small),
        uhd_us_per_delivery: over(&|runs| runs[2].us_per_delivery),
        uhd_us_per_publish: over(&|runs| runs[2].us_per_publish),
        uhd_to_vga: over(&|runs| runs[2].us_per_delivery / small(runs)),
        control: over(&|runs| runs[1].us_per_delivery / runs[0].us_per_delivery),
        copies: sum(|r| r.copies),
        deliveries: sum(|r| r.deliveries),
        possible: 3 * all.len() as u64 * u64::from(SUBSCRIBERS) * FRAMES,
        evicted: sum(|r| r.evicted),
    })
}

fn run(size: (u32, u32)) -> Result<Run, Error> {
    let place = Place::new()?;
    let producer = Producer::new(&place.path, Shape::for_subscribers(size, SUBSCRIBERS))?;
    let inodes = Producer::inodes()?;
    let processes = subscriber::start_many(&place.path, "cost", SUBSCRIBERS, &[])?;
    producer.wait_for(processes.len())?;
    let stretch = producer.publish(FRAMES, FPS, |_| Ok(()))?;
    producer.wait_until_taken("cost")?;
    let evicted = producer.publisher.stats().evicted;
    drop(producer);
    let seen = subscriber::finish_all(processes)?;
    let deliveries: u64 = seen.iter().map(|s| s.frames).sum();
    let producer_us = stretch.cpu.as_nanos() as f64 / 1000.0;
    let subscribers_us = seen.iter().map(|s| s.cpu_ns).sum::<u64>() as f64 / 1000.0;
    let foreign = |s: &Seen| s.inodes.difference(&inodes).count() as u64;
    Ok(Run {
        us_per_delivery: (producer_us + subscribers_us) / deliveries.max(1) as f64,
        us_per_publish: producer_us / FRAMES as f64,
        copies: seen.iter().map(foreign).sum(),
        deliveries,
        evicted,
    })
}

impl Figures {
    pub(super) fn line(&self) -> String {
        format!(
            "  {} pairs: VGA {:.2} us, 4K {:.2} us a delivery; 4K/VGA {:.3}, control {:.3}; 4K {:.2} us a publish; {} copies; {} of {} delivered",
            self.pairs,
            self.vga_us_per_delivery,
            self.uhd_us_per_delivery,
            self.uhd_to_vga,
            self.control,
            self.uhd_us_per_publish,
            self.copies,
            self.deliveries,
            self.possible,
        )
    }
}
