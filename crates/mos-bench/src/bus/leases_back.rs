//! How soon all leases of a subscriber are back after SIGKILL, by how much it had mapped.
//!
//! The kernel tears a process's memory down before it closes its sockets and wakes its pidfd, so the time grows with what is
//! mapped and touched.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use clap::Args;
use mos_frame::{
    Budget, Format, Frame, FrameMeta, Layout, Publisher, PublisherOptions, SlotId, Subscriber,
    SubscriberOptions, memory, monotonic_ns,
};
use rustix::process::Signal;
use serde::Serialize;

use super::process::Process;
use super::producer::Place;
use crate::contender::Error;
use crate::stats::{Random, Times};

const MIB: u64 = 1 << 20;

/// What a subscriber holds and maps when it is killed.
#[derive(Debug, Clone, Copy)]
struct Case {
    name: &'static str,
    /// Rows of a frame of 4096 columns, 6 KiB each.
    rows: u32,
    frames: u32,
    map: bool,
    kills: u32,
}

const WIDTH: u32 = 4096;

/// `kills` are those of a full run.
const CASES: [Case; 4] = [
    case("nothing mapped", 342, 1, false, 200),
    case("7 MiB mapped", 1194, 1, true, 200),
    case("16 MiB mapped", 2730, 1, true, 200),
    // 3840x2160 has as many bytes.
    case("a pool of 20 4K frames mapped", 2026, 20, true, 60),
];

const fn case(name: &'static str, rows: u32, frames: u32, map: bool, kills: u32) -> Case {
    Case {
        name,
        rows,
        frames,
        map,
        kills,
    }
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Figures {
    pub(super) case: &'static str,
    pub(super) mapped_mib: f64,
    pub(super) leases: u32,
    /// From the kill(2) call to the return of the last lease.
    pub(super) back: Times,
}

impl Figures {
    pub(super) fn line(&self) -> String {
        format!(
            "  {:<30} {:>4} kills: p50 {:.2} ms, p99 {:.2} ms",
            self.case,
            self.back.samples,
            self.back.p50_us / 1000.0,
            self.back.p99_us / 1000.0
        )
    }
}

/// `effort`: share of the full number of kills.
pub(super) fn measure(effort: f64, seed: u64) -> Result<Vec<Figures>, Error> {
    let mut samples = CASES.map(|_| Vec::new());
    let kills = |case: &Case| (f64::from(case.kills) * effort).ceil() as usize;
    let mut order: Vec<usize> = CASES
        .iter()
        .enumerate()
        .flat_map(|(which, case)| std::iter::repeat_n(which, kills(case)))
        .collect();
    Random::new(seed).shuffle(&mut order);
    let stages = CASES
        .iter()
        .map(Stage::new)
        .collect::<Result<Vec<_>, _>>()?;
    for which in order {
        samples[which].push(stages[which].kill_one()?);
    }
    Ok(CASES
        .iter()
        .zip(&samples)
        .map(|(case, samples)| Figures {
            case: case.name,
            mapped_mib: case.mapped_bytes() as f64 / MIB as f64,
            leases: case.frames,
            back: Times::of(samples),
        })
        .collect())
}

impl Case {
    fn frame_bytes(&self) -> u64 {
        Layout::nv12(WIDTH, self.rows).bytes_of(0)
    }

    fn mapped_bytes(&self) -> u64 {
        u64::from(self.map) * u64::from(self.frames) * self.frame_bytes()
    }
}

/// What the bus keeps per frame on loan here: it tells when the last lease has ended.
#[derive(Debug)]
struct Token(Sender<u64>);

impl Drop for Token {
    fn drop(&mut self) {
        // Nobody listens any more when the stage is taken down.
        let _ = self.0.send(monotonic_ns());
    }
}

/// A stream that lends frames to one subscriber after the other.
#[derive(Debug)]
struct Stage {
    case: Case,
    place: Place,
    publisher: Publisher<Token>,
    slots: Vec<SlotId>,
}

impl Stage {
    fn new(case: &Case) -> Result<Self, Error> {
        let place = Place::new()?;
        let buffers = case.frames + 3;
        let budget = Budget {
            slots: buffers,
            in_flight: 1,
            fences: 0,
        };
        let publisher = Publisher::bind(
            &place.path,
            PublisherOptions {
                budget,
                ..PublisherOptions::default()
            },
        )?;
        let format = Format::nv12_memfd(WIDTH, case.rows, (0, 1));
        publisher.set_format(format);
        let slots = (0..buffers)
            .map(|_| buffer(&publisher, case))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            case: *case,
            place,
            publisher,
            slots,
        })
    }

    /// Nanoseconds from the kill to the return of the last of its leases.
    fn kill_one(&self) -> Result<u64, Error> {
        let process = Process::start(&arguments(&self.place.path, &self.case))?;
        let (returned, returns) = channel();
        let mut process = self.lend(process, &returned)?;
        let ready = process.line()?;
        if ready.trim() != READY {
            return Err(format!("a holder said {ready:?}").into());
        }
        let killed = monotonic_ns();
        process.signal(Signal::KILL)?;
        let last = self.last_return(&returns)?;
        process.kill()?;
        Ok(last.saturating_sub(killed))
    }

    /// Publishes one frame after the other until it holds all it wants; one more, with no lease that counts, so that none of
    /// those is kept as the newest.
    fn lend(&self, process: Process, returned: &Sender<u64>) -> Result<Process, Error> {
        let mut process = process;
        // It subscribed: from now on it misses nothing.
        process.line()?;
        for slot in &self.slots[..self.case.frames as usize] {
            self.publisher
                .publish(*slot, FrameMeta::default(), Token(returned.clone()))?;
            process.line()?;
        }
        let (nobody, _) = channel();
        let newest = self.slots[self.case.frames as usize];
        self.publisher
            .publish(newest, FrameMeta::default(), Token(nobody))?;
        Ok(process)
    }

    fn last_return(&self, returns: &Receiver<u64>) -> Result<u64, Error> {
        let mut last = 0;
        for _ in 0..self.case.frames {
            last = returns
                .recv_timeout(Duration::from_secs(20))
                .map_err(|_| "leases were not back 20 s after SIGKILL")?;
        }
        Ok(last)
    }
}

