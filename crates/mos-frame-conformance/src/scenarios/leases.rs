//! The words of the lease page and of the board: what a subscriber writes there, and what it makes of strange ones.

use libtest_mimic::Failed;

use crate::driver::{Connect, Driver, WAIT_MS};
use crate::scripted::{Memory, Peer, Producer, SLOTS, State};
use crate::{Implementation, Outcome, Scenario, ensure};

pub(super) const ALL: &[(&str, Scenario)] = &[
    ("claim_and_release_change_one_word", one_word),
    ("a_release_never_touches_another_frame", release_by_swap),
    (
        "only_offers_of_the_wanted_sequence_are_claimed",
        only_offers,
    ),
    ("the_order_is_the_ring_s_not_the_page_s", ring_order),
    ("offers_outside_the_window_are_left_alone", window),
    ("strange_boards_are_no_trouble", strange_boards),
    ("the_doorbell_is_armed_only_while_waiting", doorbell),
    ("a_frame_between_looking_and_arming_is_found", between),
];

/// Four buffers, in slots 0 to 3 with generations 1 to 4.
fn started(
    implementation: &Implementation,
    window: u32,
    hold: u32,
) -> Result<(Producer, Peer, Driver), Failed> {
    let producer = Producer::bind()?;
    let mut driver = Driver::start(implementation)?;
    let how = Connect {
        window,
        hold,
        ..Connect::default()
    };
    driver.ask(&Driver::connecting(producer.path(), how))?;
    let peer = producer.greet()?;
    let memory = Memory::new("buffer", 4096)?;
    peer.start(window, hold, &memory)?;
    driver.answer()?.map_err(|e| e.text)?;
    for slot in 1..4 {
        peer.add(slot, slot + 1, 1, &memory)?;
    }
    let nothing = driver.next_now()?.map_err(|e| e.text)?;
    ensure!(nothing.is_none(), "{nothing:?}");
    peer.expect_acks(3)?;
    Ok((producer, peer, driver))
}

fn page(peer: &Peer) -> Result<Vec<u64>, Failed> {
    let words = (1..8 + SLOTS).map(|word| peer.leases.load(word));
    Ok(words.collect::<Result<_, _>>()?)
}

fn one_word(implementation: &Implementation) -> Outcome {
    let (_producer, mut peer, mut driver) = started(implementation, 2, 1)?;
    for slot in [2, 0, 3, 1] {
        let seq = peer.publish(slot, slot as u32 + 1, 1)?;
        let mut expected = page(&peer)?;
        let frame = driver.frame()?;
        expected[7 + slot as usize] = seq << 2 | 2;
        ensure!(page(&peer)? == expected, "after the claim of {frame:?}");
        driver.release(&frame)?;
        expected[7 + slot as usize] = seq << 2;
        ensure!(page(&peer)? == expected, "after the release of {frame:?}");
    }
    Ok(())
}

/// After a revocation the word may be the next offer already.
fn release_by_swap(implementation: &Implementation) -> Outcome {
    for state in [State::Offered, State::Free, State::Revoked] {
        let (_producer, mut peer, mut driver) = started(implementation, 2, 1)?;
        let seq = peer.publish(0, 1, 1)?;
        let frame = driver.frame()?;
        peer.set_lease(0, seq, State::Revoked)?;
        ensure!(!driver.valid(&frame)?, "a revoked frame is valid");
        peer.set_lease(0, seq + 5, state)?;
        driver.release(&frame)?;
        let word = peer.lease(0)?;
        ensure!(
            word == (seq + 5, state),
            "the release wrote {word:?} over {state:?}"
        );
    }
    Ok(())
}

fn only_offers(implementation: &Implementation) -> Outcome {
    let (_producer, mut peer, mut driver) = started(implementation, 4, 4)?;
    for (seq, state) in [
        (1, State::Free),
        (1, State::Held),
        (1, State::Revoked),
        (2, State::Offered),
        (0, State::Offered),
    ] {
        peer.describe(1, 0, 1, 1)?;
        peer.set_lease(0, seq, state)?;
        peer.advance(1)?;
        let frame = driver.next_now()?.map_err(|e| e.text)?;
        ensure!(frame.is_none(), "{state:?}({seq}) gave {frame:?}");
        let word = peer.lease(0)?;
        ensure!(word == (seq, state), "{state:?}({seq}) became {word:?}");
    }
    peer.set_lease(0, 1, State::Offered)?;
    let frame = driver.frame()?;
    ensure!(frame.seq == 1, "{frame:?}");
    // One that was taken back is passed over.
    for slot in 1..4_u32 {
        peer.publish(u64::from(slot), slot + 1, 1)?;
    }
    peer.set_lease(2, 3, State::Free)?;
    let seqs = driver.take(3, 0)?;
    ensure!(seqs == [2, 4], "{seqs:?}");
    Ok(())
}

