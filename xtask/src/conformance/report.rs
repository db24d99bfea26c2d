//! The table: for people in `docs/conformance.md` and on the terminal, for programs as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::faults::Fault;
use super::pair::{Outcome, Pair};
use super::sequence::condensed;
use super::transport::Transport;

/// A whole run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The seed of the run.
    pub(crate) seed: u64,
    /// What treated the packets.
    pub(crate) shaper: &'static str,
    /// How long it all took.
    pub(crate) seconds: f64,
    /// All pairs, in the table's order.
    pub(crate) rows: Vec<Row>,
    /// The camera that had no fault.
    pub(crate) neighbour: Neighbour,
}

/// A pair's line.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    transport: &'static str,
    fault: &'static str,
    /// Why it was not tried; then nothing else is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_applicable: Option<&'static str>,
    #[serde(flatten)]
    tried: Option<Tried>,
}

#[derive(Debug, Serialize)]
struct Tried {
    expected: &'static str,
    within_seconds: f64,
    needs_person: Option<&'static str>,
    seed: u64,
    seen: Vec<String>,
    recovered_seconds: Option<f64>,
    said: Option<String>,
    ok: bool,
    wrong: Option<String>,
}

/// What became of the camera that had no fault.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Neighbour {
    /// Frames that its subscriber received.
    pub(crate) frames: u64,
    /// Its states since it first streamed.
    pub(crate) seen: Vec<String>,
    /// Seconds of the run in which it received none.
    pub(crate) silent_seconds: f64,
}

impl Neighbour {
    /// Whether it noticed nothing.
    pub(crate) fn ok(&self) -> bool {
        self.seen == ["streaming"] && self.frames > 0 && self.silent_seconds == 0.0
    }
}

impl Row {
    /// Of a pair that was tried.
    pub(crate) fn tried(pair: &Pair, outcome: Outcome) -> Self {
        Self {
            transport: pair.transport.name(),
            fault: pair.fault.name(),
            not_applicable: None,
            tried: Some(Tried {
                expected: pair.expectation.states,
                within_seconds: pair.expectation.within.as_secs_f64(),
                needs_person: pair.fault.person(),
                seed: pair.seed,
                seen: outcome.seen,
                recovered_seconds: outcome.recovered.map(|time| time.as_secs_f64()),
                said: outcome.said,
                ok: outcome.wrong.is_none(),
                wrong: outcome.wrong,
            }),
        }
    }

    /// Of a pair that makes no sense.
    pub(crate) fn not_applicable(transport: Transport, fault: Fault, why: &'static str) -> Self {
        Self {
            transport: transport.name(),
            fault: fault.name(),
            not_applicable: Some(why),
            tried: None,
        }
    }

    /// Whether it was tried and is not as expected.
    pub(crate) fn failed(&self) -> bool {
        self.tried.as_ref().is_some_and(|tried| !tried.ok)
    }

    /// Whether it was tried.
    pub(crate) fn counts(&self) -> bool {
        self.tried.is_some()
    }

    fn key(&self) -> (usize, usize) {
        let fault = Fault::ALL
            .iter()
            .position(|fault| fault.name() == self.fault);
        let transport = Transport::ALL
            .iter()
            .position(|transport| transport.name() == self.transport);
        (fault.unwrap_or(usize::MAX), transport.unwrap_or(usize::MAX))
    }

    /// What is wrong, with what was seen.
    pub(crate) fn complaint(&self) -> Option<String> {
        let tried = self.tried.as_ref().filter(|tried| !tried.ok)?;
        Some(format!(
            "{} over {}: {}\n    expected: {}\n    seen:     {}\n    seed:     {}",
            self.fault,
            self.transport,
            tried.wrong.as_deref().unwrap_or_default(),
            tried.expected,
            condensed(&tried.seen),
            tried.seed,
        ))
    }

