//! The table: what is so, what was asked for, and under which conditions.

use super::findings::{Findings, Platform, Stream, median};
use super::trees::{self, Board, Installed};
use crate::error::Error;

/// From systemd's start of the service to its control socket.
const START_BAR_MS: u64 = 10_000;
/// Resident memory of the service with no camera.
const RESIDENT_BAR: u64 = 40_000_000;
/// Service and command line on the disk.
const INSTALLED_BAR: u64 = 40_000_000;
/// Frames that a subscriber waits for.
const FRAMES: u64 = 60;

/// A line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    what: String,
    /// Whether it is as it has to be.
    pub(super) holds: bool,
    figure: String,
    limit: String,
    conditions: String,
}

impl Row {
    fn new(what: &str, holds: bool, figure: String, limit: &str, conditions: String) -> Self {
        Self {
            what: what.to_owned(),
            holds,
            figure,
            limit: limit.to_owned(),
            conditions,
        }
    }
}

/// All lines, out of what each boot wrote; the first is the board itself.
pub(super) fn rows(boots: &[(&Board, Findings)], boards: &[Board]) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::new();
    for (board, findings) in boots {
        rows.push(choice(board, &findings.platform()?));
        rows.push(stop(board, findings)?);
    }
    let Some((_, own)) = boots.first() else {
        return Ok(rows);
    };
    for (what, installed, file) in [
        ("with libcamera", Installed::Libcamera, "trees.jsonl"),
        (
            "with QMMF's element and service",
            Installed::Qmmf,
            "trees-qmmf.jsonl",
        ),
        ("with neither", Installed::Neither, "trees-neither.jsonl"),
    ] {
        let counts = trees::check(boards, installed, &own.text(file)?);
        rows.push(fixtures(what, counts, boards.len()));
    }
    rows.push(frames("front", &own.stream("front")?, Maps::ByPainting));
    rows.push(frames("vivid", &own.stream("vivid")?, Maps::Never));
    rows.extend(figures(own)?);
    Ok(rows)
}

/// What was chosen on a board.
fn choice(board: &Board, platform: &Platform) -> Row {
    let problems: Vec<_> = platform
        .problems
        .iter()
        .map(|problem| problem.message.as_str())
        .collect();
    let as_wanted = match &problems[..] {
        [] => board.family != "qcs",
        [one] => board.family == "qcs" && trees::is_next_best(one, "qcs", Some("libcamera")),
        _ => false,
    };
    let backend = platform.csi_backend.as_deref().unwrap_or("v4l2");
    Row::new(
        &format!("{}: platform, backend", board.name()),
        platform.family == board.family
            && backend == "libcamera"
            && as_wanted
            && platform.compatible.join(" ") == board.compatible,
        format!("{}, {backend}", platform.family),
        &format!("{}, libcamera", board.family),
        match problems.first() {
            Some(problem) => (*problem).to_owned(),
            None => platform.ground.clone(),
        },
    )
}

/// Whether the service ended by itself.
fn stop(board: &Board, findings: &Findings) -> Result<Row, Error> {
    let (result, took) = findings.stop()?;
    Ok(Row::new(
        &format!("{}: systemd's stop of the service", board.name()),
        result == "success",
        result,
        "success",
        format!(
            "after {:.2} s, with the start of systemctl",
            took as f64 / 1000.0
        ),
    ))
}

fn fixtures(
    installed: &str,
    counts: Result<std::collections::BTreeMap<String, usize>, String>,
    all: usize,
) -> Row {
    let what = &format!("boards of Linux 7.3 right, {installed}");
    let limit = format!("{all} of {all}");
    match counts {
        Ok(counts) => {
            let families: Vec<_> = counts
                .iter()
                .map(|(family, count)| format!("{count} {family}"))
                .collect();
            let total: usize = counts.values().sum();
            Row::new(
                what,
                total == all,
                format!("{total} of {all}"),
                &limit,
                families.join(", "),
            )
        }
        Err(why) => Row::new(what, false, "not all".to_owned(), &limit, why),
    }
}

