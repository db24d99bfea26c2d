//! One connection to a producer: what its messages made known, and the claiming of frames.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::fork::Origin;
use super::frame::{Buffer, Claim, Frame};
use super::{RecvError, SubscriberOptions};
use crate::admission::Demand;
use crate::format::Format;
use crate::shm::{BoardReader, Descriptor, Hold, Holds, LeaseView, SLOTS, candidates, offers};
use crate::socket::{self, Packet, Received, Sent, Spill, Wait};
use crate::wire::{Message, Reason, VERSION};

/// Formats that are kept: a buffer of the one before the newest may still be on its way.
pub(super) const MAX_EPOCHS: usize = 2;

/// How far a connection is.
#[derive(Debug)]
enum Phase {
    /// HELLO went out.
    Greeting,
    /// WELCOME came; buffers are being made known.
    Welcomed,
    /// START came: frames are offered.
    Started,
}

/// Why a session is over.
#[derive(Debug)]
pub(crate) enum End {
    /// The producer is gone; another may come.
    Gone,
    /// It said no.
    Refused { reason: Reason, text: String },
    /// It cut us off.
    Evicted { reason: Reason, text: String },
    /// It does not follow the protocol.
    Protocol(String),
    /// The kernel refused.
    Io(io::Error),
}

impl From<io::Error> for End {
    fn from(e: io::Error) -> Self {
        Self::Io(e)
    }
}

/// What a wake-up was for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Nothing,
    /// A frame was published while we slept.
    Ring,
    Message,
}

#[derive(Debug)]
pub(super) struct Shared {
    id: u64,
    board: BoardReader,
    pub(super) holds: Holds<Keep>,
    revocable: bool,
}

/// The socket; it lives as long as the session or any of its frames.
#[derive(Debug)]
pub(super) struct Connection {
    socket: OwnedFd,
    origin: Origin,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if !self.origin.is_here() {
            return;
        }
        // A courtesy that frees our leases a little sooner; the end of the connection says the same.
        if let Err(error) = socket::send(self.socket.as_fd(), &Message::Bye.encode(), &[]) {
            tracing::trace!(%error, "BYE");
        }
    }
}

/// What a frame needs of its session.
#[derive(Debug)]
pub(super) struct Keep {
    /// Here as well, where the hold is: a frame that is dropped need not touch the connection.
    pub(super) origin: Origin,
    /// The producer takes its end for the end of all leases.
    _connection: Arc<Connection>,
}

#[derive(Debug)]
pub(super) struct Session {
    connection: Arc<Connection>,
    phase: Phase,
    pub(super) shared: Option<Shared>,
    pub(super) formats: HashMap<u32, Arc<Format>>,
    /// By slot, up to the highest that was ever used.
    pub(super) buffers: Vec<Option<Arc<Buffer>>>,
    /// Buffer announcements to acknowledge.
    unacked: u32,
    armed: bool,
    /// Sequence that comes next, for one who misses none; 0 before the first frame.
    next_seq: u64,
    window: u64,
    spill: Spill,
}

impl Session {
    /// Connects, waiting at most `patience` for room, and says HELLO; the answer is read by [`Self::hear`].
    pub(super) fn open(
        path: &Path,
        options: &SubscriberOptions,
        patience: Option<Duration>,
    ) -> io::Result<Self> {
        Self::over(socket::connect(path, patience)?, options)
    }

    /// Says HELLO over a socket that is connected.
    pub(super) fn over(socket: OwnedFd, options: &SubscriberOptions) -> io::Result<Self> {
        let hello = Message::Hello {
            min_version: VERSION,
            max_version: VERSION,
            window: options.window,
            hold: options.hold,
            name: options.name.clone(),
        };
        match socket::send(socket.as_fd(), &hello.encode(), &[])? {
            // A producer that refuses us unheard is gone already; its reason waits to be read.
            Sent::Done | Sent::Gone => {}
            other @ (Sent::Full | Sent::Short) => {
                return Err(io::Error::new(
                    io::ErrorKind::ConnectionReset,
                    format!("HELLO was not sent: {other:?}"),
                ));
            }
        }
        Ok(Self {
            connection: Arc::new(Connection {
                socket,
                origin: Origin::here()?,
            }),
            phase: Phase::Greeting,
            shared: None,
            formats: HashMap::new(),
            buffers: Vec::new(),
            unacked: 0,
            armed: false,
            next_seq: 0,
            window: u64::from(options.window),
            spill: Spill::default(),
        })
    }

