//! HELLO and what may answer it.

use std::os::fd::BorrowedFd;

use crate::driver::{Answer, Connect, Driver};
use crate::packet;
use crate::scripted::{BOARD, LEASES, Memory, Peer, Producer};
use crate::{Implementation, Outcome, Scenario, ensure};

pub(super) const ALL: &[(&str, Scenario)] = &[
    ("hello_is_as_documented", hello),
    ("what_is_granted_counts_not_what_was_asked_for", granted),
    ("buffers_are_acknowledged_in_small_batches", batches),
    ("a_stream_without_a_format_yet_may_be_joined", no_format),
    ("a_refusal_is_read_even_if_hello_could_not_be_sent", unheard),
    ("a_reason_that_is_not_known_is_no_trouble", unknown_reason),
    ("an_eviction_before_start_is_a_refusal", evicted_early),
    ("a_producer_that_closes_is_gone", closes),
    ("a_producer_that_is_silent_is_given_up", silent),
    ("a_version_that_was_not_offered_is_refused", version),
    ("a_welcome_with_wrong_descriptors_is_refused", descriptors),
    ("memories_that_are_too_small_are_refused", too_small),
    ("memories_that_could_shrink_are_refused", unsealed),
    ("memories_may_be_larger", larger),
    ("grants_out_of_range_are_refused", out_of_range),
];

fn hello(implementation: &Implementation) -> Outcome {
    let producer = Producer::bind()?;
    let mut driver = Driver::start(implementation)?;
    let how = Connect {
        window: 5,
        hold: 3,
        ..Connect::default()
    };
    driver.ask(&Driver::connecting(producer.path(), how))?;
    let peer = producer.accept()?;
    let hello = peer.expect(packet::HELLO)?;
    ensure!(hello.flags & 1 == 1, "not critical: {hello:?}");
    ensure!(
        &hello.bytes[8..12] == b"MOSF",
        "the magic number: {hello:?}"
    );
    ensure!(
        hello.u16(12)? <= 1 && hello.u16(14)? >= 1,
        "the versions: {hello:?}"
    );
    ensure!(
        (hello.u32(16)?, hello.u32(20)?) == (5, 3),
        "window and hold: {hello:?}"
    );
    ensure!(hello.text(24)? == "conformance", "the name: {hello:?}");
    peer.start(5, 3, &Memory::new("buffer", 4096)?)?;
    expect_ok(driver.answer()?)
}

fn granted(implementation: &Implementation) -> Outcome {
    let producer = Producer::bind()?;
    let mut driver = Driver::start(implementation)?;
    let how = Connect {
        window: 8,
        hold: 4,
        ..Connect::default()
    };
    driver.ask(&Driver::connecting(producer.path(), how))?;
    let mut peer = producer.greet()?;
    let memory = Memory::new("buffer", 4096)?;
    peer.start(2, 1, &memory)?;
    expect_ok(driver.answer()?)?;
    for slot in 1..4 {
        peer.add(slot, slot + 1, 1, &memory)?;
    }
    for slot in 0..4_u64 {
        peer.publish(slot, slot as u32 + 1, 1)?;
    }
    let frame = driver.frame()?;
    ensure!(frame.seq == 3, "older than the granted window: {frame:?}");
    match driver.next_now()? {
        Err(refusal) if refusal.error == "hold_limit" => Ok(()),
        other => Err(format!("more than the granted hold: {other:?}").into()),
    }
}

/// The producer may wait for the acknowledgement of each buffer before it sends the next.
fn batches(implementation: &Implementation) -> Outcome {
    let producer = Producer::bind()?;
    let mut driver = Driver::start(implementation)?;
    driver.ask(&Driver::connecting(producer.path(), Connect::default()))?;
    let mut peer = producer.greet()?;
    let memory = Memory::new("buffer", 4096)?;
    peer.welcome(2, 1)?;
    peer.send(&packet::format(1, 64, 48), &[])?;
    let mut slot = 0;
    for batch in (1..4).cycle() {
        if slot + batch > 256 {
            break;
        }
        for slot in slot..slot + batch {
            peer.add(slot, slot + 1, 1, &memory)?;
        }
        peer.expect_acks(batch)?;
        slot += batch;
    }
    peer.send(&packet::empty(packet::START), &[])?;
    expect_ok(driver.answer()?)?;
    // An acknowledgement of nothing is an offence, so one more would be told from none.
    peer.publish(u64::from(slot) - 1, slot, 1)?;
    let frame = driver.frame()?;
    ensure!(frame.buffer == slot, "{frame:?}");
    driver.release(&frame)?;
    driver.close()?;
    let last = peer.expect(packet::BYE);
    ensure!(last.is_ok(), "after the last acknowledgement: {last:?}");
    Ok(())
}

