//! Frames that are held: how many, how long, and what becomes of them.

use std::time::Instant;

use mos_frame::{Budget, Format};

use crate::driver::{Connect, Driver, PATIENCE, WAIT_MS};
use crate::stream::{Stream, stamps};
use crate::{Implementation, Outcome, Scenario, ensure};

pub(super) const ALL: &[(&str, Scenario)] = &[
    ("no_more_is_held_than_was_granted", limit),
    ("a_release_really_frees_the_buffer", release),
    ("a_held_frame_is_never_overwritten", not_overwritten),
    ("a_format_change_leaves_held_frames_alone", format_change),
    ("hold_zero_ends_with_the_window", hold_zero),
    ("frames_outlive_the_subscription", outlive),
    ("full_speed_with_a_hold_of_one_is_no_offence", full_speed),
];

fn limit(implementation: &Implementation) -> Outcome {
    let stream = Stream::new(10)?;
    let mut driver = Driver::start(implementation)?;
    let how = Connect {
        window: 4,
        hold: 2,
        ..Connect::default()
    };
    driver.must_connect(stream.path(), how)?;
    stream.burst(4)?;
    let (first, second) = (driver.frame()?, driver.frame()?);
    ensure!((first.seq, second.seq) == (1, 2), "{first:?}, {second:?}");
    match driver.next_now()? {
        Err(refusal) if refusal.error == "hold_limit" => {}
        other => return Err(format!("a third frame: {other:?}").into()),
    }
    stream.wait("two holds", |s| s.subscribers[0].counters.held == 2)?;
    driver.release(&first)?;
    ensure!(driver.frame()?.seq == 3, "nothing is lost by the error");
    stream.publish()?;
    let stats = stream.publisher()?.stats();
    ensure!(stats.evicted == 0, "{stats:?}");
    ensure!(stats.subscribers[0].counters.max_held == 2, "{stats:?}");
    Ok(())
}

fn release(implementation: &Implementation) -> Outcome {
    // One in flight, the window, the hold: not one buffer more than is needed.
    let stream = Stream::new(1 + 2 + 3)?;
    let mut driver = Driver::start(implementation)?;
    let how = Connect {
        hold: 3,
        ..Connect::default()
    };
    driver.must_connect(stream.path(), how)?;
    let mut held = Vec::new();
    for _ in 0..3 {
        stream.publish()?;
        held.push(driver.frame()?);
    }
    stream.burst(20)?;
    for frame in &held {
        let stamped = stamps(&mut driver, frame)?;
        ensure!(stamped == (frame.seq, frame.seq), "{frame:?}: {stamped:?}");
        driver.release(frame)?;
    }
    stream.wait("no hold", |s| s.subscribers[0].counters.held == 0)?;
    driver.close()?;
    stream.wait("its end", |s| s.subscribers.is_empty())?;
    // All but the newest, which is kept for late joiners.
    let deadline = Instant::now() + PATIENCE;
    while stream.free_buffers()? != 5 {
        ensure!(
            Instant::now() < deadline,
            "{} of 6 buffers are free",
            stream.free_buffers()?
        );
        std::thread::yield_now();
    }
    Ok(())
}

fn not_overwritten(implementation: &Implementation) -> Outcome {
    let stream = Stream::new(1 + 2 + 2)?;
    let mut driver = Driver::start(implementation)?;
    let how = Connect {
        hold: 2,
        ..Connect::default()
    };
    driver.must_connect(stream.path(), how)?;
    stream.publish()?;
    let mut held = driver.frame()?;
    for _ in 0..50 {
        stream.burst(7)?;
        let stamped = stamps(&mut driver, &held)?;
        ensure!(stamped == (held.seq, held.seq), "{held:?}: {stamped:?}");
        ensure!(driver.valid(&held)?, "{held:?} is not valid");
        let next = driver.frame()?;
        driver.release(&held)?;
        held = next;
    }
    Ok(())
}