    /// Whether this process made it, and not one that it was forked from.
    pub(super) fn is_ours(&self) -> bool {
        self.connection.origin.is_here()
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.connection.socket.as_fd()
    }

    pub(super) const fn is_started(&self) -> bool {
        matches!(self.phase, Phase::Started)
    }

    /// Reads and acts on one message.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as of `receive_with`")]
    pub(super) fn hear(&mut self, wait: Wait) -> Result<Heard, End> {
        let socket = self.connection.socket.as_fd();
        match socket::receive_with(socket, wait, &mut self.spill)? {
            Received::Empty => Ok(Heard::Nothing),
            Received::Gone => Err(End::Gone),
            // Most are rings, and their reader was just woken: it finds the code of all else cold.
            Received::Packet(packet) if Message::is_bell(&packet.bytes) => Ok(Heard::Ring),
            Received::Packet(packet) => {
                let heard = self.act(packet);
                #[cfg(debug_assertions)]
                if let Err(error) = self.check_invariants() {
                    panic!("{error}");
                }
                heard
            }
        }
    }

    /// Reads and acts on everything that is there.
    pub(super) fn hear_all(&mut self) -> Result<Heard, End> {
        let mut heard = Heard::Nothing;
        loop {
            match self.hear(Wait::No)? {
                Heard::Nothing => break,
                // One ring among messages tells that a frame came.
                Heard::Message if heard == Heard::Ring => {}
                something => heard = something,
            }
        }
        self.acknowledge()?;
        Ok(heard)
    }

    #[cold]
    fn act(&mut self, packet: Packet) -> Result<Heard, End> {
        let message = Message::decode(&packet.bytes).map_err(|e| End::Protocol(e.to_string()))?;
        match message {
            Some(Message::Welcome {
                version: VERSION,
                session,
                window,
                hold,
                ..
            }) if self.shared.is_none() => {
                self.welcome(session, window, hold, packet.fds)?;
            }
            Some(Message::Refused { reason, text }) => return Err(End::Refused { reason, text }),
            // Before START nothing was ours yet: we may try again.
            Some(Message::Evict { reason, text }) if !self.is_started() => {
                return Err(End::Refused { reason, text });
            }
            Some(Message::Evict { reason, text }) => return Err(End::Evicted { reason, text }),
            Some(Message::Bye) => return Err(End::Gone),
            Some(Message::Bell) => return Ok(Heard::Ring),
            None => {}
            Some(message) if self.shared.is_some() => self.act_welcomed(message, packet.fds)?,
            Some(message) => {
                return Err(End::Protocol(format!(
                    "unexpected {message:?} before WELCOME"
                )));
            }
        }
        Ok(Heard::Message)
    }