fn ring_order(implementation: &Implementation) -> Outcome {
    let (_producer, mut peer, mut driver) = started(implementation, 4, 1)?;
    for slot in [3_u32, 1, 2, 0] {
        peer.publish(u64::from(slot), slot + 1, 1)?;
    }
    let mut buffers = Vec::new();
    for seq in 1..=4 {
        let frame = driver.frame()?;
        ensure!(frame.seq == seq, "{frame:?} instead of {seq}");
        buffers.push(frame.buffer);
        driver.release(&frame)?;
    }
    ensure!(buffers == [4, 2, 3, 1], "{buffers:?}");
    Ok(())
}

fn window(implementation: &Implementation) -> Outcome {
    let (_producer, mut peer, mut driver) = started(implementation, 2, 1)?;
    // The producer was not quick enough to take the first two back.
    for slot in 0..4_u32 {
        peer.publish(u64::from(slot), slot + 1, 1)?;
    }
    let seqs = driver.take(4, 0)?;
    ensure!(seqs == [3, 4], "{seqs:?}");
    for slot in 0..2 {
        let word = peer.lease(slot)?;
        ensure!(word == (slot + 1, State::Offered), "slot {slot}: {word:?}");
    }
    Ok(())
}

/// Nothing that a board says makes a subscriber hang, die or claim.
fn strange_boards(implementation: &Implementation) -> Outcome {
    let (_producer, mut peer, mut driver) = started(implementation, 64, 4)?;
    let before = page(&peer)?;
    for entry in [256 | 1 << 16, 0xffff | 1 << 16, 1 | 2 << 16, u64::MAX] {
        peer.describe(1, 0, 1, 1)?;
        peer.board.store(2057, entry)?;
        peer.advance(1)?;
        let frame = driver.next_now()?.map_err(|e| e.text)?;
        ensure!(frame.is_none(), "ring entry {entry:#x} gave {frame:?}");
    }
    for head in [1 << 40, (1 << 48) - 1, 1 << 61, (1 << 62) - 1, u64::MAX] {
        peer.advance(head)?;
        let frame = driver.next_now()?.map_err(|e| e.text)?;
        ensure!(frame.is_none(), "head {head:#x} gave {frame:?}");
        let frame = driver.latest()?.map_err(|e| e.text)?;
        ensure!(frame.is_none(), "head {head:#x} gave {frame:?}");
    }
    ensure!(page(&peer)? == before, "the lease page was changed");
    // High sequences are as good as low ones.
    let high = (1 << 48) + 7;
    peer.describe(high, 1, 2, 1)?;
    peer.set_lease(1, high, State::Offered)?;
    peer.advance(high)?;
    let frame = driver.frame()?;
    ensure!(frame.seq == high, "{frame:?}");
    Ok(())
}

fn doorbell(implementation: &Implementation) -> Outcome {
    let (_producer, mut peer, mut driver) = started(implementation, 2, 1)?;
    ensure!(!peer.is_armed()?, "armed after a wait that ended");
    driver.ask(&Driver::awaiting(WAIT_MS))?;
    peer.wait_armed()?;
    peer.publish(0, 1, 1)?;
    peer.ring()?;
    let answer = driver.answer()?;
    let frame = driver.frame_of(answer)?.ok_or("no frame came")?;
    ensure!(frame.seq == 1, "{frame:?}");
    ensure!(!peer.is_armed()?, "armed while it has a frame");
    driver.release(&frame)?;
    let nothing = driver.next_now()?.map_err(|e| e.text)?;
    ensure!(nothing.is_none(), "{nothing:?}");
    ensure!(!peer.is_armed()?, "armed after a wait in vain");
    // A subscriber in an event loop stays armed until it is asked again.
    let nothing = driver.try_next()?.map_err(|e| e.text)?;
    ensure!(nothing.is_none(), "{nothing:?}");
    ensure!(peer.is_armed()?, "not armed for its event loop");
    Ok(())
}

/// The bell is rung for nobody: the subscriber finds the frame only if it looks again once it has armed itself.
fn between(implementation: &Implementation) -> Outcome {
    let (_producer, mut peer, mut driver) = started(implementation, 2, 1)?;
    for round in 0..300_u64 {
        driver.ask(&Driver::awaiting(WAIT_MS))?;
        // A producer's own order: offer, then look whether the subscriber is armed, and ring only then.
        let slot = round % 4;
        peer.publish(slot, slot as u32 + 1, 1)?;
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
        if peer.is_armed()? {
            peer.ring()?;
        }
        let answer = driver.answer()?;
        let frame = driver.frame_of(answer)?.ok_or("a wake-up was lost")?;
        ensure!(frame.seq == round + 1, "{frame:?}");
        driver.release(&frame)?;
    }
    Ok(())
}
