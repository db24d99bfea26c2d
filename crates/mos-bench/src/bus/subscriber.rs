//! A subscriber process: takes every frame, checks it, reports when the stream ends.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use clap::Args;
use hdrhistogram::Histogram;
use mos_frame::{Frame, RecvError, Subscriber, SubscriberOptions, monotonic_ns};
use serde::{Deserialize, Serialize};

use super::Error;
use super::producer::{inode, process_cpu};

#[derive(Debug, Args)]
pub(crate) struct SubscribeArgs {
    #[arg(long)]
    path: PathBuf,
    #[arg(long, default_value = "bench")]
    name: String,
    /// Read the stamps at both ends of each frame.
    #[arg(long)]
    check: bool,
}

/// What a subscriber saw.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) frames: u64,
    pub(super) missed: u64,
    pub(super) torn: u64,
    pub(super) cpu_ns: u64,
    pub(super) wake_p50_ns: u64,
    pub(super) wake_p99_ns: u64,
    pub(super) inodes: BTreeSet<u64>,
}

/// The body of a subscriber process.
pub(crate) fn subscribe(args: &SubscribeArgs) -> Result<(), Error> {
    let options = SubscriberOptions {
        name: args.name.clone(),
        reconnect: false,
        ..SubscriberOptions::default()
    };
    let mut subscriber = Subscriber::connect(&args.path, options)?;
    let mut wake = Histogram::<u64>::new(3)?;
    let mut inodes = BTreeMap::new();
    let (mut torn, cpu) = (0, process_cpu());
    loop {
        let frame = match subscriber.next() {
            Ok(frame) => frame,
            Err(RecvError::Disconnected) => break,
            Err(error) => return Err(error.into()),
        };
        wake.record(monotonic_ns() - frame.publish_ns())?;
        if let Some(fd) = frame.fd(0) {
            // Once a buffer: the descriptor does not change behind its number.
            if let std::collections::btree_map::Entry::Vacant(entry) =
                inodes.entry(frame.buffer_id())
            {
                entry.insert(inode(fd)?);
            }
        }
        if args.check {
            torn += u64::from(!is_whole(&frame)?);
        }
    }
    let stats = subscriber.stats();
    let seen = Seen {
        frames: stats.received,
        missed: stats.missed,
        torn,
        cpu_ns: process_cpu().saturating_sub(cpu).as_nanos() as u64,
        wake_p50_ns: wake.value_at_quantile(0.5),
        wake_p99_ns: wake.value_at_quantile(0.99),
        inodes: inodes.into_values().collect(),
    };
    println!("{}", serde_json::to_string(&seen)?);
    Ok(())
}

fn is_whole(frame: &Frame) -> Result<bool, Error> {
    let map = frame.map()?;
    let luma = map.plane(0).ok_or("no luma")?;
    let chroma = map.plane(1).ok_or("no chroma")?;
    let seq = frame.seq().to_le_bytes();
    Ok(luma.starts_with(&seq) && chroma.ends_with(&seq))
}

/// A subscriber process of a run, seen from the producer.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
}

impl Process {
    pub(super) fn start(path: &Path, name: &str, check: bool) -> Result<Self, Error> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("subscribe")
            .arg("--path")
            .arg(path)
            .args(["--name", name]);
        if check {
            command.arg("--check");
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(Self { child })
    }

    pub(super) fn signal(&self, signal: rustix::process::Signal) -> Result<(), Error> {
        let pid =
            rustix::process::Pid::from_raw(self.child.id().cast_signed()).ok_or("no process id")?;
        Ok(rustix::process::kill_process(pid, signal)?)
    }

    /// Its report, once the stream has ended.
    pub(super) fn finish(self) -> Result<Seen, Error> {
        let output = self.child.wait_with_output()?;
        if !output.status.success() {
            return Err(format!("a subscriber failed: {}", output.status).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}
