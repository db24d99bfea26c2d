//! Messages of the control socket: little-endian, one message a packet.
//!
//! ```text
//! u16 type | u16 flags (bit 0: critical) | u32 length of the whole message | body
//! ```
//!
//! A message of unknown type is skipped, unless its critical bit is set. A known type may grow: bytes behind the fields
//! that this version knows are ignored. Pure: no I/O here.

use crate::format::{Format, FourCc, Layout, MemoryKind, Plane};

/// First bytes of HELLO's body.
const MAGIC: u32 = u32::from_le_bytes(*b"MOSF");
/// The version that this code speaks.
pub(crate) const VERSION: u16 = 1;
/// Largest message in bytes.
pub(crate) const MAX_LEN: usize = 1024;
/// Longest text in a message, in bytes; longer ones are cut.
pub(crate) const MAX_TEXT: usize = 256;
const HEADER: usize = 8;
const CRITICAL: u16 = 1;

/// Why a subscription was refused or ended by the producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
#[non_exhaustive]
pub enum Reason {
    /// The buffers don't suffice for one more subscriber with this window and hold.
    OverBudget = 1,
    /// No common protocol version.
    Version = 2,
    /// The window or the hold is out of range.
    BadRequest = 3,
    /// A hold of 0 needs memory that subscribers can't write to.
    HoldZero = 4,
    /// The caller is not on the allow list.
    NotAllowed = 5,
    /// The handshake took too long.
    Timeout = 6,
    /// A message that makes no sense.
    Protocol = 7,
    /// A lease word that no honest subscriber writes.
    BadLease = 8,
    /// More frames held than agreed.
    HoldExceeded = 9,
    /// The producer could not serve the subscriber (out of descriptors or memory).
    Resources = 10,
    /// A reason that this version does not know.
    Other = 0,
}

impl Reason {
    fn from_wire(value: u16) -> Self {
        const KNOWN: [Reason; 10] = [
            Reason::OverBudget,
            Reason::Version,
            Reason::BadRequest,
            Reason::HoldZero,
            Reason::NotAllowed,
            Reason::Timeout,
            Reason::Protocol,
            Reason::BadLease,
            Reason::HoldExceeded,
            Reason::Resources,
        ];
        KNOWN
            .into_iter()
            .find(|r| *r as u16 == value)
            .unwrap_or(Self::Other)
    }
}

/// A message, in either direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    // subscriber -> producer
    Hello {
        min_version: u16,
        max_version: u16,
        window: u32,
        hold: u32,
        name: String,
    },
    BufferAck {
        count: u32,
    },
    // either
    Bye,
    // producer -> subscriber
    Welcome {
        version: u16,
        session: u64,
        subscriber: u64,
        window: u32,
        hold: u32,
    },
    Refused {
        reason: Reason,
        text: String,
    },
    Format {
        epoch: u32,
        format: Format,
    },
    BufferAdd {
        slot: u32,
        generation: u32,
        epoch: u32,
        layout: Layout,
    },
    BufferRemove {
        slot: u32,
        generation: u32,
    },
    Start,
    Bell,
    Evict {
        reason: Reason,
        text: String,
    },
}

/// Why a packet is no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    #[error("the packet is shorter than its fields")]
    Short,
    #[error("the packet's length field says {said}, the packet has {got} bytes")]
    Length { said: u32, got: usize },
    #[error("the magic number is wrong: this is no mos-frame peer")]
    Magic,
    #[error("a field is out of range")]
    Field,
    #[error("message type {0} is unknown and critical")]
    UnknownCritical(u16),
}

mod kind {
    pub(super) const HELLO: u16 = 1;
    pub(super) const BUFFER_ACK: u16 = 2;
    pub(super) const BYE: u16 = 3;
    pub(super) const WELCOME: u16 = 64;
    pub(super) const REFUSED: u16 = 65;
    pub(super) const FORMAT: u16 = 66;
    pub(super) const BUFFER_ADD: u16 = 67;
    pub(super) const BUFFER_REMOVE: u16 = 68;
    pub(super) const START: u16 = 69;
    pub(super) const BELL: u16 = 70;
    pub(super) const EVICT: u16 = 71;
}

