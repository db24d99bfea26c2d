//! The bytes of the `unixfd` protocol of GStreamer (gst-plugins-bad, since 1.24), as the server of frames speaks it.
//!
//! A command is a header of two 32-bit numbers, its kind and the size of its payload, and the payload. Numbers are in the
//! machine's own order, for both ends are on one machine; only what describes a picture (a serialized meta) is little-endian.
//! The document `docs/interoperation.md` has the tables.

/// Bytes of a command's header.
const HEADER: usize = 8;
/// Longest payload of a client's command that is read; the only one there is has 8 bytes.
const MAX_PAYLOAD: usize = 4096;
/// Most commands of unknown kinds of one client. The protocol may grow, so a few are skipped.
const MAX_UNKNOWN: u32 = 256;

const NEW_BUFFER: u32 = 0;
const RELEASE_BUFFER: u32 = 1;
const CAPS: u32 = 2;
const END_OF_STREAM: u32 = 3;

/// A time that is not known (`GST_CLOCK_TIME_NONE`).
pub(crate) const NO_TIME: u64 = u64::MAX;

/// What the descriptors of a buffer are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Memory {
    /// Anything that can be mapped; a memfd here.
    Default = 0,
    /// Dma-bufs.
    DmaBuf = 1,
}

/// Where a plane lies, counted through all memories of the buffer as if they followed each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlaneAt {
    pub(crate) offset: u64,
    pub(crate) stride: i32,
}

/// What `GstVideoMeta` says of a buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    /// Number of the pixel format in `GstVideoFormat`.
    pub(crate) format: i32,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) planes: Vec<PlaneAt>,
}

/// A buffer as the client is told of it; the descriptors go with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewBuffer {
    /// Comes back with its release.
    pub(crate) id: u64,
    /// When it is to be shown, nanoseconds of `CLOCK_MONOTONIC`.
    pub(crate) pts: u64,
    /// Nanoseconds, or [`NO_TIME`].
    pub(crate) duration: u64,
    /// Number of the frame on the bus.
    pub(crate) seq: u64,
    /// `GstBufferFlags`.
    pub(crate) flags: u32,
    pub(crate) memory: Memory,
    /// Bytes of each descriptor that are used, from its start.
    pub(crate) sizes: Vec<u64>,
    pub(crate) picture: Picture,
}

impl NewBuffer {
    /// The command. At most 255 memories.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(256);
        for number in [
            self.id,
            self.pts,
            NO_TIME,
            self.duration,
            self.seq,
            self.seq.wrapping_add(1),
        ] {
            payload.extend(number.to_ne_bytes());
        }
        payload.extend(self.flags.to_ne_bytes());
        payload.extend([self.memory as u8, self.sizes.len() as u8]);
        payload.extend(1_u16.to_ne_bytes()); // metas
        for size in &self.sizes {
            payload.extend(size.to_ne_bytes());
            payload.extend(0_u64.to_ne_bytes()); // offset in the descriptor's memory
        }
        payload.extend(self.picture.encode());
        command(NEW_BUFFER, &payload)
    }
}

impl Picture {
    /// A `GstVideoMeta` as `gst_meta_serialize` writes it: sizes and name, then version 0 of its fields.
    fn encode(&self) -> Vec<u8> {
        const NAME: &[u8] = b"GstVideoMeta";
        let mut fields = Vec::with_capacity(96);
        fields.extend(0_i32.to_le_bytes()); // flags of the frame: progressive
        fields.extend(self.format.to_le_bytes());
        let planes = self.planes.len() as u32;
        for number in [self.width, self.height, planes] {
            fields.extend(number.to_le_bytes());
        }
        for plane in &self.planes {
            fields.extend(plane.offset.to_le_bytes());
        }
        for plane in &self.planes {
            fields.extend(plane.stride.to_le_bytes());
        }
        // Alignment: padding on four sides, and that of each stride. None is claimed.
        fields.resize(fields.len() + 4 * (4 + self.planes.len()), 0);

        let total = 4 + 4 + NAME.len() + 2 + fields.len();
        let mut meta = Vec::with_capacity(total);
        meta.extend((total as u32).to_le_bytes());
        meta.extend((NAME.len() as u32).to_le_bytes());
        meta.extend(NAME);
        meta.extend([0, 0]); // end of the name; version
        meta.extend(fields);
        meta
    }
}

/// The command that tells the caps of the buffers after it.
pub(crate) fn caps(text: &str) -> Vec<u8> {
    command(CAPS, &[text.as_bytes(), &[0]].concat())
}

