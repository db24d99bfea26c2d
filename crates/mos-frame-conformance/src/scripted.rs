//! A producer that does what a scenario tells it, step by step, and nothing by itself. It is made from
//! docs/frame-bus-protocol.md and shares no code with mos-frame. Shared memory is read and written by `pread` and `pwrite`
//! of single words: the subscriber is idle, or asleep, whenever a word is written here.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};

use crate::driver::PATIENCE;
use crate::packet::{self, Packet};

/// Bytes of the board.
pub const BOARD: u64 = 18496;
/// Bytes of the lease page.
pub const LEASES: u64 = 2112;
/// Slots of a stream.
pub const SLOTS: u64 = 256;

/// A stream's socket.
#[derive(Debug)]
pub struct Producer {
    listener: OwnedFd,
    path: PathBuf,
    _dir: tempfile::TempDir,
}

impl Producer {
    /// Listens in a folder of its own.
    pub fn bind() -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("scripted.sock");
        let listener = rustix::net::socket_with(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        rustix::net::bind(&listener, &SocketAddrUnix::new(&path)?)?;
        rustix::net::listen(&listener, 8)?;
        Ok(Self {
            listener,
            path,
            _dir: dir,
        })
    }

    /// Where to connect.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for a subscriber; nothing was read from it yet.
    pub fn accept(&self) -> io::Result<Peer> {
        wait(self.listener.as_fd(), "a connection")?;
        Ok(Peer {
            socket: rustix::net::accept_with(&self.listener, SocketFlags::CLOEXEC)?,
            board: Memory::new("board", BOARD)?,
            leases: Memory::new("leases", LEASES)?,
            newest: 0,
        })
    }

    /// Waits for a subscriber and its HELLO.
    pub fn greet(&self) -> io::Result<Peer> {
        let peer = self.accept()?;
        peer.expect(packet::HELLO)?;
        Ok(peer)
    }
}

/// One subscriber, at the producer's end.
#[derive(Debug)]
pub struct Peer {
    socket: OwnedFd,
    /// The board that WELCOME carries.
    pub board: Memory,
    /// The lease page that WELCOME carries.
    pub leases: Memory,
    newest: u64,
}