/// A buffer with its pages in place.
fn buffer(publisher: &Publisher<Token>, case: &Case) -> Result<SlotId, Error> {
    let fd = memory::memfd("mos-bench-pool", case.frame_bytes())?;
    let chunk = vec![0x55; MIB as usize];
    let mut at = 0;
    while at < case.frame_bytes() {
        let len = chunk.len().min((case.frame_bytes() - at) as usize);
        at += rustix::io::pwrite(&fd, &chunk[..len], at)? as u64;
    }
    memory::seal_read_only(fd.as_fd())?;
    let layout = Layout::nv12(WIDTH, case.rows);
    Ok(publisher.import(&[fd.as_fd()], &layout)?)
}

const READY: &str = "ready";

/// Arguments of a process that holds frames until it is killed.
#[derive(Debug, Args)]
pub(crate) struct HoldArgs {
    #[arg(long)]
    path: PathBuf,
    #[arg(long)]
    frames: u32,
    #[arg(long)]
    map: bool,
}

fn arguments(path: &Path, case: &Case) -> Vec<String> {
    let (path, frames) = (path.to_string_lossy(), case.frames.to_string());
    ["hold", "--path", &path, "--frames", &frames]
        .iter()
        .copied()
        .chain(case.map.then_some("--map"))
        .map(str::to_owned)
        .collect()
}

/// The body of such a process: takes frames, maps and reads them whole, keeps them.
pub(crate) fn hold(args: &HoldArgs) -> Result<(), Error> {
    let options = SubscriberOptions {
        name: "holder".into(),
        window: 1,
        hold: args.frames,
        reconnect: false,
        ..SubscriberOptions::default()
    };
    let mut subscriber = Subscriber::connect(&args.path, options)?;
    // What an earlier run left as the newest frame is offered to newcomers.
    drop(subscriber.next_timeout(Duration::from_millis(1))?);
    println!("subscribed");
    let mut frames: Vec<Frame> = Vec::new();
    for _ in 0..args.frames {
        frames.push(subscriber.next()?);
        println!("taken");
    }
    let mut maps = Vec::new();
    for frame in frames.iter().filter(|_| args.map) {
        let map = frame.map()?;
        for plane in 0..2 {
            let bytes = map.plane(plane).ok_or("a plane is missing")?;
            std::hint::black_box(
                bytes
                    .iter()
                    .step_by(4096)
                    .map(|b| u64::from(*b))
                    .sum::<u64>(),
            );
        }
        maps.push(map);
    }
    println!("{READY}");
    // Until the end of standard input, or SIGKILL, which is what this is for.
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_map_what_they_say() {
        let mib = CASES.map(|case| case.mapped_bytes() as f64 / MIB as f64);
        assert!(mib[0].abs() < 1e-9);
        assert!((mib[1] - 7.0).abs() < 0.01, "{mib:?}");
        // The bar reaches up to 16 million bytes; this is a little more.
        assert!(
            (16.0 * 1e6 / MIB as f64..16.0 * 1.05).contains(&mib[2]),
            "{mib:?}"
        );
        let uhd = 20 * Layout::nv12(3840, 2160).bytes_of(0);
        assert!(
            (mib[3] / (uhd as f64 / MIB as f64) - 1.0).abs() < 0.001,
            "{mib:?}"
        );
    }
}
