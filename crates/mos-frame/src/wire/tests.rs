use proptest::prelude::*;

use super::*;

fn all() -> Vec<Message> {
    vec![
        Message::Hello {
            min_version: 1,
            max_version: 2,
            window: 2,
            hold: 1,
            name: "enc\u{f6}der".into(),
        },
        Message::BufferAck { count: 3 },
        Message::Inspect {
            min_version: 1,
            max_version: 1,
        },
        Message::Bye,
        Message::Welcome {
            version: 1,
            session: u64::MAX,
            subscriber: 4,
            window: 2,
            hold: 0,
        },
        Message::Refused {
            reason: Reason::OverBudget,
            text: "8 buffers".into(),
        },
        Message::Format {
            epoch: 2,
            format: Format::nv12_memfd(3840, 2160, (30000, 1001)),
        },
        Message::BufferAdd {
            slot: 255,
            generation: 9,
            epoch: 2,
            layout: Layout::nv12(640, 480),
        },
        Message::BufferRemove {
            slot: 1,
            generation: 9,
        },
        Message::Start,
        Message::Bell,
        Message::Evict {
            reason: Reason::BadLease,
            text: String::new(),
        },
        Message::Stats {
            more: true,
            part: vec![7; MAX_STATS],
        },
    ]
}

#[test]
fn messages_survive_the_wire() {
    for message in all() {
        assert_eq!(Message::decode(&message.encode()), Ok(Some(message)));
    }
}

#[test]
fn every_cut_is_an_error() {
    for message in all() {
        let packet = message.encode();
        for len in 0..packet.len() {
            assert!(
                Message::decode(&packet[..len]).is_err(),
                "{message:?} cut to {len}"
            );
        }
    }
}

#[test]
fn later_versions_may_append_fields() {
    let mut packet = Message::Start.encode();
    packet.extend([1, 2, 3]);
    packet[4] = packet.len() as u8;
    assert_eq!(Message::decode(&packet), Ok(Some(Message::Start)));
}

#[test]
fn unknown_types_are_skipped_unless_critical() {
    let mut packet = Message::Start.encode();
    packet[0] = 200;
    assert_eq!(
        Message::decode(&packet),
        Err(WireError::UnknownCritical(200))
    );
    packet[2] = 0;
    assert_eq!(Message::decode(&packet), Ok(None));
}

#[test]
fn long_texts_are_cut_at_a_character() {
    let text = "\u{20ac}".repeat(200);
    let packet = Message::Evict {
        reason: Reason::Other,
        text,
    }
    .encode();
    assert!(packet.len() <= MAX_LEN);
    let Ok(Some(Message::Evict { text, .. })) = Message::decode(&packet) else {
        panic!("an eviction")
    };
    assert_eq!(text, "\u{20ac}".repeat(MAX_TEXT / 3));
}

proptest! {
    #[test]
    fn garbage_never_panics(packet in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Message::decode(&packet);
    }

    #[test]
    fn damaged_messages_never_panic(which in 0usize..13, at in 0usize..64, byte: u8) {
        let mut packet = all()[which].encode();
        if let Some(b) = packet.get_mut(at) { *b = byte; }
        if let Ok(Some(Message::BufferAdd { layout, .. })) = Message::decode(&packet) {
            prop_assert!(layout.is_valid());
        }
    }
}