fn no_format(implementation: &Implementation) -> Outcome {
    let producer = Producer::bind()?;
    let mut driver = Driver::start(implementation)?;
    driver.ask(&Driver::connecting(producer.path(), Connect::default()))?;
    let mut peer = producer.greet()?;
    peer.welcome(2, 1)?;
    peer.send(&packet::empty(packet::START), &[])?;
    expect_ok(driver.answer()?)?;
    driver.ask(&Driver::awaiting(crate::driver::WAIT_MS))?;
    peer.wait_armed()?;
    peer.send(&packet::format(1, 64, 48), &[])?;
    peer.add(7, 1, 1, &Memory::new("buffer", 4096)?)?;
    peer.expect_acks(1)?;
    peer.publish(7, 1, 1)?;
    peer.ring()?;
    let answer = driver.answer()?;
    let frame = driver.frame_of(answer)?.ok_or("no frame came")?;
    ensure!((frame.seq, frame.epoch) == (1, 1), "{frame:?}");
    Ok(())
}

fn unheard(implementation: &Implementation) -> Outcome {
    let producer = Producer::bind()?;
    let mut driver = Driver::start(implementation)?;
    // With and without HELLO in the producer's queue when it closes; the latter is ECONNRESET at the subscriber.
    for read_hello in [true, false] {
        driver.ask(&Driver::connecting(producer.path(), Connect::default()))?;
        let peer = if read_hello {
            producer.greet()?
        } else {
            producer.accept()?
        };
        let text = "uid 7 is not welcome";
        peer.send(
            &packet::last_words(packet::REFUSED, 5, text.as_bytes()),
            &[],
        )?;
        drop(peer);
        expect_refusal(driver.answer()?, 5, text)?;
    }
    Ok(())
}

fn unknown_reason(implementation: &Implementation) -> Outcome {
    let producer = Producer::bind()?;
    let mut driver = Driver::start(implementation)?;
    driver.ask(&Driver::connecting(producer.path(), Connect::default()))?;
    let peer = producer.greet()?;
    // Nor is a text that is not UTF-8.
    peer.send(
        &packet::last_words(packet::REFUSED, 999, b"a reason of tomorrow \xff\xfe"),
        &[],
    )?;
    expect_refusal(driver.answer()?, 0, "a reason of tomorrow")
}

fn evicted_early(implementation: &Implementation) -> Outcome {
    let producer = Producer::bind()?;
    let mut driver = Driver::start(implementation)?;
    driver.ask(&Driver::connecting(producer.path(), Connect::default()))?;
    let peer = producer.greet()?;
    peer.welcome(2, 1)?;
    let text = "the handshake was not finished in time";
    peer.send(&packet::last_words(packet::EVICT, 6, text.as_bytes()), &[])?;
    expect_refusal(driver.answer()?, 6, text)
}

fn closes(implementation: &Implementation) -> Outcome {
    let producer = Producer::bind()?;
    let mut driver = Driver::start(implementation)?;
    for welcomed in [false, true] {
        driver.ask(&Driver::connecting(producer.path(), Connect::default()))?;
        let peer = producer.greet()?;
        if welcomed {
            peer.welcome(2, 1)?;
        }
        drop(peer);
        expect_error(driver.answer()?, &["not_found", "gone"])?;
    }
    Ok(())
}

fn silent(implementation: &Implementation) -> Outcome {
    let producer = Producer::bind()?;
    let mut driver = Driver::start(implementation)?;
    let how = Connect {
        timeout_ms: 200,
        ..Connect::default()
    };
    driver.ask(&Driver::connecting(producer.path(), how))?;
    let peer = producer.greet()?;
    expect_error(driver.answer()?, &["timeout"])?;
    Ok(peer.expect_end()?)
}

fn version(implementation: &Implementation) -> Outcome {
    wrong_welcome(implementation, "version 2", |peer| {
        let fds = [peer.board.fd(), peer.leases.fd()];
        peer.send(&packet::welcome(2, 2, 1), &fds)
    })
}

