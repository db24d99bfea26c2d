//! Every situation against every input, and the stories that need more than one step.

use std::fmt::Write as _;
use std::time::Duration;

use super::*;
use crate::backoff::BackoffPolicy;

/// No jitter: waits are exact.
const POLICY: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_millis(500),
    factor: 2,
    ceiling: Duration::from_secs(30),
    jitter: 0.0,
    stable_after: Duration::from_secs(30),
};
const TIMEOUTS: Timeouts = Timeouts {
    first_frame: Duration::from_secs(45),
    steady: Duration::from_secs(5),
};
const CONFIGURE: Input = Input::Configure {
    changed: true,
    timeouts: TIMEOUTS,
};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn pipeline(generation: u64, event: PipelineEvent) -> Input {
    Input::Pipeline { generation, event }
}

fn fault(generation: u64, kind: FaultKind) -> Input {
    pipeline(
        generation,
        PipelineEvent::Fault(Fault::new(kind, "it broke", "mend it")),
    )
}

fn first_frame(generation: u64) -> Input {
    pipeline(generation, PipelineEvent::FirstFrame)
}

fn frame(generation: u64, at: u64) -> Input {
    pipeline(generation, PipelineEvent::Frame { at: ms(at) })
}

fn down(generation: u64) -> Input {
    pipeline(generation, PipelineEvent::Down)
}

/// What the actions were, in a cell: `+2` builds generation 2, `-1` tears 1 down, `r` resets the device.
fn marks(actions: &[Action]) -> String {
    actions.iter().fold(String::new(), |mut marks, action| {
        let written = match action {
            Action::BuildPipeline { generation } => write!(marks, " +{generation}"),
            Action::TearDown { generation } => write!(marks, " -{generation}"),
            Action::ResetDevice => write!(marks, " r"),
        };
        written.unwrap();
        marks
    })
}

/// Steps through a story; each line says when, what, and what is to come of it (state and actions).
fn play(story: &[(u64, Input, &str)]) -> Lifecycle {
    let mut life = Lifecycle::new(POLICY);
    for (line, (now, input, expected)) in story.iter().enumerate() {
        let actions = life.step(ms(*now), input.clone(), 0);
        life.check_invariants();
        let got = format!("{}{}", life.state().name(), marks(&actions));
        assert_eq!(got, *expected, "line {line}: {input:?} at {now} ms");
    }
    life
}

/// A stream that streams its generation 1 since 100 ms.
fn streaming_story() -> Vec<(u64, Input, &'static str)> {
    vec![
        (0, Input::Present, "idle"),
        (0, CONFIGURE, "configured"),
        (0, Input::Start, "starting +1"),
        (90, pipeline(1, PipelineEvent::Built), "starting"),
        (100, first_frame(1), "streaming"),
    ]
}

