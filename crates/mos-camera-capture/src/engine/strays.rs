//! Mapped dma-bufs that no stream knows: the service's own count of violations.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::mappings::Finding;
use super::violations::{ViolationReports, Violations};

/// How many there were, and which was the last.
#[derive(Debug, Default)]
pub(super) struct Strays(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    count: u64,
    last: String,
    reports: ViolationReports,
}

impl Strays {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one.
    pub(super) fn note(&self, finding: &Finding) {
        let mut inner = self.lock();
        inner.count += 1;
        inner.last = finding.detail();
    }

    /// How many there were since the service started.
    pub(super) fn count(&self) -> u64 {
        self.lock().count
    }

    /// How many came since the last report, and the last of them, if a report is due.
    pub(super) fn due(&self, now: Duration) -> Option<(u64, String)> {
        let mut inner = self.lock();
        let so_far = Violations {
            mapped_dmabufs: inner.count,
            ..Violations::default()
        };
        let (_, new) = inner.reports.due(now, so_far).pop()?;
        Some((new, inner.last.clone()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use mos_frame::mappings::DmabufMapping;
    use mos_frame::memory::{memfd, memory_id};

    use super::*;

    #[test]
    fn they_are_counted_and_told_once_a_second() {
        let memory = memfd("stray", 4096).unwrap();
        let finding = |start| Finding {
            stream: None,
            mapping: DmabufMapping {
                memory: memory_id(memory.as_fd()).unwrap(),
                range: start..start + 4096,
                writable: false,
                name: String::new(),
            },
        };
        let strays = Strays::default();
        let due = |ms| strays.due(Duration::from_millis(ms));
        assert_eq!(due(0), None);
        strays.note(&finding(0x1000));
        assert_eq!(due(500), Some((1, finding(0x1000).detail())));
        strays.note(&finding(0x2000));
        strays.note(&finding(0x3000));
        assert_eq!(due(1400), None);
        assert_eq!(due(1500), Some((2, finding(0x3000).detail())));
        assert_eq!((due(9000), strays.count()), (None, 3));
    }
}
