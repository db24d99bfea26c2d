//! The machine: what it remembers, and how each input changes that.

use std::time::Duration;

use super::{
    Action, Actions, FaultAt, Input, PipelineEvent, Snapshot, State, TEARDOWN_TIMEOUT, Timeouts,
};
use crate::backoff::BackoffPolicy;
use crate::fault::{Fault, FaultKind};

/// The pipeline as far as the machine knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pipeline {
    /// None is alive.
    None,
    /// Asked for at `since`; no frame yet.
    Starting { since: Duration },
    /// Frames came from `first` to `last`.
    Streaming { first: Duration, last: Duration },
    /// `TearDown` was asked for; `Down` is due.
    Closing { deadline: Duration, stalled: bool },
    /// `Down` did not come in time.
    Stuck,
}

impl Pipeline {
    /// Whether it runs, so that it has to be brought down before anything else can happen.
    const fn is_up(self) -> bool {
        matches!(self, Self::Starting { .. } | Self::Streaming { .. })
    }
}

/// Why a wanted stream on a present device has no pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// For nothing: build as soon as the old pipeline is down.
    None,
    /// For the time of the next attempt.
    Retry { until: Duration, reason: FaultKind },
    /// For a person: credentials.
    Unauthorized,
    /// For a person: anything else.
    Failed,
}

/// The state machine of one stream. See the [module](super) for its rules.
#[derive(Debug, Clone)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "four independent facts, not one state in disguise"
)]
pub struct Lifecycle {
    policy: BackoffPolicy,
    timeouts: Timeouts,
    configured: bool,
    wanted: bool,
    present: bool,
    reset_due: bool,
    pipeline: Pipeline,
    wait: Wait,
    /// Generation of the newest pipeline; 0 before the first.
    generation: u64,
    attempts: u32,
    fault: Option<FaultAt>,
    /// When `state()` last changed.
    since: Duration,
}

impl Lifecycle {
    /// A stream that is not configured, of a device that is not there.
    pub fn new(policy: BackoffPolicy) -> Self {
        Self {
            policy,
            timeouts: Timeouts::default(),
            configured: false,
            wanted: false,
            present: false,
            reset_due: false,
            pipeline: Pipeline::None,
            wait: Wait::None,
            generation: 0,
            attempts: 0,
            fault: None,
            since: Duration::ZERO,
        }
    }

    /// Takes in what happened at `now` and says what to do about it.
    ///
    /// `now` counts from an epoch of the driver's choice on a monotonic clock; `random` is any evenly distributed number
    /// (jitter of the back-off).
    pub fn step(&mut self, now: Duration, input: Input, random: u64) -> Actions {
        let before = self.state();
        let mut actions = Actions::new();
        match input {
            Input::Configure { changed, timeouts } => {
                self.configure(now, changed, timeouts, &mut actions);
            }
            Input::Start => self.start(),
            Input::Stop => self.stop(now, &mut actions),
            Input::Reset => self.reset(now, &mut actions),
            Input::Present => self.present(),
            Input::Usable => self.usable(),
            Input::Gone => self.gone(now, &mut actions),
            Input::Pipeline { generation, event } if self.is_current(generation) => {
                self.pipeline_event(now, event, random, &mut actions);
            }
            Input::Pipeline { .. } => {}
            Input::Tick => self.tick(now, random, &mut actions),
        }
        self.settle(now, &mut actions);
        if self.state() != before {
            self.since = now;
        }
        actions
    }

    /// When [`Input::Tick`] is due at the latest; `None` if only another input can change anything.
    pub fn next_deadline(&self) -> Option<Duration> {
        match (self.pipeline, self.wait) {
            (Pipeline::Starting { since }, _) => Some(since + self.timeouts.first_frame),
            (Pipeline::Streaming { last, .. }, _) => Some(last + self.timeouts.steady),
            (Pipeline::Closing { deadline, .. }, _) => Some(deadline),
            (Pipeline::None, Wait::Retry { until, .. }) if self.may_run() => Some(until),
            (Pipeline::None | Pipeline::Stuck, _) => None,
        }
    }

    /// The state that is.
    pub fn state(&self) -> State {
        match self.pipeline {
            Pipeline::Starting { .. } => State::Starting,
            Pipeline::Streaming { .. } => State::Streaming,
            Pipeline::Stuck => State::Failed,
            Pipeline::None | Pipeline::Closing { .. } => self.state_without_pipeline(),
        }
    }

    fn state_without_pipeline(&self) -> State {
        let closing = matches!(self.pipeline, Pipeline::Closing { .. });
        if !self.present {
            return State::Absent;
        }
        match self.wait {
            _ if !self.wanted && closing => State::Stopping,
            _ if !self.configured => State::Idle,
            _ if !self.wanted => State::Configured,
            Wait::Retry { .. }
                if matches!(self.pipeline, Pipeline::Closing { stalled: true, .. }) =>
            {
                State::Stalled
            }
            Wait::Retry { until, reason } => State::Backoff {
                attempt: self.attempts,
                until,
                reason,
            },
            Wait::Unauthorized => State::Unauthorized,
            Wait::Failed => State::Failed,
            // Without a pipeline `settle` has built one: only an old one that is still coming down leads here.
            Wait::None => State::Stopping,
        }
    }

