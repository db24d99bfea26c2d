//! `bench cameras`: many test cameras in one release service, one real subscriber process each.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::bars::Bar;
use super::conditions::Conditions;
use crate::cargo::Profile;
use crate::error::Error;
use crate::rig::config::{Camera, Source};
use crate::rig::ctl::Ctl;
use crate::rig::procfs::{self, Usage};
use crate::rig::service::Service;
use crate::rig::subscriber::{Figures, Subscriber};
use crate::rig::{self, service};
use crate::signals;
use crate::ui::{Step, table};

const SIZE: (u32, u32) = (640, 480);
const RATE: u32 = 30;
/// A subscriber's depth: a frame is lost once two newer ones are there.
const WINDOW: &str = "2";
const STREAMING: Duration = Duration::from_mins(1);
/// Subscriber processes start side by side; what that costs is not measured.
const WARM_UP: Duration = Duration::from_secs(5);
const WIND_DOWN: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(250);
/// Full rate, less what start and end of the measurement can cost.
const FULL_RATE: f64 = 29.9;

/// Arguments of `bench cameras`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Cameras
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// Seconds to measure, after a warm-up
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Print the figures as one JSON object, as the last line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    bench: &'static str,
    conditions: Conditions,
    cameras: Vec<CameraFigures>,
    service: Cost,
    bars: Vec<Bar>,
}

#[derive(Debug, Serialize)]
pub(super) struct CameraFigures {
    stream: String,
    #[serde(flatten)]
    pub(super) figures: Figures,
    copied: u64,
}

/// What the service cost while it was measured.
#[derive(Debug, Serialize)]
pub(super) struct Cost {
    pub(super) cpu_percent: f64,
    pub(super) rss_mib_start: f64,
    pub(super) rss_mib_end: f64,
    fds_start: usize,
    fds_end: usize,
}

/// Measures and judges.
pub(crate) fn run(args: &Args) -> Result<(), Error> {
    rig::build(Profile::Release)?;
    let mut service = Service::start(
        Profile::Release,
        service::folder()?,
        &cameras(args.count),
        "bench/service.log",
    )?;
    let names: Vec<_> = (0..args.count).map(name).collect();
    let (cameras, cost) = measure(&names, args.seconds, &mut service)?;
    let stopped = service.stop();
    let bars = bars(&cameras);
    let report = Report {
        bench: "cameras",
        conditions: Conditions::now()?,
        cameras,
        service: cost,
        bars,
    };
    print!("{}", report.text());
    if args.json {
        println!("{}", serde_json::json!(report));
    }
    stopped.and(verdict(&report.bars))
}

pub(super) fn verdict(bars: &[Bar]) -> Result<(), Error> {
    if bars.iter().all(Bar::holds) {
        Ok(())
    } else {
        Err(Error::NotMet("a bar was not met".to_owned()))
    }
}

/// Moving colour bars: a real camera's picture costs the service nothing, so the generator must not decide the figures.
/// `ball` takes six times as long to paint.
const PATTERN: &str = "smpte";

fn name(number: u32) -> String {
    format!("cam{number:02}")
}

fn cameras(count: u32) -> Vec<Camera> {
    let camera = |number| Camera {
        name: name(number),
        source: Source::Test { pattern: PATTERN },
        size: Some(SIZE),
        framerate: Some(RATE),
    };
    (0..count).map(camera).collect()
}

/// Measures the streams `names` for `seconds`, with a subscriber each.
pub(super) fn measure(
    names: &[String],
    seconds: u64,
    service: &mut Service,
) -> Result<(Vec<CameraFigures>, Cost), Error> {
    let ctl = service.ctl();
    wait_for_all(&ctl, service, names.len())?;
    let mut step = Step::begin(format!("measuring {} cameras for {seconds} s", names.len()));
    let mut subscribers = Vec::new();
    for name in names {
        subscribers.push(Subscriber::start(
            &ctl,
            name,
            "bench",
            &["--window", WINDOW],
        )?);
    }
    run_for(WARM_UP, service, &mut step, "warming up")?;
    subscribers.iter_mut().try_for_each(Subscriber::restart)?;
    let (before, began) = (procfs::usage(service.pid())?, Instant::now());
    run_for(
        Duration::from_secs(seconds),
        service,
        &mut step,
        "measuring",
    )?;
    let cost = cost(before, procfs::usage(service.pid())?, began.elapsed());
    let status = ctl.status()?;
    let mut cameras = Vec::new();
    for subscriber in &mut subscribers {
        let stream = subscriber.stream.clone();
        let frames = status
            .iter()
            .find(|found| found.name == stream)
            .and_then(|found| found.frames.as_ref())
            .ok_or_else(|| {
                Error::NotMet(format!("the status has no counters of stream {stream}"))
            })?;
        let copied = frames.copied;
        cameras.push(CameraFigures {
            figures: subscriber.since_restart()?,
            stream,
            copied,
        });
        subscriber.interrupt()?;
    }
    subscribers
        .into_iter()
        .try_for_each(|subscriber| subscriber.finish(WIND_DOWN).map(drop))?;
    step.end("done");
    Ok((cameras, cost))
}

