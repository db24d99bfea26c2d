//! A producer for the tests of the bindings, in a process of its own: NV12 frames whose pixels say their number, with rows
//! that are longer than the picture and planes that don't touch. It does what standard input says, a command a line, and
//! answers each with a line; it ends with its input.
//!
//! ```text
//! test_publisher SOCKET [--two-memories] [--buffers N]
//!
//! ready                    as soon as the stream is there
//! publish N             -> published SEQ     N frames, one right after the other
//! run FPS               -> running           from now on by the clock; 0 stops
//! format WIDTH HEIGHT   -> format EPOCH      a new format; buffers are new too
//! await_free N          -> free N            once N buffers or more are free
//! stats                 -> stats {"published": ..., "held": ...}
//! ```

mod pool;

use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use mos_frame::{
    Budget, ClockSource, Format, FourCc, FrameFlags, FrameMeta, MemoryKind, Publisher,
    PublisherOptions, monotonic_ns,
};
use pool::{Pool, Ticket};

type Failure = Box<dyn std::error::Error>;

/// Generous: only a hang reaches it.
const PATIENCE: Duration = Duration::from_mins(1);

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse()?;
    let mut producer = Producer::new(&arguments)?;
    say("ready")?;
    let commands = commands();
    let mut pace = None::<(Duration, Instant)>;
    loop {
        let command = match pace {
            None => commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some((_, due)) => commands.recv_timeout(due.saturating_duration_since(Instant::now())),
        };
        match command {
            Ok(line) => match line.split_whitespace().collect::<Vec<_>>()[..] {
                ["publish", count] => {
                    for _ in 0..count.parse::<u32>()? {
                        producer.publish()?;
                    }
                    say(&format!("published {}", producer.publisher.newest_seq()))?;
                }
                ["run", fps] => {
                    let fps: u32 = fps.parse()?;
                    let period = Duration::from_secs(1).checked_div(fps);
                    pace = period.map(|period| (period, Instant::now()));
                    say("running")?;
                }
                ["format", width, height] => {
                    let epoch = producer.set_format(width.parse()?, height.parse()?)?;
                    say(&format!("format {epoch}"))?;
                }
                ["await_free", count] => producer.await_free(count.parse()?)?,
                ["stats"] => say(&producer.stats())?,
                _ => return Err(format!("no such command: {line}").into()),
            },
            Err(RecvTimeoutError::Timeout) => {
                producer.publish()?;
                pace = pace.map(|(period, due)| (period, due + period));
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

struct Arguments {
    socket: PathBuf,
    two_memories: bool,
    buffers: u32,
}

impl Arguments {
    fn parse() -> Result<Self, Failure> {
        let mut words = std::env::args_os().skip(1);
        let mut arguments = Self {
            socket: words.next().ok_or("which socket?")?.into(),
            two_memories: false,
            buffers: 8,
        };
        while let Some(word) = words.next() {
            match word.to_str() {
                Some("--two-memories") => arguments.two_memories = true,
                Some("--buffers") => {
                    let count = words.next().ok_or("how many buffers?")?;
                    arguments.buffers = count.to_string_lossy().parse()?;
                }
                _ => return Err(format!("no such option: {}", word.display()).into()),
            }
        }
        Ok(arguments)
    }
}

fn commands() -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

struct Producer {
    publisher: Publisher<Ticket>,
    pool: Pool,
    two_memories: bool,
    buffers: u32,
}

impl Producer {
    fn new(arguments: &Arguments) -> Result<Self, Failure> {
        let publisher = publish_at(&arguments.socket, arguments.buffers)?;
        let mut producer = Self {
            publisher,
            pool: Pool::default(),
            two_memories: arguments.two_memories,
            buffers: arguments.buffers,
        };
        producer.set_format(62, 46)?;
        Ok(producer)
    }

    fn set_format(&mut self, width: u32, height: u32) -> Result<u32, Failure> {
        let epoch = self.publisher.set_format(Format {
            width,
            height,
            fourcc: FourCc::NV12,
            modifier: 0,
            framerate: (30, 1),
            memory: MemoryKind::Memfd,
            // The pixels are written through the descriptor, which stays writable.
            read_only: false,
            colorimetry: "bt709".into(),
        });
        self.pool = Pool::new(
            &self.publisher,
            (width, height),
            self.buffers,
            self.two_memories,
        )?;
        Ok(epoch)
    }

    fn publish(&mut self) -> Result<u64, Failure> {
        let seq = self.publisher.newest_seq() + 1;
        let ticket = self.free_buffer()?;
        self.pool.paint(&ticket, seq)?;
        let now = monotonic_ns();
        let meta = FrameMeta {
            capture_ns: now - 1_000_000,
            clock_source: ClockSource::Driver,
            clock_error_ns: 500,
            pts_ns: Some(seq * 1_000),
            wall_ns: None,
            flags: if seq == 1 {
                FrameFlags::DISCONT
            } else {
                FrameFlags::default()
            },
        };
        Ok(self.publisher.publish(ticket.slot, meta, ticket)?)
    }

    /// The pool carries what the budget admits, so one is free as soon as the books are up to date.
    fn free_buffer(&self) -> Result<Ticket, Failure> {
        self.publisher.reap();
        self.pool
            .take()
            .ok_or_else(|| "no buffer is free: a subscriber holds more than it may".into())
    }

    fn await_free(&self, count: usize) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.publisher.reap();
            let free = self.pool.free();
            if free >= count {
                say(&format!("free {free}"))?;
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("only {free} buffers are free").into());
            }
            // A release makes no system call, so there is no event to wait for.
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn stats(&self) -> String {
        let stats = self.publisher.stats();
        format!(
            "stats {{\"published\": {}, \"free\": {}, \"subscribers\": {}, \"evicted\": {}, \"refused\": {}, \"names\": {:?}}}",
            stats.published,
            self.pool.free(),
            stats.subscribers.len(),
            stats.evicted,
            stats.refused,
            stats
                .subscribers
                .iter()
                .map(|s| s.name.as_str())
                .collect::<Vec<_>>(),
        )
    }
}

fn publish_at(socket: &Path, buffers: u32) -> Result<Publisher<Ticket>, Failure> {
    let options = PublisherOptions {
        budget: Budget {
            slots: buffers,
            in_flight: 1,
            fences: 0,
        },
        ..PublisherOptions::default()
    };
    Ok(Publisher::bind(socket, options)?)
}
