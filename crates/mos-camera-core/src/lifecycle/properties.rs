//! What holds whatever happens, in whatever order.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::backoff::BackoffPolicy;

/// An input whose generation is told relative to the newest: 0 is the newest, 1 the one before.
#[derive(Debug, Clone)]
enum Stimulus {
    Plain(Input),
    Pipeline(u64, PipelineEvent),
    /// Lets time pass until the machine's own deadline.
    Deadline,
}

fn kind() -> impl Strategy<Value = FaultKind> {
    prop::sample::select(vec![
        FaultKind::Unreachable,
        FaultKind::Unauthorized,
        FaultKind::Stalled,
        FaultKind::EndOfStream,
        FaultKind::Contract,
        FaultKind::Internal,
    ])
}

fn event() -> impl Strategy<Value = PipelineEvent> {
    prop_oneof![
        1 => Just(PipelineEvent::Built),
        3 => Just(PipelineEvent::FirstFrame),
        2 => (0..200_000_u64).prop_map(|ms| PipelineEvent::Frame { at: Duration::from_millis(ms) }),
        2 => kind().prop_map(|kind| PipelineEvent::Fault(Fault::new(kind, "m", "h"))),
        4 => Just(PipelineEvent::Down),
    ]
}

fn timeouts() -> impl Strategy<Value = Timeouts> {
    (1..60_000_u64, 1..10_000_u64).prop_map(|(first, steady)| Timeouts {
        first_frame: Duration::from_millis(first),
        steady: Duration::from_millis(steady),
    })
}

fn stimulus() -> impl Strategy<Value = Stimulus> {
    let plain = prop_oneof![
        1 => (any::<bool>(), timeouts()).prop_map(|(changed, timeouts)| Input::Configure { changed, timeouts }),
        3 => Just(Input::Start),
        1 => Just(Input::Stop),
        1 => Just(Input::Reset),
        3 => Just(Input::Present),
        1 => Just(Input::Gone),
        1 => Just(Input::Usable),
        1 => Just(Input::Tick),
    ];
    prop_oneof![
        3 => plain.prop_map(Stimulus::Plain),
        3 => (prop_oneof![5 => Just(0), 1 => 1..3_u64], event()).prop_map(|(back, event)| Stimulus::Pipeline(back, event)),
        1 => Just(Stimulus::Deadline),
    ]
}

/// The world outside the machine: which pipelines are alive, and whether the newest gave a frame.
#[derive(Debug, Default)]
struct World {
    newest: u64,
    alive: Option<u64>,
    asked_down: bool,
    framed: bool,
}

impl World {
    fn hears(&mut self, input: &Input) {
        if let Input::Pipeline { generation, event } = input
            && Some(*generation) == self.alive
        {
            match event {
                PipelineEvent::FirstFrame | PipelineEvent::Frame { .. } => self.framed = true,
                PipelineEvent::Down => self.alive = None,
                PipelineEvent::Built | PipelineEvent::Fault(_) => {}
            }
        }
    }

    fn carries_out(&mut self, action: Action) {
        match action {
            Action::BuildPipeline { generation } => {
                assert_eq!(self.alive, None, "two pipelines at once");
                assert!(generation > self.newest, "a generation came twice");
                *self = Self {
                    newest: generation,
                    alive: Some(generation),
                    asked_down: false,
                    framed: false,
                };
            }
            Action::TearDown { generation } => {
                assert_eq!(self.alive, Some(generation), "tears down what is not there");
                self.asked_down = true;
            }
            Action::ResetDevice => assert_eq!(self.alive, None, "resets a device under a pipeline"),
        }
    }

    fn agrees_with(&self, life: &Lifecycle) {
        let status = life.snapshot();
        assert_eq!(status.generation, self.alive);
        if status.state == State::Streaming {
            assert!(
                self.framed && !self.asked_down,
                "streaming without a frame of its own"
            );
        }
        if status.state == State::Starting {
            assert!(
                !self.asked_down && self.alive.is_some(),
                "starting without a pipeline"
            );
        }
        assert_eq!(
            status.streaming_since.is_some(),
            status.state == State::Streaming
        );
    }
}

/// The machine and its world together.
#[derive(Debug)]
struct Play {
    life: Lifecycle,
    world: World,
    now: Duration,
}

impl Play {
    fn run(steps: Vec<(u64, Stimulus, u64)>) -> Self {
        let life = Lifecycle::new(BackoffPolicy::default());
        let mut play = Self {
            life,
            world: World::default(),
            now: Duration::ZERO,
        };
        for (wait, stimulus, random) in steps {
            play.now += Duration::from_millis(wait);
            let input = play.input(stimulus);
            play.step(input, random);
        }
        play
    }

    fn input(&mut self, stimulus: Stimulus) -> Input {
        match stimulus {
            Stimulus::Plain(input) => input,
            Stimulus::Pipeline(back, event) => Input::Pipeline {
                generation: self.world.newest.saturating_sub(back),
                event,
            },
            Stimulus::Deadline => {
                self.now = self.now.max(self.life.next_deadline().unwrap_or(self.now));
                Input::Tick
            }
        }
    }

    fn step(&mut self, input: Input, random: u64) {
        let ticked = input == Input::Tick;
        self.world.hears(&input);
        for action in self.life.step(self.now, input, random) {
            self.world.carries_out(action);
        }
        self.life.check_invariants();
        self.world.agrees_with(&self.life);
        let due = self.life.next_deadline();
        assert!(
            !ticked || due.is_none_or(|at| at > self.now),
            "a tick left a deadline that has passed: the timer would spin"
        );
    }

    /// Ends a teardown as the driver does.
    fn finish_teardown(&mut self) {
        if let (Some(generation), true) = (self.world.alive, self.world.asked_down) {
            self.step(
                Input::Pipeline {
                    generation,
                    event: PipelineEvent::Down,
                },
                0,
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_promises_hold_in_any_order_of_events(
        steps in prop::collection::vec((0..3000_u64, stimulus(), any::<u64>()), 1..80)
    ) {
        Play::run(steps);
    }

    /// However it got where it is: once the world is well again and a person asks for the stream, it streams.
    #[test]
    fn every_stream_can_be_brought_back(
        steps in prop::collection::vec((0..3000_u64, stimulus(), any::<u64>()), 0..80)
    ) {
        let mut play = Play::run(steps);
        play.step(Input::Configure { changed: true, timeouts: Timeouts::default() }, 0);
        for input in [Input::Present, Input::Reset, Input::Start] {
            play.step(input, 0);
        }
        play.finish_teardown();
        let generation = play.world.alive.expect("a pipeline is up");
        play.step(Input::Pipeline { generation, event: PipelineEvent::FirstFrame }, 0);
        prop_assert_eq!(play.life.state(), State::Streaming);
    }
}
