//! The report of a run as Markdown, for `docs/benchmarks`.

use std::fmt::Write;

use super::Report;
use super::duel;
use super::findings::Findings;
use super::plots::Plot;
use super::wake::{self, Way};
use crate::contender::{Absent, Lane};
use crate::report::Bar;

const HEAD: &str = "\
# The frame bus, measured

Written by `cargo xtask bench bus`; don't edit. What is measured, and how to read it, is in [testing](../testing.md#benchmarks).
All of it comes from one run on one machine. A bar that says *not measured* was left out of this run or could not be measured there.
";

/// The whole page.
pub(super) fn text(report: &Report, plots: &[Plot]) -> String {
    let mut page = Page(HEAD.to_owned());
    page.conditions(report);
    page.bars(&report.bars);
    for (name, why) in &report.failed {
        page.line(&format!("\nNot measured: {name}: {why}"));
    }
    page.figures(&report.figures);
    if !plots.is_empty() {
        page.line("\n## Plots");
    }
    for Plot { file, title } in plots {
        page.line(&format!("\n{title}:\n\n![{title}]({file})"));
    }
    page.0
}

struct Page(String);

impl Page {
    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn table(&mut self, head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
        let line = |cells: &[String]| format!("| {} |", cells.join(" | "));
        let head: Vec<String> = head.iter().map(ToString::to_string).collect();
        self.line("");
        self.line(&line(&head));
        self.line(&format!("|{}", "---|".repeat(head.len())));
        for row in rows {
            let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
            self.line(&line(&cells));
        }
    }

    fn conditions(&mut self, report: &Report) {
        self.line("\n## Conditions");
        let mut rows = report.conditions.rows();
        rows.push(("load after".into(), report.load_after.clone()));
        rows.push(("took".into(), format!("{:.0} s", report.seconds)));
        rows.push(("seed".into(), report.seed.to_string()));
        if report.quick {
            rows.push(("note".into(), "a quick run: shorter, so noisier".into()));
        }
        self.table(&["", ""], rows.into_iter().map(|(a, b)| vec![a, b]));
    }

    fn bars(&mut self, bars: &[Bar]) {
        self.line("\n## Bars");
        let row = |bar: &Bar| {
            vec![
                bar.name.to_owned(),
                bar.demand.to_owned(),
                bar.figure.clone(),
                bar.word().to_owned(),
                bar.conditions.clone(),
            ]
        };
        let head = ["What", "Bar", "Figure", "", "Measured with"];
        self.table(&head, bars.iter().map(row));
    }

    fn figures(&mut self, f: &Findings) {
        if let Some(wake) = &f.wake {
            self.wake(wake);
        }
        self.publishing(f);
        if !f.scenarios.is_empty() {
            self.scenarios(f);
        }
        if !f.leases_back.is_empty() {
            self.leases(f);
        }
        if let Some(contenders) = &f.contenders {
            self.contenders(contenders);
        }
    }

    fn wake(&mut self, figures: &wake::Figures) {
        self.line("\n## From publishing to waking");
        self.line(
            "\nMicroseconds, p50 / p99 / p99.9 over all subscribers. The floors are bare calls of the kernel at the same fan-out, \
             drawn at random per frame within the same run; the futex is one word for all.",
        );
        let mut head = vec!["Subscribers", "fps", "Size"];
        head.extend(Way::ALL.map(Way::name));
        head.extend(["p50 bus / SEQPACKET", "p99", "taken"]);
        let row = |cell: &wake::Cell| {
            let mut row = vec![
                cell.shot.subscribers.to_string(),
                cell.shot.fps.to_string(),
                cell.shot.size.to_owned(),
            ];
            row.extend(Way::ALL.map(|way| {
                cell.ways.get(&way).map_or("-".to_owned(), |t| {
                    format!("{:.0} / {:.0} / {:.0}", t.p50_us, t.p99_us, t.p999_us)
                })
            }));
            row.push(format!("{:.3}", cell.p50_ratio));
            row.push(format!("{:.3}", cell.p99_ratio));
            row.push(format!("{:.1} %", 100.0 * cell.bus_delivered));
            row
        };
        self.table(&head, figures.cells.iter().map(row));
        let row = |r: &wake::Repeated| {
            let runs: Vec<String> = r.p99_ratios.iter().map(|x| format!("{x:.3}")).collect();
            vec![
                r.subscribers.to_string(),
                runs.join(", "),
                format!("{:.3}", r.median),
            ]
        };
        let head = [
            "Subscribers",
            "p99 bus / SEQPACKET at 1000 fps, each run",
            "median",
        ];
        self.table(&head, figures.repeated.iter().map(row));
    }

