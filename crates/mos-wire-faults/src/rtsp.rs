//! What goes over an RTSP connection (RFC 2326): messages, and packets between them.

/// Longest message or packet that is waited for; more is no RTSP.
const LONGEST: usize = 1 << 20;

/// A whole thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A request or an answer.
    Message(Message),
    /// A packet of a channel (section 10.12): RTP on even ones, RTCP on odd ones.
    Packet {
        /// Its channel.
        channel: u8,
        /// What it holds.
        bytes: Vec<u8>,
    },
    /// Bytes that are neither, passed on as they are.
    Raw(Vec<u8>),
}

/// A request or an answer, its lines without their ends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// The first line, then the headers.
    pub lines: Vec<String>,
    /// What follows.
    pub body: Vec<u8>,
}

impl Message {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.lines.iter().skip(1).find_map(|line| value(line, name))
    }

    /// Replaces a header that is there.
    pub fn set(&mut self, name: &str, to: &str) {
        for line in self.lines.iter_mut().skip(1) {
            if value(line, name).is_some() {
                *line = format!("{name}: {to}");
            }
        }
    }

    /// As it goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for line in &self.lines {
            bytes.extend_from_slice(line.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

fn value<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (key, value) = line.split_once(':')?;
    key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
}

impl Item {
    /// As it goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Message(message) => message.bytes(),
            Self::Packet { channel, bytes } => {
                let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes();
                let mut all = vec![b'$', *channel, length[0], length[1]];
                all.extend_from_slice(bytes);
                all
            }
            Self::Raw(bytes) => bytes.clone(),
        }
    }
}

/// Takes a connection apart.
#[derive(Debug, Default)]
pub struct Parser {
    bytes: Vec<u8>,
}

impl Parser {
    /// What came in.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole item.
    pub fn next_item(&mut self) -> Option<Item> {
        let (item, length) = match self.bytes.as_slice() {
            [] => return None,
            [b'$', ..] => packet(&self.bytes)?,
            _ => match message(&self.bytes) {
                None if self.bytes.len() > LONGEST => {
                    (Item::Raw(self.bytes.clone()), self.bytes.len())
                }
                found => found?,
            },
        };
        self.bytes.drain(..length);
        Some(item)
    }
}

fn packet(bytes: &[u8]) -> Option<(Item, usize)> {
    let [_, channel, high, low, rest @ ..] = bytes else {
        return None;
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let item = Item::Packet {
        channel: *channel,
        bytes: rest.get(..length)?.to_vec(),
    };
    Some((item, 4 + length))
}

fn message(bytes: &[u8]) -> Option<(Item, usize)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]);
    let mut message = Message {
        lines: head.split("\r\n").map(str::to_owned).collect(),
        body: Vec::new(),
    };
    let length = message
        .header("Content-Length")
        .and_then(|length| length.parse().ok())
        .filter(|length| *length <= LONGEST)
        .unwrap_or(0);
    let start = end + 4;
    message.body = bytes.get(start..start + length)?.to_vec();
    Some((Item::Message(message), start + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = b"RTSP/1.0 200 OK\r\nCSeq: 2\r\ncontent-length: 3\r\n\r\nabc";

    fn all(chunks: &[&[u8]]) -> Vec<Item> {
        let (mut parser, mut items) = (Parser::default(), Vec::new());
        for chunk in chunks {
            parser.feed(chunk);
            while let Some(item) = parser.next_item() {
                items.push(item);
            }
        }
        items
    }

    #[test]
    fn messages_and_packets_come_apart_however_they_arrive() {
        let stream = [ANSWER, b"$\x00\x00\x02xy", ANSWER, b"$\x01\x00\x00"].concat();
        let whole = all(&[&stream]);
        assert_eq!(whole.len(), 4);
        assert_eq!(
            whole[1],
            Item::Packet {
                channel: 0,
                bytes: b"xy".to_vec()
            }
        );
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(all(&bytes), whole);
        let again: Vec<u8> = whole.iter().flat_map(Item::bytes).collect();
        assert_eq!(again, stream);
    }

    #[test]
    fn headers_are_found_and_replaced_in_any_case() {
        let Some(Item::Message(mut message)) = all(&[ANSWER]).pop() else {
            panic!("no message");
        };
        assert_eq!(message.header("cseq"), Some("2"));
        assert_eq!(message.header("RTSP/1.0 200 OK"), None);
        message.set("CSEQ", "9");
        message.set("Session", "1");
        assert_eq!(message.header("CSeq"), Some("9"));
        assert_eq!(message.header("Session"), None);
    }

    #[test]
    fn what_is_not_whole_waits_and_what_is_no_rtsp_passes() {
        assert!(all(&[&ANSWER[..ANSWER.len() - 1]]).is_empty());
        assert!(all(&[b"$\x00\x00"]).is_empty());
        let noise = vec![b'x'; LONGEST + 1];
        assert_eq!(all(&[&noise]), [Item::Raw(noise.clone())]);
    }
}