struct Writer(Vec<u8>);

impl Writer {
    fn u8(&mut self, v: u8) -> &mut Self {
        self.0.push(v);
        self
    }
    fn u16(&mut self, v: u16) -> &mut Self {
        self.0.extend(v.to_le_bytes());
        self
    }
    fn u32(&mut self, v: u32) -> &mut Self {
        self.0.extend(v.to_le_bytes());
        self
    }
    fn u64(&mut self, v: u64) -> &mut Self {
        self.0.extend(v.to_le_bytes());
        self
    }
    fn text(&mut self, v: &str, max: usize) -> &mut Self {
        let cut = &v[..v.floor_char_boundary(max)];
        self.u16(cut.len() as u16);
        self.0.extend(cut.as_bytes());
        self
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        let (head, tail) = self.0.split_at_checked(n).ok_or(WireError::Short)?;
        self.0 = tail;
        Ok(head)
    }
    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        self.take(N)?.try_into().map_err(|_| WireError::Short)
    }
    fn u8(&mut self) -> Result<u8, WireError> {
        Ok(self.array::<1>()?[0])
    }
    fn u16(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_le_bytes)
    }
    fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_le_bytes)
    }
    fn u64(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_le_bytes)
    }
    fn text(&mut self) -> Result<String, WireError> {
        let len = usize::from(self.u16()?);
        if len > MAX_TEXT {
            return Err(WireError::Field);
        }
        Ok(String::from_utf8_lossy(self.take(len)?).into_owned())
    }
}

impl Message {
    /// The packet of this message.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer(Vec::with_capacity(64));
        // Type, flags and length are known at the end.
        w.u64(0);
        let kind = self.write_body(&mut w);
        let mut packet = w.0;
        let len = packet.len() as u32;
        packet[0..2].copy_from_slice(&kind.to_le_bytes());
        packet[2..4].copy_from_slice(&CRITICAL.to_le_bytes());
        packet[4..8].copy_from_slice(&len.to_le_bytes());
        packet
    }

    fn write_body(&self, w: &mut Writer) -> u16 {
        match self {
            Self::Hello {
                min_version,
                max_version,
                window,
                hold,
                name,
            } => {
                w.u32(MAGIC)
                    .u16(*min_version)
                    .u16(*max_version)
                    .u32(*window)
                    .u32(*hold)
                    .text(name, MAX_TEXT);
                kind::HELLO
            }
            Self::BufferAck { count } => {
                w.u32(*count);
                kind::BUFFER_ACK
            }
            Self::Bye => kind::BYE,
            Self::Welcome {
                version,
                session,
                subscriber,
                window,
                hold,
            } => {
                w.u16(*version)
                    .u16(0)
                    .u64(*session)
                    .u64(*subscriber)
                    .u32(*window)
                    .u32(*hold);
                kind::WELCOME
            }
            Self::Refused { reason, text } => {
                w.u16(*reason as u16).text(text, MAX_TEXT);
                kind::REFUSED
            }
            Self::Format { epoch, format } => {
                w.u32(*epoch);
                write_format(w, format);
                kind::FORMAT
            }
            Self::BufferAdd {
                slot,
                generation,
                epoch,
                layout,
            } => {
                w.u32(*slot).u32(*generation).u32(*epoch);
                write_layout(w, layout);
                kind::BUFFER_ADD
            }
            Self::BufferRemove { slot, generation } => {
                w.u32(*slot).u32(*generation);
                kind::BUFFER_REMOVE
            }
            Self::Start => kind::START,
            Self::Bell => kind::BELL,
            Self::Evict { reason, text } => {
                w.u16(*reason as u16).text(text, MAX_TEXT);
                kind::EVICT
            }
        }
    }

    /// The message of a packet; `None` if its type is unknown and may be skipped.
    pub(crate) fn decode(packet: &[u8]) -> Result<Option<Self>, WireError> {
        let mut r = Reader(packet);
        let (kind, flags, said) = (r.u16()?, r.u16()?, r.u32()?);
        if said as usize != packet.len() || packet.len() < HEADER {
            return Err(WireError::Length {
                said,
                got: packet.len(),
            });
        }
        match Self::read_body(kind, &mut r)? {
            None if flags & CRITICAL != 0 => Err(WireError::UnknownCritical(kind)),
            message => Ok(message),
        }
    }

    fn read_body(kind: u16, r: &mut Reader<'_>) -> Result<Option<Self>, WireError> {
        Ok(Some(match kind {
            kind::HELLO => {
                if r.u32()? != MAGIC {
                    return Err(WireError::Magic);
                }
                Self::Hello {
                    min_version: r.u16()?,
                    max_version: r.u16()?,
                    window: r.u32()?,
                    hold: r.u32()?,
                    name: r.text()?,
                }
            }
            kind::BUFFER_ACK => Self::BufferAck { count: r.u32()? },
            kind::BYE => Self::Bye,
            kind::WELCOME => {
                let version = r.u16()?;
                r.u16()?;
                Self::Welcome {
                    version,
                    session: r.u64()?,
                    subscriber: r.u64()?,
                    window: r.u32()?,
                    hold: r.u32()?,
                }
            }
            kind::REFUSED => Self::Refused {
                reason: Reason::from_wire(r.u16()?),
                text: r.text()?,
            },
            kind::FORMAT => Self::Format {
                epoch: r.u32()?,
                format: read_format(r)?,
            },
            kind::BUFFER_ADD => Self::BufferAdd {
                slot: r.u32()?,
                generation: r.u32()?,
                epoch: r.u32()?,
                layout: read_layout(r)?,
            },
            kind::BUFFER_REMOVE => Self::BufferRemove {
                slot: r.u32()?,
                generation: r.u32()?,
            },
            kind::START => Self::Start,
            kind::BELL => Self::Bell,
            kind::EVICT => Self::Evict {
                reason: Reason::from_wire(r.u16()?),
                text: r.text()?,
            },
            _ => return Ok(None),
        }))
    }
}

