//! What a producer tells about itself: to its own process, and to whoever inspects the stream.

use serde::{Deserialize, Serialize};

use super::Shared;
use super::metrics::Incident;
use super::state::{Aftermath, State, Sub};
use crate::admission::Budget;
use crate::books::LeaseCounters;
use crate::format::{Format, monotonic_ns};
use crate::wire::Reason;

/// How long something took, over the whole session. Quantiles are rounded up by at most one part in 16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TimeSummary {
    /// How often.
    pub count: u64,
    /// Half were not longer, in nanoseconds.
    pub p50_ns: u64,
    /// 99 % were not longer, in nanoseconds.
    pub p99_ns: u64,
    /// 99.9 % were not longer, in nanoseconds.
    pub p999_ns: u64,
    /// The longest, in nanoseconds; exact.
    pub max_ns: u64,
}

/// A frame that a subscriber was offered and may still take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LeaseInfo {
    /// Sequence of the frame.
    pub seq: u64,
    /// Number of the buffer's slot.
    pub slot: u32,
    /// Nanoseconds since it was offered.
    pub age_ns: u64,
}

/// A frame that a subscriber holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HoldInfo {
    /// Sequence of the frame.
    pub seq: u64,
    /// Number of the buffer's slot.
    pub slot: u32,
    /// Epoch of its format.
    pub epoch: u32,
    /// Nanoseconds since it was offered. It was taken at most a window of frames later; when exactly, only the subscriber
    /// knows.
    pub age_ns: u64,
}

/// One subscriber, as the producer's books see it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SubscriberInfo {
    /// Number within the session.
    pub id: u64,
    /// The name it gave.
    pub name: String,
    /// Its process; 0 if it is in a foreign pid namespace.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
    /// N of its LATEST-N.
    pub window: u32,
    /// Most frames that it may hold at once.
    pub hold: u32,
    /// What happened to its frames.
    pub counters: LeaseCounters,
    /// Nanoseconds since it was admitted.
    pub connected_ns: u64,
    /// Whether frames are offered to it: it has read the buffers that were there when it came.
    pub started: bool,
    /// The frame that it was offered, or holds, for longest.
    pub oldest_lease: Option<LeaseInfo>,
    /// Times it was woken.
    pub rings: u64,
    /// Times it could not be woken because its socket was full: it does not read.
    pub bell_full: u64,
    /// The frames that it holds, oldest first.
    pub holds: Vec<HoldInfo>,
}

/// A subscription that was refused, or that the producer ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Refusal {
    /// Nanoseconds since it happened.
    pub age_ns: u64,
    /// The name the peer gave; empty if it was refused before it said one.
    pub name: String,
    /// Its process; 0 if it is in a foreign pid namespace.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
    /// The window it asked for; 0 if it did not come to that.
    pub window: u32,
    /// The hold it asked for.
    pub hold: u32,
    /// Class of the refusal.
    pub reason: Reason,
    /// The text that the peer was sent.
    pub text: String,
}

/// How long buffers of a format that was replaced stay, because subscribers hold frames in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EpochDrain {
    /// Buffers of earlier epochs that are still there.
    pub draining_buffers: u32,
    /// Nanoseconds from the last change of format whose old buffers are all gone until they were.
    pub last_ns: u64,
    /// The longest such time.
    pub max_ns: u64,
}

/// What a producer did so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PublisherStats {
    /// When this was true: nanoseconds of `CLOCK_MONOTONIC`. Two reports and their times give rates.
    pub at_ns: u64,
    /// Random number of this session; a restarted producer has another.
    pub session: u64,
    /// Format changes, from 1; 0 before the first format.
    pub epoch: u32,
    /// Frames published; also the newest sequence.
    pub published: u64,
    /// Buffers that are known.
    pub buffers: u32,
    /// Subscriptions refused.
    pub refused: u64,
    /// Subscribers cut off by the producer.
    pub evicted: u64,
    /// Subscribers that are there.
    pub subscribers: Vec<SubscriberInfo>,
    /// Format of the running epoch.
    pub format: Option<Format>,
    /// Buffers that the stream has, and what the source needs of them.
    pub budget: Budget,
    /// Buffers that the subscribers' windows and holds can keep busy, of [`Budget::available`].
    pub budget_used: u32,
    /// How long [`Publisher::publish`](crate::Publisher::publish) took, waking subscribers included.
    pub publish_time: TimeSummary,
    /// Buffers of the budget without a frame on the bus: what the source can have.
    pub spare_now: u32,
    /// The least there were since the budget was set. The admission of subscribers keeps it at
    /// [`Budget::in_flight`] + [`Budget::fences`] or more.
    pub spare_low: u32,
    /// The last 16 refusals, oldest first.
    pub refusals: Vec<Refusal>,
    /// The last 16 subscribers that were cut off, oldest first.
    pub evictions: Vec<Refusal>,
    /// Buffers of replaced formats.
    pub epoch_drain: EpochDrain,
}

