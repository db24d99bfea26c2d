//! Which frames come, in which order, and when.

use mos_frame::{ClockSource, FrameFlags, FrameMeta};
use rustix::process::Signal;

use crate::driver::{Connect, Driver, WAIT_MS};
use crate::stream::{Stream, stamps};
use crate::{Implementation, Outcome, Scenario, ensure};

pub(super) const ALL: &[(&str, Scenario)] = &[
    ("frames_come_in_order_as_they_were_published", in_order),
    ("a_frame_is_described_as_it_was_published", described),
    ("after_a_pause_the_newest_n_are_there", after_a_pause),
    ("latest_skips_to_the_newest", latest),
    ("a_late_joiner_gets_the_newest_frame_at_once", late_joiner),
    ("a_stopped_process_resumes_with_the_newest_n", stopped),
    ("no_wake_up_is_lost", wake_ups),
    ("nothing_is_given_twice", not_twice),
];

fn in_order(implementation: &Implementation) -> Outcome {
    let stream = Stream::new(12)?;
    let mut driver = Driver::start(implementation)?;
    let how = Connect {
        window: 8,
        ..Connect::default()
    };
    driver.must_connect(stream.path(), how)?;
    let mut last = 0;
    for round in 0..40 {
        stream.burst(8)?;
        let expected: Vec<u64> = (last + 1..=last + 8).collect();
        let seqs = driver.take(8, WAIT_MS)?;
        ensure!(
            seqs == expected,
            "round {round}: {seqs:?}, not {expected:?}"
        );
        last += 8;
    }
    let stats = driver.stats()?;
    ensure!(
        (stats.received, stats.missed, stats.gaps) == (320, 0, 0),
        "{stats:?}"
    );
    let info = &stream.publisher()?.stats().subscribers[0];
    ensure!(info.counters.claimed == 320, "{info:?}");
    ensure!(
        info.name == "conformance",
        "it gave the name {:?}",
        info.name
    );
    Ok(())
}

fn described(implementation: &Implementation) -> Outcome {
    let stream = Stream::new(8)?;
    let mut driver = Driver::start(implementation)?;
    driver.must_connect(stream.path(), Connect::default())?;
    let full = FrameMeta {
        capture_ns: 1_234_567_890_123,
        clock_source: ClockSource::Ptp,
        clock_error_ns: 4_000_000_000,
        pts_ns: Some(0),
        wall_ns: Some(1_795_000_000_000_000_000),
        flags: FrameFlags::DISCONT.with(FrameFlags::CORRUPTED),
    };
    let session = stream.publisher()?.stats().session;
    for meta in [full, FrameMeta::default()] {
        let before = mos_frame::monotonic_ns();
        let seq = stream.publish_with(meta)?;
        let frame = driver.frame()?;
        ensure!(frame.seq == seq && frame.session == session, "{frame:?}");
        ensure!(
            (frame.capture_ns, frame.clock_source, frame.clock_error_ns)
                == (
                    meta.capture_ns,
                    meta.clock_source as u8,
                    meta.clock_error_ns
                ),
            "times: {frame:?}"
        );
        ensure!(
            (frame.pts_ns, frame.wall_ns, frame.flags) == (meta.pts_ns, meta.wall_ns, meta.flags.0),
            "times or flags: {frame:?}"
        );
        ensure!(
            (before..=mos_frame::monotonic_ns()).contains(&frame.publish_ns),
            "publish time: {frame:?}"
        );
        ensure!(
            (frame.width, frame.height, frame.fourcc.as_str()) == (64, 48, "NV12"),
            "format: {frame:?}"
        );
        ensure!(
            (frame.modifier, frame.framerate, frame.epoch) == (0, (30, 1), 1),
            "format: {frame:?}"
        );
        ensure!(
            frame.memory == "memfd" && frame.read_only && frame.colorimetry == "bt709",
            "format: {frame:?}"
        );
        let planes: Vec<_> = frame
            .planes
            .iter()
            .map(|p| (p.fd, p.offset, p.stride, p.size))
            .collect();
        ensure!(
            planes == [(0, 0, 64, 3072), (0, 3072, 64, 1536)] && frame.fds == 1,
            "planes: {frame:?}"
        );
        let stamped = stamps(&mut driver, &frame)?;
        ensure!(stamped == (seq, seq), "pixels of {seq}: {stamped:?}");
        driver.release(&frame)?;
    }
    Ok(())
}

