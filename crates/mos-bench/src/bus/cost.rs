//! What a delivery costs, and that it does not depend on the frame's size: VGA and 4K in turn, paired.

use serde::Serialize;

use super::producer::Producer;
use super::subscriber::Process;
use super::{Error, Place};
use crate::report::{Bar, median};

const FPS: u32 = 1000;
const FRAMES: u64 = 1000;
const SUBSCRIBERS: u32 = 4;

#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pairs: usize,
    subscribers: u32,
    fps: u32,
    /// CPU of the producer and all subscribers per delivery, microseconds, median over the runs.
    vga_us_per_delivery: f64,
    uhd_us_per_delivery: f64,
    /// Median over the pairs.
    uhd_to_vga: f64,
    /// The same between two VGA runs of a pair: the noise.
    control: f64,
    wake_p50_us: f64,
    wake_p99_us: f64,
    /// Frames whose memory was not the producer's own.
    copies: u64,
    deliveries: u64,
}

impl Figures {
    pub(super) fn bars(&self) -> Vec<Bar> {
        // Figures of frames that never came would be flattering.
        let expected = (3 * self.pairs as u64 * u64::from(self.subscribers) * FRAMES) as f64;
        vec![
            Bar::at_least(
                "deliveries, of those possible",
                self.deliveries as f64 / expected,
                0.5,
            ),
            Bar::at_most(
                "pixel copies between producer and subscriber",
                self.copies as f64,
                0.0,
            ),
            Bar::at_most(
                "CPU per delivery, 4K / VGA (median of pairs)",
                self.uhd_to_vga,
                1.05,
            ),
        ]
    }
}

#[derive(Clone, Copy)]
struct Run {
    us_per_delivery: f64,
    copies: u64,
    deliveries: u64,
    wake_p50_us: f64,
    wake_p99_us: f64,
}

/// Three runs a pair, VGA, 4K, VGA: the second VGA run gives the control ratio, and drift hits both neighbours alike.
pub(super) fn measure(pairs: u32) -> Result<Figures, Error> {
    println!(
        "\ncost of a delivery: {pairs} pairs, {SUBSCRIBERS} subscribers, {FRAMES} frames at {FPS} a second"
    );
    let (mut vga, mut uhd, mut ratios, mut controls) = (vec![], vec![], vec![], vec![]);
    let (mut copies, mut deliveries) = (0, 0);
    let (mut p50, mut p99) = (vec![], vec![]);
    for pair in 1..=pairs {
        let before = run(640, 480)?;
        let large = run(3840, 2160)?;
        let after = run(640, 480)?;
        let small = f64::midpoint(before.us_per_delivery, after.us_per_delivery);
        ratios.push(large.us_per_delivery / small);
        controls.push(after.us_per_delivery / before.us_per_delivery);
        println!(
            "  {pair:>2}: VGA {:>6.2} us, 4K {:>6.2} us, VGA {:>6.2} us, 4K/VGA {:.3}",
            before.us_per_delivery,
            large.us_per_delivery,
            after.us_per_delivery,
            large.us_per_delivery / small
        );
        for run in [before, large, after] {
            copies += run.copies;
            deliveries += run.deliveries;
            p50.push(run.wake_p50_us);
            p99.push(run.wake_p99_us);
        }
        vga.push(small);
        uhd.push(large.us_per_delivery);
    }
    Ok(Figures {
        pairs: ratios.len(),
        subscribers: SUBSCRIBERS,
        fps: FPS,
        vga_us_per_delivery: median(&vga),
        uhd_us_per_delivery: median(&uhd),
        uhd_to_vga: median(&ratios),
        control: median(&controls),
        wake_p50_us: median(&p50),
        wake_p99_us: median(&p99),
        copies,
        deliveries,
    })
}

fn run(width: u32, height: u32) -> Result<Run, Error> {
    let place = Place::new()?;
    let producer = Producer::new(&place.path, width, height)?;
    let inodes = Producer::inodes()?;
    let processes = (0..SUBSCRIBERS)
        .map(|n| Process::start(&place.path, &format!("cost-{n}"), false))
        .collect::<Result<Vec<_>, _>>()?;
    producer.wait_for(processes.len())?;
    let stretch = producer.publish(FRAMES, FPS)?;
    producer.wait_until_taken("cost")?;
    drop(producer);
    let seen = processes
        .into_iter()
        .map(Process::finish)
        .collect::<Result<Vec<_>, _>>()?;
    let deliveries: u64 = seen.iter().map(|s| s.frames).sum();
    let cpu_ns = stretch.cpu.as_nanos() as u64 + seen.iter().map(|s| s.cpu_ns).sum::<u64>();
    let quantile = |of: fn(&super::subscriber::Seen) -> u64| {
        median(
            &seen
                .iter()
                .map(|s| of(s) as f64 / 1000.0)
                .collect::<Vec<_>>(),
        )
    };
    Ok(Run {
        us_per_delivery: cpu_ns as f64 / 1000.0 / deliveries.max(1) as f64,
        copies: seen
            .iter()
            .flat_map(|s| &s.inodes)
            .filter(|inode| !inodes.contains(inode))
            .count() as u64,
        deliveries,
        wake_p50_us: quantile(|s| s.wake_p50_ns),
        wake_p99_us: quantile(|s| s.wake_p99_ns),
    })
}