    fn act_welcomed(&mut self, message: Message, fds: Vec<OwnedFd>) -> Result<(), End> {
        match message {
            Message::Format { epoch, format } => {
                if self.formats.keys().any(|known| *known >= epoch) {
                    return Err(End::Protocol(format!("epoch {epoch} came out of order")));
                }
                // Buffers of older epochs go by BUFFER_REMOVE, or live on in the frames that are held.
                self.formats
                    .retain(|known, _| known.saturating_add(MAX_EPOCHS as u32 - 1) >= epoch);
                self.formats.insert(epoch, Arc::new(format));
            }
            Message::BufferAdd {
                slot,
                generation,
                epoch,
                layout,
            } => {
                self.unacked = self.unacked.saturating_add(1);
                let format = self.formats.get(&epoch).cloned();
                let format = format.ok_or_else(|| {
                    End::Protocol(format!("buffer {slot} of unknown epoch {epoch}"))
                })?;
                if slot as usize >= SLOTS || layout.fd_count() != fds.len() {
                    return Err(End::Protocol(format!(
                        "buffer {slot} came with {} descriptors",
                        fds.len()
                    )));
                }
                let slot = slot as usize;
                if self.buffers.len() <= slot {
                    self.buffers.resize(slot + 1, None);
                }
                self.buffers[slot] = Some(Arc::new(Buffer {
                    generation,
                    epoch,
                    format,
                    layout,
                    fds,
                }));
            }
            Message::BufferRemove { slot, generation } => {
                if let Some(buffer) = self.buffers.get_mut(slot as usize) {
                    buffer.take_if(|b| b.generation == generation);
                }
            }
            Message::Start => self.phase = Phase::Started,
            other => return Err(End::Protocol(format!("unexpected {other:?}"))),
        }
        Ok(())
    }

    fn welcome(&mut self, id: u64, window: u32, hold: u32, fds: Vec<OwnedFd>) -> Result<(), End> {
        let [board, leases] = <[OwnedFd; 2]>::try_from(fds)
            .map_err(|fds| End::Protocol(format!("WELCOME came with {} descriptors", fds.len())))?;
        if !(Demand { window, hold }).is_valid() {
            let text = format!("WELCOME grants a window of {window} and a hold of {hold}");
            return Err(End::Protocol(text));
        }
        let board = BoardReader::new(board.as_fd())?;
        let leases = LeaseView::new(leases.as_fd())?;
        // With a hold of 0 frames are ours while they are in the window.
        let limit = if hold == 0 { window } else { hold };
        let keep = Keep {
            origin: self.connection.origin,
            _connection: Arc::clone(&self.connection),
        };
        self.shared = Some(Shared {
            id,
            board,
            holds: Holds::new(leases, limit, keep),
            revocable: hold == 0,
        });
        self.window = u64::from(window);
        self.phase = Phase::Welcomed;
        Ok(())
    }

    /// Tells the producer that descriptors were read, so that it may send more.
    fn acknowledge(&mut self) -> Result<(), End> {
        if self.unacked == 0 {
            return Ok(());
        }
        let ack = Message::BufferAck {
            count: self.unacked,
        };
        match socket::send(self.connection.socket.as_fd(), &ack.encode(), &[])? {
            Sent::Done => self.unacked = 0,
            // Said again with the next message that is read.
            Sent::Full | Sent::Short => {}
            Sent::Gone => return Err(End::Gone),
        }
        Ok(())
    }

    /// Asks to be rung at the next publish.
    pub(super) fn arm(&mut self) {
        self.armed = true;
        if let Some(shared) = &self.shared {
            shared.holds.leases().arm();
        }
    }

    /// Takes that back; true if it had been asked for, so that a ring or a message may have come.
    pub(super) fn disarm(&mut self) -> bool {
        if let Some(shared) = self.shared.as_ref().filter(|_| self.armed) {
            shared.holds.leases().disarm();
        }
        std::mem::take(&mut self.armed)
    }

    /// As [`Self::disarm`], for one who was armed and `heard` what woke it, if anything. A ring that answered the arming
    /// and was not heard is read, or rings would pile up in front of messages; true if there was one.
    pub(super) fn stand_down(&mut self, heard: &Heard) -> Result<bool, End> {
        let asked = std::mem::take(&mut self.armed);
        // A ring is the answer to the arming: there is nothing to take back.
        if *heard == Heard::Ring {
            return Ok(false);
        }
        let answered = match &self.shared {
            Some(shared) if asked => shared.holds.leases().disarm(),
            _ => false,
        };
        if answered {
            self.hear_all()?;
        }
        Ok(answered)
    }

    /// Whether a frame waits to be claimed.
    pub(super) fn has_offer(&self) -> bool {
        let Some(shared) = self.shared.as_ref().filter(|_| self.is_started()) else {
            return false;
        };
        let leases = shared.holds.leases();
        let mut offers = offers(&shared.board, leases, self.window, self.next_seq, false);
        offers.next().is_some()
    }

