//! The messages between the kernel's `vhci_hcd` and a device: USB/IP after a device is attached.
//!
//! Layouts: the kernel's `Documentation/usb/usbip_protocol.rst`, section "USB/IP Message Format". All numbers are big-endian.

use thiserror::Error;

/// Bytes of a message without its data, whatever its kind.
pub const HEADER: usize = 48;
/// Most bytes of data that a request may carry: a control request's `wLength` can't say more.
const MOST_DATA: u32 = 0xffff;

const CMD_SUBMIT: u32 = 1;
const CMD_UNLINK: u32 = 2;
const RET_SUBMIT: u32 = 3;
const RET_UNLINK: u32 = 4;

/// Status of a request that succeeded.
pub const OK: i32 = 0;
/// Status of a request that the device answers with STALL (`-EPIPE`).
pub const STALLED: i32 = -32;
/// Status of a request that nobody answers any more: the device is gone (`-EPROTO`, as hosts tell it).
pub const GONE: i32 = -71;
/// Status of a request that was taken back before it was answered (`-ECONNRESET`).
pub const UNLINKED: i32 = -104;

/// Which way a request's data goes, seen from the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the device.
    Out,
    /// From the device.
    In,
}

/// A request of the kernel to the device (`USBIP_CMD_SUBMIT`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submit {
    /// Its number, which the answer repeats.
    pub seq: u32,
    /// Which way its data goes.
    pub direction: Direction,
    /// Endpoint without the direction bit; 0 is the control endpoint.
    pub endpoint: u8,
    /// Bytes that go out, or that there is room for.
    pub length: u32,
    /// Set-up packet of a control request (USB 2.0, 9.3); zeros else.
    pub setup: [u8; 8],
    /// What goes out; empty for [`Direction::In`].
    pub data: Vec<u8>,
}

/// What the kernel sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Something to do.
    Submit(Submit),
    /// The request `target` is not wanted any more (`USBIP_CMD_UNLINK`).
    Unlink {
        /// Number of this message, which the answer repeats.
        seq: u32,
        /// Number of the request.
        target: u32,
    },
}

/// Bytes from the kernel that are no request to this device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// Neither a submit nor an unlink.
    #[error("the kernel sent the unknown USB/IP command {0:#x}")]
    Command(u32),
    /// More data than a control request can have.
    #[error("the kernel sent a request with {0} bytes of data, more than {MOST_DATA}")]
    Length(u32),
    /// An isochronous request; the camera has no such endpoint.
    #[error(
        "the kernel sent an isochronous request of {0} packets, but the camera has no isochronous endpoint"
    )]
    Isochronous(u32),
}

/// Takes requests out of a stream of bytes that may be cut anywhere.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    read: usize,
}

impl Decoder {
    /// Adds what was received.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.read);
        self.read = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole request, if there is one. After an error the stream can't be followed any further.
    pub fn next_request(&mut self) -> Result<Option<Request>, ProtocolError> {
        let Some((request, taken)) = decode(&self.bytes[self.read..])? else {
            return Ok(None);
        };
        self.read += taken;
        Ok(Some(request))
    }
}

/// The request at the start of `bytes` and how many bytes it takes; `None` if it is not whole yet.
fn decode(bytes: &[u8]) -> Result<Option<(Request, usize)>, ProtocolError> {
    let Some(header) = bytes.first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let seq = word(header, 4);
    match word(header, 0) {
        CMD_SUBMIT => decode_submit(seq, header, &bytes[HEADER..]),
        CMD_UNLINK => {
            let target = word(header, 20);
            Ok(Some((Request::Unlink { seq, target }, HEADER)))
        }
        other => Err(ProtocolError::Command(other)),
    }
}

fn decode_submit(
    seq: u32,
    header: &[u8; HEADER],
    rest: &[u8],
) -> Result<Option<(Request, usize)>, ProtocolError> {
    // The document says -1 where a request is not isochronous; kernels send 0.
    let packets = word(header, 32);
    if packets != 0 && packets != u32::MAX {
        return Err(ProtocolError::Isochronous(packets));
    }
    let direction = if word(header, 12) == 0 {
        Direction::Out
    } else {
        Direction::In
    };
    let length = word(header, 24);
    let follows = match direction {
        Direction::In => 0,
        Direction::Out if length > MOST_DATA => return Err(ProtocolError::Length(length)),
        Direction::Out => length as usize,
    };
    let Some(data) = rest.get(..follows) else {
        return Ok(None);
    };
    let mut setup = [0; 8];
    setup.copy_from_slice(&header[40..]);
    let submit = Submit {
        seq,
        direction,
        endpoint: word(header, 16) as u8,
        length,
        setup,
        data: data.to_vec(),
    };
    Ok(Some((Request::Submit(submit), HEADER + follows)))
}

impl Request {
    /// The bytes that a kernel sends for it; for tests that play the kernel.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Submit(submit) => {
                let mut bytes = head(CMD_SUBMIT, submit.seq);
                bytes[12..16].copy_from_slice(&(submit.direction as u32).to_be_bytes());
                bytes[16..20].copy_from_slice(&u32::from(submit.endpoint).to_be_bytes());
                bytes[24..28].copy_from_slice(&submit.length.to_be_bytes());
                bytes[40..48].copy_from_slice(&submit.setup);
                [&bytes[..], &submit.data].concat()
            }
            Self::Unlink { seq, target } => {
                let mut bytes = head(CMD_UNLINK, *seq);
                bytes[20..24].copy_from_slice(&target.to_be_bytes());
                bytes.to_vec()
            }
        }
    }
}

