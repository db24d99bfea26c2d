//! Breaches of the contract: what they are, when they are told, and when they end a stream.

use std::collections::BTreeMap;
use std::time::Duration;

use mos_camera_core::{Fault, FaultKind, OnViolation};

use super::meter::REPORT_EVERY;

/// How the contract was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ViolationKind {
    /// A frame or caps that the gate refused; that ends the pipeline by itself.
    RefusedFrame,
    /// An element tried to map or copy a frame, and was refused.
    RefusedMap,
    /// A dma-buf is mapped in this process.
    MappedDmabuf,
}

impl ViolationKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::RefusedFrame, Self::RefusedMap, Self::MappedDmabuf];

    /// Its name in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RefusedFrame => "refused-frame",
            Self::RefusedMap => "refused-map",
            Self::MappedDmabuf => "mapped-dma-buf",
        }
    }
}

/// How often the contract was broken. A count never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Violations {
    /// Frames and caps that the gate refused.
    pub refused_frames: u64,
    /// Attempts to map or copy frames.
    pub refused_maps: u64,
    /// Mappings of dma-bufs in this process, each once for as long as it stays.
    pub mapped_dmabufs: u64,
}

impl Violations {
    /// All of them.
    pub const fn total(self) -> u64 {
        self.refused_frames + self.refused_maps + self.mapped_dmabufs
    }

    /// Those of one kind.
    pub const fn of(self, kind: ViolationKind) -> u64 {
        match kind {
            ViolationKind::RefusedFrame => self.refused_frames,
            ViolationKind::RefusedMap => self.refused_maps,
            ViolationKind::MappedDmabuf => self.mapped_dmabufs,
        }
    }

    /// The sum of both.
    pub(super) const fn plus(self, other: Self) -> Self {
        Self {
            refused_frames: self.refused_frames + other.refused_frames,
            refused_maps: self.refused_maps + other.refused_maps,
            mapped_dmabufs: self.mapped_dmabufs + other.mapped_dmabufs,
        }
    }

    /// What came since `earlier`.
    pub(super) const fn since(self, earlier: Self) -> Self {
        Self {
            refused_frames: self.refused_frames.saturating_sub(earlier.refused_frames),
            refused_maps: self.refused_maps.saturating_sub(earlier.refused_maps),
            mapped_dmabufs: self.mapped_dmabufs.saturating_sub(earlier.mapped_dmabufs),
        }
    }
}

/// Turns growing counters into reports, at most one a second of each kind.
#[derive(Debug, Clone, Default)]
pub(super) struct ViolationReports {
    reported: BTreeMap<ViolationKind, (Duration, u64)>,
}

impl ViolationReports {
    /// What came of each kind since its last report, for those whose report is due.
    pub(super) fn due(&mut self, now: Duration, so_far: Violations) -> Vec<(ViolationKind, u64)> {
        ViolationKind::ALL
            .into_iter()
            .filter_map(|kind| Some((kind, self.report(now, kind, so_far.of(kind))?)))
            .collect()
    }

    fn report(&mut self, now: Duration, kind: ViolationKind, so_far: u64) -> Option<u64> {
        let last = self.reported.get(&kind).copied();
        if last.is_some_and(|(at, _)| now.saturating_sub(at) < REPORT_EVERY) {
            return None;
        }
        let new = so_far.saturating_sub(last.map_or(0, |(_, before)| before));
        if new == 0 {
            return None;
        }
        self.reported.insert(kind, (now, so_far));
        Some(new)
    }
}

/// The kind of violation that has to end a stream, if one of the `new` ones of its pipeline has to.
///
/// Refused frames don't: the gate's error ends the pipeline already, and says more.
pub(super) const fn ends_stream(on: OnViolation, new: Violations) -> Option<ViolationKind> {
    match (on, new) {
        (
            OnViolation::Stop,
            Violations {
                mapped_dmabufs: 1..,
                ..
            },
        ) => Some(ViolationKind::MappedDmabuf),
        (
            OnViolation::Stop,
            Violations {
                refused_maps: 1.., ..
            },
        ) => Some(ViolationKind::RefusedMap),
        _ => None,
    }
}

