//! First inputs of the fuzzers, made of real messages:
//! `cargo test -p mos-frame --lib fuzzing::seeds -- --ignored` writes them to `fuzz/corpus`.

use std::fs;
use std::path::Path;

use super::scene::{format, hello};
use crate::format::Layout;
use crate::wire::{Message, Reason, VERSION};

/// A packet as the targets read it: what to do, its length, its bytes.
fn packet(what: &[u8], message: &Message) -> Vec<u8> {
    let bytes = message.encode();
    [what, &(bytes.len() as u16).to_le_bytes(), &bytes].concat()
}

fn write(target: &str, name: &str, steps: &[Vec<u8>]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), steps.concat()).unwrap();
}

const TURN: u8 = 0xa0;
const PUBLISH: u8 = 0xc0;
const READ: u8 = 0xd0;

fn ack(count: u32) -> Vec<u8> {
    packet(&[0], &Message::BufferAck { count })
}

#[test]
#[ignore = "writes the first inputs of the fuzzers"]
fn write_subscribers_packets() {
    let to = |name, steps: &[Vec<u8>]| write("wire_from_subscriber", name, steps);
    let hello = |window, hold| packet(&[0], &hello(window, hold));
    let turns = |n| vec![TURN; n];
    let through = || {
        let acks = (0..10).flat_map(|_| [turns(1), vec![READ], ack(1)]);
        [vec![hello(4, 2)], acks.collect()].concat()
    };
    to("seed-hello", &[hello(2, 1), turns(2), vec![READ]]);
    to("seed-hold-zero", &[hello(1, 0), turns(2)]);
    to("seed-too-much", &[hello(64, 64), turns(1)]);
    to(
        "seed-through",
        &[through(), vec![vec![PUBLISH, TURN, PUBLISH]]].concat(),
    );
    let bye = packet(&[0], &Message::Bye);
    to(
        "seed-bye",
        &[through(), vec![bye, turns(1), vec![PUBLISH]]].concat(),
    );
    to(
        "seed-inspect",
        &[
            packet(
                &[0],
                &Message::Inspect {
                    min_version: VERSION,
                    max_version: VERSION,
                },
            ),
            turns(2),
            vec![READ],
        ],
    );
    to(
        "seed-descriptors",
        &[
            hello(2, 1),
            turns(1),
            packet(&[0x80], &Message::BufferAck { count: 0 }),
        ],
    );
    to(
        "seed-again",
        &[hello(2, 1), vec![0xe0], hello(2, 1), turns(3)],
    );
}

#[test]
#[ignore = "writes the first inputs of the fuzzers"]
fn write_producers_packets() {
    let to = |name, steps: &[Vec<u8>]| write("wire_from_producer", name, steps);
    let welcome = |hold| {
        let welcome = Message::Welcome {
            version: VERSION,
            session: 7,
            subscriber: 1,
            window: 4,
            hold,
        };
        // Two descriptors: kinds 0 (board) and 1 (page).
        packet(&[0x20, 0b001_000, 0], &welcome)
    };
    let plain = |message: &Message| packet(&[0, 0, 0], message);
    let told = |epoch| {
        plain(&Message::Format {
            epoch,
            format: format(16),
        })
    };
    let add = |slot, generation, epoch| {
        let add = Message::BufferAdd {
            slot,
            generation,
            epoch,
            layout: Layout::nv12(16, 16),
        };
        packet(&[0x10, 2, 0], &add)
    };
    let hear = || vec![7];
    let offer = |slot, seq, generation, epoch| vec![10, slot, generation, seq, 0, epoch];
    let start = plain(&Message::Start);
    let up = |hold| {
        vec![
            welcome(hold),
            told(1),
            add(0, 1, 1),
            add(1, 2, 1),
            start.clone(),
            hear(),
        ]
    };
    let frames = || {
        vec![
            offer(0, 1, 1, 1),
            vec![11],
            offer(1, 2, 2, 1),
            vec![0x8b, 13],
        ]
    };
    to("seed-frames", &[up(2), frames()].concat());
    to("seed-hold-zero", &[up(0), frames()].concat());
    let remove = plain(&Message::BufferRemove {
        slot: 0,
        generation: 1,
    });
    to(
        "seed-epochs",
        &[
            up(1),
            vec![
                offer(0, 1, 1, 1),
                vec![11],
                remove,
                told(2),
                add(0, 3, 2),
                hear(),
            ],
            vec![vec![13], offer(0, 2, 3, 2), vec![11]],
        ]
        .concat(),
    );
    let text = || "why".to_owned();
    let reason = Reason::OverBudget;
    let refused = plain(&Message::Refused {
        reason,
        text: text(),
    });
    to("seed-refused", &[refused, hear()]);
    let evict = plain(&Message::Evict {
        reason,
        text: text(),
    });
    to("seed-evicted", &[up(1), vec![evict, hear()]].concat());
    to(
        "seed-rung",
        &[up(1), vec![vec![14], plain(&Message::Bell), vec![7, 15]]].concat(),
    );
    to(
        "seed-bye",
        &[up(1), vec![plain(&Message::Bye), hear()]].concat(),
    );
    to(
        "seed-late",
        &[up(1), vec![offer(2, 1, 9, 1), add(2, 9, 1), vec![11]]].concat(),
    );
}

#[test]
#[ignore = "writes the first inputs of the fuzzers"]
fn write_words() {
    let to = |target, name, steps: &[&[u8]]| {
        let steps: Vec<_> = steps.iter().map(|s| s.to_vec()).collect();
        write(target, name, &steps);
    };
    // Published, claimed (slot, how far back), released.
    to(
        "lease_page",
        "seed-honest",
        &[&[0x12, 0, 5, 0, 1, 7, 0, 1, 0, 10]],
    );
    to(
        "lease_page",
        "seed-holds",
        &[&[0x30, 0, 0, 5, 0, 2, 5, 1, 1, 0, 10]],
    );
    to(
        "lease_page",
        "seed-words",
        &[&[0x12, 0, 2, 0, 9, 9, 9, 9, 9, 9, 9, 9, 0, 10, 0]],
    );
    to(
        "lease_page",
        "seed-revoked",
        &[&[0x30, 0, 5, 0, 1, 0, 0, 0, 10]],
    );
    to(
        "lease_page",
        "seed-format",
        &[&[0x12, 0, 5, 0, 1, 11, 0, 10, 0x4b, 0]],
    );
    to(
        "lease_page",
        "seed-scribble",
        &[&[0x12, 0, 4, 255, 255, 255, 255, 255, 255, 255, 255, 0, 10]],
    );
    to(
        "board",
        "seed-frames",
        &[&[3, 0, 1, 6, 3, 1, 2, 6, 5, 3, 2, 3, 6]],
    );
    to(
        "board",
        "seed-newest",
        &[&[3, 0, 1, 3, 1, 2, 3, 2, 3, 0x86, 6]],
    );
    to(
        "board",
        "seed-head",
        &[&[1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 6]],
    );
    to("board", "seed-unknown-slot", &[&[3, 3, 1, 6]]);
    to(
        "board",
        "seed-words",
        &[&[3, 0, 1, 0, 8, 0, 7, 0, 0, 0, 0, 0, 0, 0, 6]],
    );
}