    fn publishing(&mut self, f: &Findings) {
        if f.system_calls.is_some() || f.cost_by_size.is_some() || f.publish_time.is_some() {
            self.line("\n## What publishing and receiving cost");
        }
        let mut rows = Vec::new();
        let mut row = |what: &str, figure: String| rows.push(vec![what.to_owned(), figure]);
        if let Some(s) = &f.system_calls {
            row(
                "system calls of a publish when nobody sleeps",
                s.per_publish_nobody_sleeps.to_string(),
            );
            row(
                "system calls of a publish per sleeping subscriber",
                s.per_sleeping_subscriber.to_string(),
            );
            row(
                "system calls of a delivery, at the subscriber",
                format!("{:.3}", s.per_delivery),
            );
            row("system calls of a release", s.per_release.to_string());
            row(
                "system calls of the producer's control thread per publish, busy / sleeping subscribers",
                format!(
                    "{:.3} / {:.3}",
                    s.background_nobody_sleeps, s.background_sleepers
                ),
            );
        }
        if let Some(c) = &f.cost_by_size {
            row(
                &format!(
                    "CPU per delivery, {} subscribers, {} fps: VGA / 4K",
                    c.subscribers, c.fps
                ),
                format!(
                    "{:.1} / {:.1} us",
                    c.vga_us_per_delivery, c.uhd_us_per_delivery
                ),
            );
            row(
                "CPU per publish of it, 4K, pacing included",
                format!("{:.1} us", c.uhd_us_per_publish),
            );
            row(
                "the same between two VGA runs, as a ratio",
                format!("{:.3}", c.control),
            );
        }
        if let Some(p) = &f.publish_time {
            row(
                "publish call p50, a subscriber stopped / running",
                format!("{:.1} / {:.1} us", p.stopped.p50_us, p.running.p50_us),
            );
            row(
                "publish call p99",
                format!("{:.1} / {:.1} us", p.stopped.p99_us, p.running.p99_us),
            );
            row(
                "publish call p99.9",
                format!("{:.1} / {:.1} us", p.stopped.p999_us, p.running.p999_us),
            );
            row(
                "publish call p99.9 of the two controls",
                format!("{:.1} / {:.1} us", p.control_a.p999_us, p.control_b.p999_us),
            );
        }
        if !rows.is_empty() {
            self.table(&["", ""], rows.into_iter());
        }
    }

    fn scenarios(&mut self, f: &Findings) {
        self.line("\n## While a subscriber misbehaves");
        self.line("\n1080p at 60 fps, three healthy subscribers beside the one that misbehaves. Losses are of the healthy ones.");
        let head = [
            "Run",
            "Seconds",
            "Frames",
            "fps",
            "Lost",
            "Torn",
            "Evicted",
            "Publish p50 / p99.9 us",
            "Wake p50 / p99 us",
            "Memory KiB",
            "Descriptors",
        ];
        let rows = f.scenarios.iter().map(|o| {
            vec![
                o.kind.to_string(),
                o.seconds.to_string(),
                o.published.to_string(),
                format!("{:.2}", o.producer_fps),
                o.lost.to_string(),
                o.torn.to_string(),
                o.evicted.to_string(),
                format!("{:.1} / {:.0}", o.publish.p50_us, o.publish.p999_us),
                format!("{:.0} / {:.0}", o.wake.p50_us, o.wake.p99_us),
                format!("{:+}", o.rss_growth_kib),
                format!("{:+}", o.fd_growth),
            ]
        });
        self.table(&head, rows);
    }