fn descriptors(implementation: &Implementation) -> Outcome {
    for count in [0, 1, 3, 4] {
        wrong_welcome(implementation, &format!("{count} descriptors"), |peer| {
            let (board, leases) = (peer.board.fd(), peer.leases.fd());
            let fds: Vec<BorrowedFd<'_>> = [board, leases, board, leases][..count].to_vec();
            peer.send(&packet::welcome(1, 2, 1), &fds)
        })?;
    }
    Ok(())
}

fn too_small(implementation: &Implementation) -> Outcome {
    wrong_welcome(implementation, "a small board", |peer| {
        let board = Memory::new("small", BOARD - 8)?;
        peer.send(&packet::welcome(1, 2, 1), &[board.fd(), peer.leases.fd()])
    })?;
    wrong_welcome(implementation, "a small lease page", |peer| {
        let leases = Memory::new("small", LEASES - 8)?;
        peer.send(&packet::welcome(1, 2, 1), &[peer.board.fd(), leases.fd()])
    })
}

fn unsealed(implementation: &Implementation) -> Outcome {
    wrong_welcome(implementation, "an unsealed board", |peer| {
        let board = Memory::unsealed("open", BOARD)?;
        peer.send(&packet::welcome(1, 2, 1), &[board.fd(), peer.leases.fd()])
    })?;
    wrong_welcome(implementation, "an unsealed lease page", |peer| {
        let leases = Memory::unsealed("open", LEASES)?;
        peer.send(&packet::welcome(1, 2, 1), &[peer.board.fd(), leases.fd()])
    })
}

fn larger(implementation: &Implementation) -> Outcome {
    let producer = Producer::bind()?;
    let mut driver = Driver::start(implementation)?;
    driver.ask(&Driver::connecting(producer.path(), Connect::default()))?;
    let mut peer = producer.greet()?;
    peer.board = Memory::new("large-board", BOARD * 2)?;
    peer.leases = Memory::new("large-leases", LEASES * 2)?;
    peer.start(2, 1, &Memory::new("buffer", 4096)?)?;
    expect_ok(driver.answer()?)?;
    peer.publish(0, 1, 1)?;
    ensure!(driver.frame()?.seq == 1, "a frame");
    Ok(())
}

fn out_of_range(implementation: &Implementation) -> Outcome {
    for (window, hold) in [(0, 1), (65, 1), (2, 65), (u32::MAX, u32::MAX)] {
        let what = format!("window {window}, hold {hold}");
        wrong_welcome(implementation, &what, |peer| peer.welcome(window, hold))?;
    }
    Ok(())
}

/// A WELCOME that the subscriber must not go on from: it says so, ends the connection, and keeps nothing open.
fn wrong_welcome(
    implementation: &Implementation,
    what: &str,
    send: impl FnOnce(&Peer) -> std::io::Result<()>,
) -> Outcome {
    let producer = Producer::bind()?;
    let mut driver = Driver::start(implementation)?;
    // Once in vain, so that what an implementation sets up once does not look like a leak.
    let nobody = driver.connect("/nonexistent".as_ref(), Connect::default())?;
    expect_error(nobody, &["not_found"])?;
    let before = driver.resources()?;
    driver.ask(&Driver::connecting(producer.path(), Connect::default()))?;
    let peer = producer.greet()?;
    send(&peer)?;
    match driver.answer()? {
        Err(refusal) if ["protocol", "io"].contains(&refusal.error.as_str()) => {}
        other => return Err(format!("{what}: {other:?}").into()),
    }
    peer.expect_end().map_err(|e| format!("{what}: {e}"))?;
    let after = driver.resources()?;
    ensure!(after == before, "{what}: {after:?}, before {before:?}");
    Ok(())
}

fn expect_ok(answer: Answer) -> Outcome {
    answer
        .map(drop)
        .map_err(|refusal| format!("it should have worked: {refusal:?}").into())
}

fn expect_error(answer: Answer, classes: &[&str]) -> Outcome {
    match answer {
        Err(refusal) if classes.contains(&refusal.error.as_str()) => Ok(()),
        other => Err(format!("one of {classes:?} was due: {other:?}").into()),
    }
}

fn expect_refusal(answer: Answer, reason: u16, text: &str) -> Outcome {
    match answer {
        Err(refusal)
            if refusal.error == "refused"
                && refusal.reason == Some(reason)
                && refusal.text.contains(text) =>
        {
            Ok(())
        }
        other => Err(format!("a refusal for {reason} was due: {other:?}").into()),
    }
}
