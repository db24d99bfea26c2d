//! Progress for people, on standard error: one line a step, alive on a terminal, a heartbeat in a log.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// How often a log gets a sign of life from a long step.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// A line of plain progress.
pub(crate) fn say(text: impl AsRef<str>) {
    eprintln!("{}", text.as_ref());
}

/// A step under way.
#[derive(Debug)]
pub(crate) struct Step {
    name: String,
    started: Instant,
    shown: Instant,
    live: bool,
}

impl Step {
    /// Announces a step.
    pub(crate) fn begin(name: impl Into<String>) -> Self {
        let (name, now) = (name.into(), Instant::now());
        let live = stderr().is_terminal();
        if !live {
            eprintln!("{name} ...");
        }
        Self {
            name,
            started: now,
            shown: now,
            live,
        }
    }

    /// Time since the step began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Shows what the step is at; call as often as wanted.
    pub(crate) fn tick(&mut self, detail: &str) {
        if self.live {
            let line = format!(
                "{} {} {}",
                self.name,
                seconds(self.elapsed()),
                detail.trim()
            );
            eprint!("\r\x1b[K{}", clip(&line, 110));
            let _ = stderr().flush();
        } else if self.shown.elapsed() >= HEARTBEAT {
            self.shown = Instant::now();
            eprintln!(
                "    {} {}",
                seconds(self.elapsed()),
                clip(detail.trim(), 110)
            );
        }
    }

    /// Closes the step with a word on how it went; answers the time it took.
    pub(crate) fn end(self, outcome: &str) -> Duration {
        let took = self.elapsed();
        let clear = if self.live { "\r\x1b[K" } else { "" };
        eprintln!("{clear}{} {outcome} ({})", self.name, seconds(took));
        took
    }
}

/// Rows as lines with aligned columns: the first `left` columns to the left, numbers to the right.
pub(crate) fn table(rows: &[Vec<String>], left: usize) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<_> = (0..columns)
        .map(|column| width(column).unwrap_or(0))
        .collect();
    let cell = |(column, text): (usize, &String)| {
        let width = widths[column];
        if column < left {
            format!("{text:<width$}")
        } else {
            format!("{text:>width$}")
        }
    };
    let line = |row: &Vec<String>| {
        row.iter()
            .enumerate()
            .map(cell)
            .collect::<Vec<_>>()
            .join("  ")
            .trim_end()
            .to_owned()
    };
    rows.iter().map(|row| line(row) + "\n").collect()
}

/// `7.3 s`, `2 min 05 s`.
pub(crate) fn seconds(time: Duration) -> String {
    let all = time.as_secs_f64();
    if all < 60.0 {
        format!("{all:.1} s")
    } else {
        format!("{} min {:02} s", time.as_secs() / 60, time.as_secs() % 60)
    }
}

fn clip(text: &str, width: usize) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(width)
        .collect()
}

/// A step of work that shows its progress itself.
pub(crate) fn step<T, E>(
    name: impl Into<String>,
    work: impl FnOnce(&mut dyn FnMut(&str)) -> Result<T, E>,
) -> Result<T, E> {
    let mut step = Step::begin(name);
    let result = work(&mut |line| step.tick(line));
    step.end(if result.is_ok() { "done" } else { "FAILED" });
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        for (ms, text) in [
            (0, "0.0 s"),
            (7_349, "7.3 s"),
            (59_900, "59.9 s"),
            (125_400, "2 min 05 s"),
        ] {
            assert_eq!(seconds(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn tables_align() {
        let rows =
            [["a", "b"], ["long", "1.5"], ["x", "10.0"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows, 1), "a        b\nlong   1.5\nx     10.0\n");
        assert_eq!(table(&[], 1), "");
    }

    #[test]
    fn clipping_drops_control_characters() {
        assert_eq!(clip("a\x1bb\tcd", 3), "abc");
    }
}
