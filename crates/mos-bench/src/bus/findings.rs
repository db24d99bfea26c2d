//! Everything that a run found out, and what its bars make of it: pure functions.

use serde::Serialize;

use super::scenario::{Kind, Outcome};
use super::{cost, crowd, duel, leases_back, publish_time, syscalls, wake};
use crate::contender::{BUS, BUS_ELEMENTS, FLOOR, SHM, UNIXFD};
use crate::report::{Bar, Finding};

/// Figures by section; `None` or empty where a section was left out or could not be made.
#[derive(Debug, Default, Serialize)]
pub(super) struct Findings {
    pub(super) scenarios: Vec<Outcome>,
    pub(super) publish_time: Option<publish_time::Figures>,
    pub(super) system_calls: Option<syscalls::Figures>,
    pub(super) wake: Option<wake::Figures>,
    pub(super) cost_by_size: Option<cost::Figures>,
    pub(super) leases_back: Vec<leases_back::Figures>,
    pub(super) crowd: Option<crowd::Figures>,
    pub(super) contenders: Option<duel::Figures>,
}

/// Most KiB that counts as no growth: the producer's own thread stacks and allocator settle within a few pages.
const NO_GROWTH_KIB: i64 = 64;

/// Largest ratio of two control samples with which anything is said about the third.
const MOST_NOISE: f64 = 1.5;

impl Findings {
    /// One bar for each row of the requirements.
    pub(super) fn bars(&self) -> Vec<Bar> {
        vec![
            Bar::new(
                "one subscriber stopped",
                "no frame lost at healthy subscribers because of it; the producer's rate unchanged; no growth of memory and descriptors (60 s at 60 fps, beside a control run)",
                self.stopped(),
            ),
            Bar::new(
                "frames overwritten while held; honest subscribers evicted",
                "0; 0, in every scenario",
                self.safety(),
            ),
            Bar::new(
                "publish p99.9, a stopped subscriber against none",
                "at most 1.2 times the control ratio",
                self.publish_time(),
            ),
            Bar::new(
                "system calls: publish when nobody sleeps; per sleeping subscriber; release",
                "0; at most 1; 0",
                self.system_calls(),
            ),
            Bar::new(
                "wake-up against a raw SEQPACKET of the same fan-out: p50 at 1, 4, 16; p99 at 1000 fps (median of runs)",
                "p50 at most 1.10; p99 at most 1.5",
                self.wake(),
            ),
            Bar::new("CPU per delivery, 4K / VGA", "at most 1.05", self.cost()),
            Bar::new(
                "CPU per delivery, the better of shmsrc and unixfdsrc / native subscriber, 1080p",
                "at least 4 at one subscriber, 2 at four",
                self.native(),
            ),
            Bar::new(
                "CPU per delivery, GStreamer element to element, 1080p",
                "less than shmsrc and than unixfdsrc",
                self.elements(),
            ),
            Bar::new(
                "all leases back after SIGKILL, p99, up to 16 MB mapped",
                "less than 5 ms",
                self.leases_back(),
            ),
            Bar::new(
                "64 subscribers at 60 fps",
                "no frame lost at any that keeps up",
                self.crowd(),
            ),
        ]
    }

    fn scenario(&self, kind: Kind) -> Option<&Outcome> {
        self.scenarios.iter().find(|outcome| outcome.kind == kind)
    }

    fn stopped(&self) -> Option<Finding> {
        let (with, control) = (self.scenario(Kind::Stopped)?, self.scenario(Kind::Control)?);
        let rate = with.producer_fps / control.producer_fps;
        let grown = with.rss_growth_kib - control.rss_growth_kib.max(0);
        Some(Finding {
            reached: with.lost <= control.lost
                && (rate - 1.0).abs() <= 0.005
                && grown <= NO_GROWTH_KIB
                && with.fd_growth <= 0,
            figure: format!(
                "{} lost (control {}); rate x {rate:.4}; memory {:+} KiB (control {:+}), descriptors {:+}",
                with.lost,
                control.lost,
                with.rss_growth_kib,
                control.rss_growth_kib,
                with.fd_growth
            ),
            values: vec![
                ("lost", with.lost as f64),
                ("lost_control", control.lost as f64),
                ("rate", rate),
                ("rss_growth_kib", with.rss_growth_kib as f64),
                ("rss_growth_control_kib", control.rss_growth_kib as f64),
                ("fd_growth", with.fd_growth as f64),
            ],
            conditions: format!(
                "{} s at {} fps, 1080p, {} healthy subscribers",
                with.seconds, with.fps, with.healthy_subscribers
            ),
        })
    }