impl Peer {
    /// Sends a packet as it is.
    pub fn send(&self, packet: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(64))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::Error::other("too many descriptors"));
        }
        let flags = SendFlags::NOSIGNAL;
        rustix::net::sendmsg(&self.socket, &[IoSlice::new(packet)], &mut control, flags)?;
        Ok(())
    }

    /// The next packet; `None` at the end of the connection.
    pub fn hear(&self) -> io::Result<Option<Packet>> {
        wait(self.socket.as_fd(), "a packet")?;
        let mut bytes = [0; 2048];
        let mut control = RecvAncillaryBuffer::default();
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let flags = RecvFlags::DONTWAIT;
        match rustix::net::recvmsg(&self.socket, &mut parts, &mut control, flags) {
            Ok(got) if got.bytes == 0 => Ok(None),
            Ok(got) => Packet::parse(&bytes[..got.bytes]).map(Some),
            Err(rustix::io::Errno::CONNRESET) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The next packet, which has to be of this type.
    pub fn expect(&self, kind: u16) -> io::Result<Packet> {
        match self.hear()? {
            Some(packet) if packet.kind == kind => Ok(packet),
            other => Err(io::Error::other(format!(
                "a message of type {kind} was due, {other:?} came"
            ))),
        }
    }

    /// The subscriber has to close the connection; acknowledgements and BYE may come before.
    pub fn expect_end(&self) -> io::Result<()> {
        while let Some(packet) = self.hear()? {
            if ![packet::BUFFER_ACK, packet::BYE].contains(&packet.kind) {
                return Err(io::Error::other(format!(
                    "the end was due, {packet:?} came"
                )));
            }
        }
        Ok(())
    }

    /// Reads acknowledgements until `count` buffers are acknowledged; more is an error.
    pub fn expect_acks(&self, count: u32) -> io::Result<()> {
        let mut acked = 0;
        while acked < count {
            acked += self.expect(packet::BUFFER_ACK)?.u32(8)?;
        }
        if acked == count {
            Ok(())
        } else {
            Err(io::Error::other(format!(
                "{count} buffers were sent, {acked} acknowledged"
            )))
        }
    }

    /// WELCOME as the document says.
    pub fn welcome(&self, window: u32, hold: u32) -> io::Result<()> {
        let packet = packet::welcome(1, window, hold);
        self.send(&packet, &[self.board.fd(), self.leases.fd()])
    }

    /// `BUFFER_ADD` of one descriptor with one plane.
    pub fn add(&self, slot: u32, generation: u32, epoch: u32, memory: &Memory) -> io::Result<()> {
        let plane = [(0, 0, 64, memory.size)];
        self.send(
            &packet::buffer_add(slot, generation, epoch, &plane),
            &[memory.fd()],
        )
    }

    /// A whole handshake with one buffer of `memory` in slot 0, generation 1, epoch 1.
    pub fn start(&self, window: u32, hold: u32, memory: &Memory) -> io::Result<()> {
        self.welcome(window, hold)?;
        self.send(&packet::format(1, 64, 48), &[])?;
        self.add(0, 1, 1, memory)?;
        self.expect_acks(1)?;
        self.send(&packet::empty(packet::START), &[])
    }

    // ---- shared memory ---------------------------------------------------------------------------------------------

    /// Describes frame `seq` on the board, without offering it.
    pub fn describe(&self, seq: u64, slot: u64, generation: u32, epoch: u32) -> io::Result<()> {
        let first = 8 + 8 * slot;
        let words = [
            u64::from(epoch) << 32 | u64::from(generation),
            1000 + seq,
            2000 + seq,
            u64::MAX,
            u64::MAX,
            0,
            0,
        ];
        for (word, value) in (first + 1..).zip(words) {
            self.board.store(word, value)?;
        }
        self.board.store(first, seq)?;
        self.board.store(2056 + seq % 256, seq << 16 | slot)
    }

    /// Makes `seq` the newest frame.
    pub fn advance(&mut self, seq: u64) -> io::Result<()> {
        self.newest = seq;
        self.board.store(0, seq)
    }

    /// Publishes the next frame in `slot`: describes, offers, advances.
    pub fn publish(&mut self, slot: u64, generation: u32, epoch: u32) -> io::Result<u64> {
        let seq = self.newest + 1;
        self.describe(seq, slot, generation, epoch)?;
        self.set_lease(slot, seq, State::Offered)?;
        self.advance(seq)?;
        Ok(seq)
    }

    /// Sequence and state of a lease word.
    pub fn lease(&self, slot: u64) -> io::Result<(u64, State)> {
        let word = self.leases.load(8 + slot)?;
        let state = match word & 3 {
            0 => State::Free,
            1 => State::Offered,
            2 => State::Held,
            _ => State::Revoked,
        };
        Ok((word >> 2, state))
    }

    /// Writes a lease word.
    pub fn set_lease(&self, slot: u64, seq: u64, state: State) -> io::Result<()> {
        self.leases.store(8 + slot, seq << 2 | state as u64)
    }

    /// Whether the subscriber wants to be rung.
    pub fn is_armed(&self) -> io::Result<bool> {
        Ok(self.leases.load(0)? != 0)
    }

    /// Waits until the subscriber wants to be rung: it has found nothing and is about to sleep. It tells nobody else, so the
    /// word is looked at again and again.
    pub fn wait_armed(&self) -> io::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_armed()? {
            if Instant::now() > deadline {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the subscriber never armed its doorbell",
                ));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Rings: takes the arming and sends BELL.
    pub fn ring(&self) -> io::Result<()> {
        self.leases.store(0, 0)?;
        self.send(&packet::empty(packet::BELL), &[])
    }
}

/// State of a lease word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "docs/frame-bus-protocol.md, section 6")]
pub enum State {
    Free = 0,
    Offered = 1,
    Held = 2,
    Revoked = 3,
}

/// A memfd.
#[derive(Debug)]
pub struct Memory {
    fd: OwnedFd,
    size: u64,
}

impl Memory {
    /// Zeroed memory whose size is sealed.
    pub fn new(name: &str, size: u64) -> io::Result<Self> {
        let memory = Self::unsealed(name, size)?;
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        rustix::fs::fcntl_add_seals(&memory.fd, seals)?;
        Ok(memory)
    }

    /// Zeroed memory that could shrink.
    pub fn unsealed(name: &str, size: u64) -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let fd = rustix::fs::memfd_create(format!("scripted-{name}"), flags)?;
        rustix::fs::ftruncate(&fd, size)?;
        Ok(Self { fd, size })
    }

    /// Its descriptor.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// A 64-bit word.
    pub fn load(&self, word: u64) -> io::Result<u64> {
        let mut bytes = [0; 8];
        rustix::io::pread(&self.fd, &mut bytes, word * 8)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    /// Writes a 64-bit word.
    pub fn store(&self, word: u64, value: u64) -> io::Result<()> {
        rustix::io::pwrite(&self.fd, &value.to_ne_bytes(), word * 8)?;
        Ok(())
    }
}

fn wait(fd: BorrowedFd<'_>, what: &str) -> io::Result<()> {
    let patience = Timespec {
        tv_sec: PATIENCE.as_secs().cast_signed(),
        tv_nsec: 0,
    };
    loop {
        match poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&patience)) {
            Ok(0) => {
                let text = format!("no {what} from the subscriber within {PATIENCE:?}");
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