fn write_format(w: &mut Writer, f: &Format) {
    w.u32(f.width)
        .u32(f.height)
        .u32(f.fourcc.0)
        .u64(f.modifier)
        .u32(f.framerate.0)
        .u32(f.framerate.1);
    w.u8(f.memory as u8)
        .u8(u8::from(f.read_only))
        .text(&f.colorimetry, 64);
}

fn read_format(r: &mut Reader<'_>) -> Result<Format, WireError> {
    Ok(Format {
        width: r.u32()?,
        height: r.u32()?,
        fourcc: FourCc(r.u32()?),
        modifier: r.u64()?,
        framerate: (r.u32()?, r.u32()?),
        memory: MemoryKind::from_wire(r.u8()?).ok_or(WireError::Field)?,
        read_only: r.u8()? != 0,
        colorimetry: r.text()?,
    })
}

fn write_layout(w: &mut Writer, layout: &Layout) {
    w.u8(layout.planes.len() as u8);
    for p in &layout.planes {
        w.u8(p.fd).u64(p.offset).u32(p.stride).u64(p.size);
    }
}

fn read_layout(r: &mut Reader<'_>) -> Result<Layout, WireError> {
    let count = usize::from(r.u8()?);
    if count > Layout::MAX_PLANES {
        return Err(WireError::Field);
    }
    let plane = |r: &mut Reader<'_>| -> Result<Plane, WireError> {
        Ok(Plane {
            fd: r.u8()?,
            offset: r.u64()?,
            stride: r.u32()?,
            size: r.u64()?,
        })
    };
    let layout = Layout {
        planes: (0..count).map(|_| plane(r)).collect::<Result<_, _>>()?,
    };
    if layout.is_valid() {
        Ok(layout)
    } else {
        Err(WireError::Field)
    }
}

#[cfg(test)]
mod tests {
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
        fn damaged_messages_never_panic(which in 0usize..11, at in 0usize..64, byte: u8) {
            let mut packet = all()[which].encode();
            if let Some(b) = packet.get_mut(at) { *b = byte; }
            if let Ok(Some(Message::BufferAdd { layout, .. })) = Message::decode(&packet) {
                prop_assert!(layout.is_valid());
            }
        }
    }
}
