//! Cameras that are dead for long, then all there at once: what waiting for them costs, and whether they are asked in step.

use std::time::{Duration, Instant};

use mos_testkit::RtspServerOptions;

use super::site;
use super::{Extent, Findings, quantile};
use crate::bench::bars::Bar;
use crate::bench::cameras::{cost, run_for, wait_for_all};
use crate::error::Error;
use crate::rig::procfs;
use crate::rig::watch::{Entry, Watch};
use crate::ui::Step;

const BACK_S: f64 = 30.0;
const CPU_PERCENT: f64 = 5.0;
/// Most of the cameras that may be asked within one second, once their waits are at their longest.
const IN_STEP: f64 = 1.0 / 3.0;

fn options(count: u32, port: u16) -> RtspServerOptions {
    RtspServerOptions {
        port,
        count,
        size: (160, 120),
        fps: 5,
        key_int: 5,
        bitrate: 64,
        ..RtspServerOptions::default()
    }
}

pub(super) fn measure(extent: &Extent) -> Result<Findings, Error> {
    let count = extent.dead_cameras;
    let server = site::server(options(count, 0), extent.profile)?;
    let port = server.port();
    let names: Vec<_> = (0..count).map(|number| format!("cam{number:02}")).collect();
    let cameras: Vec<_> = (0..count as usize)
        .map(|index| site::camera(&names[index], server.url(index), 100))
        .collect();
    let mut service = site::service(extent, &cameras, "dead")?;
    let ctl = service.ctl();
    wait_for_all(&ctl, &mut service, names.len())?;
    let watch = Watch::start(&ctl)?;
    server
        .kill()
        .map_err(Error::io("cannot kill the RTSP server"))?;

    let time = extent.time(60, 600);
    let mut step = Step::begin(format!("{count} cameras dead for {} s", time.as_secs()));
    // The moment of death costs what it costs: pipelines come down.
    run_for(Duration::from_secs(10), &mut service, &mut step, "dying")?;
    let (before, began) = (procfs::usage(service.pid())?, Instant::now());
    run_for(time, &mut service, &mut step, "dead")?;
    let cost = cost(before, procfs::usage(service.pid())?, began.elapsed());
    // The first attempts follow each other fast, in step with the death; what counts is how they go on.
    let last_minute = Instant::now()
        .checked_sub(Duration::from_mins(1))
        .map_or(began, |minute| minute.max(began));
    let asked = starts(&watch, &names, last_minute);

    let back = Instant::now();
    let _server = site::server(options(count, port), extent.profile)?;
    let mut returned = Vec::new();
    for name in &names {
        let there = |entry: &Entry| entry.at > back && entry.state == "streaming";
        let streams = watch.wait(name, back + site::PATIENCE * 2, |states| {
            states.iter().any(there)
        })?;
        if !streams {
            return Err(Error::NotMet(format!(
                "{name} did not come back within two minutes"
            )));
        }
        let at = watch
            .states(name)
            .into_iter()
            .find(there)
            .map(|entry| entry.at);
        returned.push((at.unwrap_or(back) - back).as_secs_f64());
    }
    step.end("all back");
    service.stop()?;

    let busiest = busiest_second(&asked);
    let mut findings = Findings::new("dead");
    findings.bars = vec![
        Bar::at_most(
            "all stream again after, s",
            quantile(&returned, 1.0),
            BACK_S,
        ),
        Bar::at_most(
            "service while they are dead, % of one core",
            cost.cpu_percent,
            CPU_PERCENT,
        ),
        Bar::at_most(
            "most cameras asked in one second",
            busiest as f64,
            (f64::from(count) * IN_STEP).floor().max(2.0),
        ),
    ];
    findings.fact(
        "run",
        format!("{count} cameras at a closed port for {} s", time.as_secs()),
    );
    findings.fact(
        "back",
        format!(
            "first after {:.1} s, median {:.1} s; the server's own start is within",
            quantile(&returned, 0.0),
            quantile(&returned, 0.5)
        ),
    );
    findings.fact("attempts in the last minute", asked.len().to_string());
    findings.fact(
        "memory",
        format!("{:.1} -> {:.1} MiB", cost.rss_mib_start, cost.rss_mib_end),
    );
    Ok(findings)
}

/// When streams were started after `since`, in order.
fn starts(watch: &Watch, names: &[String], since: Instant) -> Vec<Instant> {
    let entries = names.iter().flat_map(|name| watch.states(name));
    let mut starts: Vec<_> = entries
        .filter(|entry| entry.state == "starting" && entry.at > since)
        .map(|entry| entry.at)
        .collect();
    starts.sort_unstable();
    starts
}

/// Most of the moments that lie within one second.
fn busiest_second(moments: &[Instant]) -> usize {
    let within = |begin: &Instant| {
        let end = *begin + Duration::from_secs(1);
        moments
            .iter()
            .filter(|at| (*begin..end).contains(*at))
            .count()
    };
    moments.iter().map(within).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_second_is_found() {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        assert_eq!(busiest_second(&[]), 0);
        assert_eq!(
            busiest_second(&[at(0), at(900), at(1100), at(1800), at(5000)]),
            3
        );
    }
}