/// The fault of a stream that was ended for a violation.
pub(super) fn fault(kind: ViolationKind, count: u64, detail: &str) -> Fault {
    let (what, cure) = match kind {
        ViolationKind::RefusedFrame => ("frames that break it were refused", "see the log"),
        ViolationKind::RefusedMap => (
            "attempts to map frames were refused",
            "take the element whose thread is named out from behind the gate",
        ),
        ViolationKind::MappedDmabuf => (
            "mappings of the frames' dma-bufs were found in the service's process",
            "find what maps them there, an element or a driver's library, and take it out",
        ),
    };
    let last = if detail.is_empty() {
        String::new()
    } else {
        format!("; the last: {detail}")
    };
    Fault::new(
        FaultKind::Contract,
        format!(
            "the contract was broken ({}): {what} ({count} since the last look{last})",
            kind.name()
        ),
        format!(
            "{cure}, then reset or start the stream; with on_violation = \"report\" it goes on and only counts"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn violations(refused_frames: u64, refused_maps: u64, mapped_dmabufs: u64) -> Violations {
        Violations {
            refused_frames,
            refused_maps,
            mapped_dmabufs,
        }
    }

    #[test]
    fn counts_add_up() {
        let (one, two) = (violations(1, 20, 300), violations(4, 50, 600));
        assert_eq!(one.plus(two), violations(5, 70, 900));
        assert_eq!(two.since(one), violations(3, 30, 300));
        assert_eq!(one.since(two), Violations::default());
        assert_eq!(one.total(), 321);
        assert_eq!(ViolationKind::ALL.map(|kind| one.of(kind)), [1, 20, 300]);
    }

    #[test]
    fn reports_are_one_a_second_of_each_kind_and_lose_nothing() {
        use ViolationKind::{MappedDmabuf as Mapped, RefusedFrame as Frame, RefusedMap as Map};
        let mut reports = ViolationReports::default();
        // (when in milliseconds, counters, what is told)
        let table = [
            (0, violations(0, 0, 0), vec![]),
            (500, violations(0, 3, 0), vec![(Map, 3)]),
            (1000, violations(0, 5, 1), vec![(Mapped, 1)]),
            (1499, violations(1, 6, 1), vec![(Frame, 1)]),
            (1500, violations(1, 7, 2), vec![(Map, 4)]),
            (2600, violations(1, 7, 2), vec![(Mapped, 1)]),
            (9000, violations(1, 7, 2), vec![]),
        ];
        for (at, counters, expected) in table {
            let due = reports.due(Duration::from_millis(at), counters);
            assert_eq!(due, expected, "at {at} ms");
        }
    }

    #[test]
    fn only_where_it_is_asked_for_a_violation_ends_a_stream() {
        use OnViolation::{Report, Stop};
        use ViolationKind::{MappedDmabuf as Mapped, RefusedMap as Map};
        let table = [
            (Report, violations(1, 1, 1), None),
            (Stop, violations(0, 0, 0), None),
            // The gate's own error ends it.
            (Stop, violations(7, 0, 0), None),
            (Stop, violations(0, 1, 0), Some(Map)),
            (Stop, violations(0, 0, 1), Some(Mapped)),
            (Stop, violations(1, 9, 1), Some(Mapped)),
        ];
        for (on, new, expected) in table {
            assert_eq!(ends_stream(on, new), expected, "{on:?} {new:?}");
        }
    }

    #[test]
    fn the_fault_names_the_violation_and_what_to_do() {
        for kind in ViolationKind::ALL {
            let fault = fault(kind, 3, "queue0:src: read");
            assert_eq!(fault.kind, FaultKind::Contract);
            for part in [kind.name(), "3 since", "the last: queue0:src: read"] {
                assert!(fault.message.contains(part), "{part} in {fault}");
            }
            assert!(fault.hint.contains("reset or start"), "{fault}");
        }
        assert!(
            !fault(ViolationKind::RefusedMap, 1, "")
                .message
                .contains("the last:")
        );
    }
}
