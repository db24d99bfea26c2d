//! What two reports of a producer mean: who holds what, who is too slow, why subscriptions were refused, and what to do.

use std::collections::HashMap;

use mos_frame::{ConnectError, Inspection, Reason, Refusal, SubscriberInfo};
use serde::Serialize;

use super::look::Since;
use super::render::{format, time};
use crate::finding::{Finding, Level};
use crate::text;

/// All that was found about one stream, what matters most first.
#[derive(Debug, Serialize)]
pub(crate) struct Diagnosis {
    stream: String,
    findings: Vec<Finding>,
}

impl Diagnosis {
    pub(crate) fn new(stream: &str, mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|f| f.level);
        Self {
            stream: stream.to_owned(),
            findings,
        }
    }

    /// Of a stream whose producer gave no report.
    pub(crate) fn unreachable(stream: &str, error: &ConnectError) -> Self {
        let advice = match error {
            ConnectError::NotFound { .. } => {
                "its producer ended without taking its socket away, or was never there; start it again, which replaces the socket"
            }
            ConnectError::Timeout { .. } => {
                "its producer does not answer: see whether its process is stopped or hangs"
            }
            ConnectError::Permission { .. } | ConnectError::Refused { .. } => {
                "ask as the user that the producer runs as, or as root"
            }
            _ => "",
        };
        Self::new(
            stream,
            vec![Finding::new(Level::Problem, error.to_string(), advice)],
        )
    }

    pub(crate) fn render(&self) -> String {
        let mut text = format!("{}\n", self.stream);
        for finding in &self.findings {
            text.push_str(&finding.render());
        }
        text
    }
}

/// A subscriber's process, as the kernel shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    /// State letter of `/proc/<pid>/stat`, see proc(5).
    state: char,
}

impl Process {
    /// Out of the text of `/proc/<pid>/stat`. The name in parentheses may hold anything, parentheses too.
    pub(crate) fn from_stat(stat: &str) -> Option<Self> {
        let (_, after_name) = stat.rsplit_once(')')?;
        let state = after_name.trim_start().chars().next()?;
        Some(Self { state })
    }

    /// What keeps it from running, if anything does.
    const fn hindrance(self) -> Option<&'static str> {
        match self.state {
            'T' => Some("its process is stopped by a signal (`kill -CONT` lets it go on)"),
            't' => Some("a debugger has stopped its process"),
            'D' => Some("its process waits in the kernel and can't be interrupted"),
            'Z' => Some("its process has ended and waits for its parent to notice"),
            _ => None,
        }
    }
}

/// Explains the report `now` by what changed since `before`. `processes` are the subscribers' by pid, as far as known.
pub(crate) fn diagnose(
    before: Option<&Inspection>,
    now: &Inspection,
    processes: &HashMap<i32, Process>,
) -> Vec<Finding> {
    let since = before.and_then(|before| Since::new(before, now));
    let mut findings = stream(since.as_ref(), now);
    for subscriber in &now.subscribers {
        let process = processes.get(&subscriber.pid).copied();
        findings.extend(examine(subscriber, since.as_ref(), now, process));
    }
    findings.extend(now.refusals.iter().map(|r| refused(r, now)));
    findings.extend(now.evictions.iter().map(cut_off));
    findings
}

/// The stream as a whole.
fn stream(since: Option<&Since<'_>>, now: &Inspection) -> Vec<Finding> {
    let mut findings = vec![flow(since, now)];
    findings.extend(spare(now));
    findings.extend(draining(now));
    findings.push(room(now));
    if now.format.as_ref().is_some_and(|f| !f.read_only) {
        findings.push(Finding::new(
            Level::Note,
            "its memory can't be protected from writing: a hostile subscriber could change pixels",
            "",
        ));
    }
    findings
}

fn flow(since: Option<&Since<'_>>, now: &Inspection) -> Finding {
    let Some(picture) = now.format.as_ref().map(format) else {
        return Finding::new(
            Level::Problem,
            "nothing was published yet: its source has not said its format",
            "see `mosctl status` for what the stream waits for",
        );
    };
    match since {
        None => Finding::new(
            Level::Note,
            format!("{picture}; its producer was started just now"),
            "",
        ),
        Some(since) if since.published == 0 => Finding::new(
            Level::Problem,
            format!(
                "{picture}; no frame was published in {}",
                time(since.time.as_nanos() as u64)
            ),
            source_advice(now),
        ),
        Some(since) => Finding::new(
            Level::Note,
            format!(
                "{picture}; {:.1} frames a second were published",
                since.per_second(since.published)
            ),
            "",
        ),
    }
}

fn source_advice(now: &Inspection) -> &'static str {
    if now.spare_now == 0 {
        "every buffer is out: the subscribers that hold frames are named here"
    } else {
        "buffers are free, so it is the source that does not deliver: see `mosctl status`"
    }
}