    fn leases(&mut self, f: &Findings) {
        self.line("\n## Leases back after SIGKILL");
        let head = ["Subscriber had", "Leases", "Kills", "p50 ms", "p99 ms"];
        let rows = f.leases_back.iter().map(|l| {
            vec![
                l.case.to_owned(),
                l.leases.to_string(),
                l.back.samples.to_string(),
                format!("{:.2}", l.back.p50_us / 1000.0),
                format!("{:.2}", l.back.p99_us / 1000.0),
            ]
        });
        self.table(&head, rows);
    }

    fn contenders(&mut self, figures: &duel::Figures) {
        self.line("\n## Beside other systems");
        self.line(&format!(
            "\nCPU of producer and subscribers per delivery, {} at {} fps, less what the same source and sink cost alone; \
             wake-up from publishing to having the frame. Programs compare with programs, elements with elements.",
            figures.size, figures.fps
        ));
        let head = [
            "System",
            "",
            "Subscribers",
            "CPU us per delivery",
            "Delivered",
            "Wake p50 / p99 us",
        ];
        let rows = figures.costs.iter().map(|c| {
            let lane = match c.lane {
                Lane::Native => "program",
                Lane::Elements => "GStreamer elements",
            };
            vec![
                c.name.clone(),
                lane.to_owned(),
                c.subscribers.to_string(),
                format!("{:.1}", c.us_per_delivery),
                format!("{:.1} %", 100.0 * c.delivered),
                c.wake
                    .map_or("-".into(), |w| format!("{:.0} / {:.0}", w.p50_us, w.p99_us)),
            ]
        });
        self.table(&head, rows);
        self.stops(figures);
        for Absent { name, why } in &figures.absent {
            self.line(&format!("\nNot measured: {name}: {why}"));
        }
        self.line("\nHow each was run:\n");
        for (name, conditions) in &figures.conditions {
            for (what, value) in conditions {
                self.line(&format!("- {name}, {what}: `{value}`"));
            }
        }
    }

    fn stops(&mut self, figures: &duel::Figures) {
        if figures.stops.is_empty() {
            return;
        }
        let plan = &figures.stop_plan;
        self.line(&format!(
            "\nOne of {} subscribers is stopped for {} s, then killed. Frames a second at worst: while it is stopped, and after the kill.",
            plan.load.subscribers,
            plan.stopped.as_secs()
        ));
        let head = [
            "System",
            "Producer",
            "Healthy subscriber",
            "Producer after",
            "Healthy after",
            "Memory KiB",
            "Descriptors",
            "Torn",
        ];
        let rows = figures.stops.iter().map(|s| {
            let [stopped, after] = s.story.lowest(plan);
            let known = |n: Option<i64>| n.map_or("-".to_owned(), |n| format!("{n:+}"));
            vec![
                s.name.clone(),
                stopped.produced.to_string(),
                stopped.healthy.to_string(),
                after.produced.to_string(),
                after.healthy.to_string(),
                known(s.story.rss_growth_kib),
                known(s.story.fd_growth),
                s.story.torn.map_or("-".to_owned(), |n| n.to_string()),
            ]
        });
        self.table(&head, rows);
    }
}

impl wake::Figures {
    /// Lines for the terminal.
    pub(super) fn lines(&self) -> Vec<String> {
        let cell = |c: &wake::Cell| {
            let mut line = format!(
                "  {:>2} x {:>4} fps {:<3}",
                c.shot.subscribers, c.shot.fps, c.shot.size
            );
            for (way, times) in &c.ways {
                // Writing to a string does not fail.
                let _ = write!(
                    line,
                    "  {} {:.0}/{:.0}",
                    way.name(),
                    times.p50_us,
                    times.p99_us
                );
            }
            line + &format!("  p50 x {:.3}, p99 x {:.3}", c.p50_ratio, c.p99_ratio)
        };
        let repeated = |r: &wake::Repeated| {
            format!(
                "  p99 at 1000 fps, {} subscribers: {:.3?}, median {:.3}",
                r.subscribers, r.p99_ratios, r.median
            )
        };
        self.cells
            .iter()
            .map(cell)
            .chain(self.repeated.iter().map(repeated))
            .collect()
    }
}