/// The command that ends the stream.
pub(crate) fn end_of_stream() -> Vec<u8> {
    command(END_OF_STREAM, &[])
}

fn command(kind: u32, payload: &[u8]) -> Vec<u8> {
    let header = [kind.to_ne_bytes(), (payload.len() as u32).to_ne_bytes()].concat();
    [&header, payload].concat()
}

/// A client that does not speak the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Garbage {
    /// A command that only the server sends.
    #[error("it sent command {kind}, which only a server sends")]
    ServerCommand {
        /// Its number.
        kind: u32,
    },
    /// A payload that no command has.
    #[error("it announced {size} bytes for command {kind}")]
    TooLong {
        /// Number of the command.
        kind: u32,
        /// Announced size in bytes.
        size: u32,
    },
    /// A release without a buffer's number.
    #[error("its release has {size} bytes, not the 8 of a buffer's number")]
    ShortRelease {
        /// Size of the payload in bytes.
        size: u32,
    },
    /// More unknown commands than a newer version could send.
    #[error("it sent more than {MAX_UNKNOWN} commands that are not known")]
    Unknown,
}

/// Takes a client's bytes, however they are cut, and gives its commands.
#[derive(Debug, Default)]
pub(crate) struct Commands {
    pending: Vec<u8>,
    unknown: u32,
}

impl Commands {
    /// Reads on: the numbers of the buffers that the client releases, in order, until it sends garbage.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> (Vec<u64>, Result<(), Garbage>) {
        let mut released = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            // No more than a command fits: what is kept never grows with what is sent.
            let room = HEADER + MAX_PAYLOAD - self.pending.len();
            let (part, later) = rest.split_at(room.min(rest.len()));
            self.pending.extend(part);
            rest = later;
            if let Err(garbage) = self.parse(&mut released) {
                return (released, Err(garbage));
            }
            debug_assert!(self.check_invariants());
        }
        (released, Ok(()))
    }

    fn parse(&mut self, released: &mut Vec<u64>) -> Result<(), Garbage> {
        let mut at = 0;
        while let Some((kind, payload)) = whole_command(&self.pending[at..])? {
            at += HEADER + payload.len();
            match (kind, payload.first_chunk::<8>()) {
                (RELEASE_BUFFER, Some(id)) => released.push(u64::from_ne_bytes(*id)),
                _ => self.unknown += 1,
            }
            if self.unknown > MAX_UNKNOWN {
                return Err(Garbage::Unknown);
            }
        }
        self.pending.drain(..at);
        Ok(())
    }

    /// Whether what is kept is the start of one command and no more.
    fn check_invariants(&self) -> bool {
        self.pending.len() < HEADER + MAX_PAYLOAD
            && self.unknown <= MAX_UNKNOWN
            && matches!(whole_command(&self.pending), Ok(None))
    }
}

