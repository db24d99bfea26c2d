//! Buffers: which one a frame is in, and announcements that make no sense.

use libtest_mimic::Failed;

use crate::driver::{Connect, Driver, WAIT_MS};
use crate::packet;
use crate::scripted::{Memory, Peer, Producer, State};
use crate::{Implementation, Outcome, Scenario, ensure};

pub(super) const ALL: &[(&str, Scenario)] = &[
    (
        "an_unknown_buffer_is_looked_for_in_the_socket",
        in_the_socket,
    ),
    (
        "a_slot_that_is_used_again_is_told_by_its_generation",
        reused,
    ),
    (
        "a_frame_in_a_buffer_that_never_came_is_an_error",
        never_came,
    ),
    ("announcements_that_make_no_sense_are_errors", nonsense),
    ("a_removal_of_another_generation_is_ignored", stale_removal),
    ("planes_may_have_descriptors_of_their_own", planes),
    ("epochs_may_skip", epochs),
    ("memory_that_is_too_small_is_not_read", small_memory),
];

fn started(implementation: &Implementation) -> Result<(Producer, Peer, Driver), Failed> {
    let producer = Producer::bind()?;
    let mut driver = Driver::start(implementation)?;
    let how = Connect {
        window: 4,
        hold: 4,
        ..Connect::default()
    };
    driver.ask(&Driver::connecting(producer.path(), how))?;
    let peer = producer.greet()?;
    peer.start(4, 4, &stamped("first", 1)?)?;
    driver.answer()?.map_err(|e| e.text)?;
    Ok((producer, peer, driver))
}

/// Memory whose first word says which it is.
fn stamped(name: &str, number: u64) -> Result<Memory, Failed> {
    let memory = Memory::new(name, 4096)?;
    memory.store(0, number)?;
    Ok(memory)
}

fn number(bytes: Vec<u8>) -> u64 {
    bytes.try_into().map_or(u64::MAX, u64::from_ne_bytes)
}

fn in_the_socket(implementation: &Implementation) -> Outcome {
    let (_producer, mut peer, mut driver) = started(implementation)?;
    for slot in 1..4 {
        peer.add(slot, slot + 1, 1, &stamped("late", u64::from(slot) + 1)?)?;
        peer.publish(u64::from(slot), slot + 1, 1)?;
        let frame = driver.try_next()?.map_err(|e| e.text)?.ok_or("no frame")?;
        let read = number(driver.read(&frame, 0, 0, 8)?);
        ensure!(
            (frame.buffer, read) == (slot + 1, u64::from(slot) + 1),
            "{frame:?} reads {read}"
        );
        peer.expect_acks(1)?;
        driver.release(&frame)?;
    }
    Ok(())
}

fn reused(implementation: &Implementation) -> Outcome {
    let (_producer, mut peer, mut driver) = started(implementation)?;
    peer.publish(0, 1, 1)?;
    ensure!(driver.take(1, WAIT_MS)? == [1], "a frame");
    let resources = driver.resources()?;
    // With and without the removal of the old one.
    for (generation, removed) in [(2, true), (3, false), (4, true)] {
        if removed {
            peer.send(&packet::buffer_remove(0, generation - 1), &[])?;
        }
        peer.add(0, generation, 1, &stamped("next", u64::from(generation))?)?;
        peer.publish(0, generation, 1)?;
        let frame = driver.frame()?;
        let read = number(driver.read(&frame, 0, 0, 8)?);
        ensure!(
            (frame.buffer, read) == (generation, u64::from(generation)),
            "{frame:?} reads {read}"
        );
        driver.release(&frame)?;
        peer.expect_acks(1)?;
        let now = driver.resources()?;
        ensure!(now == resources, "{now:?}, with the first {resources:?}");
    }
    Ok(())
}

fn never_came(implementation: &Implementation) -> Outcome {
    for (what, slot, generation) in [("slot", 9, 1), ("generation", 0, 7)] {
        let (_producer, mut peer, mut driver) = started(implementation)?;
        peer.publish(slot, generation, 1)?;
        let end = driver.next_fails()?;
        ensure!(end.error == "protocol", "{what}: {end:?}");
        let word = peer.lease(slot)?;
        ensure!(
            word == (1, State::Free),
            "{what}: the claim was not given back: {word:?}"
        );
        peer.expect_end()?;
    }
    Ok(())
}