    /// Claims the oldest or the newest frame on offer. Also gives the number of frames missed since the one before.
    pub(super) fn claim(&mut self, newest: bool) -> Result<Option<(Frame, u64)>, SessionError> {
        // Looked for anew each time, but no more often than there are frames: a producer that flickers can't keep us here.
        for _ in 0..self.window {
            let Some((seq, slot, hold)) = self.claim_first(newest)? else {
                if self.has_offer() {
                    continue;
                }
                break;
            };
            let Some((buffer, descriptor)) = self.buffer_of(slot, seq)? else {
                // It was revoked since, and its slot may have another frame by now: as if it had never been on offer. A hold
                // of 0 meets that, and whoever is being cut off.
                if !hold.stands() {
                    continue;
                }
                return Err(SessionError::End(End::Protocol(format!(
                    "frame {seq} is on offer in slot {slot}, but the board does not describe it or its buffer was never sent"
                ))));
            };
            let missed = if self.next_seq == 0 {
                0
            } else {
                seq - self.next_seq
            };
            self.next_seq = seq.saturating_add(1);
            return Ok(Some((self.frame(hold, buffer, descriptor), missed)));
        }
        Ok(None)
    }

    /// Claims the first frame that can be claimed. Without a look before: that would fetch the word from the producer's
    /// core twice, to read it and to change it.
    fn claim_first(&mut self, newest: bool) -> Result<Option<(u64, usize, Hold<Keep>)>, RecvError> {
        let Some(Shared { board, holds, .. }) = self.shared.as_mut() else {
            return Ok(None);
        };
        if !matches!(self.phase, Phase::Started) {
            return Ok(None);
        }
        if holds.is_full() {
            let hold = holds.limit();
            return if self.has_offer() {
                Err(RecvError::HoldLimit { hold })
            } else {
                Ok(None)
            };
        }
        let mut candidates = candidates(board, self.window, self.next_seq, newest);
        Ok(candidates.find_map(|(seq, slot)| Some((seq, slot, holds.claim(slot, seq)?))))
    }

    /// Makes the handle of a frame that was just claimed.
    fn frame(&self, hold: Hold<Keep>, buffer: Arc<Buffer>, descriptor: Descriptor) -> Frame {
        let shared = self.shared.as_ref();
        let (session, revocable) = shared.map_or((0, false), |s| (s.id, s.revocable));
        Frame::new(Claim::new(hold), buffer, descriptor, session, revocable)
    }

    /// Buffer and description of a claimed frame; `None` if there is none, which is certain only while the claim stands.
    fn buffer_of(
        &mut self,
        slot: usize,
        seq: u64,
    ) -> Result<Option<(Arc<Buffer>, Descriptor)>, End> {
        let shared = self.shared.as_ref();
        let Some(descriptor) = shared.and_then(|shared| shared.board.read(slot, seq)) else {
            return Ok(None);
        };
        let mut known = self.known_buffer(slot, &descriptor);
        if known.is_none() {
            // Its BUFFER_ADD was sent before it was offered, so it is in the socket.
            self.hear_all()?;
            known = self.known_buffer(slot, &descriptor);
        }
        Ok(known.map(|buffer| (buffer, descriptor)))
    }

    fn known_buffer(&self, slot: usize, frame: &Descriptor) -> Option<Arc<Buffer>> {
        let buffer = self.buffers.get(slot)?.as_ref()?;
        (buffer.generation == frame.generation).then(|| Arc::clone(buffer))
    }
}

/// A claim did not work out.
#[derive(Debug)]
pub(super) enum SessionError {
    End(End),
    Recv(RecvError),
}

impl From<RecvError> for SessionError {
    fn from(error: RecvError) -> Self {
        Self::Recv(error)
    }
}

impl From<End> for SessionError {
    fn from(end: End) -> Self {
        Self::End(end)
    }
}
