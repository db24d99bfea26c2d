//! docs/frame-bus-protocol.md says what this code does: its tables are read and compared with the constants here, and with
//! the bytes that are really written.

use std::collections::BTreeMap;
use std::os::fd::AsFd;

use crate::admission::MAX_WINDOW;
use crate::format::{ClockSource, Format, FourCc, FrameFlags, FrameMeta, Layout, Plane};
use crate::publisher::{PublisherStats, SubscriberInfo};
use crate::shm::{Board, Descriptor, LeasePage, LeaseView, RING, SLOTS};
use crate::wire::{MAX_LEN, MAX_STATS, MAX_TEXT, Message, Reason, VERSION};

type Row = Vec<String>;

fn document() -> String {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/frame-bus-protocol.md"
    );
    std::fs::read_to_string(path).unwrap()
}

/// The rows of the first table below a heading.
fn table(heading: &str) -> Vec<Row> {
    let document = document();
    let mut lines = document
        .lines()
        .skip_while(|line| line.trim_start_matches('#').trim() != heading || !line.starts_with('#'))
        .skip(1)
        .skip_while(|line| !line.starts_with('|') && !line.starts_with('#'));
    let head = lines.next().unwrap_or_default();
    assert!(head.starts_with('|'), "no table below {heading:?}");
    let rows: Vec<Row> = lines
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect();
    assert!(!rows.is_empty(), "an empty table below {heading:?}");
    rows
}

/// Column `value` of a table by column `name`, as numbers.
fn numbers(heading: &str, name: usize, value: usize) -> BTreeMap<String, u64> {
    table(heading)
        .into_iter()
        .map(|row| (row[name].clone(), row[value].parse().unwrap()))
        .collect()
}

/// Column `name` of a table.
fn names(heading: &str, name: usize) -> Vec<String> {
    table(heading)
        .into_iter()
        .map(|r| r[name].clone())
        .collect()
}

fn format() -> Format {
    Format {
        width: 0x1111,
        height: 0x2222,
        fourcc: FourCc::NV12,
        modifier: 0x3333_3333_3333,
        framerate: (0x4444, 0x5555),
        colorimetry: "bt709".into(),
        ..Format::nv12_memfd(1, 1, (1, 1))
    }
}

/// A message's heading in the document, the message, and its fields by name.
type Sample = (&'static str, Message, Vec<(&'static str, u64)>);

