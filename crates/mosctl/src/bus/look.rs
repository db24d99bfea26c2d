//! Two reports of one producer, and what happened between them.

use std::time::Duration;

use mos_frame::{Inspection, LeaseCounters, SubscriberInfo};
use serde::Serialize;

/// A producer's report, with rates since the one before.
#[derive(Debug, Serialize)]
pub(crate) struct Look<'a> {
    pub(super) stream: &'a str,
    /// Frames published per second since the look before; absent at the first.
    pub(super) fps: Option<f64>,
    /// Frames taken per second, for each subscriber.
    pub(super) subscriber_fps: Vec<Option<f64>>,
    pub(super) report: &'a Inspection,
}

impl<'a> Look<'a> {
    pub(crate) fn new(
        stream: &'a str,
        before: Option<&Inspection>,
        report: &'a Inspection,
    ) -> Self {
        let since = before.and_then(|before| Since::new(before, report));
        let subscriber_fps = report.subscribers.iter().map(|now| {
            let since = since.as_ref()?;
            Some(since.per_second(since.of(now).claimed))
        });
        Self {
            stream,
            fps: since.as_ref().map(|s| s.per_second(s.published)),
            subscriber_fps: subscriber_fps.collect(),
            report,
        }
    }
}

/// What happened between two reports of one session.
#[derive(Debug)]
pub(super) struct Since<'a> {
    before: &'a Inspection,
    pub(super) time: Duration,
    /// Frames published.
    pub(super) published: u64,
}

impl<'a> Since<'a> {
    /// `None` if the producer was restarted in between, or no time went by.
    pub(super) fn new(before: &'a Inspection, now: &Inspection) -> Option<Self> {
        let ns = now.at_ns.checked_sub(before.at_ns).filter(|ns| *ns > 0)?;
        (before.session == now.session).then(|| Self {
            before,
            time: Duration::from_nanos(ns),
            published: now.published.saturating_sub(before.published),
        })
    }

    pub(super) fn per_second(&self, frames: u64) -> f64 {
        frames as f64 / self.time.as_secs_f64()
    }

    /// What happened to the frames of a subscriber; all of it for one that came in between.
    pub(super) fn of(&self, now: &SubscriberInfo) -> LeaseCounters {
        let before = self
            .info(now)
            .map_or_else(LeaseCounters::default, |s| s.counters);
        let c = &now.counters;
        LeaseCounters {
            offered: c.offered.saturating_sub(before.offered),
            claimed: c.claimed.saturating_sub(before.claimed),
            recalled: c.recalled.saturating_sub(before.recalled),
            skipped: c.skipped.saturating_sub(before.skipped),
            revoked: c.revoked.saturating_sub(before.revoked),
            held: c.held,
            max_held: c.max_held,
        }
    }

    /// Times that it could not be woken.
    pub(super) fn bell_full(&self, now: &SubscriberInfo) -> u64 {
        let before = self.info(now).map_or(0, |s| s.bell_full);
        now.bell_full.saturating_sub(before)
    }

    fn info(&self, now: &SubscriberInfo) -> Option<&SubscriberInfo> {
        self.before.subscribers.iter().find(|s| s.id == now.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscriber(id: u64, claimed: u64) -> SubscriberInfo {
        SubscriberInfo {
            id,
            counters: LeaseCounters {
                claimed,
                ..LeaseCounters::default()
            },
            ..SubscriberInfo::default()
        }
    }

    fn report(session: u64, seconds: u64, published: u64) -> Inspection {
        Inspection {
            session,
            at_ns: seconds * 1_000_000_000,
            published,
            subscribers: vec![subscriber(1, published / 2), subscriber(7, published)],
            ..Inspection::default()
        }
    }

    #[test]
    fn rates_are_those_of_the_time_in_between() {
        let (before, mut now) = (report(1, 10, 100), report(1, 12, 160));
        now.subscribers.push(subscriber(8, 4));
        let look = Look::new("front", Some(&before), &now);
        assert_eq!(look.fps, Some(30.0));
        assert_eq!(look.subscriber_fps, [Some(15.0), Some(30.0), Some(2.0)]);
    }

    #[test]
    fn there_is_no_rate_at_the_first_look_nor_after_a_restart() {
        let (before, now) = (report(1, 10, 100), report(2, 12, 160));
        for before in [None, Some(&before), Some(&now)] {
            let look = Look::new("front", before, &now);
            assert_eq!(
                (look.fps, &look.subscriber_fps[..]),
                (None, &[None, None][..])
            );
        }
    }
}