    /// The status as a whole.
    pub fn snapshot(&self) -> Snapshot {
        let streaming_since = match self.pipeline {
            Pipeline::Streaming { first, .. } => Some(first),
            _ => None,
        };
        Snapshot {
            state: self.state(),
            since: self.since,
            wanted: self.wanted,
            configured: self.configured,
            present: self.present,
            generation: (self.pipeline != Pipeline::None).then_some(self.generation),
            attempt: if streaming_since.is_some() {
                0
            } else {
                self.attempts
            },
            restarts: self.generation.saturating_sub(1),
            fault: self.fault.clone(),
            streaming_since,
        }
    }

    /// Panics if the machine contradicts itself; for tests and fuzzing.
    pub fn check_invariants(&self) {
        assert!(
            self.configured || !self.wanted,
            "wanted but never configured: {self:?}"
        );
        assert!(
            !self.pipeline.is_up() || self.may_run(),
            "a pipeline runs that should not: {self:?}"
        );
        assert!(
            !self.pipeline.is_up() || self.wait == Wait::None,
            "runs and waits at once: {self:?}"
        );
        assert!(
            !self.pipeline.is_up() || !self.reset_due,
            "runs on a device that is to be reset: {self:?}"
        );
        assert!(
            self.pipeline == Pipeline::None || self.generation > 0,
            "a pipeline without a generation: {self:?}"
        );
        assert!(
            self.wait == Wait::None || self.fault.is_some(),
            "waits for no reason: {self:?}"
        );
        assert!(
            self.wait == Wait::None || self.wanted,
            "waits, but nobody wants it: {self:?}"
        );
        let awaited = self.next_deadline().is_some() || self.awaits_event();
        assert!(
            !self.wanted || awaited,
            "wanted, but nothing will ever happen: {self:?}"
        );
    }

    /// Whether only an event other than time can move the stream on.
    fn awaits_event(&self) -> bool {
        !self.present
            || self.pipeline == Pipeline::Stuck
            || matches!(self.wait, Wait::Unauthorized | Wait::Failed)
    }

    const fn may_run(&self) -> bool {
        self.configured && self.wanted && self.present
    }

    fn is_current(&self, generation: u64) -> bool {
        self.pipeline != Pipeline::None && self.generation == generation
    }

    fn configure(
        &mut self,
        now: Duration,
        changed: bool,
        timeouts: Timeouts,
        actions: &mut Actions,
    ) {
        self.timeouts = timeouts;
        if changed || !self.configured {
            self.configured = true;
            self.clear_fault();
            self.close(now, false, actions);
        }
    }

    fn start(&mut self) {
        if !self.configured {
            return;
        }
        // Starting a stream that waits for its next attempt changes nothing; one that waits for a person just met one.
        if matches!(self.wait, Wait::Unauthorized | Wait::Failed) {
            self.end_wait();
        }
        self.wanted = true;
    }

    fn stop(&mut self, now: Duration, actions: &mut Actions) {
        self.wanted = false;
        self.end_wait();
        self.close(now, false, actions);
    }

    fn reset(&mut self, now: Duration, actions: &mut Actions) {
        if !self.configured {
            return;
        }
        self.reset_due = true;
        if self.pipeline == Pipeline::Stuck {
            self.tear_down(now, false, actions);
        }
        self.clear_fault();
        self.close(now, false, actions);
    }

    /// A device that comes back may be another one, or be mended: what it could not do before is tried again. Refused
    /// credentials are not: cameras lock accounts out.
    fn present(&mut self) {
        if !std::mem::replace(&mut self.present, true) {
            self.usable();
        }
    }

    /// A broken contract is not mended by plugging in: whoever broke it may still be in the process.
    fn usable(&mut self) {
        let broken = |fault: &FaultAt| fault.fault.kind == FaultKind::Contract;
        if self.wait == Wait::Failed && !self.fault.as_ref().is_some_and(broken) {
            self.end_wait();
        }
    }

    fn gone(&mut self, now: Duration, actions: &mut Actions) {
        if self.present
            && self.may_run()
            && self.pipeline != Pipeline::Stuck
            && !self.waits_for_person()
        {
            let hint = "plug it in again, or check its power and cable; the stream goes on by itself when it is back";
            self.fault = Some(FaultAt {
                fault: Fault::new(FaultKind::Absent, "the device went away", hint),
                at: now,
            });
        }
        self.present = false;
        if matches!(self.wait, Wait::Retry { .. }) {
            self.wait = Wait::None;
        }
        self.close(now, false, actions);
    }

    const fn waits_for_person(&self) -> bool {
        matches!(self.wait, Wait::Unauthorized | Wait::Failed)
    }

    fn pipeline_event(
        &mut self,
        now: Duration,
        event: PipelineEvent,
        random: u64,
        actions: &mut Actions,
    ) {
        match event {
            PipelineEvent::Built => {}
            PipelineEvent::FirstFrame => self.frame(now),
            PipelineEvent::Frame { at } => self.frame(at.min(now)),
            PipelineEvent::Fault(fault) => self.fail(now, fault, random, actions),
            PipelineEvent::Down => self.down(now, random, actions),
        }
    }