    fn safety(&self) -> Option<Finding> {
        for kind in [Kind::Control, Kind::Stopped, Kind::Slow, Kind::Killed] {
            self.scenario(kind)?;
        }
        let scenarios = self.scenarios.iter().map(|o| (o.torn, o.evicted));
        let others = [
            self.publish_time.as_ref().map(|f| (f.torn, f.evicted)),
            self.crowd.as_ref().map(|f| (f.torn, f.evicted)),
            self.wake.as_ref().map(|f| (0, f.evicted)),
            self.system_calls.as_ref().map(|f| (0, f.evicted)),
            self.cost_by_size.as_ref().map(|f| (0, f.evicted)),
            self.contenders.as_ref().map(|f| (f.torn_on_bus(), 0)),
        ];
        let all: Vec<(u64, u64)> = scenarios.chain(others.into_iter().flatten()).collect();
        let torn: u64 = all.iter().map(|(torn, _)| torn).sum();
        let evicted: u64 = all.iter().map(|(_, evicted)| evicted).sum();
        Some(Finding {
            reached: torn == 0 && evicted == 0,
            figure: format!("{torn}; {evicted}"),
            values: vec![("torn", torn as f64), ("evicted", evicted as f64)],
            conditions: format!(
                "{} measurements: control, stopped, slow, killed and whatever else ran",
                all.len()
            ),
        })
    }

    fn publish_time(&self) -> Option<Finding> {
        let f = self.publish_time.as_ref()?;
        let over_control = f.ratio / f.control_ratio;
        // Where the same thing measured twice differs by half, nothing can be told, not even that the bar holds.
        let decidable = (1.0 / MOST_NOISE..=MOST_NOISE).contains(&f.control_ratio);
        let note = if decidable { "" } else { "; too noisy to tell" };
        Some(Finding {
            reached: decidable && over_control <= 1.2,
            figure: format!(
                "{over_control:.3} times the control ratio ({:.3} / {:.3}); p99.9 {:.1} us stopped, {:.1} us running{note}",
                f.ratio, f.control_ratio, f.stopped.p999_us, f.running.p999_us
            ),
            values: vec![
                ("over_control", over_control),
                ("ratio", f.ratio),
                ("control_ratio", f.control_ratio),
            ],
            conditions: format!(
                "{} windows in random order, {} samples of each kind, {} fps, {} healthy subscribers",
                f.windows, f.stopped.samples, f.fps, f.healthy_subscribers
            ),
        })
    }

    fn system_calls(&self) -> Option<Finding> {
        let f = self.system_calls.as_ref()?;
        Some(Finding {
            reached: f.per_publish_nobody_sleeps <= 0.0
                && f.per_sleeping_subscriber <= 1.0
                && f.per_release <= 0.0
                // Calls for frames that never came would be flattering; who joins late gets one more.
                && f.deliveries >= f.possible,
            figure: format!(
                "{}; {}; {} (a delivery: {:.3})",
                f.per_publish_nobody_sleeps,
                f.per_sleeping_subscriber,
                f.per_release,
                f.per_delivery
            ),
            values: vec![
                ("publish_nobody_sleeps", f.per_publish_nobody_sleeps),
                ("per_sleeping_subscriber", f.per_sleeping_subscriber),
                ("release", f.per_release),
                ("delivery", f.per_delivery),
            ],
            conditions: format!(
                "counted by ptrace (strace), {} publishes to {} subscribers, {} of {} delivered",
                f.publishes, f.subscribers, f.deliveries, f.possible
            ),
        })
    }