/// Buffers that the source was left with. Admission keeps them at what it needs, unless the source changes its mind.
fn spare(now: &Inspection) -> Option<Finding> {
    let needed = now.budget.in_flight + now.budget.fences;
    (now.spare_low < needed).then(|| {
        Finding::new(
            Level::Warning,
            format!("the source once had only {} spare buffers and asked for {needed}", now.spare_low),
            "its own pool is smaller than it said, or frames of an earlier format were held; give the stream more buffers",
        )
    })
}

fn draining(now: &Inspection) -> Option<Finding> {
    let buffers = now.epoch_drain.draining_buffers;
    let holders = now
        .subscribers
        .iter()
        .filter(|s| s.holds.iter().any(|h| h.epoch < now.epoch))
        .map(who)
        .collect::<Vec<_>>()
        .join(", ");
    (buffers > 0).then(|| {
        Finding::new(
            Level::Warning,
            format!(
                "{} of an earlier format can't be freed: held by {holders}",
                text::count(buffers.into(), "buffer")
            ),
            "they let go of the frame when they are done with it",
        )
    })
}

fn room(now: &Inspection) -> Finding {
    let (used, all) = (now.budget_used, now.budget.available());
    let what = if now.subscribers.is_empty() {
        format!("nobody subscribes; {used} of {all} buffers kept for the newest frames")
    } else {
        format!(
            "{used} of {all} buffers are promised to {}",
            text::count(now.subscribers.len() as u64, "subscriber")
        )
    };
    if used < all {
        return Finding::new(Level::Note, what, "");
    }
    Finding::new(
        Level::Warning,
        format!("{what}: another with a hold of 1 would be refused"),
        "give the stream more buffers (`mosctl configure --max-subscribers`) before more are needed",
    )
}

fn who(s: &SubscriberInfo) -> String {
    format!("{} (pid {}, uid {})", s.name, s.pid, s.uid)
}

/// Frame times after which a hold is worth a word.
const LONG_HOLD: u64 = 10;
/// The same where the frame rate is not known, in nanoseconds.
const LONG_HOLD_NS: u64 = 1_000_000_000;

/// One subscriber.
fn examine(
    s: &SubscriberInfo,
    since: Option<&Since<'_>>,
    now: &Inspection,
    process: Option<Process>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let hindrance = process.and_then(Process::hindrance);
    if let Some(hindrance) = hindrance {
        findings.push(Finding::new(
            Level::Problem,
            format!("{}: {hindrance}", who(s)),
            "it costs nobody else a frame",
        ));
    }
    findings.extend(unstarted(s));
    findings.extend(holding(s, now));
    if let Some(since) = since {
        findings.extend(too_slow(s, since, hindrance.is_some()));
    }
    if findings.is_empty() {
        findings.push(Finding::new(
            Level::Note,
            format!("{} keeps up", who(s)),
            "",
        ));
    }
    findings
}

fn unstarted(s: &SubscriberInfo) -> Option<Finding> {
    (!s.started).then(|| {
        Finding::new(
            Level::Problem,
            format!(
                "{} is connected for {} and has not read the stream's buffers",
                who(s),
                time(s.connected_ns)
            ),
            "it will be cut off when its handshake has taken too long; see why it does not read its socket",
        )
    })
}

fn holding(s: &SubscriberInfo, now: &Inspection) -> Option<Finding> {
    let oldest = s.holds.iter().max_by_key(|h| h.age_ns)?;
    if oldest.age_ns < long_hold(now) {
        return None;
    }
    let sequences: Vec<String> = s
        .holds
        .iter()
        .map(|h| format!("{} ({})", h.seq, time(h.age_ns)))
        .collect();
    let what = format!("{} holds frames for long: {}", who(s), sequences.join(", "));
    if s.counters.held >= s.hold.max(1) {
        let advice = "it gets no other frame before it lets go of one; a larger hold lets it work on several at once";
        return Some(Finding::new(Level::Problem, what, advice));
    }
    Some(Finding::new(Level::Note, what, ""))
}

fn long_hold(now: &Inspection) -> u64 {
    let rate = now.format.as_ref().map(|f| f.framerate);
    match rate {
        Some((num, den)) if num > 0 && den > 0 => {
            LONG_HOLD * 1_000_000_000 * u64::from(den) / u64::from(num)
        }
        _ => LONG_HOLD_NS,
    }
}

/// Losing less than one frame in so many is pausing, not being too slow.
const FEW: u64 = 10;