fn after_a_pause(implementation: &Implementation) -> Outcome {
    let stream = Stream::new(8)?;
    let mut driver = Driver::start(implementation)?;
    let how = Connect {
        window: 3,
        ..Connect::default()
    };
    driver.must_connect(stream.path(), how)?;
    stream.publish()?;
    ensure!(driver.take(1, WAIT_MS)? == [1], "the first frame");
    stream.burst(49)?;
    let seqs = driver.take(4, 0)?;
    ensure!(seqs == [48, 49, 50], "{seqs:?}");
    let stats = driver.stats()?;
    ensure!((stats.missed, stats.gaps) == (46, 1), "{stats:?}");
    let counters = stream.publisher()?.stats().subscribers[0].counters;
    ensure!(
        (counters.claimed, counters.recalled) == (4, 46),
        "{counters:?}"
    );
    Ok(())
}

fn latest(implementation: &Implementation) -> Outcome {
    let stream = Stream::new(10)?;
    let mut driver = Driver::start(implementation)?;
    let how = Connect {
        window: 6,
        ..Connect::default()
    };
    driver.must_connect(stream.path(), how)?;
    stream.burst(5)?;
    let frame = driver.latest()?.map_err(|e| e.text)?.ok_or("no frame")?;
    ensure!(frame.seq == 5, "{frame:?}");
    driver.release(&frame)?;
    let more = driver.try_next()?.map_err(|e| e.text)?;
    ensure!(more.is_none(), "older than the newest: {more:?}");
    let more = driver.latest()?.map_err(|e| e.text)?;
    ensure!(more.is_none(), "the same again: {more:?}");
    stream.burst(2)?;
    let seqs = driver.take(2, WAIT_MS)?;
    ensure!(seqs == [6, 7], "it goes on in order: {seqs:?}");
    Ok(())
}

fn late_joiner(implementation: &Implementation) -> Outcome {
    let stream = Stream::new(8)?;
    stream.burst(5)?;
    let mut driver = Driver::start(implementation)?;
    driver.must_connect(stream.path(), Connect::default())?;
    let frame = driver.frame()?;
    ensure!(frame.seq == 5, "{frame:?}");
    let stamped = stamps(&mut driver, &frame)?;
    ensure!(stamped == (5, 5), "pixels: {stamped:?}");
    driver.release(&frame)?;
    let stats = driver.stats()?;
    ensure!(
        stats.missed == 0,
        "what was before it was never its own: {stats:?}"
    );
    Ok(())
}

fn stopped(implementation: &Implementation) -> Outcome {
    let stream = Stream::new(10)?;
    let mut driver = Driver::start(implementation)?;
    let how = Connect {
        window: 4,
        ..Connect::default()
    };
    driver.must_connect(stream.path(), how)?;
    stream.publish()?;
    ensure!(driver.take(1, WAIT_MS)? == [1], "the first frame");
    driver.signal(Signal::STOP)?;
    let published = stream.burst(100);
    driver.signal(Signal::CONT)?;
    published?;
    let seqs = driver.take(5, 0)?;
    ensure!(seqs == [98, 99, 100, 101], "{seqs:?}");
    ensure!(stream.publisher()?.stats().evicted == 0, "it was evicted");
    Ok(())
}

/// The subscriber falls asleep again and again while a frame is published at some moment around that. A lost wake-up shows as a
/// frame that comes only with the end of the wait, as none.
fn wake_ups(implementation: &Implementation) -> Outcome {
    let stream = Stream::new(8)?;
    let mut driver = Driver::start(implementation)?;
    driver.must_connect(stream.path(), Connect::default())?;
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    for seq in 1..=1500 {
        driver.ask(&Driver::awaiting(WAIT_MS))?;
        // Anywhere from before its first look until it is fast asleep.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        for _ in 0..random % 20_000 {
            std::hint::spin_loop();
        }
        stream.publish()?;
        let answer = driver.answer()?;
        let frame = driver.frame_of(answer)?.ok_or("a wake-up was lost")?;
        ensure!(frame.seq == seq, "{frame:?} instead of {seq}");
        driver.release(&frame)?;
    }
    Ok(())
}

fn not_twice(implementation: &Implementation) -> Outcome {
    let stream = Stream::new(10)?;
    let mut driver = Driver::start(implementation)?;
    let how = Connect {
        window: 4,
        hold: 2,
        ..Connect::default()
    };
    driver.must_connect(stream.path(), how)?;
    stream.burst(3)?;
    ensure!(driver.take(9, 0)? == [1, 2, 3], "three frames");
    ensure!(driver.take(9, 0)?.is_empty(), "they came again");
    let latest = driver.latest()?.map_err(|e| e.text)?;
    ensure!(latest.is_none(), "the newest came again: {latest:?}");
    Ok(())
}
