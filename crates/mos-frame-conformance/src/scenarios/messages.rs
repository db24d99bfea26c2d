//! Packets that are new, grown, broken or cut off.

use std::os::fd::BorrowedFd;

use crate::driver::{Connect, Driver, WAIT_MS};
use crate::packet::{self, Body};
use crate::scripted::{Memory, Peer, Producer, State};
use crate::{Implementation, Outcome, Scenario, ensure};

pub(super) const ALL: &[(&str, Scenario)] = &[
    ("unknown_messages_are_skipped", unknown),
    ("an_unknown_critical_message_ends_the_connection", critical),
    ("known_messages_may_have_grown", grown),
    ("broken_packets_end_the_connection", broken),
    (
        "packets_cut_off_end_the_connection_and_leak_nothing",
        cut_off,
    ),
    ("messages_at_the_wrong_time_end_the_connection", wrong_time),
    ("an_eviction_is_told_with_its_reason", evicted),
    ("idle_bells_do_no_harm", idle_bells),
    ("bye_ends_the_session", bye),
];

/// A subscriber that is through the handshake with one buffer in slot 0.
fn started(
    implementation: &Implementation,
) -> Result<(Producer, Peer, Driver), libtest_mimic::Failed> {
    let producer = Producer::bind()?;
    let mut driver = Driver::start(implementation)?;
    driver.ask(&Driver::connecting(producer.path(), Connect::default()))?;
    let peer = producer.greet()?;
    peer.start(2, 1, &Memory::new("buffer", 4096)?)?;
    driver.answer()?.map_err(|e| e.text)?;
    Ok((producer, peer, driver))
}

fn unknown(implementation: &Implementation) -> Outcome {
    let producer = Producer::bind()?;
    let mut driver = Driver::start(implementation)?;
    driver.ask(&Driver::connecting(producer.path(), Connect::default()))?;
    let mut peer = producer.greet()?;
    let memory = Memory::new("buffer", 4096)?;
    let gift = Memory::new("gift", 4096)?;
    // With descriptors, which have to be closed; flags of tomorrow are set as well.
    let unknown = |kind| Body::default().u64(7).flagged(kind, 0xfffe);
    let skip = |peer: &Peer| peer.send(&unknown(packet::UNKNOWN), &[gift.fd(), gift.fd()]);
    skip(&peer)?;
    peer.welcome(2, 1)?;
    skip(&peer)?;
    peer.send(&packet::format(1, 64, 48), &[])?;
    skip(&peer)?;
    peer.add(0, 1, 1, &memory)?;
    skip(&peer)?;
    peer.expect_acks(1)?;
    peer.send(&packet::empty(packet::START), &[])?;
    driver.answer()?.map_err(|e| e.text)?;
    peer.publish(0, 1, 1)?;
    ensure!(driver.take(1, WAIT_MS)? == [1], "a frame");
    let before = driver.resources()?;
    for kind in [packet::UNKNOWN, 63, 200, 65535] {
        peer.send(&unknown(kind), &[gift.fd()])?;
        let nothing = driver.next_now()?.map_err(|e| e.text)?;
        ensure!(nothing.is_none(), "{nothing:?}");
    }
    let after = driver.resources()?;
    ensure!(after == before, "{after:?}, before {before:?}");
    Ok(())
}

fn critical(implementation: &Implementation) -> Outcome {
    let (_producer, peer, mut driver) = started(implementation)?;
    peer.send(&packet::empty(packet::UNKNOWN), &[])?;
    let end = driver.next_fails()?;
    ensure!(end.error == "protocol", "{end:?}");
    Ok(peer.expect_end()?)
}