/// Lets the cameras run, as long as the service does.
pub(super) fn run_for(
    time: Duration,
    service: &mut Service,
    step: &mut Step,
    what: &str,
) -> Result<(), Error> {
    let end = Instant::now() + time;
    while Instant::now() < end {
        service.check()?;
        step.tick(what);
        pause(LOOK.min(end.saturating_duration_since(Instant::now())))?;
    }
    Ok(())
}

/// Waits until all `count` cameras stream.
pub(super) fn wait_for_all(ctl: &Ctl, service: &mut Service, count: usize) -> Result<(), Error> {
    let mut step = Step::begin(format!("starting {count} cameras"));
    let deadline = Instant::now() + STREAMING;
    loop {
        service.check()?;
        let status = ctl.status()?;
        let streaming = status.iter().filter(|stream| stream.streams()).count();
        if streaming == count {
            step.end("all stream");
            return Ok(());
        }
        if Instant::now() > deadline {
            let silent = status.iter().filter(|stream| !stream.streams());
            let reasons: Vec<_> = silent
                .map(|stream| format!("{} ({})", stream.name, stream.reason()))
                .collect();
            return Err(Error::NotMet(format!(
                "not streaming within a minute: {}",
                reasons.join("; ")
            )));
        }
        step.tick(&format!("{streaming} of {count} stream"));
        pause(LOOK)?;
    }
}

/// Sleeps, unless the user wants an end.
pub(super) fn pause(time: Duration) -> Result<(), Error> {
    if signals::pause(time) {
        Err(Error::Interrupted)
    } else {
        Ok(())
    }
}

/// What `time` between two looks cost.
pub(super) fn cost(before: Usage, after: Usage, time: Duration) -> Cost {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    Cost {
        cpu_percent: 100.0 * after.cpu.saturating_sub(before.cpu).as_secs_f64()
            / time.as_secs_f64(),
        rss_mib_start: mib(before.rss),
        rss_mib_end: mib(after.rss),
        fds_start: before.fds,
        fds_end: after.fds,
    }
}

fn bars(cameras: &[CameraFigures]) -> Vec<Bar> {
    let slowest = cameras
        .iter()
        .map(|camera| camera.figures.fps)
        .fold(f64::NAN, f64::min);
    let sum = |field: fn(&CameraFigures) -> u64| cameras.iter().map(field).sum::<u64>() as f64;
    vec![
        Bar::at_least("fps of the slowest camera", slowest, FULL_RATE),
        Bar::at_most(
            "drops at depth 2, all cameras",
            sum(|camera| camera.figures.drops),
            0.0,
        ),
        Bar::at_most(
            "gaps in the sequence, all cameras",
            sum(|camera| camera.figures.gaps),
            0.0,
        ),
        Bar::at_most(
            "frames whose pixels were copied",
            sum(|camera| camera.copied),
            0.0,
        ),
    ]
}

impl Report {
    fn text(&self) -> String {
        let mut rows = vec![
            [
                "camera",
                "fps",
                "frames",
                "age p50 us",
                "age p99 us",
                "drops",
                "gaps",
            ]
            .map(str::to_owned)
            .to_vec(),
        ];
        rows.extend(self.cameras.iter().map(CameraFigures::cells));
        let mut bars = vec![["bar", "", "value", "limit"].map(str::to_owned).to_vec()];
        bars.extend(self.bars.iter().map(Bar::cells));
        let Cost {
            cpu_percent,
            rss_mib_start,
            rss_mib_end,
            fds_start,
            fds_end,
        } = self.service;
        format!(
            "{}\nservice: {cpu_percent:.0} % of one core, {rss_mib_start:.0} -> {rss_mib_end:.0} MiB, {fds_start} -> {fds_end} fds\n\n{}",
            table(&rows, 1),
            table(&bars, 2)
        )
    }
}

impl CameraFigures {
    fn cells(&self) -> Vec<String> {
        let figures = &self.figures;
        let age = |micros: Option<u64>| micros.map_or("-".to_owned(), |micros| micros.to_string());
        vec![
            self.stream.clone(),
            format!("{:.2}", figures.fps),
            figures.frames.to_string(),
            age(figures.age_p50_us),
            age(figures.age_p99_us),
            figures.drops.to_string(),
            figures.gaps.to_string(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(fps: f64, drops: u64) -> CameraFigures {
        CameraFigures {
            stream: "a".to_owned(),
            figures: Figures {
                fps,
                drops,
                ..Figures::default()
            },
            copied: 0,
        }
    }

    #[test]
    fn one_slow_camera_or_one_drop_breaks_a_bar() {
        let holds = |cameras: &[CameraFigures]| bars(cameras).iter().all(Bar::holds);
        assert!(holds(&[camera(30.0, 0), camera(29.95, 0)]));
        assert!(!holds(&[camera(30.0, 0), camera(29.5, 0)]));
        assert!(!holds(&[camera(30.0, 0), camera(30.0, 1)]));
        assert!(!holds(&[]));
    }

    #[test]
    fn cost_is_of_the_time_measured() {
        let usage = |cpu, fds| Usage {
            cpu: Duration::from_millis(cpu),
            rss: 3 << 20,
            fds,
            threads: 1,
        };
        let cost = cost(usage(500, 7), usage(1500, 9), Duration::from_secs(2));
        assert!((cost.cpu_percent - 50.0).abs() < 1e-9 && (cost.rss_mib_end - 3.0).abs() < 1e-9);
        assert_eq!((cost.fds_start, cost.fds_end), (7, 9));
    }
}
