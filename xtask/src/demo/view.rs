//! The live table.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use super::cameras::StreamSource;
use crate::rig::subscriber::Figures;
use crate::ui::table;

/// How often a log gets a table.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// A stream as the table shows it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Its name and kind.
    pub(crate) source: StreamSource,
    /// As the service has it.
    pub(crate) state: String,
    /// Published a second.
    pub(crate) fps: Option<f64>,
    /// Those who receive it.
    pub(crate) subscribers: Vec<SubscriberRow>,
}

/// A subscriber as the table shows it.
#[derive(Clone, Debug)]
pub(crate) struct SubscriberRow {
    /// Its name.
    pub(crate) name: String,
    /// What it measured.
    pub(crate) figures: Figures,
}

/// Draws tables over each other on a terminal, and one now and then in a log.
#[derive(Debug)]
pub(crate) struct View {
    live: bool,
    lines: usize,
    shown: Option<Instant>,
}

impl View {
    /// Nothing is shown yet.
    pub(crate) fn new() -> Self {
        Self {
            live: stderr().is_terminal(),
            lines: 0,
            shown: None,
        }
    }

    /// Shows the newest figures.
    pub(crate) fn show(&mut self, rows: &[Row]) {
        if !self.live
            && self
                .shown
                .is_some_and(|shown| shown.elapsed() < LOG_INTERVAL)
        {
            return;
        }
        let text = render(rows);
        if self.live && self.lines > 0 {
            eprint!("\x1b[{}A\x1b[J", self.lines);
        }
        eprint!("{text}");
        (self.lines, self.shown) = (text.lines().count(), Some(Instant::now()));
    }

    /// Takes the live table away; the results follow.
    pub(crate) fn end(&mut self) {
        if self.live && self.lines > 0 {
            eprint!("\x1b[{}A\x1b[J", self.lines);
            self.lines = 0;
        }
    }
}

/// The table as text.
pub(crate) fn render(rows: &[Row]) -> String {
    let head = [
        "stream",
        "source",
        "state",
        "subscriber",
        "fps",
        "age p50",
        "age p99",
        "drops",
    ];
    let mut cells = vec![head.map(str::to_owned).to_vec()];
    for row in rows {
        let fps = row.fps.map_or("-".to_owned(), |fps| format!("{fps:.1}"));
        let mut start = vec![
            row.source.stream.clone(),
            row.source.kind.clone(),
            row.state.clone(),
        ];
        cells.push([start.clone(), vec!["(published)".to_owned(), fps]].concat());
        start.iter_mut().for_each(String::clear);
        cells.extend(
            row.subscribers
                .iter()
                .map(|subscriber| [start.clone(), subscriber_cells(subscriber)].concat()),
        );
    }
    table(&cells, 4)
}

fn subscriber_cells(row: &SubscriberRow) -> Vec<String> {
    let figures = &row.figures;
    let fps = format!("{:.1}", figures.fps);
    vec![
        row.name.clone(),
        fps,
        age(figures.age_p50_us),
        age(figures.age_p99_us),
        figures.drops.to_string(),
    ]
}

/// Microseconds as milliseconds.
fn age(micros: Option<u64>) -> String {
    micros.map_or("-".to_owned(), |micros| {
        format!("{:.1} ms", micros as f64 / 1000.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_and_their_subscribers_have_a_line_each() {
        let figures = Figures {
            fps: 29.97,
            age_p50_us: Some(1234),
            drops: 7,
            ..Figures::default()
        };
        let rows = [Row {
            source: StreamSource {
                stream: "front".to_owned(),
                kind: "test".to_owned(),
            },
            state: "streaming".to_owned(),
            fps: Some(30.0),
            subscribers: vec![SubscriberRow {
                name: "slow".to_owned(),
                figures,
            }],
        }];
        let expected = "\
stream  source  state      subscriber    fps  age p50  age p99  drops
front   test    streaming  (published)  30.0
                           slow         30.0   1.2 ms        -      7
";
        assert_eq!(render(&rows), expected);
    }
}