fn grown(implementation: &Implementation) -> Outcome {
    let producer = Producer::bind()?;
    let mut driver = Driver::start(implementation)?;
    driver.ask(&Driver::connecting(producer.path(), Connect::default()))?;
    let mut peer = producer.greet()?;
    let memory = Memory::new("buffer", 4096)?;
    let grow = |mut packet: Vec<u8>| {
        packet.extend([0xee; 40]);
        let length = packet.len() as u32;
        packet[4..8].copy_from_slice(&length.to_le_bytes());
        packet
    };
    let welcome = packet::welcome(1, 2, 1);
    peer.send(&grow(welcome), &[peer.board.fd(), peer.leases.fd()])?;
    peer.send(&grow(packet::format(1, 64, 48)), &[])?;
    let add = packet::buffer_add(0, 1, 1, &[(0, 0, 64, 4096)]);
    peer.send(&grow(add), &[memory.fd()])?;
    peer.expect_acks(1)?;
    peer.send(&grow(packet::empty(packet::START)), &[])?;
    driver.answer()?.map_err(|e| e.text)?;
    driver.ask(&Driver::awaiting(WAIT_MS))?;
    peer.wait_armed()?;
    peer.publish(0, 1, 1)?;
    peer.leases.store(0, 0)?;
    peer.send(&grow(packet::empty(packet::BELL)), &[])?;
    let answer = driver.answer()?;
    let frame = driver.frame_of(answer)?.ok_or("no frame came")?;
    ensure!(frame.colorimetry == "bt709", "{frame:?}");
    driver.release(&frame)?;
    peer.send(&grow(packet::buffer_remove(0, 1)), &[])?;
    peer.send(&grow(packet::last_words(packet::EVICT, 7, b"enough")), &[])?;
    let end = driver.next_fails()?;
    ensure!(
        (end.error.as_str(), end.reason) == ("evicted", Some(7)) && end.text.contains("enough"),
        "{end:?}"
    );
    Ok(())
}

fn broken(implementation: &Implementation) -> Outcome {
    let with_length = |length: u32| {
        let mut packet = packet::format(2, 64, 48);
        packet[4..8].copy_from_slice(&length.to_le_bytes());
        packet
    };
    let mut cut_format = packet::format(2, 64, 48);
    cut_format.truncate(41);
    cut_format[4..8].copy_from_slice(&41_u32.to_le_bytes());
    let long_text = Body::default()
        .u16(1)
        .text(&[b'x'; 257])
        .packet(packet::EVICT);
    let mut memory_of_tomorrow = packet::format(2, 64, 48);
    memory_of_tomorrow[40] = 9;
    let cases = [
        ("no header", b"hello".to_vec()),
        ("length 0", with_length(0)),
        ("length too large", with_length(2000)),
        ("cut within its fields", cut_format),
        ("a text of 257 bytes", long_text),
        ("an unknown kind of memory", memory_of_tomorrow),
    ];
    for (what, packet) in cases {
        let (_producer, peer, mut driver) = started(implementation)?;
        peer.send(&packet, &[])?;
        let end = driver.next_fails()?;
        ensure!(end.error == "protocol", "{what}: {end:?}");
        peer.expect_end().map_err(|e| format!("{what}: {e}"))?;
    }
    Ok(())
}

/// `MSG_TRUNC` and `MSG_CTRUNC`.
fn cut_off(implementation: &Implementation) -> Outcome {
    let gift = Memory::new("gift", 4096)?;
    let gifts: Vec<BorrowedFd<'_>> = (0..40).map(|_| gift.fd()).collect();
    let small = Body::default().u64(7).flagged(packet::UNKNOWN, 0);
    let large = Body::default().text(&[0; 1200]).flagged(packet::UNKNOWN, 0);
    for (what, packet, fds) in [
        ("40 descriptors", &small, &gifts[..]),
        ("1210 bytes", &large, &[][..]),
        ("1210 bytes and 4 descriptors", &large, &gifts[..4]),
    ] {
        let (_producer, peer, mut driver) = started(implementation)?;
        peer.send(packet, fds)?;
        let end = driver.next_fails()?;
        ensure!(
            ["protocol", "io"].contains(&end.error.as_str()),
            "{what}: {end:?}"
        );
        peer.expect_end().map_err(|e| format!("{what}: {e}"))?;
        driver.close()?;
        let mut fresh = Driver::start(implementation)?;
        let nobody = fresh.connect("/nonexistent".as_ref(), Connect::default())?;
        ensure!(nobody.is_err(), "{nobody:?}");
        fresh.close()?;
        let (after, expected) = (driver.resources()?, fresh.resources()?);
        ensure!(after == expected, "{what}: {after:?}, not {expected:?}");
    }
    Ok(())
}

