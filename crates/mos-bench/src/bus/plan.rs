//! What is measured, and for how long.

use clap::ValueEnum;

use super::{duel, wake};

/// A part of the benchmark that can be run by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum Section {
    /// System calls of a publish, a delivery and a release
    Syscalls,
    /// All leases back after SIGKILL
    Leases,
    /// CPU per delivery by frame size
    Cost,
    /// Wake-up beside SEQPACKET, eventfd and futex
    Wake,
    /// Publish time with a stopped subscriber
    PublishTime,
    /// 64 subscribers
    Crowd,
    /// One subscriber stopped, slow or killed
    Scenarios,
    /// Beside foreign systems (and the bus alone without --peers)
    Contenders,
}

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// Seconds of the run with a stopped subscriber and of its control run.
    pub(super) stopped_s: u32,
    /// Seconds of the runs with a slow and with a killed subscriber.
    pub(super) others_s: u32,
    pub(super) publish_time_s: u32,
    pub(super) wake: wake::Effort,
    /// Pairs of VGA and 4K runs.
    pub(super) pairs: u32,
    /// Share of the full number of kills.
    pub(super) kills: f64,
    pub(super) crowd_s: u32,
    pub(super) duel: duel::Effort,
}

impl Plan {
    /// About a quarter of an hour without peers, which is where figures settle on a quiet machine.
    pub(super) const FULL: Self = Self {
        stopped_s: 60,
        others_s: 20,
        publish_time_s: 120,
        wake: wake::Effort {
            slow: 12.0,
            fast: 4.0,
            runs: 5,
            whole_table: true,
        },
        pairs: 15,
        kills: 1.0,
        crowd_s: 20,
        duel: duel::Effort {
            rounds: 11,
            frames: 120,
            stop: [5, 10, 5],
        },
    };

    /// Three minutes: the same bars, noisier.
    pub(super) const QUICK: Self = Self {
        stopped_s: 10,
        others_s: 5,
        publish_time_s: 20,
        wake: wake::Effort {
            slow: 5.0,
            fast: 1.5,
            runs: 5,
            whole_table: false,
        },
        pairs: 5,
        kills: 0.15,
        crowd_s: 8,
        duel: duel::Effort {
            rounds: 5,
            frames: 60,
            stop: [2, 4, 2],
        },
    };
}
