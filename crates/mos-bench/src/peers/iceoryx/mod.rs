//! iceoryx2: publish-subscribe, and its events to wake those who wait (no polling).

mod payload;
mod ports;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::rc::Rc;

use clap::{Args, ValueEnum};

use super::baseline::Baseline;
use super::console::Console;
use super::course::Course;
use super::process::Peer;
use crate::contender::{Contender, Error, Lane, Load, Run, StopPlan, StopStory};

/// Where iceoryx2 keeps memory; that can't be moved.
const SHARED_MEMORY: &str = "/dev/shm";
/// Samples that wait at a subscriber, as the bus's window; and samples that it may hold.
const BUFFER: usize = 2;
const BORROWED: usize = 2;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Payload {
    /// A whole frame, lent by iceoryx2 and stamped at both ends.
    Frame,
    /// 64 bytes that describe a frame which is elsewhere. iceoryx2 does not look after that frame.
    Descriptor,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Port {
    Publisher,
    Subscriber,
    /// Keeps the publisher's pace and sends nothing: what is not iceoryx2's.
    Pacer,
}

/// A process that publishes or receives.
#[derive(Debug, Args)]
pub(super) struct IceoryxArgs {
    port: Port,
    payload: Payload,
    /// What the names of this run's files start with
    #[arg(long)]
    prefix: String,
    /// Folder of this run's files, as far as they can be moved
    #[arg(long)]
    folder: PathBuf,
    #[arg(long)]
    subscribers: u32,
    #[arg(long)]
    fps: u32,
}

/// The body of that process.
pub(super) fn process(args: &IceoryxArgs) -> Result<(), Error> {
    let (console, meter) = Console::new();
    ports::run(args, &console, &meter)
}

/// Both ways of using it.
pub(super) fn all() -> Result<Vec<Box<dyn Contender>>, Error> {
    let (program, baseline) = (env::current_exe()?, Rc::new(Baseline::default()));
    let contender = |payload| -> Box<dyn Contender> {
        Box::new(Iceoryx {
            payload,
            program: program.clone(),
            runs: 0,
            baseline: Rc::clone(&baseline),
        })
    };
    Ok([Payload::Frame, Payload::Descriptor].map(contender).into())
}

#[derive(Debug)]
struct Iceoryx {
    payload: Payload,
    program: PathBuf,
    runs: u32,
    baseline: Rc<Baseline>,
}

impl Iceoryx {
    /// CPU of a frame that is not sent, nanoseconds.
    fn bare(&self, load: &Load) -> Result<f64, Error> {
        let mut command = self.command("pacer", "none", Path::new("none"), load);
        let pacer = Peer::start("bare pace", &mut command)?;
        let mut course = Course::start(pacer, 0, |_| Err("nobody subscribes to a pace".into()))?;
        let seen = course.stretch(load)?.producer;
        Ok(seen.cpu_ns as f64 / seen.times_ns.len().max(1) as f64)
    }

    fn command(&self, port: &str, prefix: &str, folder: &Path, load: &Load) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["peer", "iceoryx", port, self.payload.argument()]);
        command
            .args(["--prefix", prefix])
            .arg("--folder")
            .arg(folder);
        command.args(["--subscribers", &load.subscribers.to_string()]);
        command.args(["--fps", &load.fps.to_string()]);
        command
    }

    fn start(&mut self, folder: &Path, load: &Load) -> Result<(Course, LeftBehind), Error> {
        self.runs += 1;
        let left = LeftBehind {
            prefix: format!("mosbench_{}_{}_", process::id(), self.runs),
        };
        let peer = |port: &str| {
            let mut command = self.command(port, &left.prefix, folder, load);
            Peer::start(&format!("iceoryx2's {port}"), &mut command)
        };
        let course = Course::start(peer("publisher")?, load.subscribers, |_| peer("subscriber"))?;
        Ok((course, left))
    }
}

impl Payload {
    fn argument(self) -> &'static str {
        match self {
            Self::Frame => "frame",
            Self::Descriptor => "descriptor",
        }
    }
}

impl Contender for Iceoryx {
    fn name(&self) -> String {
        match self.payload {
            Payload::Frame => "iceoryx2".to_owned(),
            Payload::Descriptor => "iceoryx2 descriptor".to_owned(),
        }
    }

    fn lane(&self) -> Lane {
        Lane::Native
    }

    fn conditions(&self) -> BTreeMap<String, String> {
        let payload = match self.payload {
            Payload::Frame => {
                "a loan of the whole frame, stamped at both ends, the rest not written"
            }
            Payload::Descriptor => "64 bytes; the frame they stand for is nobody's concern",
        };
        [
            ("version", "iceoryx2 0.10, crate of the same name"),
            ("payload", payload),
            ("waiting", "Listener::timed_wait, one notification a frame; receive until nothing is left"),
            ("settings", "buffer 2, borrowed 2, history 0, safe overflow (its default: the oldest sample that waits is dropped)"),
            ("deducted", "a program that keeps the same pace and sends nothing"),
            ("needs", "/dev/shm, writable"),
        ]
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .into()
    }

    fn run(&mut self, load: &Load) -> Result<Run, Error> {
        let place = tempfile::tempdir()?;
        let (mut course, left) = self.start(place.path(), load)?;
        let stretch = course.stretch(load)?;
        drop(course);
        left.remove()?;
        let bare = self.baseline.of(load, || self.bare(load))?;
        Ok(Run {
            deliveries: stretch.deliveries(),
            cpu_ns: stretch.cpu_ns(),
            baseline_ns: (bare * stretch.producer.times_ns.len() as f64) as u64,
            wake_ns: stretch.wake_ns(),
            torn: stretch.torn(),
        })
    }

    fn stop(&mut self, plan: &StopPlan) -> Result<Option<StopStory>, Error> {
        if plan.load.subscribers < 2 {
            return Ok(None);
        }
        let place = tempfile::tempdir()?;
        let (course, left) = self.start(place.path(), &plan.load)?;
        let story = course.stop(plan);
        left.remove()?;
        story.map(Some)
    }
}

/// Shared memory of processes that were killed.
#[derive(Debug)]
struct LeftBehind {
    prefix: String,
}

impl LeftBehind {
    fn remove(&self) -> Result<(), Error> {
        for entry in fs::read_dir(SHARED_MEMORY)? {
            let entry = entry?;
            if entry
                .file_name()
                .to_string_lossy()
                .starts_with(&self.prefix)
            {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}