/// The answer to a [`Submit`] (`USBIP_RET_SUBMIT`), without the data: `length` bytes went out, or follow.
pub fn ret_submit(seq: u32, status: i32, length: usize) -> [u8; HEADER] {
    let mut bytes = head(RET_SUBMIT, seq);
    bytes[20..24].copy_from_slice(&status.to_be_bytes());
    bytes[24..28].copy_from_slice(&(length as u32).to_be_bytes());
    bytes
}

/// The answer to an unlink (`USBIP_RET_UNLINK`).
pub fn ret_unlink(seq: u32, status: i32) -> [u8; HEADER] {
    let mut bytes = head(RET_UNLINK, seq);
    bytes[20..24].copy_from_slice(&status.to_be_bytes());
    bytes
}

/// What the kernel reads from an answer; for tests that play the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// Number of what it answers.
    pub seq: u32,
    /// Zero or a negative errno.
    pub status: i32,
    /// Bytes transferred; zero for an unlink.
    pub length: u32,
    /// Whether it answers an unlink.
    pub unlink: bool,
}

impl Reply {
    /// Reads an answer's header.
    pub fn decode(header: &[u8; HEADER]) -> Self {
        let unlink = word(header, 0) == RET_UNLINK;
        Self {
            seq: word(header, 4),
            status: word(header, 20) as i32,
            length: if unlink { 0 } else { word(header, 24) },
            unlink,
        }
    }
}

fn head(command: u32, seq: u32) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[..4].copy_from_slice(&command.to_be_bytes());
    bytes[4..8].copy_from_slice(&seq.to_be_bytes());
    bytes
}

fn word(header: &[u8; HEADER], at: usize) -> u32 {
    u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submit(direction: Direction, endpoint: u8, length: u32, data: &[u8]) -> Request {
        Request::Submit(Submit {
            seq: 0x0102_0304,
            direction,
            endpoint,
            length,
            setup: [1, 2, 3, 4, 5, 6, 7, 8],
            data: data.to_vec(),
        })
    }

    #[test]
    fn requests_are_read_wherever_the_stream_is_cut() {
        let requests = [
            submit(Direction::Out, 0, 3, b"abc"),
            submit(Direction::In, 1, 16_384, b""),
            Request::Unlink { seq: 9, target: 8 },
            submit(Direction::Out, 0, 0, b""),
        ];
        let bytes: Vec<u8> = requests.iter().flat_map(Request::encode).collect();
        for cut in 1..bytes.len() {
            let mut decoder = Decoder::default();
            let mut read = Vec::new();
            for part in bytes.chunks(cut) {
                decoder.push(part);
                while let Some(request) = decoder.next_request().unwrap() {
                    read.push(request);
                }
            }
            assert_eq!(read, requests, "cut every {cut} bytes");
        }
    }

    /// Numbers at the places where `usbip_protocol.rst` has them.
    #[test]
    fn fields_lie_where_the_document_says() {
        let bytes = submit(Direction::In, 1, 0x0a0b_0c0d, b"").encode();
        assert_eq!(bytes[..8], [0, 0, 0, 1, 1, 2, 3, 4]);
        assert_eq!(bytes[12..20], [0, 0, 0, 1, 0, 0, 0, 1]);
        assert_eq!(bytes[24..28], [10, 11, 12, 13]);
        assert_eq!(bytes[40..48], [1, 2, 3, 4, 5, 6, 7, 8]);
        let answer = ret_submit(5, STALLED, 7);
        assert_eq!(answer[..8], [0, 0, 0, 3, 0, 0, 0, 5]);
        assert_eq!(answer[20..28], [255, 255, 255, 224, 0, 0, 0, 7]);
        let answer = ret_unlink(6, UNLINKED);
        assert_eq!(answer[..8], [0, 0, 0, 4, 0, 0, 0, 6]);
        assert_eq!(answer[20..24], [255, 255, 255, 152]);
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let mut isochronous = submit(Direction::In, 1, 8, b"").encode();
        isochronous[32..36].copy_from_slice(&4_u32.to_be_bytes());
        let mut unknown = isochronous.clone();
        unknown[..4].copy_from_slice(&0x8003_u32.to_be_bytes());
        let long = submit(Direction::Out, 0, 0x1_0000, b"").encode();
        let cases = [
            (isochronous, ProtocolError::Isochronous(4)),
            (unknown, ProtocolError::Command(0x8003)),
            (long, ProtocolError::Length(0x1_0000)),
        ];
        for (bytes, error) in cases {
            let mut decoder = Decoder::default();
            decoder.push(&bytes);
            assert_eq!(decoder.next_request(), Err(error));
        }
    }

    #[test]
    fn the_document_marks_other_transfers_by_minus_one() {
        let mut bytes = submit(Direction::In, 1, 8, b"").encode();
        bytes[32..36].fill(0xff);
        let mut decoder = Decoder::default();
        decoder.push(&bytes);
        assert!(decoder.next_request().unwrap().is_some());
    }
}
