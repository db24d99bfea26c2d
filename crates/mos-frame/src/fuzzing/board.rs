//! `board`: any words on the board and in the lease page, to a subscriber that is through the handshake.

use std::os::fd::AsFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::input::Input;
use super::scene::{Peer, format};
use crate::format::{FrameMeta, Layout};
use crate::memory;
use crate::shm::{Board, BoardReader, Descriptor, LeasePage, LeaseView, RING, SLOTS, offers};
use crate::subscriber::{ByHand, Frame, SubscriberOptions};
use crate::wire::{Message, VERSION};

/// Steps of one input; more show nothing new and take time.
const MOST: usize = 256;
const BUFFERS: usize = 3;
const WINDOW: u32 = 4;
const HOLD: u32 = 2;

/// Each step is a byte that says what to do, and what that needs.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let board = Board::new().expect("a board");
    let page = LeasePage::new().expect("a page");
    let reader = BoardReader::new(board.fd()).expect("a view of the board");
    let view = LeaseView::new(page.fd()).expect("a view of the page");
    let (_producer, mut subscriber) = started(&board, &page);
    let mut frames: Vec<Frame> = Vec::new();
    let mut last = 0;
    for _ in 0..MOST {
        if input.is_empty() {
            break;
        }
        let what = input.u8();
        match what % 8 {
            0 => board.poke(usize::from(input.u16()), input.u64()),
            // The words that are most looked at: head and ring.
            1 => board.advance(sequence(&mut input)),
            2 => view.poke(usize::from(input.u8()) % SLOTS, input.u64()),
            3 | 4 => publish(&board, &page, &mut input),
            5 => drop(frames.pop()),
            _ => {
                let claimed = subscriber.claim(what & 0x80 != 0);
                let Ok(claimed) = claimed else {
                    break;
                };
                if let Some(frame) = claimed {
                    assert!(frame.seq() > last, "frames come in order");
                    last = frame.seq();
                    frames.push(frame);
                }
                assert!(frames.len() <= HOLD as usize, "it holds too many");
            }
        }
        look(&reader, &view, what);
    }
}

/// Whatever the words say, a search looks at no more than the window and gives what can be used.
fn look(reader: &BoardReader, view: &LeaseView, what: u8) {
    for newest_first in [false, true] {
        let next = u64::from(what);
        let found: Vec<_> = offers(reader, view, u64::from(WINDOW), next, newest_first).collect();
        assert!(found.len() <= WINDOW as usize);
        assert!(
            found
                .iter()
                .all(|&(seq, slot)| seq >= next.max(1) && slot < SLOTS)
        );
        assert!(found.windows(2).all(|w| (w[0].0 < w[1].0) != newest_first));
        for (seq, slot) in found {
            if let Some(descriptor) = reader.read(slot, seq) {
                assert_eq!(descriptor.seq, seq);
            }
        }
    }
}

/// Small ones, and those where counting overflows.
fn sequence(input: &mut Input<'_>) -> u64 {
    match input.u8() {
        small @ 0..=0xdf => u64::from(small),
        0xe0..=0xef => u64::from(input.u8()) * RING as u64,
        _ => input.u64(),
    }
}

fn publish(board: &Board, page: &LeasePage, input: &mut Input<'_>) {
    let slot = usize::from(input.u8()) % (BUFFERS + 1);
    let seq = sequence(input);
    let frame = Descriptor {
        seq,
        epoch: 1,
        generation: slot as u32 + 1,
        publish_ns: 0,
        meta: FrameMeta::default(),
    };
    board.describe(slot, &frame);
    page.offer(slot, seq);
    board.advance(seq);
}

/// A subscriber that was told of a board, a page and a few buffers.
fn started(board: &Board, page: &LeasePage) -> (Peer, ByHand) {
    let pair = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    );
    let (ours, theirs) = pair.expect("a pair of sockets");
    let producer = Peer { socket: ours };
    let mut subscriber = ByHand::over(theirs, &SubscriberOptions::default());
    let welcome = Message::Welcome {
        version: VERSION,
        session: 1,
        subscriber: 1,
        window: WINDOW,
        hold: HOLD,
    };
    producer.send(&welcome.encode(), &[board.fd(), page.fd()]);
    let told = Message::Format {
        epoch: 1,
        format: format(16),
    };
    producer.send(&told.encode(), &[]);
    let layout = Layout::nv12(16, 16);
    let buffer = memory::memfd("buffer", layout.bytes_of(0)).expect("a memfd");
    for slot in 0..BUFFERS as u32 {
        let add = Message::BufferAdd {
            slot,
            generation: slot + 1,
            epoch: 1,
            layout: layout.clone(),
        };
        producer.send(&add.encode(), &[buffer.as_fd()]);
        subscriber.hear_all().expect("an honest handshake");
    }
    producer.send(&Message::Start.encode(), &[]);
    subscriber.hear_all().expect("an honest handshake");
    assert!(subscriber.is_started());
    (producer, subscriber)
}