fn format_change(implementation: &Implementation) -> Outcome {
    let mut stream = Stream::new(8)?;
    let mut driver = Driver::start(implementation)?;
    let how = Connect {
        hold: 2,
        ..Connect::default()
    };
    driver.must_connect(stream.path(), how)?;
    stream.publish()?;
    let old = driver.frame()?;
    stream.change_format(128, 96, 4)?;
    stream.publish()?;
    let new = driver.frame()?;
    ensure!(
        (new.seq, new.epoch, new.width, new.height) == (2, 2, 128, 96),
        "{new:?}"
    );
    ensure!(
        (old.epoch, old.width, old.planes[0].size) == (1, 64, 3072),
        "{old:?}"
    );
    let read = (stamps(&mut driver, &old)?, stamps(&mut driver, &new)?);
    ensure!(read == ((1, 1), (2, 2)), "pixels: {read:?}");
    ensure!(driver.valid(&old)?, "the old frame is not valid");
    driver.release(&old)?;
    driver.release(&new)?;
    stream.wait("the old epoch's end", |s| s.buffers == 4)?;
    // Eight buffers went, four came: whoever kept the old ones has them open still.
    stream.publish()?;
    ensure!(driver.take(1, WAIT_MS)? == [3], "it goes on");
    let mut fresh = Driver::start(implementation)?;
    fresh.must_connect(stream.path(), how)?;
    fresh.take(1, WAIT_MS)?;
    let without_the_old_epoch = fresh.resources()?;
    Ok(driver.settles_at(without_the_old_epoch)?)
}

fn hold_zero(implementation: &Implementation) -> Outcome {
    let stream = Stream::new(1 + 2)?;
    let mut driver = Driver::start(implementation)?;
    let how = Connect {
        window: 2,
        hold: 0,
        ..Connect::default()
    };
    driver.must_connect(stream.path(), how)?;
    stream.publish()?;
    let first = driver.frame()?;
    stream.publish()?;
    let second = driver.frame()?;
    ensure!(
        driver.valid(&first)? && driver.valid(&second)?,
        "both are in the window"
    );
    stream.publish()?;
    ensure!(!driver.valid(&first)?, "the first left the window");
    ensure!(driver.valid(&second)?, "the second is in the window");
    driver.release(&first)?;
    driver.release(&second)?;
    stream.publish()?;
    ensure!(driver.take(2, WAIT_MS)? == [3, 4], "it goes on");
    let stats = stream.publisher()?.stats();
    ensure!(stats.evicted == 0, "{stats:?}");
    ensure!(stats.subscribers[0].counters.revoked == 1, "{stats:?}");

    // Memory that subscribers can write to ends such a subscription, with the reason.
    let mut writable = Format::nv12_memfd(64, 48, (30, 1));
    writable.read_only = false;
    stream.publisher()?.set_format(writable);
    let end = driver.next_fails()?;
    ensure!(
        end.error == "evicted" && end.reason == Some(4),
        "the end: {end:?}"
    );
    Ok(())
}

fn outlive(implementation: &Implementation) -> Outcome {
    let mut stream = Stream::new(8)?;
    let mut driver = Driver::start(implementation)?;
    driver.must_connect(stream.path(), Connect::default())?;
    stream.publish()?;
    let frame = driver.frame()?;
    driver.close()?;
    stream.burst(20)?;
    let stamped = stamps(&mut driver, &frame)?;
    ensure!(stamped == (1, 1), "after its subscription: {stamped:?}");
    ensure!(driver.valid(&frame)?, "the lease ended too early");
    ensure!(
        stream.publisher()?.stats().subscribers.len() == 1,
        "the connection ended before the frame was released"
    );
    stream.stop();
    let stamped = stamps(&mut driver, &frame)?;
    ensure!(stamped == (1, 1), "after the stream: {stamped:?}");
    driver.release(&frame)?;
    Ok(())
}

/// Claims and releases race with the producer's counting of holds.
fn full_speed(implementation: &Implementation) -> Outcome {
    let stream = Stream::new(6)?;
    stream.publisher()?.set_budget(Budget {
        slots: 6,
        in_flight: 2,
        fences: 0,
    });
    let mut driver = Driver::start(implementation)?;
    let how = Connect {
        window: 3,
        ..Connect::default()
    };
    driver.must_connect(stream.path(), how)?;
    driver.ask(&serde_json::json!({ "op": "take", "count": 3000, "timeout_ms": WAIT_MS }))?;
    let deadline = Instant::now() + PATIENCE * 2;
    while stream.publisher()?.stats().subscribers[0].counters.claimed < 3000 {
        stream.publish()?;
        ensure!(
            Instant::now() < deadline,
            "{:?}",
            stream.publisher()?.stats()
        );
        ensure!(
            !stream.publisher()?.stats().subscribers.is_empty(),
            "it was cut off"
        );
    }
    let answer = driver.answer()?.map_err(|e| e.text)?;
    let seqs: Vec<u64> = serde_json::from_value(answer["seqs"].clone())?;
    ensure!(
        seqs.len() == 3000 && seqs.is_sorted_by(|a, b| a < b),
        "out of order or too few: {} frames",
        seqs.len()
    );
    ensure!(stream.publisher()?.stats().evicted == 0, "it was evicted");
    Ok(())
}
