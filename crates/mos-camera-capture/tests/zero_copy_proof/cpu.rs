//! The service's CPU time does not grow with the frame: 36 times the pixels cost the same.
//!
//! The driver of the virtual camera draws in a thread of the kernel, which is not charged to the service.

use std::time::{Duration, Instant};

use crate::figures::note;
use crate::parts;
use crate::proc::cpu_time;
use crate::subject::{Counter, LARGE, RATE, SMALL, Subject};

/// Frames of a window.
const FRAMES: u64 = 50;
/// Windows of each size in each round.
const WINDOWS: usize = 2;
/// The sizes take turns, so that a machine that gets slower or faster hits both.
const ROUNDS: usize = 2;

/// What the service may cost more for the large frame, as a share of what one copy of the pixels costs more.
const SHARE: f64 = 0.5;

pub(crate) fn proof() {
    let Some(mut subject) = Subject::start("cpu", SMALL) else {
        return;
    };
    let mut counter = subject.subscribe();
    let _consumers: Vec<_> = ["a", "b", "c"].map(|name| subject.mosctl(name)).into();
    let (mut small, mut large) = (Vec::new(), Vec::new());
    let (mut copy_small, mut copy_large) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        for (size, costs, copies) in [
            (SMALL, &mut small, &mut copy_small),
            (LARGE, &mut large, &mut copy_large),
        ] {
            subject.configure(size);
            // The first frames pay for the new pipeline.
            (0..10).for_each(|_| drop(counter.next(size)));
            (0..WINDOWS).for_each(|_| costs.push(window(&mut counter, size, &subject)));
            let (_copier, said) = parts::start("copier", &subject);
            copies.push(Duration::from_micros(said.parse().unwrap()));
        }
    }
    let service = compare("service", &mut small, &mut large);
    let copy = compare(
        "control: a subscriber that copies",
        &mut copy_small,
        &mut copy_large,
    );
    note(
        "the service's growth, as a share of one copy's",
        format!("{:.2} (limit {SHARE})", service / copy),
    );
    let (_, stream) = subject.status();
    assert_eq!(stream.frames.unwrap().copied, 0);
    assert!(
        copy > 0.0,
        "a copy is not seen by this measure: {copy:.2} ms"
    );
    assert!(
        service < SHARE * copy,
        "the service's CPU time grows with the frame: {service:.2} ms, where a copy grows by {copy:.2} ms"
    );
}

/// CPU time of the service for one frame, over a window.
fn window(counter: &mut Counter, size: (u32, u32), subject: &Subject) -> Duration {
    let first = counter.next(size).seq();
    let (began, before) = (Instant::now(), cpu_time(subject.service.pid()));
    let last = loop {
        let seq = counter.next(size).seq();
        if seq >= first + FRAMES {
            break seq;
        }
    };
    let (took, spent) = (
        began.elapsed(),
        cpu_time(subject.service.pid()).saturating_sub(before),
    );
    let frames = last - first;
    let rate = frames as f64 / took.as_secs_f64();
    // At another rate what is spent by time and not by frame would be shared out otherwise.
    let asked = f64::from(RATE);
    assert!(
        (rate / asked - 1.0).abs() < 0.25,
        "{rate:.1} frames a second at {size:?}"
    );
    spent.div_f64(frames as f64)
}

/// What a large frame costs more, in milliseconds, by the medians.
fn compare(who: &str, small: &mut [Duration], large: &mut [Duration]) -> f64 {
    let [of_small, of_large] = [median(small), median(large)].map(|cost| cost.as_secs_f64() * 1e3);
    for ((width, height), cost) in [(SMALL, of_small), (LARGE, of_large)] {
        note(
            format!("{who}, CPU a frame at {width}x{height}"),
            format!("{cost:.2} ms"),
        );
    }
    note(
        format!("{who}, for 36 times the pixels"),
        format!(
            "{:+.2} ms, {:.2} times",
            of_large - of_small,
            of_large / of_small
        ),
    );
    of_large - of_small
}

fn median(costs: &mut [Duration]) -> Duration {
    costs.sort();
    let middle = costs.len() / 2;
    (costs[(costs.len() - 1) / 2] + costs[middle]) / 2
}
