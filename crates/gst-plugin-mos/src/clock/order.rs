//! Capture times rise, whatever cameras say.

use mos_frame::{ClockSource, FrameFlags, FrameMeta};

/// The times that were published last.
#[derive(Debug, Default)]
pub(crate) struct Order {
    before: Option<(u64, ClockSource)>,
}

impl Order {
    /// Gives a frame its place: a capture time that is not after the one before is held at the next nanosecond, with an error
    /// that covers the difference. That, another clock than before, and `stepped` clocks are flagged.
    pub(crate) fn place(&mut self, mut meta: FrameMeta, stepped: bool) -> FrameMeta {
        let mut retimed = stepped;
        if let Some((last, source)) = self.before {
            let held = meta.capture_ns.max(last.saturating_add(1));
            let moved = held - meta.capture_ns;
            meta.capture_ns = held;
            if moved > 0 {
                let moved = u32::try_from(moved).unwrap_or(u32::MAX);
                meta.clock_error_ns = meta.clock_error_ns.saturating_add(moved);
            }
            retimed |= moved > 0 || source != meta.clock_source;
        }
        if retimed {
            meta.flags = meta.flags.with(FrameFlags::RETIMED);
        }
        self.before = Some((meta.capture_ns, meta.clock_source));
        meta
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_rise_and_what_was_done_for_it_shows() {
        use ClockSource::{Arrival, NtpRelative};
        // (time, source, stepped) to (time, error, flagged)
        let rows = [
            ((100, Arrival, false), (100, 7, false)),
            ((110, Arrival, false), (110, 7, false)),
            ((90, NtpRelative, false), (111, 28, true)),
            ((95, NtpRelative, false), (112, 24, true)),
            ((112, NtpRelative, false), (113, 8, true)),
            ((200, NtpRelative, false), (200, 7, false)),
            ((210, NtpRelative, true), (210, 7, true)),
            ((220, Arrival, false), (220, 7, true)),
        ];
        let mut order = Order::default();
        for ((capture_ns, clock_source, stepped), (time, error, flagged)) in rows {
            let meta = FrameMeta {
                capture_ns,
                clock_source,
                clock_error_ns: 7,
                flags: FrameFlags::DISCONT,
                ..FrameMeta::default()
            };
            let placed = order.place(meta, stepped);
            assert_eq!(
                (
                    placed.capture_ns,
                    placed.clock_error_ns,
                    placed.flags.contains(FrameFlags::RETIMED)
                ),
                (time, error, flagged),
                "{capture_ns}"
            );
            assert!(placed.flags.contains(FrameFlags::DISCONT));
        }
    }
}
