//! The protocol by hand, after docs/frame-bus-protocol.md: packets, lease page and board, without the library's code.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};

use crate::common::PATIENCE;

/// Message types.
pub mod kind {
    pub const HELLO: u16 = 1;
    pub const BUFFER_ACK: u16 = 2;
    pub const BYE: u16 = 3;
    pub const WELCOME: u16 = 64;
    pub const REFUSED: u16 = 65;
    pub const FORMAT: u16 = 66;
    pub const BUFFER_ADD: u16 = 67;
    pub const START: u16 = 69;
    pub const BELL: u16 = 70;
    pub const EVICT: u16 = 71;
}

const CRITICAL: u16 = 1;
/// Most descriptors that any packet of the protocol has.
const MAX_FDS: usize = 4;

/// A packet: type, flags, length, body.
pub fn packet(kind: u16, body: &[u8]) -> Vec<u8> {
    let len = 8 + body.len() as u32;
    let mut packet = Vec::with_capacity(len as usize);
    packet.extend(kind.to_le_bytes());
    packet.extend(CRITICAL.to_le_bytes());
    packet.extend(len.to_le_bytes());
    packet.extend(body);
    packet
}

fn hello(window: u32, hold: u32, name: &str) -> Vec<u8> {
    let mut body = Vec::from(*b"MOSF");
    body.extend(1_u16.to_le_bytes()); // lowest version
    body.extend(1_u16.to_le_bytes()); // highest version
    body.extend(window.to_le_bytes());
    body.extend(hold.to_le_bytes());
    body.extend((name.len() as u16).to_le_bytes());
    body.extend(name.as_bytes());
    packet(kind::HELLO, &body)
}

/// A packet that came.
#[derive(Debug)]
pub struct Packet {
    pub kind: u16,
    pub body: Vec<u8>,
    pub fds: Vec<OwnedFd>,
}

impl Packet {
    /// The little-endian word at byte `at` of the body.
    pub fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.body[at..at + 4].try_into().unwrap())
    }

    /// Reason and text of REFUSED and EVICT.
    pub fn reason(&self) -> Option<(u16, String)> {
        if self.kind != kind::REFUSED && self.kind != kind::EVICT {
            return None;
        }
        let word = |at: usize| u16::from_le_bytes(self.body[at..at + 2].try_into().unwrap());
        let text = &self.body[4..4 + usize::from(word(2))];
        Some((word(0), String::from_utf8(text.to_vec()).unwrap()))
    }
}

/// A connection of which nothing but the socket is there.
#[derive(Debug)]
pub struct Raw {
    pub socket: OwnedFd,
}

impl Raw {
    /// Connects; no wait of it is longer than [`PATIENCE`], so that a fault of the producer shows as a failed test.
    pub fn connect(path: &Path) -> Self {
        let raw = Self::unconnected();
        raw.connect_to(path);
        raw
    }

