use mos_frame::{Budget, Format, HoldInfo, LeaseCounters};

use super::*;

const SECOND: u64 = 1_000_000_000;

fn subscriber() -> SubscriberInfo {
    SubscriberInfo {
        id: 1,
        name: "npu".into(),
        pid: 77,
        uid: 1000,
        window: 2,
        hold: 1,
        started: true,
        connected_ns: 60 * SECOND,
        counters: LeaseCounters {
            offered: 60,
            claimed: 60,
            ..LeaseCounters::default()
        },
        ..SubscriberInfo::default()
    }
}

/// A healthy stream at `seconds`: 30 frames a second, one subscriber that takes them all.
fn healthy(seconds: u64) -> Inspection {
    let mut npu = subscriber();
    npu.counters.claimed = seconds * 30;
    Inspection {
        at_ns: seconds * SECOND,
        session: 5,
        epoch: 1,
        published: seconds * 30,
        format: Some(Format::nv12_memfd(640, 480, (30, 1))),
        budget: Budget {
            slots: 8,
            in_flight: 2,
            fences: 0,
        },
        budget_used: 3,
        spare_now: 6,
        spare_low: 4,
        subscribers: vec![npu],
        ..Inspection::default()
    }
}

/// What is found after `change` happened to a healthy stream within two seconds.
fn found(change: impl FnOnce(&mut Inspection)) -> Vec<Finding> {
    let mut now = healthy(12);
    change(&mut now);
    diagnose(Some(&healthy(10)), &now, &HashMap::new())
}

/// The one finding above a note, as one text.
#[track_caller]
fn only(findings: &[Finding]) -> (Level, String) {
    let grave: Vec<_> = findings.iter().filter(|f| f.level != Level::Note).collect();
    assert_eq!(grave.len(), 1, "{findings:#?}");
    (
        grave[0].level,
        format!("{} -> {}", grave[0].what, grave[0].advice),
    )
}

#[track_caller]
fn says(findings: &[Finding], level: Level, words: &[&str]) {
    let (found, text) = only(findings);
    assert_eq!(found, level, "{text}");
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}

fn sub(report: &mut Inspection) -> &mut SubscriberInfo {
    &mut report.subscribers[0]
}

#[test]
fn a_healthy_stream_has_notes_only() {
    let findings = found(|_| {});
    assert!(
        findings.iter().all(|f| f.level == Level::Note),
        "{findings:#?}"
    );
    assert!(
        findings
            .iter()
            .any(|f| f.what.contains("30.0 frames a second"))
    );
    assert!(
        findings
            .iter()
            .any(|f| f.what == "npu (pid 77, uid 1000) keeps up")
    );
}

#[test]
fn a_stream_that_stands_still_is_told_by_its_buffers() {
    let still = |spare| {
        found(move |r| {
            r.published = 300;
            r.spare_now = spare;
            sub(r).counters.claimed = 300;
        })
    };
    says(
        &still(6),
        Level::Problem,
        &[
            "no frame was published in 2 s",
            "the source that does not deliver",
        ],
    );
    says(&still(0), Level::Problem, &["every buffer is out"]);
}

#[test]
fn a_stream_without_a_format_waits_for_its_source() {
    says(
        &found(|r| r.format = None),
        Level::Problem,
        &["nothing was published yet"],
    );
}

#[test]
fn a_long_hold_that_blocks_its_holder_is_a_problem() {
    let holds = |hold, age_ns| {
        found(move |r| {
            let s = sub(r);
            s.hold = hold;
            s.counters.held = 1;
            s.holds = vec![HoldInfo {
                seq: 311,
                slot: 2,
                epoch: 1,
                age_ns,
            }];
        })
    };
    says(
        &holds(1, 4 * SECOND),
        Level::Problem,
        &["npu", "311 (4 s)", "gets no other frame"],
    );
    for harmless in [holds(1, SECOND / 30), holds(2, 4 * SECOND)] {
        assert!(
            harmless.iter().all(|f| f.level == Level::Note),
            "{harmless:#?}"
        );
    }
}

#[test]
fn frames_that_were_taken_back_tell_a_slow_subscriber() {
    let findings = found(|r| {
        sub(r).counters.claimed -= 40;
        sub(r).counters.recalled = 40;
    });
    says(
        &findings,
        Level::Problem,
        &[
            "took 20 of 60 frames in 2 s, 40 were taken back",
            "larger window",
        ],
    );
}

#[test]
fn a_subscriber_that_paused_is_not_called_too_slow() {
    let findings = found(|r| {
        sub(r).counters.claimed -= 2;
        sub(r).counters.recalled = 2;
    });
    says(
        &findings,
        Level::Warning,
        &["took 58 of 60 frames in 2 s", "short pauses"],
    );
}

#[test]
fn buffers_without_subscribers_are_those_of_the_newest_frames() {
    let findings = found(|r| {
        r.subscribers.clear();
        r.budget_used = 1;
    });
    assert!(
        findings
            .iter()
            .any(|f| f.what == "nobody subscribes; 1 of 6 buffers kept for the newest frames"),
        "{findings:#?}"
    );
}

