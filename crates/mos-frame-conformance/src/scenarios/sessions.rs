//! Beginnings and ends: refusals, evictions, producers that go and come, and what is left open.

use mos_frame::Budget;

use crate::driver::{Connect, Driver, WAIT_MS};
use crate::stream::{Stream, stamps};
use crate::{Implementation, Outcome, Scenario, ensure};

pub(super) const ALL: &[(&str, Scenario)] = &[
    ("no_producer_is_said_so", nobody),
    ("a_refusal_comes_with_reason_and_figures", over_budget),
    ("the_end_of_the_stream_is_said_so", end),
    ("a_restarted_producer_is_found_again", restart),
    ("many_restarts_leave_nothing_open", many_restarts),
    ("connecting_and_closing_leaves_nothing_open", open_and_close),
    ("taking_and_releasing_leaves_nothing_open", take_and_release),
    ("out_of_descriptors_is_an_error_and_leaks_none", out_of_fds),
];

fn nobody(implementation: &Implementation) -> Outcome {
    let mut stream = Stream::new(4)?;
    stream.stop();
    let mut driver = Driver::start(implementation)?;
    for path in [stream.path(), "/nonexistent/folder/x.sock".as_ref()] {
        match driver.connect(path, Connect::default())? {
            Err(refusal) if refusal.error == "not_found" => {}
            other => return Err(format!("{}: {other:?}", path.display()).into()),
        }
    }
    Ok(())
}

fn over_budget(implementation: &Implementation) -> Outcome {
    let stream = Stream::new(5)?;
    let mut driver = Driver::start(implementation)?;
    let greedy = Connect {
        window: 3,
        hold: 2,
        ..Connect::default()
    };
    match driver.connect(stream.path(), greedy)? {
        Err(refusal) if refusal.error == "refused" => {
            ensure!(refusal.reason == Some(1), "{refusal:?}");
            ensure!(refusal.text.contains("need 5"), "no figures: {refusal:?}");
        }
        other => return Err(format!("not refused: {other:?}").into()),
    }
    let none = Connect {
        window: 65,
        ..Connect::default()
    };
    let out_of_range = driver.connect(stream.path(), none)?;
    ensure!(
        out_of_range.is_err(),
        "a window of 65 was taken: {out_of_range:?}"
    );
    // The next one may come.
    stream.publisher()?.set_budget(Budget::default());
    driver.must_connect(stream.path(), greedy)?;
    stream.publish()?;
    ensure!(driver.take(1, WAIT_MS)? == [1], "a frame");
    Ok(())
}

fn end(implementation: &Implementation) -> Outcome {
    let mut stream = Stream::new(8)?;
    let mut driver = Driver::start(implementation)?;
    driver.must_connect(stream.path(), Connect::default())?;
    stream.publish()?;
    let frame = driver.frame()?;
    stream.stop();
    let end = driver.next_fails()?;
    ensure!(end.error == "gone", "{end:?}");
    let stamped = stamps(&mut driver, &frame)?;
    ensure!(
        stamped == (1, 1) && driver.valid(&frame)?,
        "the frame in hand: {stamped:?}"
    );
    let again = driver.next_fails()?;
    ensure!(again.error == "gone", "asked again: {again:?}");
    driver.release(&frame)?;
    Ok(())
}

fn restart(implementation: &Implementation) -> Outcome {
    let mut stream = Stream::new(8)?;
    let mut driver = Driver::start(implementation)?;
    let how = Connect {
        hold: 2,
        reconnect: true,
        ..Connect::default()
    };
    driver.must_connect(stream.path(), how)?;
    stream.publish()?;
    let old = driver.frame()?;
    // It is asleep while the producer goes and comes.
    driver.ask(&Driver::awaiting(WAIT_MS))?;
    stream.restart()?;
    stream.publish()?;
    let answer = driver.answer()?;
    let new = driver.frame_of(answer)?.ok_or("no frame came")?;
    ensure!(
        new.session != old.session && new.seq == 1,
        "{new:?} after {old:?}"
    );
    let read = (stamps(&mut driver, &old)?, stamps(&mut driver, &new)?);
    ensure!(read == ((1, 1), (1, 1)), "pixels: {read:?}");
    let stats = driver.stats()?;
    ensure!((stats.reconnects, stats.missed) == (1, 0), "{stats:?}");
    driver.release(&old)?;
    driver.release(&new)?;
    stream.publish()?;
    ensure!(driver.take(1, WAIT_MS)? == [2], "it goes on");
    Ok(())
}

