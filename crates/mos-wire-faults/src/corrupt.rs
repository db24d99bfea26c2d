//! What a misbehaving server does to what a real one says.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::rtsp::{Item, Message};
use crate::{h264, sdp};

/// How a server misbehaves, from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Not at all.
    #[default]
    Clean,
    /// Answers by a byte a second.
    SlowLoris,
    /// Answers with a header line of 10,000 bytes.
    LongHeader,
    /// Sends parameter sets that are none, in its description and in the stream.
    BrokenSps,
    /// Sends time stamps that run back.
    BackwardTime,
}

/// All modes by their names in commands.
const NAMES: [(&str, Mode); 5] = [
    ("clean", Mode::Clean),
    ("slow-loris", Mode::SlowLoris),
    ("long-header", Mode::LongHeader),
    ("broken-sps", Mode::BrokenSps),
    ("backward-time", Mode::BackwardTime),
];

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = NAMES.iter().find(|(name, _)| *name == text);
        found
            .map(|(_, mode)| *mode)
            .ok_or_else(|| format!("no mode `{text}`"))
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = NAMES.iter().find(|(_, mode)| mode == self);
        f.write_str(found.map_or("", |(name, _)| name))
    }
}

/// Length of a header line of [`Mode::LongHeader`], without its end.
pub const LONG: usize = 10_000;

/// Time between two bytes of [`Mode::SlowLoris`].
pub const DRIBBLE: Duration = Duration::from_secs(1);

impl Mode {
    /// How long to wait after each byte of an item.
    pub fn dribble(self, item: &Item) -> Option<Duration> {
        (self == Self::SlowLoris && matches!(item, Item::Message(_))).then_some(DRIBBLE)
    }

    /// Corrupts what a server sends.
    pub fn corrupt(self, item: &mut Item, seed: u64) {
        match item {
            Item::Message(message) => self.corrupt_message(message, seed),
            Item::Packet { channel, bytes } if *channel % 2 == 0 => self.corrupt_rtp(bytes, seed),
            Item::Packet { .. } | Item::Raw(_) => {}
        }
    }

    /// Corrupts an RTP packet.
    pub fn corrupt_rtp(self, packet: &mut [u8], seed: u64) {
        let _done = match self {
            Self::BrokenSps => h264::break_sps(packet, seed),
            Self::BackwardTime => h264::turn_back(packet, seed),
            Self::Clean | Self::SlowLoris | Self::LongHeader => false,
        };
    }

    fn corrupt_message(self, message: &mut Message, seed: u64) {
        match self {
            Self::LongHeader => {
                let name = "X-Long: ";
                let line = format!("{name}{}", "a".repeat(LONG - name.len()));
                message.lines.insert(1.min(message.lines.len()), line);
            }
            Self::BrokenSps => {
                sdp::break_sps(&mut message.body, seed);
            }
            Self::Clean | Self::SlowLoris | Self::BackwardTime => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Item {
        Item::Message(Message {
            lines: vec!["RTSP/1.0 200 OK".to_owned(), "CSeq: 1".to_owned()],
            body: b"sprop-parameter-sets=Z0LAH9oFB+Q=".to_vec(),
        })
    }

    fn rtp(channel: u8) -> Item {
        let bytes = [&[0x80, 96, 0, 1, 0, 0, 0, 0, 9, 9, 9, 9][..], &[0x67, 1, 2]].concat();
        Item::Packet { channel, bytes }
    }

    /// What a mode changes: answers, RTP packets, RTCP packets.
    #[test]
    fn each_mode_changes_its_own_things() {
        for (name, mode) in NAMES {
            let changes = |item: Item| {
                // Some seed of a few turns a given stamp back.
                (0..20).any(|seed| {
                    let mut after = item.clone();
                    mode.corrupt(&mut after, seed);
                    after != item
                })
            };
            let expected = match mode {
                Mode::Clean | Mode::SlowLoris => (false, false, false),
                Mode::LongHeader => (true, false, false),
                Mode::BrokenSps => (true, true, false),
                Mode::BackwardTime => (false, true, false),
            };
            assert_eq!(
                (changes(answer()), changes(rtp(0)), changes(rtp(1))),
                expected,
                "{name}"
            );
            assert_eq!(mode.dribble(&answer()).is_some(), mode == Mode::SlowLoris);
            assert_eq!(mode.dribble(&rtp(0)), None);
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        assert!("loud".parse::<Mode>().is_err());
    }

    #[test]
    fn the_long_line_is_as_long_as_it_says() {
        let mut item = answer();
        Mode::LongHeader.corrupt(&mut item, 0);
        let Item::Message(message) = item else {
            panic!("no message");
        };
        assert_eq!(message.lines[0], "RTSP/1.0 200 OK");
        assert_eq!(message.lines[1].len(), LONG);
    }
}