fn streaming_then(rest: &[(u64, Input, &'static str)]) -> Lifecycle {
    let mut story = streaming_story();
    story.extend_from_slice(rest);
    play(&story)
}

/// Every situation that the machine can be in, by the inputs that lead there. The current generation is 1 wherever there
/// is one; the inputs of the matrix come at 1000 ms.
fn situations() -> Vec<(&'static str, Vec<Input>)> {
    let up = || vec![Input::Present, CONFIGURE, Input::Start];
    let then = |more: Vec<Input>| [up(), more].concat();
    vec![
        ("new", vec![]),
        ("idle", vec![Input::Present]),
        ("absent", vec![CONFIGURE]),
        ("absent, wanted", vec![CONFIGURE, Input::Start]),
        ("configured", vec![Input::Present, CONFIGURE]),
        ("starting", up()),
        ("streaming", then(vec![first_frame(1)])),
        ("stopping", then(vec![first_frame(1), Input::Stop])),
        ("rebuilding", then(vec![first_frame(1), CONFIGURE])),
        ("resetting", then(vec![first_frame(1), Input::Reset])),
        ("gone, closing", then(vec![Input::Gone])),
        (
            "stalled",
            then(vec![first_frame(1), fault(1, FaultKind::Stalled)]),
        ),
        (
            "faulted, closing",
            then(vec![fault(1, FaultKind::Disconnected)]),
        ),
        (
            "refused, closing",
            then(vec![fault(1, FaultKind::Unauthorized)]),
        ),
        (
            "backoff",
            then(vec![fault(1, FaultKind::Unreachable), down(1)]),
        ),
        (
            "unauthorized",
            then(vec![fault(1, FaultKind::Unauthorized), down(1)]),
        ),
        ("failed", then(vec![fault(1, FaultKind::Missing), down(1)])),
        (
            "contract broken",
            then(vec![fault(1, FaultKind::Contract), down(1)]),
        ),
    ]
}

fn inputs() -> Vec<(&'static str, Input)> {
    vec![
        ("configure", CONFIGURE),
        (
            "same config",
            Input::Configure {
                changed: false,
                timeouts: TIMEOUTS,
            },
        ),
        ("start", Input::Start),
        ("stop", Input::Stop),
        ("reset", Input::Reset),
        ("present", Input::Present),
        ("gone", Input::Gone),
        ("usable", Input::Usable),
        ("built", pipeline(1, PipelineEvent::Built)),
        ("first frame", first_frame(1)),
        ("frame", frame(1, 990)),
        ("disconnected", fault(1, FaultKind::Disconnected)),
        ("refused", fault(1, FaultKind::Unauthorized)),
        ("broken", fault(1, FaultKind::Missing)),
        ("down", down(1)),
        ("late fault", fault(7, FaultKind::Internal)),
        ("late down", down(0)),
        ("tick", Input::Tick),
    ]
}

/// The machine in a situation reached at 900 ms.
fn reach(inputs: &[Input]) -> Lifecycle {
    let mut life = Lifecycle::new(POLICY);
    for input in inputs {
        life.step(ms(900), input.clone(), 0);
        life.check_invariants();
    }
    life
}

/// What each input does in each situation, line by line; inputs that neither change the state nor ask for anything are left
/// out.
fn matrix() -> String {
    let mut text = String::new();
    for (situation, path) in situations() {
        writeln!(text, "{situation}: {}", reach(&path).state().name()).unwrap();
        for (name, input) in inputs() {
            let mut life = reach(&path);
            let before = life.state();
            let actions = life.step(ms(1000), input, 0);
            life.check_invariants();
            let state = life.state();
            if state != before || !actions.is_empty() {
                writeln!(text, "    {name} -> {}{}", state.name(), marks(&actions)).unwrap();
            }
        }
    }
    text
}

const EXPECTED: &str = "\
new: absent
    present -> idle
idle: idle
    configure -> configured
    same config -> configured
    gone -> absent
absent: absent
    present -> configured
absent, wanted: absent
    present -> starting +1
configured: configured
    start -> starting +1
    reset -> configured r
    gone -> absent
starting: starting
    configure -> stopping -1
    stop -> stopping -1
    reset -> stopping -1
    gone -> absent -1
    first frame -> streaming
    frame -> streaming
    disconnected -> backoff -1
    refused -> unauthorized -1
    broken -> failed -1
    down -> backoff
streaming: streaming
    configure -> stopping -1
    stop -> stopping -1
    reset -> stopping -1
    gone -> absent -1
    disconnected -> backoff -1
    refused -> unauthorized -1
    broken -> failed -1
    down -> backoff
stopping: stopping
    gone -> absent
    down -> configured
rebuilding: stopping
    gone -> absent
    down -> starting +2
resetting: stopping
    gone -> absent
    down -> starting r +2
gone, closing: absent
    present -> stopping
stalled: stalled
    configure -> stopping
    stop -> stopping
    reset -> stopping
    gone -> absent
    down -> backoff
faulted, closing: backoff
    configure -> stopping
    stop -> stopping
    reset -> stopping
    gone -> absent
refused, closing: unauthorized
    configure -> stopping
    start -> stopping
    stop -> stopping
    reset -> stopping
    gone -> absent
backoff: backoff
    configure -> starting +2
    stop -> configured
    reset -> starting r +2
    gone -> absent
unauthorized: unauthorized
    configure -> starting +2
    start -> starting +2
    stop -> configured
    reset -> starting r +2
    gone -> absent
failed: failed
    configure -> starting +2
    start -> starting +2
    stop -> configured
    reset -> starting r +2
    gone -> absent
    usable -> starting +2
contract broken: failed
    configure -> starting +2
    start -> starting +2
    stop -> configured
    reset -> starting r +2
    gone -> absent
";

#[test]
fn every_situation_answers_every_input_as_the_matrix_says() {
    assert_eq!(matrix(), EXPECTED);
}

#[test]
fn the_first_frame_has_its_own_watchdog() {
    let life = play(&[
        (0, Input::Present, "idle"),
        (0, CONFIGURE, "configured"),
        (1000, Input::Start, "starting +1"),
        // Slow to come up: the steady watchdog of 5 s does not apply yet.
        (45_999, Input::Tick, "starting"),
        (46_000, Input::Tick, "backoff -1"),
        (46_100, down(1), "backoff"),
        (46_499, Input::Tick, "backoff"),
        (46_500, Input::Tick, "starting +2"),
    ]);
    assert_eq!(
        life.snapshot().fault.unwrap().fault.kind,
        FaultKind::NoFirstFrame
    );
}

#[test]
fn a_silent_stall_is_noticed_torn_down_and_rebuilt() {
    let life = streaming_then(&[
        (3000, frame(1, 2990), "streaming"),
        (7989, Input::Tick, "streaming"),
        (7990, Input::Tick, "stalled -1"),
        (8500, Input::Tick, "stalled"),
        (9000, down(1), "starting +2"),
        (9100, first_frame(2), "streaming"),
    ]);
    let status = life.snapshot();
    assert_eq!(
        (status.restarts, status.attempt, status.streaming_since),
        (1, 0, Some(ms(9100)))
    );
    assert_eq!(
        status.fault.map(|f| (f.fault.kind, f.at)),
        Some((FaultKind::Stalled, ms(7990)))
    );
}

#[test]
fn a_frame_reported_late_counts_with_its_own_time() {
    let life = streaming_then(&[
        (4000, frame(1, 1500), "streaming"),
        (4000, frame(1, 1200), "streaming"),
    ]);
    assert_eq!(life.next_deadline(), Some(ms(6500)));
    let life = streaming_then(&[(4000, frame(1, 9_999_999), "streaming")]);
    assert_eq!(
        life.next_deadline(),
        Some(ms(9000)),
        "a time to come is taken as now"
    );
}

#[test]
fn attempts_wait_longer_each_time_until_streaming_was_stable() {
    let life = play(&[
        (0, Input::Present, "idle"),
        (0, CONFIGURE, "configured"),
        (0, Input::Start, "starting +1"),
        (10, fault(1, FaultKind::Unreachable), "backoff -1"),
        (20, down(1), "backoff"),
        (510, Input::Tick, "starting +2"),
        (600, fault(2, FaultKind::Unreachable), "backoff -2"),
        (610, down(2), "backoff"),
        (1599, Input::Tick, "backoff"),
        (1600, Input::Tick, "starting +3"),
        // A short success does not wipe the slate...
        (2000, first_frame(3), "streaming"),
        (31_999, fault(3, FaultKind::Disconnected), "backoff -3"),
        (32_000, down(3), "backoff"),
        (33_999, Input::Tick, "starting +4"),
        // ...a long one does.
        (34_000, first_frame(4), "streaming"),
        (64_000, fault(4, FaultKind::EndOfStream), "backoff -4"),
    ]);
    let expected = State::Backoff {
        attempt: 1,
        until: ms(64_500),
        reason: FaultKind::EndOfStream,
    };
    assert_eq!(life.state(), expected);
}

#[test]
fn an_attempt_waits_for_the_old_pipeline_also_past_its_time() {
    streaming_then(&[
        (1000, fault(1, FaultKind::Disconnected), "backoff -1"),
        (5000, Input::Tick, "backoff"),
        (6000, down(1), "starting +2"),
    ]);
}

#[test]
fn the_first_fault_counts_and_its_echoes_do_not() {
    let life = streaming_then(&[
        (1000, fault(1, FaultKind::Unauthorized), "unauthorized -1"),
        (1001, fault(1, FaultKind::Disconnected), "unauthorized"),
        (1002, down(1), "unauthorized"),
        (99_000, Input::Tick, "unauthorized"),
    ]);
    assert_eq!(
        life.snapshot().fault.unwrap().fault.kind,
        FaultKind::Unauthorized
    );
    assert_eq!(life.next_deadline(), None);
}

#[test]
fn a_late_event_of_an_old_pipeline_does_not_touch_its_successor() {
    streaming_then(&[
        (1000, CONFIGURE, "stopping -1"),
        (1100, first_frame(1), "stopping"),
        (1200, down(1), "starting +2"),
        (1300, first_frame(1), "starting"),
        (1300, fault(1, FaultKind::Internal), "starting"),
        (1300, down(1), "starting"),
        (1400, first_frame(2), "streaming"),
        (1500, frame(1, 1490), "streaming"),
    ]);
}

#[test]
fn unplugging_ends_the_wait_and_plugging_in_starts_at_once() {
    let life = streaming_then(&[
        (1000, Input::Gone, "absent -1"),
        (1010, down(1), "absent"),
        (60_000, Input::Tick, "absent"),
        (70_000, Input::Present, "starting +2"),
        (70_100, fault(2, FaultKind::Busy), "backoff -2"),
        (70_110, Input::Gone, "absent"),
        (70_120, Input::Present, "stopping"),
        (70_130, down(2), "starting +3"),
    ]);
    assert!(life.snapshot().wanted);
}

#[test]
fn a_camera_that_could_not_be_used_is_tried_again_when_it_is_plugged_in_anew() {
    let life = streaming_then(&[
        (1000, fault(1, FaultKind::Disconnected), "backoff -1"),
        (1010, down(1), "backoff"),
        (1020, Input::Gone, "absent"),
        // It comes back with other formats, and then as it was.
        (2000, Input::Present, "starting +2"),
        (2100, fault(2, FaultKind::Unsupported), "failed -2"),
        (2110, down(2), "failed"),
        (2200, Input::Present, "failed"),
        (3000, Input::Gone, "absent"),
        (4000, Input::Present, "starting +3"),
        (4100, first_frame(3), "streaming"),
    ]);
    assert_eq!(life.snapshot().attempt, 0);
}

#[test]
fn a_permission_that_is_given_later_is_enough() {
    streaming_then(&[
        (1000, fault(1, FaultKind::NoPermission), "failed -1"),
        (1010, down(1), "failed"),
        (2000, Input::Usable, "starting +2"),
        (2010, Input::Usable, "starting"),
    ]);
}

#[test]
fn unplugging_does_not_excuse_wrong_credentials() {
    streaming_then(&[
        (1000, fault(1, FaultKind::Unauthorized), "unauthorized -1"),
        (1010, down(1), "unauthorized"),
        (2000, Input::Gone, "absent"),
        (3000, Input::Present, "unauthorized"),
        (4000, Input::Start, "starting +2"),
    ]);
}

#[test]
fn a_teardown_that_hangs_fails_the_stream_until_it_ends_or_is_reset() {
    let hung = [
        (1000, Input::Stop, "stopping -1"),
        (10_999, Input::Tick, "stopping"),
        (11_000, Input::Tick, "failed"),
        (12_000, Input::Start, "failed"),
        (13_000, CONFIGURE, "failed"),
    ];
    let then = |rest: &[(u64, Input, &'static str)]| streaming_then(&[&hung[..], rest].concat());
    let life = then(&[]);
    assert!(
        life.snapshot()
            .fault
            .unwrap()
            .fault
            .message
            .contains("did not come down within 10 s")
    );
    then(&[(60_000, down(1), "starting +2")]);
    then(&[
        (60_000, Input::Reset, "stopping -1"),
        (60_100, down(1), "starting r +2"),
    ]);
    then(&[
        (60_000, Input::Reset, "stopping -1"),
        (70_000, Input::Tick, "failed"),
    ]);
}

#[test]
fn starting_and_stopping_twice_changes_nothing() {
    streaming_then(&[
        (1000, Input::Start, "streaming"),
        (2000, Input::Stop, "stopping -1"),
        (2001, Input::Stop, "stopping"),
        (2100, down(1), "configured"),
        (2200, Input::Stop, "configured"),
    ]);
}

#[test]
fn a_start_during_the_stop_is_honoured_when_the_old_pipeline_is_down() {
    streaming_then(&[
        (1000, Input::Stop, "stopping -1"),
        (1001, Input::Start, "stopping"),
        (1100, down(1), "starting +2"),
    ]);
}

#[test]
fn starting_before_configuring_is_ignored() {
    let life = play(&[
        (0, Input::Present, "idle"),
        (0, Input::Start, "idle"),
        (1, CONFIGURE, "configured"),
    ]);
    assert!(!life.snapshot().wanted);
}

#[test]
fn a_reset_while_the_device_is_away_is_done_by_its_return() {
    streaming_then(&[
        (1000, Input::Gone, "absent -1"),
        (1001, Input::Reset, "absent"),
        (1100, down(1), "absent"),
        (2000, Input::Present, "starting +2"),
    ]);
}

#[test]
fn new_timeouts_alone_take_effect_without_a_rebuild() {
    let timeouts = Timeouts {
        steady: ms(200),
        ..TIMEOUTS
    };
    let life = streaming_then(&[(
        150,
        Input::Configure {
            changed: false,
            timeouts,
        },
        "streaming",
    )]);
    assert_eq!(life.next_deadline(), Some(ms(300)));
}

#[test]
fn a_state_remembers_when_it_was_entered() {
    let life = streaming_then(&[
        (1000, frame(1, 1000), "streaming"),
        (2000, Input::Tick, "streaming"),
    ]);
    assert_eq!(life.snapshot().since, ms(100));
}