    fn wake(&self) -> Option<Finding> {
        let f = self.wake.as_ref()?;
        let judged = |c: &&wake::Cell| wake::JUDGED.contains(&c.shot.subscribers);
        let p50s = || f.cells.iter().filter(judged).map(|c| c.p50_ratio);
        let worst_p99 = worst(f.repeated.iter().map(|r| r.median));
        let runs = f.repeated.first()?.p99_ratios.len();
        let worst_p50 = worst(p50s());
        Some(Finding {
            reached: worst_p50 <= 1.10 && worst_p99 <= 1.5,
            figure: format!(
                "p50 at most {worst_p50:.3} in any of {} cells; p99 {}",
                p50s().count(),
                f.repeated
                    .iter()
                    .map(|r| format!("{:.3} at {}", r.median, r.subscribers))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            values: vec![
                ("p50_ratio_worst", worst_p50),
                ("p99_ratio_worst", worst_p99),
            ],
            conditions: format!(
                "ways drawn at random per frame, producer and listeners on cores of their own; p50 at every rate and size measured, p99 at {} fps, VGA, median of {runs} runs",
                wake::FAST
            ),
        })
    }

    fn cost(&self) -> Option<Finding> {
        let f = self.cost_by_size.as_ref()?;
        Some(Finding {
            reached: f.uhd_to_vga <= 1.05 && f.copies == 0 && f.deliveries * 2 >= f.possible,
            figure: format!(
                "{:.3} (control {:.3}); {:.1} us a delivery; {} copies",
                f.uhd_to_vga, f.control, f.uhd_us_per_delivery, f.copies
            ),
            values: vec![
                ("uhd_to_vga", f.uhd_to_vga),
                ("control", f.control),
                ("copies", f.copies as f64),
            ],
            conditions: format!(
                "CPU time of all processes, median of {} pairs, {} subscribers, {} fps",
                f.pairs, f.subscribers, f.fps
            ),
        })
    }

    fn native(&self) -> Option<Finding> {
        let f = self.contenders.as_ref()?;
        let (one, four) = (f.times_less(BUS, 1)?, f.times_less(BUS, 4)?);
        // What the bar would be for something that does nothing but wake a process.
        let floor = |subscribers| f.times_less(FLOOR, subscribers);
        let mut values = vec![("one", one), ("four", four)];
        let mut beside = String::new();
        if let (Some(floor_one), Some(floor_four)) = (floor(1), floor(4)) {
            values.extend([("floor_one", floor_one), ("floor_four", floor_four)]);
            beside = format!("; a raw SEQPACKET: {floor_one:.2} and {floor_four:.2}");
        }
        Some(Finding {
            reached: one >= 4.0 && four >= 2.0,
            figure: format!("{one:.2} times at one, {four:.2} times at four subscribers{beside}"),
            values,
            conditions: f.shape(),
        })
    }

    fn elements(&self) -> Option<Finding> {
        let f = self.contenders.as_ref()?;
        let (one, four) = (
            f.times_less(BUS_ELEMENTS, 1)?,
            f.times_less(BUS_ELEMENTS, 4)?,
        );
        Some(Finding {
            reached: one > 1.0 && four > 1.0,
            figure: format!(
                "{one:.2} times less at one, {four:.2} times less at four subscribers than the better of both"
            ),
            values: vec![("one", one), ("four", four)],
            conditions: format!("{}, less source and sink alone", f.shape()),
        })
    }

    fn leases_back(&self) -> Option<Finding> {
        let small = || self.leases_back.iter().filter(|f| f.mapped_mib <= 17.0);
        small().next()?;
        let p99_ms = worst(small().map(|f| f.back.p99_us / 1000.0));
        let pool = self.leases_back.iter().find(|f| f.mapped_mib > 17.0);
        let with_pool = pool.map_or(String::new(), |f| {
            format!(
                "; {:.1} ms with {:.0} MiB",
                f.back.p99_us / 1000.0,
                f.mapped_mib
            )
        });
        Some(Finding {
            reached: p99_ms < 5.0,
            figure: format!("{p99_ms:.2} ms{with_pool}"),
            values: vec![("p99_ms", p99_ms)],
            conditions: small()
                .map(|f| format!("{}: {} kills", f.case, f.back.samples))
                .collect::<Vec<_>>()
                .join("; "),
        })
    }

    fn crowd(&self) -> Option<Finding> {
        let f = self.crowd.as_ref()?;
        Some(Finding {
            reached: f.lost == 0,
            figure: format!(
                "{} lost of {}; wake p50 {:.0} us, p99 {:.0} us",
                f.lost,
                f.published * u64::from(f.subscribers),
                f.wake.p50_us,
                f.wake.p99_us
            ),
            values: vec![("lost", f.lost as f64), ("worst", f.worst as f64)],
            conditions: format!(
                "{} frames at {:.2} fps, VGA, {:.0} % of one core for everybody together",
                f.published, f.producer_fps, f.cpu_percent
            ),
        })
    }
}

/// Largest of the values; NaN if any is, so that nothing missing looks good.
fn worst(values: impl Iterator<Item = f64>) -> f64 {
    values
        .reduce(|a, b| if a.is_nan() || a > b { a } else { b })
        .unwrap_or(f64::NAN)
}

impl duel::Figures {
    /// How many times less than the cheaper of the two GStreamer peers a contender costs; both have to be there.
    fn times_less(&self, name: &str, subscribers: u32) -> Option<f64> {
        let than = |peer| self.ratio(peer, name, subscribers);
        Some(than(SHM)?.min(than(UNIXFD)?))
    }