    pub fn connect_to(&self, path: &Path) {
        rustix::net::connect(&self.socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
    }

    /// A socket that goes nowhere yet.
    pub fn unconnected() -> Self {
        let socket = rustix::net::socket_with(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE)).unwrap();
        set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE)).unwrap();
        Self { socket }
    }

    pub fn hello(&self, window: u32, hold: u32, name: &str) {
        self.send(&hello(window, hold, name));
    }

    pub fn acknowledge(&self, count: u32) {
        self.send(&packet(kind::BUFFER_ACK, &count.to_le_bytes()));
    }

    /// Sends a packet that the producer has to take.
    pub fn send(&self, packet: &[u8]) {
        self.try_send(packet, &[], SendFlags::empty()).unwrap();
    }

    /// Sends anything, with any descriptors.
    pub fn try_send(
        &self,
        packet: &[u8],
        fds: &[BorrowedFd<'_>],
        flags: SendFlags,
    ) -> Result<(), Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(64))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
        }
        let flags = flags | SendFlags::NOSIGNAL;
        rustix::net::sendmsg(&self.socket, &[IoSlice::new(packet)], &mut control, flags).map(drop)
    }

    /// The next packet; `None` at the end of the connection.
    pub fn receive(&self) -> Option<Packet> {
        self.try_receive(RecvFlags::empty())
            .expect("the producer answers")
    }

    /// The next packet, if one is there: an error of `EAGAIN` if not.
    pub fn try_receive(&self, flags: RecvFlags) -> Result<Option<Packet>, Errno> {
        let mut bytes = [0; 1024];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = flags | RecvFlags::CMSG_CLOEXEC;
        let mut into = [IoSliceMut::new(&mut bytes)];
        let got = loop {
            match rustix::net::recvmsg(&self.socket, &mut into, &mut control, flags) {
                Ok(got) => break got,
                // Told once if the producer closed with packets of ours unread; what it sent is still there.
                Err(Errno::CONNRESET | Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        };
        if got.bytes == 0 {
            return Ok(None);
        }
        let mut fds = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                fds.extend(received);
            }
        }
        let word = |at: usize| u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap());
        Ok(Some(Packet {
            kind: word(0),
            body: bytes[8..got.bytes].to_vec(),
            fds,
        }))
    }

    /// Why the producer ended the connection; waits for the end. `None` if it did not say.
    pub fn last_words(&self) -> Option<(u16, String)> {
        let mut reason = None;
        while let Some(packet) = self.receive() {
            reason = packet.reason().or(reason);
        }
        reason
    }

    /// Reads on to a packet of this type; an earlier end of the connection is a failure.
    pub fn receive_kind(&self, wanted: u16) -> Packet {
        loop {
            let packet = self.receive().expect("the connection goes on");
            if packet.kind == wanted {
                return packet;
            }
            assert!(packet.reason().is_none(), "cut off: {:?}", packet.reason());
        }
    }

    /// The whole handshake.
    pub fn join(path: &Path, window: u32, hold: u32) -> Joined {
        let raw = Self::connect(path);
        raw.hello(window, hold, "raw");
        let welcome = raw.receive_kind(kind::WELCOME);
        let mut slots = Vec::new();
        loop {
            let packet = raw.receive().expect("the handshake goes on");
            match packet.kind {
                kind::BUFFER_ADD => {
                    slots.push(packet.u32(0) as usize);
                    raw.acknowledge(1);
                }
                kind::START => break,
                _ => assert!(packet.reason().is_none(), "refused: {:?}", packet.reason()),
            }
        }
        Joined::new(raw, &welcome, slots)
    }
}

/// How far a peer goes before it does nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Connected, nothing said.
    Connected,
    /// HELLO is said, nothing read.
    Greeted,
    /// HELLO asked for more than there is; the refusal is not read.
    Refused,
    /// In the middle of the buffers: WELCOME and one `BUFFER_ADD` are read, none is acknowledged.
    Announced,
    /// START is read.
    Started,
    /// The doorbell is armed.
    Armed,
    /// One frame is held.
    Holding,
    /// One frame is held with a hold of 0, which the producer may revoke.
    Borrowing,
    /// A frame is held, BYE is said, and the socket stays open.
    Leaving,
}

impl Step {
    pub const ALL: [Self; 9] = [
        Self::Connected,
        Self::Greeted,
        Self::Refused,
        Self::Announced,
        Self::Started,
        Self::Armed,
        Self::Holding,
        Self::Borrowing,
        Self::Leaving,
    ];

    pub fn name(self) -> String {
        format!("{self:?}")
    }

    pub fn from_name(name: &str) -> Self {
        let found = Self::ALL.into_iter().find(|step| step.name() == name);
        found.expect("the name of a step")
    }

    /// Whether the producer counts it among its subscribers.
    pub const fn is_subscribed(self) -> bool {
        !matches!(self, Self::Connected | Self::Refused | Self::Leaving)
    }

    /// Goes there. A frame has to be on the bus.
    pub fn reach(self, path: &Path) -> Reached {
        let raw = match self {
            Self::Connected => return Reached::Socket(Raw::connect(path)),
            Self::Greeted | Self::Refused | Self::Announced => Raw::connect(path),
            Self::Started | Self::Armed | Self::Holding | Self::Leaving => {
                return Reached::Joined(self.go_on(Raw::join(path, 2, 1)));
            }
            Self::Borrowing => return Reached::Joined(self.go_on(Raw::join(path, 2, 0))),
        };
        let hold = if self == Self::Refused { 64 } else { 1 };
        raw.hello(if hold == 64 { 64 } else { 2 }, hold, "raw");
        if self == Self::Announced {
            raw.receive_kind(kind::BUFFER_ADD);
        }
        Reached::Socket(raw)
    }

    fn go_on(self, joined: Joined) -> Joined {
        match self {
            Self::Armed => joined.page.arm(),
            Self::Holding | Self::Borrowing | Self::Leaving => {
                let (slot, seq) = joined.page.offers().next().expect("a frame is on offer");
                assert!(joined.page.claim(slot, seq));
            }
            _ => {}
        }
        if self == Self::Leaving {
            joined.raw.send(&packet(kind::BYE, &[]));
        }
        joined
    }
}

/// A peer at its step.
#[expect(dead_code, reason = "kept for its descriptors and mappings")]
#[derive(Debug)]
pub enum Reached {
    Socket(Raw),
    Joined(Joined),
}