fn many_restarts(implementation: &Implementation) -> Outcome {
    let mut stream = Stream::new(8)?;
    let mut driver = Driver::start(implementation)?;
    let how = Connect {
        reconnect: true,
        ..Connect::default()
    };
    driver.must_connect(stream.path(), how)?;
    let first = driver.resources()?;
    for round in 0..40 {
        driver.ask(&Driver::awaiting(WAIT_MS))?;
        stream.restart()?;
        stream.publish()?;
        let answer = driver.answer()?;
        let frame = driver.frame_of(answer)?.ok_or("no frame came")?;
        stamps(&mut driver, &frame)?;
        driver.release(&frame)?;
        // It may have come before the new pool was there: then buffers are still on their way.
        driver
            .settles_at(first)
            .map_err(|e| format!("round {round}: {e}"))?;
    }
    Ok(())
}

fn open_and_close(implementation: &Implementation) -> Outcome {
    let stream = Stream::new(8)?;
    stream.publish()?;
    let mut driver = Driver::start(implementation)?;
    let mut first = None;
    for round in 0..60 {
        driver.must_connect(stream.path(), Connect::default())?;
        let frame = driver.frame()?;
        stamps(&mut driver, &frame)?;
        driver.release(&frame)?;
        driver.close()?;
        let now = driver.resources()?;
        ensure!(
            now.maps == 0,
            "round {round}: something is still mapped: {now:?}"
        );
        let first = *first.get_or_insert(now);
        ensure!(now == first, "round {round}: {now:?}, at first {first:?}");
    }
    stream.wait("no subscriber", |s| s.subscribers.is_empty())
}

fn take_and_release(implementation: &Implementation) -> Outcome {
    let stream = Stream::new(8)?;
    let mut driver = Driver::start(implementation)?;
    driver.must_connect(stream.path(), Connect::default())?;
    let mut first = None;
    for round in 0..200 {
        stream.publish()?;
        let frame = driver.frame()?;
        stamps(&mut driver, &frame)?;
        driver.release(&frame)?;
        let now = driver.resources()?;
        let first = *first.get_or_insert(now);
        ensure!(now == first, "round {round}: {now:?}, at first {first:?}");
    }
    Ok(())
}

/// The kernel cuts descriptors off that the process has no room for, which is `MSG_CTRUNC`.
fn out_of_fds(implementation: &Implementation) -> Outcome {
    let stream = Stream::new(8)?;
    stream.publish()?;
    let mut driver = Driver::start(implementation)?;
    driver.must_connect(stream.path(), Connect::default())?;
    ensure!(driver.take(1, WAIT_MS)? == [1], "a frame");
    driver.close()?;
    let before = driver.resources()?;
    for more in 0..8 {
        let limit = driver.limit_fds(more)?;
        let answer = driver.connect(stream.path(), Connect::default());
        driver.restore_fds(limit)?;
        match answer? {
            Ok(_) => return Err(format!("it connected with {more} more descriptors").into()),
            Err(refusal) => ensure!(
                ["io", "protocol"].contains(&refusal.error.as_str()),
                "{more} more descriptors: {refusal:?}"
            ),
        }
        let now = driver.resources()?;
        ensure!(now == before, "{more} more: {now:?}, before {before:?}");
    }
    driver.must_connect(stream.path(), Connect::default())?;
    stream.publish()?;
    ensure!(!driver.take(1, WAIT_MS)?.is_empty(), "a frame");
    Ok(())
}