/// Every message with fields, with a value of its own in each.
fn samples() -> Vec<Sample> {
    let (reason, text) = (Reason::BadLease, "why".to_owned());
    let plane = Plane {
        fd: 0,
        offset: 0x7777_7777,
        stride: 0x88,
        size: 0x9999,
    };
    vec![
        (
            "HELLO",
            Message::Hello {
                min_version: 0x1234,
                max_version: 0x2345,
                window: 0x3456,
                hold: 0x4567,
                name: "abc".into(),
            },
            vec![
                ("magic", 0x4653_4f4d),
                ("min_version", 0x1234),
                ("max_version", 0x2345),
                ("window", 0x3456),
                ("hold", 0x4567),
                ("name", 3),
            ],
        ),
        (
            "BUFFER_ACK",
            Message::BufferAck { count: 0x0102_0304 },
            vec![("count", 0x0102_0304)],
        ),
        (
            "WELCOME",
            Message::Welcome {
                version: 0x1111,
                session: 0x2222_2222_2222_2222,
                subscriber: 0x3333_3333_3333_3333,
                window: 0x4444,
                hold: 0x5555,
            },
            vec![
                ("version", 0x1111),
                ("reserved", 0),
                ("session", 0x2222_2222_2222_2222),
                ("subscriber", 0x3333_3333_3333_3333),
                ("window", 0x4444),
                ("hold", 0x5555),
            ],
        ),
        (
            "REFUSED and EVICT",
            Message::Refused {
                reason,
                text: text.clone(),
            },
            vec![("reason", 8), ("text", 3)],
        ),
        (
            "REFUSED and EVICT",
            Message::Evict { reason, text },
            vec![("reason", 8), ("text", 3)],
        ),
        (
            "FORMAT",
            Message::Format {
                epoch: 0x6666,
                format: format(),
            },
            vec![
                ("epoch", 0x6666),
                ("width", 0x1111),
                ("height", 0x2222),
                ("fourcc", 0x3231_564e),
                ("modifier", 0x3333_3333_3333),
                ("framerate_numerator", 0x4444),
                ("framerate_denominator", 0x5555),
                ("memory", 1),
                ("read_only", 1),
                ("colorimetry", 5),
            ],
        ),
        (
            "BUFFER_ADD",
            Message::BufferAdd {
                slot: 0x1111,
                generation: 0x2222,
                epoch: 0x3333,
                layout: Layout {
                    planes: vec![plane, Plane { fd: 1, ..plane }],
                },
            },
            vec![
                ("slot", 0x1111),
                ("generation", 0x2222),
                ("epoch", 0x3333),
                ("planes", 2),
                ("plane", 0),
            ],
        ),
        (
            "BUFFER_REMOVE",
            Message::BufferRemove {
                slot: 0x1111,
                generation: 0x2222,
            },
            vec![("slot", 0x1111), ("generation", 0x2222)],
        ),
        (
            "INSPECT",
            Message::Inspect {
                min_version: 0x1234,
                max_version: 0x2345,
            },
            vec![
                ("magic", 0x4653_4f4d),
                ("min_version", 0x1234),
                ("max_version", 0x2345),
            ],
        ),
        (
            "STATS",
            Message::Stats {
                more: true,
                part: b"{}".to_vec(),
            },
            vec![("more", 1), ("reserved", 0), ("part", 2)],
        ),
    ]
}

fn width(kind: &str) -> usize {
    match kind {
        "u8" | "" => 1,
        "u16" | "text" => 2,
        "u32" => 4,
        "u64" => 8,
        other => panic!("type {other:?} in a table"),
    }
}

fn field(bytes: &[u8], at: usize, width: usize) -> u64 {
    let mut word = [0; 8];
    word[..width].copy_from_slice(&bytes[at..at + width]);
    u64::from_le_bytes(word)
}

/// Checks that the rows `Offset, Type, Field` describe these bytes, without a gap.
fn check_fields(heading: &str, bytes: &[u8], expected: &[(&str, u64)], start: usize) {
    let rows = table(heading);
    let documented: Vec<&str> = rows.iter().map(|row| row[2].as_str()).collect();
    let known: Vec<&str> = expected.iter().map(|(name, _)| *name).collect();
    assert_eq!(documented, known, "fields of {heading}");
    let mut end = start;
    for (row, (name, value)) in rows.iter().zip(expected) {
        let offset: usize = row[0].parse().unwrap();
        assert_eq!(offset, end, "offset of {heading}.{name}");
        let width = width(&row[1]);
        assert_eq!(field(bytes, offset, width), *value, "{heading}.{name}");
        end = offset + width;
    }
}

#[test]
fn every_message_has_its_number() {
    let documented = numbers("4. Messages", 1, 0);
    let (reason, text) = (Reason::Other, String::new());
    let bare = [
        ("BYE", Message::Bye),
        ("START", Message::Start),
        ("BELL", Message::Bell),
    ];
    let mut real: BTreeMap<String, u64> = BTreeMap::new();
    let mut enter = |name: &str, link: &str, message: &Message| {
        let number = field(&message.encode(), 0, 2);
        real.insert(format!("[{name}](#{link})"), number);
    };
    for (name, message) in bare {
        enter(name, &name.to_lowercase(), &message);
    }
    for (name, message, _) in samples() {
        if name != "REFUSED and EVICT" {
            enter(name, &name.to_lowercase(), &message);
        }
    }
    let refused = Message::Refused {
        reason,
        text: text.clone(),
    };
    enter("REFUSED", "refused-and-evict", &refused);
    enter(
        "EVICT",
        "refused-and-evict",
        &Message::Evict { reason, text },
    );
    assert_eq!(documented, real);
}