/// Whether frames are mapped in the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Maps {
    /// Nobody has reason to.
    Never,
    /// libcamera's virtual handler paints its pictures there, so that the service may see that.
    ByPainting,
}

fn frames(name: &str, stream: &Stream, maps: Maps) -> Row {
    let (limit, note) = match maps {
        Maps::Never => ("0", ""),
        Maps::ByPainting => ("any", ", which paints in the service"),
    };
    Row::new(
        &format!("frames of {name}: memory, copies, violations"),
        stream.received >= FRAMES
            && stream.memory == "dmabuf"
            && stream.copied == 0
            && (maps == Maps::ByPainting || stream.violations == 0),
        format!(
            "{} in {}, {}, {}",
            stream.received, stream.memory, stream.copied, stream.violations
        ),
        &format!("{FRAMES} in dmabuf, 0, {limit}"),
        format!("{}{note}", stream.chain.join(" ! ")),
    )
}

fn figures(own: &Findings) -> Result<Vec<Row>, Error> {
    let starts = own.starts()?;
    let ready = median(starts.iter().map(|start| start.ready));
    let answered = median(starts.iter().map(|start| start.answered));
    let seconds = |ms: Option<u64>| {
        ms.map_or_else(
            || "none".to_owned(),
            |ms| format!("{:.2} s", ms as f64 / 1000.0),
        )
    };
    let all: Vec<_> = starts
        .iter()
        .map(|start| format!("{:.2}", start.ready as f64 / 1000.0))
        .collect();
    let (resident, peak) = own.resident()?;
    let anonymous = own.anonymous()?;
    let installed = own.installed()?;
    let mb = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let machine = format!(
        "Linux {} on {} emulated processors",
        own.text("kernel")?.trim(),
        own.text("processors")?.trim()
    );
    Ok(vec![
        Row::new(
            "systemd's start to READY=1",
            ready.is_some_and(|ms| ms < START_BAR_MS),
            seconds(ready),
            "< 10 s",
            format!(
                "median of {} restarts ({} s), warm registry; {machine}",
                starts.len(),
                all.join(", ")
            ),
        ),
        Row::new(
            "systemd's start to the answer of mosctl status",
            answered.is_some_and(|ms| ms < START_BAR_MS),
            seconds(answered),
            "< 10 s",
            "the same, with the start of mosctl".to_owned(),
        ),
        Row::new(
            "resident memory, idle, no camera",
            resident < RESIDENT_BAR,
            mb(resident),
            "< 40 MB",
            format!("VmRSS; peak {}, anonymous {}", mb(peak), mb(anonymous)),
        ),
        Row::new(
            "service and mosctl installed",
            installed < INSTALLED_BAR,
            mb(installed),
            "< 40 MB",
            "as dpkg counts".to_owned(),
        ),
    ])
}

/// The lines as cells.
pub(super) fn cells(rows: &[Row]) -> Vec<Vec<String>> {
    let head = ["what", "", "figure", "wanted", "conditions"]
        .map(str::to_owned)
        .to_vec();
    let line = |row: &Row| {
        let verdict = if row.holds { "ok" } else { "NOT MET" };
        vec![
            row.what.clone(),
            verdict.to_owned(),
            row.figure.clone(),
            row.limit.clone(),
            row.conditions.clone(),
        ]
    };
    std::iter::once(head).chain(rows.iter().map(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_neither_copied_nor_mapped_but_by_who_paints() {
        let good = Stream {
            received: 60,
            memory: "dmabuf".to_owned(),
            copied: 0,
            violations: 0,
            chain: Vec::new(),
        };
        let with = |change: fn(&mut Stream)| {
            let mut stream = good.clone();
            change(&mut stream);
            [Maps::Never, Maps::ByPainting].map(|maps| frames("x", &stream, maps).holds)
        };
        assert_eq!(with(|_| ()), [true, true]);
        assert_eq!(with(|stream| stream.violations = 1), [false, true]);
        assert_eq!(with(|stream| stream.copied = 1), [false, false]);
        assert_eq!(with(|stream| stream.received = 59), [false, false]);
        assert_eq!(
            with(|stream| stream.memory = "memfd".to_owned()),
            [false, false]
        );
    }
}
