//! The service and network cameras behind the kernel's own `netem`: what `cargo xtask conformance` has done by a program in
//! user space where the kernel lacks it. Needs root and `sch_netem`: the lab has them (`lab/tests/rtsp-netem.sh`).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../service/bystander.rs"]
mod bystander;
#[path = "../service/harness.rs"]
#[allow(dead_code, reason = "the target `service` uses more of it")]
mod harness;
mod net;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mos_camera_api::v1::event::Kind;
use mos_camera_api::v1::{State, WatchEventsRequest};
use mos_frame::Subscriber;
use mos_testkit::wait_until;

use bystander::Bystander;
use harness::Service;
use net::{Net, counter};

/// What is waited at most for anything; a busy machine may be emulating this one.
const PATIENCE: Duration = Duration::from_mins(4);
/// The streams that things are done to: by TCP and by UDP.
const SUBJECTS: [&str; 2] = ["tcp", "udp"];
/// Frames of each stream that have to come while packets are mistreated: three seconds.
const FRAMES: u32 = 15;
/// How long nothing passes.
const PARTITION: Duration = Duration::from_secs(30);

/// How packets are mistreated, and what shows that they were: as in the conformance table, and what only netem does.
const SHAPES: [(&str, Shows); 6] = [
    ("loss 5%", Shows::Count(&[("TcpExt", "TCPOFOQueue")])),
    ("delay 300ms", Shows::Delay(Duration::from_millis(590))),
    ("delay 200ms 150ms", Shows::Delay(Duration::from_millis(90))),
    (
        "delay 60ms reorder 25%",
        Shows::Count(&[("TcpExt", "TCPOFOQueue")]),
    ),
    (
        "duplicate 20%",
        Shows::Count(&[("TcpExt", "TCPDSACKOldSent")]),
    ),
    (
        "corrupt 5%",
        Shows::Count(&[("Tcp", "InCsumErrors"), ("Udp", "InCsumErrors")]),
    ),
];

#[derive(Clone, Copy)]
enum Shows {
    /// These counters rise.
    Count(&'static [(&'static str, &'static str)]),
    /// A connection takes so long at least.
    Delay(Duration),
}

fn config() -> String {
    let camera = |name: &str, number: u32, transport: &str| {
        let url = net::url(number, name != "other");
        format!(
            "[cameras.{name}]\nfirst_frame_timeout_ms = 30000\nsteady_timeout_ms = 10000\n\
             [cameras.{name}.rtsp]\nurl = '{url}'\ntransport = '{transport}'\ntimeout_ms = 3000\n"
        )
    };
    camera("tcp", 0, "tcp") + &camera("udp", 1, "udp") + &camera("other", 2, "tcp")
}

/// The states that streams went through, in order.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<(String, State)>>>);

impl Told {
    async fn listen(service: &Service) -> Self {
        let request = WatchEventsRequest::default();
        let answer = service.events().await.watch_events(request).await.unwrap();
        let mut watch = answer.into_inner();
        let told = Self::default();
        let states = told.clone();
        tokio::spawn(async move {
            while let Ok(Some(event)) = watch.message().await {
                let change = match event.kind {
                    Some(Kind::Snapshot(status)) => (status.stream.clone(), status.state()),
                    Some(Kind::StateChanged(change)) => (change.stream.clone(), change.to()),
                    _ => continue,
                };
                states.0.lock().unwrap().push(change);
            }
        });
        told
    }

    /// Waits until this is the newest that was told of a stream.
    fn until(&self, stream: &str, state: State) {
        wait_until(state.as_str_name(), PATIENCE, || {
            (self.of(stream).last() == Some(&state)).then_some(())
        })
        .unwrap_or_else(|error| panic!("{stream}: {error}; {:?}", self.of(stream)));
    }

