//! Messages of the control socket: little-endian, one message a packet.
//!
//! ```text
//! u16 type | u16 flags (bit 0: critical) | u32 length of the whole message | body
//! ```
//!
//! A message of unknown type is skipped, unless its critical bit is set. A known type may grow: bytes behind the fields
//! that this version knows are ignored. Pure: no I/O here.

mod codec;
mod pictures;
mod reason;
#[cfg(test)]
#[cfg(not(mos_loom))]
mod tests;

use crate::format::{Format, Layout};
use codec::{Reader, Writer};
use pictures::{read_format, read_layout, write_format, write_layout};
pub use reason::Reason;

/// First bytes of HELLO's body.
const MAGIC: u32 = u32::from_le_bytes(*b"MOSF");
/// The version that this code speaks.
pub(crate) const VERSION: u16 = 1;
/// Largest message in bytes.
pub(crate) const MAX_LEN: usize = 1024;
/// Longest text in a message, in bytes; longer ones are cut.
pub(crate) const MAX_TEXT: usize = 256;
/// Largest part of a report in one message, in bytes.
pub(crate) const MAX_STATS: usize = MAX_LEN - HEADER - 4;
const HEADER: usize = 8;
const CRITICAL: u16 = 1;

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
    /// Asks for a report instead of subscribing.
    Inspect {
        min_version: u16,
        max_version: u16,
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
    /// A part of the answer to INSPECT, at most [`MAX_STATS`] bytes of JSON.
    Stats {
        more: bool,
        part: Vec<u8>,
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
    pub(super) const INSPECT: u16 = 4;
    pub(super) const WELCOME: u16 = 64;
    pub(super) const REFUSED: u16 = 65;
    pub(super) const FORMAT: u16 = 66;
    pub(super) const BUFFER_ADD: u16 = 67;
    pub(super) const BUFFER_REMOVE: u16 = 68;
    pub(super) const START: u16 = 69;
    pub(super) const BELL: u16 = 70;
    pub(super) const EVICT: u16 = 71;
    pub(super) const STATS: u16 = 72;
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
            Self::Inspect {
                min_version,
                max_version,
            } => {
                w.u32(MAGIC).u16(*min_version).u16(*max_version);
                kind::INSPECT
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
            Self::Stats { more, part } => {
                w.u8(u8::from(*more)).u8(0).bytes(part);
                kind::STATS
            }
        }
    }

    /// Whether a packet is [`Message::Bell`]: what there is to know of most of them.
    pub(crate) fn is_bell(packet: &[u8]) -> bool {
        let (kind, len) = (kind::BELL.to_le_bytes(), (HEADER as u32).to_le_bytes());
        packet.len() == HEADER && packet[..2] == kind && packet[4..] == len
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
                read_magic(r)?;
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
            kind::INSPECT => {
                read_magic(r)?;
                Self::Inspect {
                    min_version: r.u16()?,
                    max_version: r.u16()?,
                }
            }
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
            kind::STATS => {
                let more = r.u8()? != 0;
                r.u8()?;
                let part = r.bytes(MAX_STATS)?.to_vec();
                Self::Stats { more, part }
            }
            _ => return Ok(None),
        }))
    }
}

fn read_magic(r: &mut Reader<'_>) -> Result<(), WireError> {
    if r.u32()? == MAGIC {
        Ok(())
    } else {
        Err(WireError::Magic)
    }
}