fn wrong_time(implementation: &Implementation) -> Outcome {
    // Before WELCOME.
    for packet in [
        packet::format(1, 64, 48),
        packet::empty(packet::START),
        packet::buffer_remove(0, 1),
    ] {
        let producer = Producer::bind()?;
        let mut driver = Driver::start(implementation)?;
        driver.ask(&Driver::connecting(producer.path(), Connect::default()))?;
        let peer = producer.greet()?;
        peer.send(&packet, &[])?;
        match driver.answer()? {
            Err(refusal) if refusal.error == "protocol" => {}
            other => return Err(format!("{packet:?} before WELCOME: {other:?}").into()),
        }
        peer.expect_end()?;
    }
    // After START: what only a subscriber sends, a second WELCOME, an epoch that does not rise.
    for packet in [
        Body::default().u32(1).packet(packet::BUFFER_ACK),
        packet::welcome(1, 2, 1),
        packet::format(1, 64, 48),
    ] {
        let (_producer, peer, mut driver) = started(implementation)?;
        peer.send(&packet, &[])?;
        let end = driver.next_fails()?;
        ensure!(end.error == "protocol", "{packet:?} after START: {end:?}");
        peer.expect_end()?;
    }
    Ok(())
}

fn evicted(implementation: &Implementation) -> Outcome {
    let (_producer, mut peer, mut driver) = started(implementation)?;
    peer.publish(0, 1, 1)?;
    let frame = driver.frame()?;
    ensure!(driver.valid(&frame)?, "{frame:?}");
    for slot in 0..crate::scripted::SLOTS {
        peer.set_lease(slot, 0, State::Revoked)?;
    }
    let text = "a lease word that no honest subscriber writes";
    peer.send(&packet::last_words(packet::EVICT, 8, text.as_bytes()), &[])?;
    ensure!(!driver.valid(&frame)?, "the frame is void");
    let end = driver.next_fails()?;
    ensure!(
        (end.error.as_str(), end.reason) == ("evicted", Some(8)) && end.text.contains(text),
        "{end:?}"
    );
    driver.release(&frame)?;
    let word = peer.lease(0)?;
    ensure!(
        word == (0, State::Revoked),
        "the release of a revoked frame wrote {word:?}"
    );
    Ok(peer.expect_end()?)
}

fn idle_bells(implementation: &Implementation) -> Outcome {
    let (_producer, mut peer, mut driver) = started(implementation)?;
    for _ in 0..50 {
        peer.send(&packet::empty(packet::BELL), &[])?;
    }
    let nothing = driver.next_now()?.map_err(|e| e.text)?;
    ensure!(nothing.is_none(), "{nothing:?}");
    // While it sleeps, too: it looks, and goes on sleeping.
    driver.ask(&Driver::awaiting(WAIT_MS))?;
    peer.wait_armed()?;
    peer.ring()?;
    peer.wait_armed()?;
    peer.publish(0, 1, 1)?;
    peer.ring()?;
    let answer = driver.answer()?;
    let frame = driver.frame_of(answer)?.ok_or("no frame came")?;
    ensure!(frame.seq == 1, "{frame:?}");
    Ok(())
}

fn bye(implementation: &Implementation) -> Outcome {
    let (_producer, mut peer, mut driver) = started(implementation)?;
    peer.publish(0, 1, 1)?;
    let frame = driver.frame()?;
    peer.send(&packet::empty(packet::BYE), &[])?;
    let end = driver.next_fails()?;
    ensure!(end.error == "gone", "{end:?}");
    ensure!(driver.valid(&frame)?, "the frame in hand is void");
    let word = peer.lease(0)?;
    ensure!(word == (1, State::Held), "its word: {word:?}");
    // The connection has to stay until the frame is released: its end is the end of the lease.
    driver.release(&frame)?;
    let word = peer.lease(0)?;
    ensure!(word == (1, State::Free), "its word: {word:?}");
    Ok(peer.expect_end()?)
}