    fn frame(&mut self, at: Duration) {
        self.pipeline = match self.pipeline {
            Pipeline::Starting { since } => Pipeline::Streaming {
                first: at.max(since),
                last: at.max(since),
            },
            Pipeline::Streaming { first, last } => Pipeline::Streaming {
                first,
                last: last.max(at),
            },
            other => other,
        };
    }

    /// Takes in why the running pipeline can't go on. The first fault counts: what follows it is its echo.
    fn fail(&mut self, now: Duration, fault: Fault, random: u64, actions: &mut Actions) {
        if !self.pipeline.is_up() {
            return;
        }
        self.count_attempt(now);
        self.wait = match fault.kind {
            FaultKind::Unauthorized => Wait::Unauthorized,
            kind if kind.is_transient() => Wait::Retry {
                until: now + self.policy.delay(self.attempts, random),
                reason: kind,
            },
            _ => Wait::Failed,
        };
        let stalled = fault.kind == FaultKind::Stalled;
        self.fault = Some(FaultAt { fault, at: now });
        self.close(now, stalled, actions);
    }

    fn count_attempt(&mut self, now: Duration) {
        if let Pipeline::Streaming { first, .. } = self.pipeline
            && now.saturating_sub(first) >= self.policy.stable_after
        {
            self.attempts = 0;
        }
        self.attempts = self.attempts.saturating_add(1);
    }

    fn down(&mut self, now: Duration, random: u64, actions: &mut Actions) {
        if self.pipeline.is_up() {
            let hint = "this is a bug of the service if it happens without a fault before it; please report it with the log";
            self.fail(
                now,
                Fault::new(FaultKind::Internal, "the pipeline went down unasked", hint),
                random,
                actions,
            );
            actions.clear(); // It is down already.
        }
        self.pipeline = Pipeline::None;
    }

    fn tick(&mut self, now: Duration, random: u64, actions: &mut Actions) {
        if self.next_deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        match self.pipeline {
            Pipeline::Starting { .. } => self.fail(
                now,
                no_first_frame(self.timeouts.first_frame),
                random,
                actions,
            ),
            Pipeline::Streaming { .. } => {
                self.fail(now, stalled(self.timeouts.steady), random, actions);
            }
            Pipeline::Closing { .. } => self.abandon(now),
            Pipeline::None => self.wait = Wait::None,
            Pipeline::Stuck => {}
        }
    }

    fn abandon(&mut self, now: Duration) {
        self.pipeline = Pipeline::Stuck;
        let message = format!(
            "the pipeline did not come down within {} s",
            TEARDOWN_TIMEOUT.as_secs()
        );
        let hint = "a driver or the camera hangs; unplug the camera or power-cycle it, then reset the stream";
        self.fault = Some(FaultAt {
            fault: Fault::new(FaultKind::Internal, message, hint),
            at: now,
        });
    }

    /// Ends the wait and forgets failed attempts; the fault stays on record.
    fn end_wait(&mut self) {
        self.wait = Wait::None;
        self.attempts = 0;
    }

    fn clear_fault(&mut self) {
        self.end_wait();
        if self.pipeline != Pipeline::Stuck {
            self.fault = None;
        }
    }

    /// Brings the pipeline down if it is up.
    fn close(&mut self, now: Duration, stalled: bool, actions: &mut Actions) {
        if self.pipeline.is_up() {
            self.tear_down(now, stalled, actions);
        }
    }

    fn tear_down(&mut self, now: Duration, stalled: bool, actions: &mut Actions) {
        self.pipeline = Pipeline::Closing {
            deadline: now + TEARDOWN_TIMEOUT,
            stalled,
        };
        actions.push(Action::TearDown {
            generation: self.generation,
        });
    }

    /// Does what waited for the old pipeline to be down.
    fn settle(&mut self, now: Duration, actions: &mut Actions) {
        if self.pipeline != Pipeline::None {
            return;
        }
        // A device that is not there is reset already.
        if std::mem::take(&mut self.reset_due) && self.present {
            actions.push(Action::ResetDevice);
        }
        if let Wait::Retry { until, .. } = self.wait
            && until <= now
        {
            self.wait = Wait::None;
        }
        if self.may_run() && self.wait == Wait::None {
            self.generation += 1;
            self.pipeline = Pipeline::Starting { since: now };
            actions.push(Action::BuildPipeline {
                generation: self.generation,
            });
        }
    }
}

fn no_first_frame(timeout: Duration) -> Fault {
    let hint = "check that the camera sends; raise first_frame_timeout if it is slow to start";
    Fault::new(
        FaultKind::NoFirstFrame,
        format!("no first frame within {timeout:?}"),
        hint,
    )
}

fn stalled(timeout: Duration) -> Fault {
    let hint = "the stream is rebuilt; raise steady_timeout if the camera pauses on purpose";
    Fault::new(
        FaultKind::Stalled,
        format!("no frame for {timeout:?}, and no error either"),
        hint,
    )
}