#[test]
fn revoked_frames_point_at_the_hold_of_zero() {
    let findings = found(|r| sub(r).counters.revoked = 3);
    says(
        &findings,
        Level::Problem,
        &["lost 3 frames while it used them", "hold of 1"],
    );
}

#[test]
fn a_full_socket_is_told() {
    let findings = found(|r| {
        sub(r).bell_full = 9;
        sub(r).counters.skipped = 1;
    });
    says(
        &findings,
        Level::Problem,
        &["does not read its socket", "9 times", "1 frame"],
    );
}

#[test]
fn a_subscriber_in_its_handshake_is_told() {
    let findings = found(|r| {
        sub(r).started = false;
        sub(r).connected_ns = 3 * SECOND;
    });
    says(&findings, Level::Problem, &["connected for 3 s", "cut off"]);
}

#[test]
fn a_stopped_process_explains_its_losses() {
    let mut now = healthy(12);
    sub(&mut now).counters.recalled = 60;
    sub(&mut now).counters.claimed = 300;
    let stopped = HashMap::from([(77, Process { state: 'T' })]);
    let findings = diagnose(Some(&healthy(10)), &now, &stopped);
    let problems: Vec<_> = findings
        .iter()
        .filter(|f| f.level == Level::Problem)
        .collect();
    assert_eq!(problems.len(), 2, "{findings:#?}");
    assert!(problems[0].what.contains("stopped by a signal"));
    assert_eq!(problems[1].advice, "", "the stop is advice enough");
}

#[test]
fn refusals_say_what_would_help() {
    let refuse = |reason, window, hold| {
        found(move |r| {
            r.refusals = vec![Refusal {
                age_ns: 5 * SECOND,
                name: "viewer".into(),
                pid: 88,
                uid: 1001,
                window,
                hold,
                reason,
                text: "no".into(),
            }];
        })
    };
    let over = Reason::OverBudget;
    // 6 buffers for windows and holds; the npu has 2 + 1.
    says(
        &refuse(over, 2, 4),
        Level::Warning,
        &[
            "viewer (pid 88, uid 1001) was refused 5 s ago: no",
            "1 buffer is missing",
            "a hold of 3",
        ],
    );
    says(
        &refuse(over, 9, 1),
        Level::Warning,
        &["5 buffers are missing"],
    );
    says(&refuse(over, 2, 1), Level::Warning, &["it would fit now"]);
    says(
        &refuse(Reason::NotAllowed, 0, 0),
        Level::Warning,
        &["uid 1001"],
    );
    for reason in [
        Reason::HoldZero,
        Reason::BadRequest,
        Reason::Version,
        Reason::Timeout,
        Reason::Resources,
        Reason::Protocol,
    ] {
        let (_, text) = only(&refuse(reason, 2, 1));
        assert!(!text.ends_with("-> "), "no advice for {reason:?}");
    }
}

#[test]
fn evictions_say_why() {
    let findings = found(|r| {
        r.evictions = vec![Refusal {
            name: "npu".into(),
            reason: Reason::HoldExceeded,
            text: "3 frames held, 1 agreed".into(),
            ..Refusal::default()
        }];
    });
    says(
        &findings,
        Level::Warning,
        &["was cut off", "3 frames held, 1 agreed", "larger hold"],
    );
}

#[test]
fn buffers_of_an_earlier_format_name_their_holder() {
    let findings = found(|r| {
        r.epoch = 2;
        r.epoch_drain.draining_buffers = 1;
        sub(r).holds = vec![HoldInfo {
            seq: 3,
            epoch: 1,
            ..HoldInfo::default()
        }];
    });
    says(
        &findings,
        Level::Warning,
        &["1 buffer of an earlier format", "held by npu"],
    );
}

#[test]
fn a_full_budget_and_a_starved_source_are_warnings() {
    says(
        &found(|r| r.budget_used = 6),
        Level::Warning,
        &[
            "6 of 6 buffers are promised to 1 subscriber",
            "would be refused",
        ],
    );
    says(
        &found(|r| r.spare_low = 1),
        Level::Warning,
        &["once had only 1 spare buffers and asked for 2"],
    );
}

#[test]
fn a_restarted_producer_is_judged_by_its_last_report_alone() {
    let mut now = healthy(12);
    now.session = 6;
    sub(&mut now).counters.recalled = 9;
    let findings = diagnose(Some(&healthy(10)), &now, &HashMap::new());
    assert!(
        findings.iter().all(|f| f.level == Level::Note),
        "{findings:#?}"
    );
    assert!(findings[0].what.contains("was started just now"));
}

#[test]
fn the_state_letter_is_found_behind_any_name() {
    let state = |stat| Process::from_stat(stat).map(|p| p.state);
    assert_eq!(state("77 (npu) S 1 77"), Some('S'));
    assert_eq!(state("77 (a) R (b) T 1 77"), Some('T'));
    assert_eq!(state(""), None);
}

#[test]
fn what_matters_most_comes_first() {
    let note = Finding::new(Level::Note, "n", "");
    let problem = Finding::new(Level::Problem, "p", "do it");
    let text = Diagnosis::new("front", vec![note, problem]).render();
    assert_eq!(
        text,
        "front\n  problem  p\n           -> do it\n  note     n\n"
    );
}