/// What it lost while we watched.
fn too_slow(s: &SubscriberInfo, since: &Since<'_>, hindered: bool) -> Vec<Finding> {
    let lost = since.of(s);
    let span = time(since.time.as_nanos() as u64);
    let mut findings = Vec::new();
    if lost.recalled > 0 {
        let all = lost.claimed + lost.recalled;
        let (level, advice) = if hindered {
            (Level::Problem, "")
        } else if lost.recalled * FEW < all {
            (
                Level::Warning,
                "it keeps up but for short pauses; a larger window helps over them",
            )
        } else {
            (
                Level::Problem,
                "it takes longer than a frame time for each; a larger window helps over short pauses, nothing but less work over a lasting lack",
            )
        };
        findings.push(Finding::new(
            level,
            format!(
                "{} took {} of {} frames in {span}, {} were taken back",
                who(s),
                lost.claimed,
                all,
                lost.recalled
            ),
            advice,
        ));
    }
    if lost.revoked > 0 {
        findings.push(Finding::new(
            Level::Problem,
            format!("{} lost {} while it used them, in {span}", who(s), text::count(lost.revoked, "frame")),
            "its hold is 0: a frame is its own only within the window; ask for a larger window, or for a hold of 1",
        ));
    }
    if lost.skipped > 0 || since.bell_full(s) > 0 {
        findings.push(Finding::new(
            Level::Problem,
            format!(
                "{} does not read its socket: in {span} it could not be woken {} and was not offered {}",
                who(s),
                text::count(since.bell_full(s), "time"),
                text::count(lost.skipped, "frame"),
            ),
            "its process is stopped, or its loop does not call the subscriber",
        ));
    }
    findings
}

/// A subscription that was refused.
fn refused(r: &Refusal, now: &Inspection) -> Finding {
    Finding::new(
        Level::Warning,
        format!(
            "{} was refused {} ago: {}",
            asker(r),
            time(r.age_ns),
            r.text
        ),
        refusal_advice(r, now),
    )
}

fn asker(r: &Refusal) -> String {
    let name = if r.name.is_empty() {
        "a process"
    } else {
        &r.name
    };
    format!("{name} (pid {}, uid {})", r.pid, r.uid)
}

fn refusal_advice(r: &Refusal, now: &Inspection) -> String {
    match r.reason {
        Reason::OverBudget => over_budget(r, now),
        Reason::NotAllowed => format!(
            "put uid {} or one of its groups on the stream's allow list (`socket_gid` in the service's configuration), if it may see this camera",
            r.uid
        ),
        Reason::HoldZero => "subscribe with a hold of at least 1".into(),
        Reason::BadRequest => "ask for a window of 1 to 64 and a hold of 0 to 64".into(),
        Reason::Version => "use the version of mos-frame that the producer uses".into(),
        Reason::Timeout => {
            "it did not read or answer in time: see whether it was stopped or overloaded".into()
        }
        Reason::Resources => {
            "the producer is short of descriptors or memory: raise its LimitNOFILE".into()
        }
        _ => "it is no mos-frame subscriber, or a broken one".into(),
    }
}

/// How far off it was, by the subscribers that are there now.
fn over_budget(r: &Refusal, now: &Inspection) -> String {
    let holds: u32 = now.subscribers.iter().map(|s| s.hold).sum();
    let widest = now.subscribers.iter().map(|s| s.window).max().unwrap_or(1);
    let needed = widest.max(r.window).max(1) + holds + r.hold;
    let all = now.budget.available();
    match needed.checked_sub(all) {
        None | Some(0) => "it would fit now: subscribers that were there then are gone".into(),
        Some(missing) => {
            let fitting = all.checked_sub(widest.max(r.window).max(1) + holds);
            let smaller = fitting
                .filter(|hold| *hold > 0)
                .map_or_else(String::new, |hold| {
                    format!(", or subscribe with a hold of {hold}")
                });
            format!(
                "{} missing: give the stream so many more (`mosctl configure --max-subscribers`){smaller}",
                if missing == 1 {
                    "1 buffer is".to_owned()
                } else {
                    format!("{missing} buffers are")
                }
            )
        }
    }
}

/// A subscriber that the producer ended.
fn cut_off(r: &Refusal) -> Finding {
    let advice = match r.reason {
        Reason::Timeout => "it did not read its socket: see whether it was stopped",
        Reason::HoldExceeded => {
            "it held more frames than it had asked for: subscribe with a larger hold"
        }
        Reason::HoldZero => {
            "the format changed to memory that subscribers could write to: subscribe with a hold of at least 1"
        }
        Reason::Resources => {
            "the producer is short of descriptors or memory: raise its LimitNOFILE"
        }
        _ => "it broke the protocol: it is hostile or has a bug",
    };
    Finding::new(
        Level::Warning,
        format!(
            "{} was cut off {} ago: {}",
            asker(r),
            time(r.age_ns),
            r.text
        ),
        advice,
    )
}

#[cfg(test)]
mod tests;