    fn shape(&self) -> String {
        let runs = self.costs.first().map_or(0, |c| c.runs_us.len());
        format!(
            "{}, {} fps, median of the ratios within {runs} rounds, each in random order",
            self.size, self.fps
        )
    }

    fn torn_on_bus(&self) -> u64 {
        let bus = self.stops.iter().filter(|s| s.name == BUS);
        bus.filter_map(|s| s.story.torn).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::contender::{Lane, Load, StopPlan};
    use crate::report::Verdict;
    use crate::stats::Times;

    fn outcome(kind: Kind) -> Outcome {
        Outcome {
            kind,
            seconds: 60,
            fps: 60,
            healthy_subscribers: 3,
            published: 3600,
            producer_fps: 60.0,
            lost: 0,
            torn: 0,
            evicted: 0,
            publish: Times::default(),
            wake: Times::default(),
            rss_growth_kib: 0,
            fd_growth: 0,
        }
    }

    fn verdict(findings: &Findings, name: &str) -> Verdict {
        let bars = findings.bars();
        let found = bars.iter().find(|bar| bar.name.starts_with(name));
        found.map(|bar| bar.verdict).expect(name)
    }

    #[test]
    fn every_row_has_its_bar_and_nothing_measured_is_nothing_reached() {
        let bars = Findings::default().bars();
        assert_eq!(bars.len(), 10);
        assert!(
            bars.iter()
                .all(|bar| bar.verdict == Verdict::NotMeasured && !bar.ok)
        );
    }

    #[test]
    fn a_stopped_subscriber_is_judged_beside_its_control() {
        type Change = fn(&mut Outcome, &mut Outcome);
        let cases: [(&str, Change, Verdict); 6] = [
            ("as it should be", |_, _| {}, Verdict::Ok),
            ("a loss", |with, _| with.lost = 1, Verdict::Missed),
            (
                "a loss that control has, too",
                |with, control| (with.lost, control.lost) = (1, 1),
                Verdict::Ok,
            ),
            (
                "slower",
                |with, _| with.producer_fps = 59.0,
                Verdict::Missed,
            ),
            (
                "memory",
                |with, _| with.rss_growth_kib = 100,
                Verdict::Missed,
            ),
            ("descriptors", |with, _| with.fd_growth = 1, Verdict::Missed),
        ];
        for (name, change, expected) in cases {
            let (mut with, mut control) = (outcome(Kind::Stopped), outcome(Kind::Control));
            change(&mut with, &mut control);
            let findings = Findings {
                scenarios: vec![control, with],
                ..Findings::default()
            };
            assert_eq!(verdict(&findings, "one subscriber"), expected, "{name}");
        }
    }

    #[test]
    fn one_torn_frame_or_eviction_anywhere_breaks_the_bar() {
        let kinds = [Kind::Control, Kind::Stopped, Kind::Slow, Kind::Killed];
        let with = |change: fn(&mut Outcome)| {
            let mut scenarios: Vec<Outcome> = kinds.map(outcome).to_vec();
            change(&mut scenarios[2]);
            let findings = Findings {
                scenarios,
                ..Findings::default()
            };
            verdict(&findings, "frames overwritten")
        };
        assert_eq!(with(|_| {}), Verdict::Ok);
        assert_eq!(with(|o| o.torn = 1), Verdict::Missed);
        assert_eq!(with(|o| o.evicted = 1), Verdict::Missed);
        // A scenario that did not run is no scenario without faults.
        assert_eq!(with(|o| o.kind = Kind::Control), Verdict::NotMeasured);
    }

    #[test]
    fn peers_are_judged_only_if_both_are_there() {
        let figures = |costs: &[(&str, u32, f64)]| {
            let cost = |(name, subscribers, us): &(&str, u32, f64)| duel::Cost {
                name: (*name).to_owned(),
                lane: Lane::Native,
                subscribers: *subscribers,
                us_per_delivery: *us,
                runs_us: vec![*us],
                delivered: 1.0,
                wake: None,
            };
            let load = Load {
                subscribers: 1,
                width: 2,
                height: 2,
                fps: 60,
                frames: 1,
            };
            let second = std::time::Duration::from_secs(1);
            Findings {
                contenders: Some(duel::Figures {
                    fps: 60,
                    size: "1080p",
                    conditions: BTreeMap::new(),
                    costs: costs.iter().map(cost).collect(),
                    stop_plan: StopPlan {
                        load,
                        before: second,
                        stopped: second,
                        after_kill: second,
                    },
                    stops: vec![],
                    absent: vec![],
                }),
                ..Findings::default()
            }
        };
        let native = [(BUS, 1, 40.0), (BUS, 4, 40.0)];
        let shm = [(SHM, 1, 170.0), (SHM, 4, 90.0)];
        let unixfd = [(UNIXFD, 1, 161.0), (UNIXFD, 4, 200.0)];
        let elements = [(BUS_ELEMENTS, 1, 160.0), (BUS_ELEMENTS, 4, 89.0)];
        let all = figures(&[native, shm, unixfd, elements].concat());
        assert_eq!(verdict(&all, "CPU per delivery, the better"), Verdict::Ok);
        assert_eq!(verdict(&all, "CPU per delivery, GStreamer"), Verdict::Ok);
        let without = figures(&[native, shm, elements].concat());
        for bar in [
            "CPU per delivery, the better",
            "CPU per delivery, GStreamer",
        ] {
            assert_eq!(verdict(&without, bar), Verdict::NotMeasured, "{bar}");
        }
        let cheaper = [(UNIXFD, 1, 159.0), (UNIXFD, 4, 200.0)];
        let behind = figures(&[native, shm, cheaper, elements].concat());
        assert_eq!(
            verdict(&behind, "CPU per delivery, the better"),
            Verdict::Missed
        );
        assert_eq!(
            verdict(&behind, "CPU per delivery, GStreamer"),
            Verdict::Missed
        );
    }

    #[test]
    fn publish_time_is_judged_by_its_control_if_that_is_quiet() {
        let findings = |ratio, control_ratio| Findings {
            publish_time: Some(publish_time::Figures {
                fps: 1000,
                healthy_subscribers: 3,
                windows: 4,
                stopped: Times::default(),
                running: Times::default(),
                control_a: Times::default(),
                control_b: Times::default(),
                ratio,
                control_ratio,
                torn: 0,
                evicted: 0,
                lost: 0,
            }),
            ..Findings::default()
        };
        let cases = [
            (1.0, 1.0, Verdict::Ok),
            (1.19, 1.0, Verdict::Ok),
            (1.21, 1.0, Verdict::Missed),
            (1.25, 1.1, Verdict::Ok),
            // Control would excuse anything.
            (1.0, 4.0, Verdict::Missed),
            (0.1, 0.2, Verdict::Missed),
            (f64::NAN, f64::NAN, Verdict::Missed),
        ];
        for (ratio, control, expected) in cases {
            let found = verdict(&findings(ratio, control), "publish p99.9");
            assert_eq!(found, expected, "{ratio} beside {control}");
        }
    }

    #[test]
    fn the_worst_of_nothing_is_not_good() {
        assert!(worst(std::iter::empty()).is_nan());
        assert!(worst([1.0, f64::NAN, 0.5].into_iter()).is_nan());
        assert!((worst([1.0, 1.2, 0.5].into_iter()) - 1.2).abs() < 1e-9);
    }
}