    fn of(&self, stream: &str) -> Vec<State> {
        let all = self.0.lock().unwrap();
        let own = all.iter().filter(|(name, _)| name == stream);
        own.map(|(_, state)| *state).collect()
    }
}

/// Waits for frames that were captured from now on.
fn frames(subscriber: &mut Subscriber, stream: &str) {
    let begin = Instant::now();
    let mut count = 0;
    while count < FRAMES {
        assert!(begin.elapsed() < PATIENCE, "{stream}: {count} frames");
        let wait = Duration::from_millis(500);
        count += u32::from(subscriber.next_timeout(wait).unwrap().is_some());
    }
}

fn shown(shows: Shows, before: &[u64]) -> bool {
    match shows {
        Shows::Count(all) => counts(all).iter().zip(before).all(|(now, old)| now > old),
        Shows::Delay(least) => net::connecting_takes() >= least,
    }
}

fn counts(all: &[(&str, &str)]) -> Vec<u64> {
    all.iter()
        .map(|(protocol, name)| counter(protocol, name))
        .collect()
}

/// Frames come of both subjects, until it shows that packets are treated so.
fn goes_on(subscribers: &mut [Subscriber; 2], how: &str, shows: Shows) {
    let before = match shows {
        Shows::Count(all) => counts(all),
        Shows::Delay(_) => Vec::new(),
    };
    let begin = Instant::now();
    loop {
        for (subscriber, stream) in subscribers.iter_mut().zip(SUBJECTS) {
            frames(subscriber, stream);
        }
        if shown(shows, &before) {
            println!("{how}: {:.1} s", begin.elapsed().as_secs_f64());
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "{how}: nothing shows of it");
    }
}

/// `stalled -> backoff? -> starting -> (backoff -> starting)* -> streaming`
fn is_recovery(states: &[State]) -> bool {
    let [State::Stalled, between @ .., State::Streaming] = states else {
        return false;
    };
    let attempts = between.strip_prefix(&[State::Backoff]).unwrap_or(between);
    attempts.len() % 2 == 1
        && (0..).zip(attempts).all(|(n, state)| {
            *state
                == if n % 2 == 0 {
                    State::Starting
                } else {
                    State::Backoff
                }
        })
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_that_netem_mistreats_are_survived_and_so_is_a_partition() {
    if let Some(why) = net::missing() {
        assert!(std::env::var_os("MOS_NETEM_REQUIRED").is_none(), "{why}");
        mos_testkit::skip::skip("netem", why).unwrap();
        return;
    }
    let net = Net::new();
    let _server = net.serve(3);
    let service = Service::start(&config());
    let told = Told::listen(&service).await;
    for stream in [SUBJECTS[0], SUBJECTS[1], "other"] {
        told.until(stream, State::Streaming);
    }
    let other = Bystander::watch(&service).await;
    let mut subscribers = SUBJECTS.map(|stream| service.subscribe(stream, "netem"));
    let calm = SUBJECTS.map(|stream| told.of(stream).len());

    for (how, shows) in SHAPES {
        net.shape(how);
        goes_on(&mut subscribers, how, shows);
    }
    for (stream, calm) in SUBJECTS.iter().zip(calm) {
        assert_eq!(told.of(stream)[calm..], [], "{stream} was lost");
    }

    net.shape("loss 100%");
    // The time is the fault here, no wait for something.
    tokio::time::sleep(PARTITION).await;
    for stream in SUBJECTS {
        assert_ne!(service.status(stream).await.state(), State::Streaming);
    }
    net.shape("delay 0ms");
    let begin = Instant::now();
    for (stream, calm) in SUBJECTS.iter().zip(calm) {
        service.wait_state(stream, State::Streaming).await;
        println!(
            "{stream}: back after {:.1} s",
            begin.elapsed().as_secs_f64()
        );
        let states = told.of(stream).split_off(calm);
        println!("{stream}: {states:?}");
        assert!(is_recovery(&states), "{stream}: {states:?}");
    }
    for (subscriber, stream) in subscribers.iter_mut().zip(SUBJECTS) {
        frames(subscriber, stream);
    }
    assert!(!told.of("other").contains(&State::Stalled));
    other.did_not_notice();
}

#[test]
fn a_recovery_is_told_from_anything_else() {
    use State::{Backoff as B, Failed as F, Stalled as S, Starting as T, Streaming as G};
    for (states, expected) in [
        (&[S, T, G][..], true),
        (&[S, B, T, G], true),
        (&[S, T, B, T, G], true),
        (&[S, B, T, B, T, G], true),
        (&[S, F, T, B, T, G], false),
        (&[S, B, G], false),
        (&[S, T, T, G], false),
        (&[S, T, F, G], false),
        (&[T, G], false),
        (&[S, T], false),
        (&[], false),
    ] {
        assert_eq!(is_recovery(states), expected, "{states:?}");
    }
}