/// A peer that is through the handshake.
#[derive(Debug)]
pub struct Joined {
    pub raw: Raw,
    pub page: Page,
    pub board: Board,
    /// Its number in the producer's books.
    pub id: u64,
    /// Slots of the buffers that were announced.
    pub slots: Vec<usize>,
}

impl Joined {
    fn new(raw: Raw, welcome: &Packet, slots: Vec<usize>) -> Self {
        let [board, page] = welcome.fds.as_slice() else {
            panic!("WELCOME comes with two descriptors: {welcome:?}")
        };
        Self {
            page: Page {
                words: Words::new(page.as_fd(), 8 + 256, true),
                fd: page.try_clone().unwrap(),
            },
            board: Board {
                words: Words::new(board.as_fd(), 8 + 256 * 8 + 256, false),
                fd: board.try_clone().unwrap(),
            },
            id: u64::from_le_bytes(welcome.body[12..20].try_into().unwrap()),
            raw,
            slots,
        }
    }
}

/// State of a lease word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Free = 0,
    Offered = 1,
    Held = 2,
    Revoked = 3,
}

/// A lease page: word 0 is the doorbell, one word a slot from word 8.
#[derive(Debug)]
pub struct Page {
    words: Words,
    pub fd: OwnedFd,
}

impl Page {
    pub fn word(&self, slot: usize) -> &AtomicU64 {
        self.words.at(8 + slot)
    }

    /// Sequence and state of a slot.
    pub fn read(&self, slot: usize) -> (u64, State) {
        let word = self.word(slot).load(Acquire);
        let states = [State::Free, State::Offered, State::Held, State::Revoked];
        (word >> 2, states[(word & 3) as usize])
    }

    /// Slot and sequence of what is on offer, by slot.
    pub fn offers(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.in_state(State::Offered)
    }

    pub fn in_state(&self, wanted: State) -> impl Iterator<Item = (usize, u64)> + '_ {
        (0..256).filter_map(move |slot| {
            let (seq, state) = self.read(slot);
            (state == wanted).then_some((slot, seq))
        })
    }

    pub fn claim(&self, slot: usize, seq: u64) -> bool {
        self.step(slot, seq, State::Offered, State::Held)
    }

    pub fn release(&self, slot: usize, seq: u64) -> bool {
        self.step(slot, seq, State::Held, State::Free)
    }

    fn step(&self, slot: usize, seq: u64, from: State, to: State) -> bool {
        let (from, to) = (seq << 2 | from as u64, seq << 2 | to as u64);
        self.word(slot)
            .compare_exchange(from, to, AcqRel, Relaxed)
            .is_ok()
    }

    pub fn arm(&self) {
        self.words.at(0).store(1, SeqCst);
    }

    pub fn is_armed(&self) -> bool {
        self.words.at(0).load(SeqCst) != 0
    }

    /// Writes one word into every slot.
    pub fn scribble(&self, word: u64) {
        (0..256).for_each(|slot| self.word(slot).store(word, Release));
    }
}

/// The board: word 0 is the newest sequence; the ring starts behind the descriptors.
#[derive(Debug)]
pub struct Board {
    words: Words,
    pub fd: OwnedFd,
}

impl Board {
    pub fn head(&self) -> u64 {
        self.words.at(0).load(Acquire)
    }
}

#[derive(Debug)]
struct Words {
    start: NonNull<AtomicU64>,
    count: usize,
}

// SAFETY: the mapping is plain memory of the process and is only reached by atomic operations.
unsafe impl Send for Words {}
// SAFETY: as above.
unsafe impl Sync for Words {}

impl Words {
    fn new(fd: BorrowedFd<'_>, count: usize, writable: bool) -> Self {
        let writing = if writable {
            ProtFlags::WRITE
        } else {
            ProtFlags::empty()
        };
        let (len, prot) = (count * 8, ProtFlags::READ | writing);
        // SAFETY: the kernel picks the address, so no memory of this process is replaced.
        let start =
            unsafe { rustix::mm::mmap(ptr::null_mut(), len, prot, MapFlags::SHARED, fd, 0) };
        Self {
            start: NonNull::new(start.unwrap().cast()).unwrap(),
            count,
        }
    }

    fn at(&self, index: usize) -> &AtomicU64 {
        assert!(index < self.count);
        // SAFETY: in bounds, aligned because a mapping starts on a page, alive as long as `self`; every process uses atomic
        // operations only.
        unsafe { self.start.add(index).as_ref() }
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        // SAFETY: the range is what mmap gave, and no borrow of it outlives `self`.
        unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.count * 8) }.unwrap();
    }
}
