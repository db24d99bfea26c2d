//! One stream that is cut off again and again, by turns properly and by RST: what stays behind.

use std::time::Instant;

use mos_testkit::RtspServerOptions;

use super::proxy::{Cut, Manner, Proxy};
use super::site::{self, PATIENCE};
use super::{Extent, Findings, quantile};
use crate::bench::bars::Bar;
use crate::bench::cameras::pause;
use crate::error::Error;
use crate::rig::procfs::{self, Usage};
use crate::rig::service::Service;
use crate::rig::watch::Watch;
use crate::ui::Step;

const STREAM: &str = "cam";
/// Cycles before the first look: pools, caches and the allocator's arenas have their size then.
const WARM_UP: u32 = 10;
const GROWTH_MIB: f64 = 5.0;
/// Looks at a process that streams, of which the median counts.
const LOOKS: usize = 9;

pub(super) fn measure(extent: &Extent) -> Result<Findings, Error> {
    let server = site::server(
        RtspServerOptions {
            size: (320, 240),
            fps: 15,
            bitrate: 256,
            ..RtspServerOptions::default()
        },
        extent.profile,
    )?;
    let proxy = Proxy::start(server.port(), Manner::default())?;
    let cameras = [site::camera(STREAM, proxy.url("/cam0"), 100)];
    let mut service = site::service(extent, &cameras, "reconnects")?;
    let watch = Watch::start(&service.ctl())?;
    let mut step = Step::begin(format!("{} reconnections", extent.cycles));
    let mut took = Vec::new();
    reaches(&watch, 0, "streaming")?;
    let mut before = None;
    for cycle in 0..extent.cycles + WARM_UP {
        if cycle == WARM_UP {
            before = Some(look(&mut service)?);
        }
        service.check()?;
        let seen = watch.states(STREAM).len();
        let how = if cycle % 2 == 0 {
            Cut::Close
        } else {
            Cut::Reset
        };
        let cut = Instant::now();
        proxy.cut(how);
        reaches(&watch, seen, "backoff")?;
        // A stream that was cut off so often waits long; that is measured elsewhere.
        service.ctl().run(&["reset", STREAM])?;
        reaches(&watch, seen, "streaming")?;
        took.push(cut.elapsed().as_secs_f64());
        // Noting packets must not make this program the one that grows.
        drop(proxy.take());
        step.tick(&format!("{cycle} done"));
    }
    let (before, after) = (before.unwrap_or(look(&mut service)?), look(&mut service)?);
    step.end("done");
    service.stop()?;
    Ok(findings(extent.cycles, before, after, &took))
}

/// Waits until the stream has this state after the first `seen` of its states.
fn reaches(watch: &Watch, seen: usize, state: &str) -> Result<(), Error> {
    let reached = watch.wait(STREAM, Instant::now() + PATIENCE, |states| {
        states.iter().skip(seen).any(|entry| entry.state == state)
    })?;
    if reached {
        return Ok(());
    }
    let states = watch.states(STREAM);
    let last = states.last();
    Err(Error::NotMet(format!(
        "not {state} within a minute: {last:?}"
    )))
}

/// The median of some looks while it streams.
fn look(service: &mut Service) -> Result<Usage, Error> {
    let mut looks = Vec::new();
    for _ in 0..LOOKS {
        pause(std::time::Duration::from_millis(200))?;
        looks.push(procfs::usage(service.pid())?);
    }
    let middle = |mut values: Vec<u64>| {
        values.sort_unstable();
        values[LOOKS / 2]
    };
    let of = |field: fn(&Usage) -> u64| middle(looks.iter().map(field).collect());
    Ok(Usage {
        rss: of(|usage| usage.rss),
        fds: of(|usage| usage.fds as u64) as usize,
        threads: of(|usage| usage.threads as u64) as usize,
        ..looks[LOOKS - 1]
    })
}

fn findings(cycles: u32, before: Usage, after: Usage, took: &[f64]) -> Findings {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let grown = |before: usize, after: usize| after as f64 - before as f64;
    let mut findings = Findings::new("reconnects");
    findings.bars = vec![
        Bar::at_most(
            "RSS growth, MiB",
            mib(after.rss) - mib(before.rss),
            GROWTH_MIB,
        ),
        Bar::at_most("descriptors more", grown(before.fds, after.fds), 0.0),
        Bar::at_most("threads more", grown(before.threads, after.threads), 0.0),
    ];
    findings.fact(
        "cycles",
        format!("{cycles} after {WARM_UP} to warm up; closed and reset by turns, waits ended by ResetCapture"),
    );
    findings.fact(
        "service",
        format!(
            "RSS {:.1} -> {:.1} MiB, descriptors {} -> {}, threads {} -> {}",
            mib(before.rss),
            mib(after.rss),
            before.fds,
            after.fds,
            before.threads,
            after.threads
        ),
    );
    findings.fact(
        "cut to streaming",
        format!(
            "p50 {:.2} s, longest {:.2} s",
            quantile(took, 0.5),
            quantile(took, 1.0)
        ),
    );
    findings
}