fn nonsense(implementation: &Implementation) -> Outcome {
    let memory = Memory::new("buffer", 4096)?;
    let plane = (0, 0, 64, 4096);
    let add = |slot, epoch, planes: &[_]| packet::buffer_add(slot, 5, epoch, planes);
    let one = [memory.fd()];
    let two = [memory.fd(), memory.fd()];
    let cases: [(&str, Vec<u8>, &[_]); 12] = [
        ("slot 256", add(256, 1, &[plane]), &one),
        ("epoch 0", add(1, 0, &[plane]), &one),
        ("an epoch to come", add(1, 2, &[plane]), &one),
        ("no plane", add(1, 1, &[]), &one),
        ("five planes", add(1, 1, &[plane; 5]), &one),
        ("no descriptor", add(1, 1, &[plane]), &[]),
        ("a descriptor too many", add(1, 1, &[plane]), &two),
        ("descriptor 0 unused", add(1, 1, &[(1, 0, 64, 4096)]), &two),
        ("descriptor 200", add(1, 1, &[(200, 0, 64, 4096)]), &one),
        ("an empty plane", add(1, 1, &[(0, 0, 0, 0)]), &one),
        (
            "rows longer than the plane",
            add(1, 1, &[(0, 0, 65, 64)]),
            &one,
        ),
        ("an end past 2^64", add(1, 1, &[(0, u64::MAX, 1, 1)]), &one),
    ];
    for (what, packet, fds) in cases {
        let (_producer, peer, mut driver) = started(implementation)?;
        peer.send(&packet, fds)?;
        let end = driver.next_fails()?;
        ensure!(end.error == "protocol", "{what}: {end:?}");
        peer.expect_end().map_err(|e| format!("{what}: {e}"))?;
    }
    Ok(())
}

fn stale_removal(implementation: &Implementation) -> Outcome {
    let (_producer, mut peer, mut driver) = started(implementation)?;
    for (slot, generation) in [(0, 9), (77, 1), (4_000_000_000, 1)] {
        peer.send(&packet::buffer_remove(slot, generation), &[])?;
    }
    peer.publish(0, 1, 1)?;
    ensure!(driver.take(1, WAIT_MS)? == [1], "a frame");
    Ok(())
}

fn planes(implementation: &Implementation) -> Outcome {
    let (_producer, mut peer, mut driver) = started(implementation)?;
    let (luma, chroma) = (Memory::new("luma", 8192)?, Memory::new("chroma", 4096)?);
    luma.store(512, 71)?;
    chroma.store(16, 72)?;
    let planes = [(1, 128, 64, 1536), (0, 4096, 64, 3072)];
    peer.send(
        &packet::buffer_add(255, 2, 1, &planes),
        &[luma.fd(), chroma.fd()],
    )?;
    peer.publish(255, 2, 1)?;
    let frame = driver.frame()?;
    ensure!(frame.fds == 2 && frame.planes.len() == 2, "{frame:?}");
    let read = (
        number(driver.read(&frame, 0, 0, 8)?),
        number(driver.read(&frame, 1, 0, 8)?),
    );
    ensure!(read == (72, 71), "{read:?}");
    Ok(())
}

fn epochs(implementation: &Implementation) -> Outcome {
    let (_producer, mut peer, mut driver) = started(implementation)?;
    peer.publish(0, 1, 1)?;
    let old = driver.frame()?;
    peer.send(&packet::format(2, 32, 16), &[])?;
    peer.send(&packet::format(9, 128, 96), &[])?;
    peer.add(1, 2, 9, &Memory::new("new", 4096)?)?;
    peer.publish(1, 2, 9)?;
    let new = driver.frame()?;
    ensure!(
        (new.epoch, new.width, new.height) == (9, 128, 96),
        "{new:?}"
    );
    ensure!((old.epoch, old.width) == (1, 64), "{old:?}");
    let first = number(driver.read(&old, 0, 0, 8)?);
    ensure!(first == 1, "the old frame reads {first}");
    Ok(())
}

/// The planes say 4096 bytes, the memory has less, or could shrink: a read would be a SIGBUS.
fn small_memory(implementation: &Implementation) -> Outcome {
    let small = Memory::new("small", 64)?;
    let unsealed = Memory::unsealed("unsealed", 4096)?;
    for (what, memory) in [("small", &small), ("unsealed", &unsealed)] {
        let (_producer, mut peer, mut driver) = started(implementation)?;
        let add = packet::buffer_add(1, 2, 1, &[(0, 0, 64, 4096)]);
        peer.send(&add, &[memory.fd()])?;
        peer.publish(1, 2, 1)?;
        // It may refuse the buffer, the frame or the reading, but has to live.
        if let Ok(frame) = driver.frame() {
            let read = driver.read(&frame, 0, 0, 8);
            ensure!(read.is_err(), "{what} memory was read: {read:?}");
        }
        driver.close()?;
    }
    Ok(())
}
