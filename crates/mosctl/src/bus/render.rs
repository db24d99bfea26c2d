//! A producer's report as a person reads it.

use std::time::Duration;

use mos_frame::{Format, Inspection, MemoryKind, SubscriberInfo};

use super::look::Look;
use crate::table::{Align, Table};
use crate::text;

const COLUMNS: [(&str, Align); 13] = [
    ("SUBSCRIBER", Align::Left),
    ("PID", Align::Right),
    ("UID", Align::Right),
    ("N/H", Align::Right),
    ("FPS", Align::Right),
    ("OFFERED", Align::Right),
    ("CLAIMED", Align::Right),
    ("RECALLED", Align::Right),
    ("SKIPPED", Align::Right),
    ("REVOKED", Align::Right),
    ("HELD", Align::Right),
    ("OLDEST", Align::Right),
    ("FULL", Align::Right),
];

impl Look<'_> {
    /// The stream in three lines, and a table of its subscribers.
    pub(crate) fn render(&self) -> String {
        let r = self.report;
        let rate = self
            .fps
            .map_or_else(String::new, |fps| format!(", {fps:.1} a second"));
        let mut text = format!(
            "{}: {}, {}{rate}\n",
            self.stream,
            r.format
                .as_ref()
                .map_or_else(|| "no format yet".to_owned(), format),
            text::count(r.published, "frame"),
        );
        text.push_str(&buffers(r));
        text.push_str(&times(r));
        if r.subscribers.is_empty() {
            text.push_str("  nobody subscribes\n");
        } else {
            text.push_str(&self.subscribers());
        }
        text
    }

    fn subscribers(&self) -> String {
        let mut table = Table::new(&COLUMNS);
        for (subscriber, fps) in self.report.subscribers.iter().zip(&self.subscriber_fps) {
            table.row(row(subscriber, *fps));
        }
        table.render()
    }
}

/// `NV12 1920x1080 at 30 fps in memfd`.
pub(super) fn format(format: &Format) -> String {
    let rate = match format.framerate {
        (0, _) => "a varying rate".to_owned(),
        (num, 0 | 1) => format!("{num} fps"),
        (num, den) => format!("{num}/{den} fps"),
    };
    let memory = match format.memory {
        MemoryKind::Memfd => "memfd",
        MemoryKind::DmaBuf => "dma-buf",
    };
    format!(
        "{} {}x{} at {rate} in {memory}",
        format.fourcc, format.width, format.height
    )
}

fn buffers(r: &Inspection) -> String {
    format!(
        "  buffers: {} known, {} of {} promised to subscribers, {} spare (lowest {}), {} of earlier formats\n",
        r.buffers,
        r.budget_used,
        r.budget.available(),
        r.spare_now,
        r.spare_low,
        r.epoch_drain.draining_buffers,
    )
}

fn times(r: &Inspection) -> String {
    let t = &r.publish_time;
    format!(
        "  publishing: p50 {}, p99 {}, p99.9 {}; epoch {}; {} refused, {} cut off\n",
        time(t.p50_ns),
        time(t.p99_ns),
        time(t.p999_ns),
        r.epoch,
        r.refused,
        r.evicted,
    )
}

fn row(s: &SubscriberInfo, fps: Option<f64>) -> Vec<String> {
    let c = &s.counters;
    vec![
        s.name.clone(),
        s.pid.to_string(),
        s.uid.to_string(),
        format!("{}/{}", s.window, s.hold),
        fps.map_or_else(|| text::NONE.to_owned(), |fps| format!("{fps:.1}")),
        c.offered.to_string(),
        c.claimed.to_string(),
        c.recalled.to_string(),
        c.skipped.to_string(),
        c.revoked.to_string(),
        format!("{}/{}", c.held, c.max_held),
        s.oldest_lease
            .map_or_else(|| text::NONE.to_owned(), |lease| time(lease.age_ns)),
        s.bell_full.to_string(),
    ]
}

pub(super) fn time(ns: u64) -> String {
    text::duration(Duration::from_nanos(ns))
}

#[cfg(test)]
mod tests {
    use mos_frame::{LeaseCounters, LeaseInfo};

    use super::*;

    #[test]
    fn a_stream_reads_as_three_lines_and_a_table() {
        let report = Inspection {
            format: Some(Format::nv12_memfd(640, 480, (30, 1))),
            published: 90,
            subscribers: vec![SubscriberInfo {
                name: "encoder".into(),
                pid: 42,
                window: 2,
                hold: 1,
                counters: LeaseCounters {
                    offered: 90,
                    claimed: 88,
                    recalled: 1,
                    held: 1,
                    max_held: 1,
                    ..LeaseCounters::default()
                },
                oldest_lease: Some(LeaseInfo {
                    seq: 89,
                    slot: 3,
                    age_ns: 33_000_000,
                }),
                ..SubscriberInfo::default()
            }],
            ..Inspection::default()
        };
        let text = Look::new("front", None, &report).render();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "front: NV12 640x480 at 30 fps in memfd, 90 frames"
        );
        assert!(lines[1].contains("0 of 254 promised"), "{text}");
        assert!(lines[2].starts_with("  publishing: p50 0 µs"), "{text}");
        let cells: Vec<&str> = lines[4].split_whitespace().collect();
        assert_eq!(
            cells,
            [
                "encoder", "42", "0", "2/1", "-", "90", "88", "1", "0", "0", "1/1", "33", "ms", "0"
            ]
        );
        assert!(
            lines
                .iter()
                .all(|line| line.chars().count() <= crate::table::WIDTH)
        );
    }

    #[test]
    fn a_stream_without_frames_or_subscribers_says_so() {
        let text = Look::new("front", None, &Inspection::default()).render();
        assert!(
            text.starts_with("front: no format yet, 0 frames\n"),
            "{text}"
        );
        assert!(text.ends_with("  nobody subscribes\n"), "{text}");
    }
}