    fn cells(&self) -> [String; 6] {
        let (fault, transport) = (self.fault.to_owned(), self.transport.to_owned());
        let Some(tried) = &self.tried else {
            let why = format!(
                "not applicable: {}",
                self.not_applicable.unwrap_or_default()
            );
            return [
                fault,
                transport,
                why,
                String::new(),
                String::new(),
                String::new(),
            ];
        };
        let outcome = if tried.ok { "yes" } else { "**no**" };
        let time = match tried.recovered_seconds {
            Some(time) if time > 0.0 => format!("{time:.1} s"),
            Some(_) => "0".to_owned(),
            None => "-".to_owned(),
        };
        [
            fault,
            transport,
            tried.expected.to_owned(),
            condensed(&tried.seen),
            time,
            outcome.to_owned(),
        ]
    }
}

const HEAD: [&str; 6] = [
    "fault",
    "transport",
    "expected",
    "seen",
    "recovered after",
    "as expected",
];

impl Report {
    /// Brings the rows into the table's order.
    pub(crate) fn sort(&mut self) {
        self.rows.sort_by_key(Row::key);
    }

    /// Whether everything is as expected.
    pub(crate) fn ok(&self) -> bool {
        self.neighbour.ok() && !self.rows.iter().any(Row::failed)
    }

    /// The last line.
    pub(crate) fn verdict(&self) -> String {
        let tried = self.rows.iter().filter(|row| row.counts()).count();
        let failed = self.rows.iter().filter(|row| row.failed()).count();
        let neighbour = if self.neighbour.ok() {
            format!(
                "the camera beside them noticed nothing ({} frames)",
                self.neighbour.frames
            )
        } else {
            format!(
                "the camera beside them was disturbed: {}, {:.0} s without frames",
                condensed(&self.neighbour.seen),
                self.neighbour.silent_seconds
            )
        };
        format!(
            "{} of {tried} pairs as expected; {neighbour}",
            tried - failed
        )
    }

    /// For the terminal.
    pub(crate) fn text(&self) -> String {
        let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
        rows.extend(self.rows.iter().map(|row| row.cells().to_vec()));
        crate::ui::table(&rows, 6)
    }