#[test]
fn every_field_is_where_it_is_documented() {
    for (heading, message, fields) in samples() {
        check_fields(heading, &message.encode(), &fields, 8);
    }
    let packet = Message::BufferAck { count: 0 }.encode();
    let header = [("type", 2), ("flags", 1), ("length", 12), ("body", 0)];
    check_fields("Header", &packet, &header, 0);
}

#[test]
fn a_plane_is_as_documented() {
    let (_, message, _) = samples().remove(6);
    let packet = message.encode();
    let at: usize = table("BUFFER_ADD").last().unwrap()[0].parse().unwrap();
    let plane = [
        ("fd", 0),
        ("offset", 0x7777_7777),
        ("stride", 0x88),
        ("size", 0x9999),
    ];
    check_fields("Plane record", &packet[at..], &plane, 0);
    assert_eq!(packet.len(), at + 2 * 21, "a record has 21 bytes");
    assert_eq!(packet[at + 21], 1, "the second plane's descriptor");
}

/// What a receiver makes of a reason's number.
fn reason_of(number: u16) -> Reason {
    let (reason, text) = (Reason::Other, String::new());
    let mut packet = Message::Refused { reason, text }.encode();
    packet[8..10].copy_from_slice(&number.to_le_bytes());
    match Message::decode(&packet) {
        Ok(Some(Message::Refused { reason, .. })) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_reason_has_its_number() {
    let documented = numbers("12. Reasons", 1, 0);
    let real: BTreeMap<String, u64> = (0..100)
        .map(reason_of)
        .map(|reason| (format!("{reason:?}"), reason as u64))
        .collect();
    assert_eq!(documented, real);
}

#[test]
fn the_limits_are_as_documented() {
    let documented = numbers("18. Limits", 0, 1);
    let (board, leases) = (Board::new().unwrap(), LeasePage::new().unwrap());
    let bytes = |fd| crate::memory::size_of(fd).unwrap();
    let mut long = format();
    long.colorimetry = "x".repeat(500);
    let long = Message::Format {
        epoch: 1,
        format: long,
    };
    let real = [
        ("packet", MAX_LEN as u64),
        ("descriptors", Layout::MAX_PLANES as u64),
        ("text", MAX_TEXT as u64),
        ("report part", MAX_STATS as u64),
        ("colorimetry", long.encode().len() as u64 - 44),
        ("slots", SLOTS as u64),
        ("ring", RING as u64),
        ("window", u64::from(MAX_WINDOW)),
        ("board", bytes(board.fd())),
        ("lease page", bytes(leases.fd())),
        ("version", u64::from(VERSION)),
    ];
    let real = real.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(documented, real.into());
}

/// A word of shared memory, read past all types.
fn word(memory: impl AsFd, index: u64) -> u64 {
    let mut bytes = [0; 8];
    rustix::io::pread(memory, &mut bytes, index * 8).unwrap();
    u64::from_ne_bytes(bytes)
}

#[test]
fn the_board_is_laid_out_as_documented() {
    let words = numbers("Board", 3, 0);
    let bytes = numbers("Board", 3, 1);
    assert!(words.iter().all(|(name, word)| bytes[name] == word * 8));
    let board = Board::new().unwrap();
    let meta = FrameMeta {
        capture_ns: 0x1111_2222_3333,
        clock_source: ClockSource::Ptp,
        clock_error_ns: 0x4444_5555,
        pts_ns: Some(0x6666),
        wall_ns: None,
        flags: FrameFlags::DISCONT,
    };
    let (slot, seq) = (200, (1 << 50) + 3);
    let frame = Descriptor {
        seq,
        epoch: 0x7777,
        generation: 0x8888,
        publish_ns: 0x9999,
        meta,
    };
    board.describe(slot, &frame);
    board.advance(seq);
    let first = words["descriptors"] + 8 * slot as u64;
    let ring = words["ring"] + seq % RING as u64;
    assert_eq!(word(board.fd(), words["head"]), seq);
    assert_eq!(word(board.fd(), ring), seq << 16 | slot as u64);
    let expected = [
        ("sequence", seq),
        ("epoch", 0x7777),
        ("generation", 0x8888),
        ("publish_ns", 0x9999),
        ("capture_ns", 0x1111_2222_3333),
        ("pts_ns", 0x6666),
        ("wall_ns", u64::MAX),
        ("clock_error_ns", 0x4444_5555),
        ("flags", 1),
        ("reserved", 0),
        ("clock_source", 5),
        ("reserved", 0),
    ];
    let rows = table("Descriptor");
    assert_eq!(rows.len(), expected.len());
    for (row, (name, value)) in rows.iter().zip(expected) {
        assert_eq!(row[2], name);
        let (low, high) = row[1].split_once('-').unwrap();
        let (low, high): (u32, u32) = (low.parse().unwrap(), high.parse().unwrap());
        let at = first + row[0].parse::<u64>().unwrap();
        let bits = word(board.fd(), at) >> low & (u64::MAX >> (63 - (high - low)));
        assert_eq!(bits, value, "{name}");
    }
}

#[test]
fn flags_and_clock_sources_are_as_documented() {
    let flags = numbers("Flags", 1, 0);
    let real = [
        ("discont", FrameFlags::DISCONT),
        ("corrupted", FrameFlags::CORRUPTED),
        ("retimed", FrameFlags::RETIMED),
    ];
    let real = real.map(|(name, flag)| (name.to_owned(), u64::from(flag.0.trailing_zeros())));
    assert_eq!(flags, real.into());
    let real = (0..=u8::MAX).map(ClockSource::from_wire);
    let real: BTreeMap<_, _> = real.map(|s| (s.name().to_owned(), s as u64)).collect();
    assert_eq!(numbers("Clock sources", 1, 0), real);
}

#[test]
fn the_lease_page_is_laid_out_as_documented() {
    let words = numbers("Lease page", 3, 0);
    let bytes = numbers("Lease page", 3, 1);
    assert!(words.iter().all(|(name, word)| bytes[name] == word * 8));
    let states: BTreeMap<String, u64> = table("Lease page states")
        .into_iter()
        .map(|row| (row[1].clone(), row[0].parse().unwrap()))
        .collect();
    let page = LeasePage::new().unwrap();
    let view = LeaseView::new(page.fd()).unwrap();
    let at = words["lease"] + 255;
    let state = |what: &str| {
        assert_eq!(word(page.fd(), at), 77 << 2 | states[what], "{what}");
    };
    page.offer(255, 77);
    state("OFFERED");
    assert!(view.claim(255, 77));
    state("HELD");
    assert!(view.release(255, 77));
    state("FREE");
    page.offer(255, 77);
    assert!(view.claim(255, 77) && page.revoke(255, 77).is_ok());
    state("REVOKED");
    assert_eq!(word(page.fd(), words["armed"]), 0);
    view.arm();
    assert_eq!(word(page.fd(), words["armed"]), 1);
    assert!(page.take_armed());
    assert_eq!(word(page.fd(), words["armed"]), 0);
}

#[test]
fn a_report_has_the_documented_fields() {
    let keys = |value: serde_json::Value| -> Vec<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    let report = serde_json::to_value(PublisherStats::default()).unwrap();
    assert_eq!(sorted(names("Report", 0)), sorted(keys(report)));
    let subscriber = serde_json::to_value(SubscriberInfo::default()).unwrap();
    let documented = names("Subscriber in a report", 0);
    assert_eq!(sorted(documented), sorted(keys(subscriber)));
}