impl<K> Shared<K> {
    /// What happened so far. The books are brought up to date first.
    pub(super) fn report(&self) -> PublisherStats {
        let mut after = Aftermath::default();
        let mut stats = {
            let mut state = self.lock();
            let head = state.head;
            state.sweep(head, &mut after);
            state.report(monotonic_ns())
        };
        self.finish(after);
        stats.session = self.session;
        stats.publish_time = self.publish_time.summary();
        stats
    }
}

impl<K> State<K> {
    fn report(&self, now: u64) -> PublisherStats {
        let refusal = |incident: &Incident| refusal(incident, now);
        PublisherStats {
            at_ns: now,
            session: 0,
            epoch: self.epoch,
            published: self.head,
            buffers: self.slots.iter().flatten().count() as u32,
            refused: self.refusals.count,
            evicted: self.evictions.count,
            subscribers: self.subs.iter().map(|s| self.subscriber(s, now)).collect(),
            format: self.format.clone(),
            budget: self.budget,
            budget_used: self.budget_used(),
            publish_time: TimeSummary::default(),
            spare_now: self.spare(),
            spare_low: self.spare_low,
            refusals: self.refusals.last().map(refusal).collect(),
            evictions: self.evictions.last().map(refusal).collect(),
            epoch_drain: self.epoch_drain(),
        }
    }

    fn epoch_drain(&self) -> EpochDrain {
        let old = self.slots.iter().flatten().filter(|s| s.epoch < self.epoch);
        EpochDrain {
            draining_buffers: old.count() as u32,
            last_ns: self.drains.last_ns,
            max_ns: self.drains.max_ns,
        }
    }

    fn subscriber(&self, sub: &Sub, now: u64) -> SubscriberInfo {
        let mut leases: Vec<(LeaseInfo, bool)> = sub
            .book
            .leases()
            .map(|(slot, seq, held)| {
                // A late joiner is offered a frame that is older than itself.
                let since = self.published_ns(slot).max(sub.admitted_ns);
                let lease = LeaseInfo {
                    seq,
                    slot: slot as u32,
                    age_ns: now.saturating_sub(since),
                };
                (lease, held)
            })
            .collect();
        leases.sort_unstable_by_key(|(lease, _)| lease.seq);
        let holds = leases.iter().filter(|(_, held)| *held);
        let holds = holds.map(|(lease, _)| HoldInfo {
            seq: lease.seq,
            slot: lease.slot,
            epoch: self.slots[lease.slot as usize]
                .as_ref()
                .map_or(0, |s| s.epoch),
            age_ns: lease.age_ns,
        });
        SubscriberInfo {
            id: sub.id,
            name: sub.name.clone(),
            pid: sub.pid,
            uid: sub.uid,
            window: sub.demand.window,
            hold: sub.demand.hold,
            counters: sub.book.counters(),
            connected_ns: now.saturating_sub(sub.admitted_ns),
            started: sub.started,
            holds: holds.collect(),
            oldest_lease: leases.first().map(|(lease, _)| *lease),
            rings: sub.bell.rung(),
            bell_full: sub.bell.full(),
        }
    }

    fn published_ns(&self, slot: usize) -> u64 {
        self.slots[slot].as_ref().map_or(0, |s| s.published_ns)
    }
}

fn refusal(incident: &Incident, now: u64) -> Refusal {
    Refusal {
        age_ns: now.saturating_sub(incident.at_ns),
        name: incident.name.clone(),
        pid: incident.pid,
        uid: incident.uid,
        window: incident.window,
        hold: incident.hold,
        reason: incident.reason,
        text: incident.text.clone(),
    }
}
