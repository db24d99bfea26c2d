//! Packets as docs/frame-bus-protocol.md describes them, for the scripted producer: also wrong ones.

use std::io;

/// Number of HELLO.
pub const HELLO: u16 = 1;
/// Number of `BUFFER_ACK`.
pub const BUFFER_ACK: u16 = 2;
/// Number of BYE.
pub const BYE: u16 = 3;
/// Number of WELCOME.
pub const WELCOME: u16 = 64;
/// Number of REFUSED.
pub const REFUSED: u16 = 65;
/// Number of FORMAT.
pub const FORMAT: u16 = 66;
/// Number of `BUFFER_ADD`.
pub const BUFFER_ADD: u16 = 67;
/// Number of `BUFFER_REMOVE`.
pub const BUFFER_REMOVE: u16 = 68;
/// Number of START.
pub const START: u16 = 69;
/// Number of BELL.
pub const BELL: u16 = 70;
/// Number of EVICT.
pub const EVICT: u16 = 71;
/// A number that no version has.
pub const UNKNOWN: u16 = 40_000;

/// Session number of the scripted producer.
pub const SESSION: u64 = 0x1122_3344_5566_7788;

/// Builds the body of a packet.
#[derive(Debug, Default, Clone)]
pub struct Body(Vec<u8>);

impl Body {
    /// Appends one byte.
    #[must_use]
    pub fn u8(mut self, v: u8) -> Self {
        self.0.push(v);
        self
    }

    /// Appends a 16-bit number.
    #[must_use]
    pub fn u16(mut self, v: u16) -> Self {
        self.0.extend(v.to_le_bytes());
        self
    }

    /// Appends a 32-bit number.
    #[must_use]
    pub fn u32(mut self, v: u32) -> Self {
        self.0.extend(v.to_le_bytes());
        self
    }

    /// Appends a 64-bit number.
    #[must_use]
    pub fn u64(mut self, v: u64) -> Self {
        self.0.extend(v.to_le_bytes());
        self
    }

    /// Appends a text.
    #[must_use]
    pub fn text(self, v: &[u8]) -> Self {
        let mut body = self.u16(v.len() as u16);
        body.0.extend(v);
        body
    }

    /// The packet, with the critical bit.
    pub fn packet(self, kind: u16) -> Vec<u8> {
        self.flagged(kind, 1)
    }

    /// The packet, with these flags.
    pub fn flagged(self, kind: u16, flags: u16) -> Vec<u8> {
        let length = 8 + self.0.len() as u32;
        let mut packet = Self::default().u16(kind).u16(flags).u32(length).0;
        packet.extend(self.0);
        packet
    }
}

/// A message without fields.
pub fn empty(kind: u16) -> Vec<u8> {
    Body::default().packet(kind)
}

/// WELCOME.
pub fn welcome(version: u16, window: u32, hold: u32) -> Vec<u8> {
    let body = Body::default().u16(version).u16(0).u64(SESSION).u64(1);
    body.u32(window).u32(hold).packet(WELCOME)
}

/// FORMAT of sealed NV12.
pub fn format(epoch: u32, width: u32, height: u32) -> Vec<u8> {
    let nv12 = u32::from_le_bytes(*b"NV12");
    let body = Body::default().u32(epoch).u32(width).u32(height).u32(nv12);
    let body = body.u64(0).u32(30).u32(1).u8(1).u8(1);
    body.text(b"bt709").packet(FORMAT)
}

/// `BUFFER_ADD`; a plane is descriptor, offset, stride, size.
pub fn buffer_add(
    slot: u32,
    generation: u32,
    epoch: u32,
    planes: &[(u8, u64, u32, u64)],
) -> Vec<u8> {
    let body = Body::default().u32(slot).u32(generation).u32(epoch);
    let add =
        |body: Body, &(fd, offset, stride, size): &_| body.u8(fd).u64(offset).u32(stride).u64(size);
    let body = planes.iter().fold(body.u8(planes.len() as u8), add);
    body.packet(BUFFER_ADD)
}

/// `BUFFER_REMOVE`.
pub fn buffer_remove(slot: u32, generation: u32) -> Vec<u8> {
    Body::default()
        .u32(slot)
        .u32(generation)
        .packet(BUFFER_REMOVE)
}

/// REFUSED or EVICT.
pub fn last_words(kind: u16, reason: u16, text: &[u8]) -> Vec<u8> {
    Body::default().u16(reason).text(text).packet(kind)
}

/// A packet from a subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Number of the message.
    pub kind: u16,
    /// Flags of the header.
    pub flags: u16,
    /// The whole packet.
    pub bytes: Vec<u8>,
}

impl Packet {
    /// Checks the header.
    pub fn parse(bytes: &[u8]) -> io::Result<Self> {
        let packet = Self {
            kind: 0,
            flags: 0,
            bytes: bytes.to_vec(),
        };
        let (kind, flags, length) = (packet.u16(0)?, packet.u16(2)?, packet.u32(4)?);
        if length as usize == bytes.len() {
            Ok(Self {
                kind,
                flags,
                ..packet
            })
        } else {
            Err(io::Error::other(format!(
                "the subscriber's packet of {} bytes says {length}",
                bytes.len()
            )))
        }
    }

    fn array<const N: usize>(&self, at: usize) -> io::Result<[u8; N]> {
        let field = self.bytes.get(at..at + N).and_then(|f| f.try_into().ok());
        field.ok_or_else(|| io::Error::other(format!("the packet has no field at {at}: {self:?}")))
    }

    /// The 16-bit field at an offset.
    pub fn u16(&self, at: usize) -> io::Result<u16> {
        self.array(at).map(u16::from_le_bytes)
    }

    /// The 32-bit field at an offset.
    pub fn u32(&self, at: usize) -> io::Result<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    /// The text at an offset.
    pub fn text(&self, at: usize) -> io::Result<String> {
        let length = usize::from(self.u16(at)?);
        let text = self.bytes.get(at + 2..at + 2 + length);
        let text = text.and_then(|t| String::from_utf8(t.to_vec()).ok());
        text.ok_or_else(|| io::Error::other(format!("the packet has no text at {at}: {self:?}")))
    }
}
