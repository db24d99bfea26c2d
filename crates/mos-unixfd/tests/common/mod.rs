//! What the tests share: a stream of the bus with stamped frames, an endpoint for it, and a client that does as it is told.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(unreachable_pub, clippy::unwrap_used, reason = "support of tests")]

use std::fs::File;
use std::io::{IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mos_frame::{
    Budget, Format, FrameMeta, MemfdPool, PoolFrame, Publisher, PublisherOptions, Subscriber,
    SubscriberOptions, monotonic_ns,
};
use mos_testkit::{TempBus, wait_until};
use mos_unixfd::{Endpoint, EndpointStats, Options};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

/// Deadline of every wait: only a failing test reaches it.
pub const DEADLINE: Duration = Duration::from_mins(1);
/// A time-out that must not be what ends a test.
pub const NEVER: Duration = Duration::from_hours(1);

/// A stream that publishes when it is told to.
pub struct Stream {
    pub publisher: Publisher<PoolFrame>,
    pub pool: MemfdPool,
}

impl Stream {
    /// Publishes small pictures from `buffers` buffers at `path`.
    pub fn new(path: &Path, buffers: u32) -> Self {
        let budget = Budget {
            slots: 2 * buffers,
            in_flight: 1,
            fences: 0,
        };
        let options = PublisherOptions {
            budget,
            ..PublisherOptions::default()
        };
        let publisher = Publisher::bind(path, options).unwrap();
        let pool = pool(&publisher, &format(64, 48), buffers);
        Self { publisher, pool }
    }

    /// Publishes a frame whose first bytes are its number.
    pub fn publish(&self) -> u64 {
        let mut frame = self.pool.acquire().expect("the budget keeps a buffer free");
        let seq = self.publisher.newest_seq() + 1;
        frame.bytes_mut()[..8].copy_from_slice(&seq.to_le_bytes());
        let meta = FrameMeta {
            capture_ns: monotonic_ns(),
            ..FrameMeta::default()
        };
        assert_eq!(frame.publish(&self.publisher, meta).unwrap(), seq);
        seq
    }

    /// Another format, from new buffers.
    pub fn change_format(&mut self, width: u32, height: u32, buffers: u32) {
        self.pool = pool(&self.publisher, &format(width, height), buffers);
    }

    pub fn wait_for_subscribers(&self, count: usize) {
        wait_until("the subscribers", DEADLINE, || {
            (self.publisher.stats().subscribers.len() == count).then_some(())
        })
        .unwrap();
    }
}

pub fn format(width: u32, height: u32) -> Format {
    Format::nv12_memfd(width, height, (30, 1))
}

fn pool(publisher: &Publisher<PoolFrame>, format: &Format, buffers: u32) -> MemfdPool {
    publisher.set_format(format.clone());
    MemfdPool::new(publisher, format, buffers as usize).unwrap()
}

/// A folder with the socket of a stream and that of an endpoint.
pub struct Place(TempBus);

impl Place {
    pub fn new() -> Self {
        Self(TempBus::new().unwrap())
    }

    pub fn stream(&self) -> PathBuf {
        self.0.socket("front")
    }

    pub fn socket(&self) -> PathBuf {
        self.0.dir().join("front.unixfd")
    }

    /// Options with time-outs that nobody reaches, and a window in which a thread that gets no CPU for a while finds its frames.
    pub fn options(&self) -> Options {
        Options {
            release_timeout: NEVER,
            linger: NEVER,
            window: 16,
            ..Options::new(self.stream(), self.socket())
        }
    }

    pub fn client(&self) -> Client {
        Client::connect(&self.socket())
    }

    pub fn native(&self) -> Subscriber {
        Subscriber::connect(&self.stream(), SubscriberOptions::default()).unwrap()
    }
}

/// A stream, its endpoint with `options`, and where they are.
pub fn serve(options: impl FnOnce(Options) -> Options) -> (Place, Stream, Endpoint) {
    let place = Place::new();
    let stream = Stream::new(&place.stream(), 40);
    let endpoint = Endpoint::bind(&options(place.options())).unwrap();
    (place, stream, endpoint)
}

/// Waits until the endpoint's figures are as wanted.
pub fn wait_for(what: &str, endpoint: &Endpoint, wanted: impl Fn(&EndpointStats) -> bool) {
    wait_until(what, DEADLINE, || wanted(&endpoint.stats()).then_some(()))
        .unwrap_or_else(|late| panic!("{late}; {:?}", endpoint.stats()));
}

/// A command of the server.
#[derive(Debug)]
pub enum Said {
    Caps(String),
    Frame(Received),
    End,
}

/// A frame as the client is told of it.
#[derive(Debug)]
pub struct Received {
    pub id: u64,
    pub pts: u64,
    pub duration: u64,
    pub seq: u64,
    pub flags: u32,
    pub memory: u8,
    pub sizes: Vec<u64>,
    pub fds: Vec<File>,
}

impl Received {
    /// The number that the producer wrote into the picture.
    pub fn stamp(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fds[0].read_exact_at(&mut bytes, 0).unwrap();
        u64::from_le_bytes(bytes)
    }
}

/// Speaks the protocol as `unixfdsrc` does, but only when told to.
pub struct Client(UnixStream);

impl Client {
    pub fn connect(path: &Path) -> Self {
        let socket = UnixStream::connect(path).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Self(socket)
    }

    /// The next command; `None` once the server hung up.
    pub fn hear(&mut self) -> Option<Said> {
        let (header, fds) = self.header()?;
        let number = |at: usize| u32::from_ne_bytes(header[at..at + 4].try_into().unwrap());
        let mut payload = vec![0; number(4) as usize];
        self.0.read_exact(&mut payload).unwrap();
        Some(match number(0) {
            0 => Said::Frame(frame(&payload, fds)),
            2 => {
                assert_eq!(payload.pop(), Some(0));
                Said::Caps(String::from_utf8(payload).unwrap())
            }
            3 => Said::End,
            other => panic!("unknown command {other}"),
        })
    }

    fn header(&mut self) -> Option<([u8; 8], Vec<File>)> {
        let mut header = [0; 8];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let got = rustix::net::recvmsg(
            &self.0,
            &mut [IoSliceMut::new(&mut header)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        );
        match got {
            Ok(got) if got.bytes == 0 => return None,
            Ok(got) => assert_eq!(got.bytes, 8),
            Err(rustix::io::Errno::CONNRESET) => return None,
            Err(error) => panic!("{error}"),
        }
        let rights = |message| match message {
            RecvAncillaryMessage::ScmRights(fds) => fds.map(OwnedFd::into).collect(),
            _ => Vec::new(),
        };
        Some((header, control.drain().flat_map(rights).collect()))
    }

    pub fn caps(&mut self) -> String {
        match self.hear() {
            Some(Said::Caps(caps)) => caps,
            other => panic!("caps, not {other:?}"),
        }
    }

    pub fn frame(&mut self) -> Received {
        match self.hear() {
            Some(Said::Frame(frame)) => frame,
            other => panic!("a frame, not {other:?}"),
        }
    }

    pub fn release(&mut self, frame: &Received) {
        self.say(1, &frame.id.to_ne_bytes());
    }

    pub fn say(&mut self, kind: u32, payload: &[u8]) {
        let header = [kind.to_ne_bytes(), (payload.len() as u32).to_ne_bytes()].concat();
        self.raw(&[&header, payload].concat());
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// Reads on to the end of the connection, and gives what was said before it.
    pub fn hear_all(&mut self) -> Vec<Said> {
        std::iter::from_fn(|| self.hear()).collect()
    }
}

fn frame(payload: &[u8], fds: Vec<File>) -> Received {
    let long = |at: usize| u64::from_ne_bytes(payload[at..at + 8].try_into().unwrap());
    let memories = usize::from(payload[53]);
    assert_eq!(memories, fds.len());
    assert_eq!(payload[54..56], 1_u16.to_ne_bytes(), "one meta");
    Received {
        id: long(0),
        pts: long(8),
        duration: long(24),
        seq: long(32),
        flags: u32::from_ne_bytes(payload[48..52].try_into().unwrap()),
        memory: payload[52],
        sizes: (0..memories).map(|i| long(56 + 16 * i)).collect(),
        fds,
    }
}