/// Kind and payload of the command at the start, if it is there whole.
fn whole_command(bytes: &[u8]) -> Result<Option<(u32, &[u8])>, Garbage> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let number = |at: usize| {
        u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    let (kind, size) = (number(0), number(4));
    if matches!(kind, NEW_BUFFER | CAPS) {
        return Err(Garbage::ServerCommand { kind });
    }
    if size as usize > MAX_PAYLOAD {
        return Err(Garbage::TooLong { kind, size });
    }
    if kind == RELEASE_BUFFER && size < 8 {
        return Err(Garbage::ShortRelease { size });
    }
    Ok(rest.get(..size as usize).map(|payload| (kind, payload)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn release(id: u64) -> Vec<u8> {
        command(RELEASE_BUFFER, &id.to_ne_bytes())
    }

    #[test]
    fn what_a_client_may_send() {
        type Case = (&'static str, Vec<u8>, &'static [u64], Result<(), Garbage>);
        let cases: [Case; 10] = [
            ("nothing", vec![], &[], Ok(())),
            ("a release", release(7), &[7], Ok(())),
            ("two", [release(7), release(8)].concat(), &[7, 8], Ok(())),
            ("half a header", release(7)[..5].to_vec(), &[], Ok(())),
            ("half a payload", release(7)[..12].to_vec(), &[], Ok(())),
            (
                "a longer release of a later version",
                [
                    command(RELEASE_BUFFER, &[9_u64.to_ne_bytes(), [1; 8]].concat()),
                    release(2),
                ]
                .concat(),
                &[9, 2],
                Ok(()),
            ),
            (
                "an unknown command",
                [command(77, b"what"), release(1)].concat(),
                &[1],
                Ok(()),
            ),
            (
                "a buffer",
                [release(1), command(NEW_BUFFER, &[0; 56])].concat(),
                &[1],
                Err(Garbage::ServerCommand { kind: 0 }),
            ),
            (
                "a short release",
                command(RELEASE_BUFFER, &[0; 7]),
                &[],
                Err(Garbage::ShortRelease { size: 7 }),
            ),
            (
                "an endless payload",
                [5_u32.to_ne_bytes(), u32::MAX.to_ne_bytes()].concat(),
                &[],
                Err(Garbage::TooLong {
                    kind: 5,
                    size: u32::MAX,
                }),
            ),
        ];
        for (name, bytes, released, end) in cases {
            let read = Commands::default().read(&bytes);
            assert_eq!(read, (released.to_vec(), end), "{name}");
        }
    }

    #[test]
    fn unknown_commands_are_skipped_but_not_for_ever() {
        let mut commands = Commands::default();
        let unknown = command(9, b"");
        for _ in 0..MAX_UNKNOWN {
            assert_eq!(commands.read(&unknown), (vec![], Ok(())));
        }
        assert_eq!(commands.read(&unknown), (vec![], Err(Garbage::Unknown)));
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_bytes_are_cut(ids in prop::collection::vec(any::<u64>(), 0..20), cuts in prop::collection::vec(1_usize..40, 1..60)) {
            let bytes: Vec<u8> = ids.iter().flat_map(|id| release(*id)).collect();
            let (mut commands, mut got, mut rest) = (Commands::default(), Vec::new(), &bytes[..]);
            for cut in cuts.iter().cycle() {
                let (part, later) = rest.split_at((*cut).min(rest.len()));
                let (released, end) = commands.read(part);
                prop_assert!(end.is_ok());
                got.extend(released);
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(got, ids);
        }

        #[test]
        fn any_bytes_leave_the_reader_whole(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9000), 0..6)) {
            let mut commands = Commands::default();
            for part in parts {
                if commands.read(&part).1.is_err() {
                    break;
                }
                prop_assert!(commands.check_invariants());
            }
        }
    }

    #[test]
    fn a_buffer_has_the_bytes_that_gstreamer_expects() {
        let planes = [(0, 64), (64 * 48, 64)].map(|(offset, stride)| PlaneAt { offset, stride });
        let buffer = NewBuffer {
            id: 0x0102,
            pts: 1000,
            duration: 40,
            seq: 6,
            flags: 64,
            memory: Memory::DmaBuf,
            sizes: vec![4608],
            picture: Picture {
                format: 23,
                width: 60,
                height: 48,
                planes: planes.to_vec(),
            },
        };
        let bytes = buffer.encode();
        let at = |start: usize, len: usize| bytes[start..start + len].to_vec();
        let long = |start: usize| u64::from_ne_bytes(at(start, 8).try_into().unwrap());
        let word = |start: usize| u32::from_ne_bytes(at(start, 4).try_into().unwrap());
        let little = |start: usize| u32::from_le_bytes(at(start, 4).try_into().unwrap());
        assert_eq!((word(0), word(4) as usize), (NEW_BUFFER, bytes.len() - 8));
        let numbers = [8, 16, 24, 32, 40, 48].map(long);
        assert_eq!(numbers, [0x0102, 1000, u64::MAX, 40, 6, 7]);
        assert_eq!(
            (word(56), bytes[60], bytes[61], at(62, 2)),
            (64, 1, 1, 1_u16.to_ne_bytes().to_vec())
        );
        assert_eq!((long(64), long(72)), (4608, 0));
        // The meta: its size, the name with its end, version 0, then 36 bytes and 16 a plane.
        assert_eq!(little(80) as usize, bytes.len() - 80);
        assert_eq!((little(84), at(88, 14)), (12, b"GstVideoMeta\0\0".to_vec()));
        assert_eq!([102, 106, 110, 114, 118].map(little), [0, 23, 60, 48, 2]);
        assert_eq!(
            at(122, 16),
            [0_u64.to_le_bytes(), 3072_u64.to_le_bytes()].concat()
        );
        assert_eq!([138, 142].map(little), [64, 64]);
        assert_eq!(bytes.len(), 102 + 36 + 2 * 16);
        assert!(at(146, 24).iter().all(|byte| *byte == 0));
    }

    #[test]
    fn caps_end_with_a_zero_and_an_end_has_no_payload() {
        let header = |kind: u32, size: u32| [kind.to_ne_bytes(), size.to_ne_bytes()].concat();
        assert_eq!(
            caps("video"),
            [header(CAPS, 6), b"video\0".to_vec()].concat()
        );
        assert_eq!(end_of_stream(), header(END_OF_STREAM, 0));
    }
}
