//! `wire_from_producer`: any packets, with any descriptors, to a subscriber; and what it makes of frames that they describe.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::input::Input;
use super::scene::Peer;
use crate::memory;
use crate::shm::{Board, Descriptor, LeasePage};
use crate::subscriber::{ByHand, Frame, SubscriberOptions};
use crate::wire::MAX_LEN;

/// Steps of one input; more show nothing new and take time.
const MOST: usize = 128;
/// Frames in hand at most.
const HELD: usize = 8;

/// What descriptors a packet can bring.
struct Gifts {
    board: Board,
    page: LeasePage,
    buffer: OwnedFd,
    unsealed: OwnedFd,
    small: OwnedFd,
    pipe: OwnedFd,
    socket: OwnedFd,
}

impl Gifts {
    fn new() -> Self {
        let sealed = |size| {
            let fd = memory::memfd("gift", size).expect("a memfd");
            memory::seal_read_only(fd.as_fd()).expect("seals");
            fd
        };
        Self {
            board: Board::new().expect("a board"),
            page: LeasePage::new().expect("a page"),
            buffer: sealed(16 * 16 * 3 / 2),
            unsealed: memory::memfd("open", 1 << 16).expect("a memfd"),
            small: sealed(8),
            pipe: rustix::pipe::pipe().expect("a pipe").0,
            socket: pair().0,
        }
    }

    fn get(&self, which: u8) -> BorrowedFd<'_> {
        match which % 8 {
            0 => self.board.fd(),
            1 => self.page.fd(),
            2 | 3 => self.buffer.as_fd(),
            4 => self.unsealed.as_fd(),
            5 => self.small.as_fd(),
            6 => self.pipe.as_fd(),
            _ => self.socket.as_fd(),
        }
    }
}

fn pair() -> (OwnedFd, OwnedFd) {
    let flags = SocketFlags::CLOEXEC;
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
        .expect("a pair of sockets")
}

/// Each step is a byte that says what to do, and what that needs.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let gifts = Gifts::new();
    let (ours, theirs) = pair();
    let producer = Peer { socket: ours };
    let options = SubscriberOptions::default();
    let mut subscriber = ByHand::over(theirs, &options);
    let mut frames: Vec<Frame> = Vec::new();
    let mut last = 0;
    for _ in 0..MOST {
        if input.is_empty() {
            break;
        }
        let what = input.u8();
        let ended = match what % 16 {
            // A packet with up to four descriptors.
            0..=6 => {
                let kinds = input.u16();
                let fds: Vec<_> = (0..usize::from(what >> 4) % 5)
                    .map(|i| gifts.get((kinds >> (i * 3)) as u8))
                    .collect();
                let len = usize::from(input.u16()) % (MAX_LEN + 16);
                producer.send(input.bytes(len), &fds);
                Ok(())
            }
            7..=9 => subscriber.hear_all(),
            10 => {
                offer(&gifts, &mut input);
                Ok(())
            }
            11 | 12 => subscriber.claim(what & 0x80 != 0).map(|frame| {
                if let Some(frame) = frame {
                    assert!(frame.seq() > last, "frames come in order");
                    last = frame.seq();
                    look_at(&frame);
                    frames.push(frame);
                    frames.truncate(HELD);
                }
            }),
            13 => {
                frames.clear();
                Ok(())
            }
            14 => {
                subscriber.arm();
                Ok(())
            }
            _ => {
                subscriber.disarm();
                while producer.receive().is_some() {}
                Ok(())
            }
        };
        if ended.is_err() {
            // Over, as for a real subscriber; frames in hand stay.
            break;
        }
    }
    drop(subscriber);
    frames.iter().for_each(look_at);
}

/// Publishes as a producer would, with numbers of any kind.
fn offer(gifts: &Gifts, input: &mut Input<'_>) {
    let (slot, generation) = (usize::from(input.u8()), u32::from(input.u8()));
    let seq = u64::from(input.u8()) << (input.u8() % 56);
    let frame = Descriptor {
        seq,
        epoch: u32::from(input.u8()),
        generation,
        publish_ns: 0,
        meta: crate::FrameMeta::default(),
    };
    gifts.board.describe(slot, &frame);
    gifts.page.offer(slot, seq);
    gifts.board.advance(seq);
}

/// Uses a frame in every way that a consumer can.
fn look_at(frame: &Frame) {
    let planes = frame.layout().planes.len();
    assert!((0..planes).all(|plane| frame.fd(plane).is_some()));
    assert!(frame.fd(planes).is_none());
    #[cfg(feature = "cpu-access")]
    if let Ok(mapped) = frame.map() {
        for plane in 0..planes {
            let bytes = mapped.plane(plane).expect("a plane of the layout");
            std::hint::black_box((bytes.first(), bytes.last()));
        }
    }
    std::hint::black_box(format!("{frame:?} {}", frame.is_valid()));
}