    /// `docs/conformance.md`.
    pub(crate) fn document(&self) -> String {
        let mut text = format!("{}\n", INTRODUCTION.trim());
        let _ = writeln!(
            text,
            "\n## The faults\n\n| Fault | What happens | A person has to |\n|---|---|---|"
        );
        for fault in Fault::ALL {
            let person = fault.person().unwrap_or("do nothing");
            let _ = writeln!(text, "| {} | {} | {person} |", fault.name(), fault.what());
        }
        let _ = writeln!(
            text,
            "\n## The table\n\nA run of {:.0} s with seed {}; packets are treated by {}. {}.\n",
            self.seconds,
            self.seed,
            self.shaper,
            capitalised(&self.verdict()),
        );
        let _ = writeln!(text, "| {} |", HEAD.map(capitalised).join(" | "));
        let _ = writeln!(text, "|{}", "---|".repeat(HEAD.len()));
        for row in &self.rows {
            // A bar would end the cell, in a pattern too.
            let _ = writeln!(
                text,
                "| {} |",
                row.cells().map(|cell| cell.replace('|', "\\|")).join(" | ")
            );
        }
        text
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

const INTRODUCTION: &str = "
# What network cameras survive

This file is written by `cargo xtask conformance`, which tries each fault over each transport, and ends with exit code 0 only if all came as
expected. Cameras are real servers in network namespaces of their own, joined to one real service by veth pairs; what no sane server does is done
by `mos-rtsp-faults` in front of one. A camera without a fault streams in the same service all the time and must not notice.

`--only TEXT` tries the faults or transports whose name holds it, `--transport T` one transport, `--seed N` another course of chance, `--json`
prints the table for programs. A short part runs in `./x test`. It needs root, and Debian's iproute2 and ethtool.

*Expected* and *seen* are the states of the stream in order, from before the fault: `+` is one or more, `?` one or none, `x N` how often. *Recovered
after* counts from the end of the fault to the state `streaming`, with frames at a subscriber from then on; 0 if the stream was never lost, or
was back before the fault was over. The cameras' watchdogs are set to 10 s for the first frame and 3 s for later ones, answers have 3 s. Waits between
attempts grow from half a second to 20 s (see `Lifecycle of a stream` in [ARCHITECTURE.md](../ARCHITECTURE.md)), so that a fault that lasts longer takes longer
to recover from.

Where the kernel has no `sch_netem`, `mos-wire` treats the packets; the table says which it was. The kernel's own netem is run in the camera lab, on Debian's kernel: `cargo xtask
lab run rtsp-netem` puts one camera by TCP and one by UDP behind it and has it do the same things (a loss of 5 %, 300 ms, 200 ± 150 ms, one packet in four ahead
of the others), and what `mos-wire` does not do: one packet in five twice, one in twenty with a wrong bit. Neither stream changes its state or stops by any of these; what netem did
shows in the kernel's own counters. Nothing passing for 30 s has both end in `streaming -> stalled -> backoff? -> starting -> (backoff -> starting)* -> streaming`, as here, and a camera
beside them notices nothing.
";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::conformance::pair::pairs;

    fn outcome(wrong: Option<&str>) -> Outcome {
        Outcome {
            seen: ["streaming", "backoff", "starting", "streaming"]
                .map(str::to_owned)
                .to_vec(),
            said: None,
            recovered: wrong.is_none().then_some(Duration::from_millis(1_234)),
            wrong: wrong.map(str::to_owned),
        }
    }

    fn report(wrong: Option<&str>) -> Report {
        let (pairs, _) = pairs(
            &[Transport::RtspUdp, Transport::RtspTcp],
            &[Fault::Reset],
            1,
        );
        Report {
            seed: 1,
            shaper: "x",
            seconds: 60.0,
            rows: pairs
                .iter()
                .map(|pair| Row::tried(pair, outcome(wrong)))
                .collect(),
            neighbour: Neighbour {
                frames: 900,
                seen: vec!["streaming".to_owned()],
                silent_seconds: 0.0,
            },
        }
    }

    #[test]
    fn one_wrong_pair_or_a_disturbed_neighbour_is_a_failure() {
        assert!(report(None).ok());
        assert!(!report(Some("late")).ok());
        for disturbed in [
            Neighbour {
                frames: 0,
                ..report(None).neighbour
            },
            Neighbour {
                silent_seconds: 1.0,
                ..report(None).neighbour
            },
            Neighbour {
                seen: vec![],
                ..report(None).neighbour
            },
        ] {
            let report = Report {
                neighbour: disturbed,
                ..report(None)
            };
            assert!(!report.ok() && report.verdict().contains("disturbed"));
        }
    }

    #[test]
    fn the_document_has_a_line_for_each_pair_in_order() {
        let mut report = report(None);
        report.rows.push(Row::not_applicable(
            Transport::RtspTcp,
            Fault::Loss,
            "no sense",
        ));
        report.sort();
        let text = report.document();
        let lines: Vec<_> = text
            .lines()
            .skip_while(|line| !line.starts_with("## The table"))
            .collect();
        assert!(
            lines[4].starts_with("| Fault | Transport |"),
            "{}",
            lines[4]
        );
        assert!(
            lines[6].contains("not applicable: no sense"),
            "{}",
            lines[6]
        );
        assert!(
            lines[7].starts_with("| reset | rtsp-tcp | ") && lines[7].ends_with("| 1.2 s | yes |"),
            "{}",
            lines[7]
        );
        assert!(lines[8].starts_with("| reset | rtsp-udp | "));
        let bars = |line: &str| line.replace("\\|", "").matches('|').count();
        assert!(lines[4..=8].iter().all(|line| bars(line) == 7));
    }

    #[test]
    fn complaints_name_the_pair_and_its_seed() {
        let report = report(Some("late"));
        let text = report.rows[0].complaint().unwrap();
        for part in [
            "reset over rtsp-udp: late",
            "streaming -> backoff -> starting -> streaming",
            "seed:",
        ] {
            assert!(text.contains(part), "{text}");
        }
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["rows"][0]["ok"], false);
    }
}
