//! A subscriber process: takes every frame, checks it, reports when the stream ends.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use mos_frame::{Frame, RecvError, Subscriber, SubscriberOptions, monotonic_ns};
use serde::{Deserialize, Serialize};

use super::process::Process;
use super::producer::{inode, process_cpu};
use super::syscalls::mark;
use crate::contender::Error;

#[derive(Debug, Args)]
pub(crate) struct SubscribeArgs {
    #[arg(long)]
    path: PathBuf,
    #[arg(long, default_value = "bench")]
    name: String,
    /// Read the stamps at both ends of each frame.
    #[arg(long)]
    check: bool,
    /// Keep each frame this long.
    #[arg(long, default_value_t = 0)]
    work_ms: u64,
    /// Mark what happens for whoever counts system calls.
    #[arg(long)]
    mark: bool,
}

/// Frames of a run for which no memory has to be asked for.
const ROOM: usize = 1 << 16;

/// What a subscriber saw.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) frames: u64,
    pub(super) missed: u64,
    pub(super) torn: u64,
    pub(super) cpu_ns: u64,
    /// From publishing to waking, one a frame.
    pub(super) wake_ns: Vec<u64>,
    /// When each frame came, `CLOCK_MONOTONIC`.
    pub(super) arrived_ns: Vec<u64>,
    pub(super) inodes: BTreeSet<u64>,
}

/// The body of a subscriber process.
pub(crate) fn subscribe(args: &SubscribeArgs) -> Result<(), Error> {
    let options = SubscriberOptions {
        name: args.name.clone(),
        reconnect: false,
        timeout: Duration::from_secs(30),
        ..SubscriberOptions::default()
    };
    let mut subscriber = Subscriber::connect(&args.path, options)?;
    // Room enough that growing costs no system call while those are counted.
    let (mut wake_ns, mut arrived_ns) = (Vec::with_capacity(ROOM), Vec::with_capacity(ROOM));
    let mut inodes = BTreeMap::new();
    let (mut torn, cpu) = (0, process_cpu());
    loop {
        if args.mark {
            mark("wait");
        }
        let frame = match subscriber.next() {
            Ok(frame) => frame,
            Err(RecvError::Disconnected) => break,
            Err(error) => return Err(error.into()),
        };
        let now = monotonic_ns();
        wake_ns.push(now - frame.publish_ns());
        arrived_ns.push(now);
        if args.mark {
            release_marked(frame);
            continue;
        }
        if let Some(fd) = frame.fd(0) {
            // Once a buffer: the descriptor does not change behind its number.
            if let Entry::Vacant(entry) = inodes.entry(frame.buffer_id()) {
                entry.insert(inode(fd)?);
            }
        }
        std::thread::sleep(Duration::from_millis(args.work_ms));
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
        wake_ns,
        arrived_ns,
        inodes: inodes.into_values().collect(),
    };
    println!("{}", serde_json::to_string(&seen)?);
    Ok(())
}

fn release_marked(frame: Frame) {
    mark("release");
    drop(frame);
    mark("released");
}

fn is_whole(frame: &Frame) -> Result<bool, Error> {
    let map = frame.map()?;
    let luma = map.plane(0).ok_or("no luma")?;
    let chroma = map.plane(1).ok_or("no chroma")?;
    let seq = frame.seq().to_le_bytes();
    Ok(luma.starts_with(&seq) && chroma.ends_with(&seq))
}

/// Arguments that make this program a subscriber of `path`.
pub(super) fn arguments(path: &Path, name: &str, extra: &[&str]) -> Vec<String> {
    let path = path.to_string_lossy();
    ["subscribe", "--path", &path, "--name", name]
        .iter()
        .chain(extra)
        .map(ToString::to_string)
        .collect()
}

/// Starts `count` subscriber processes, named `name-0` and so on.
pub(super) fn start_many(
    path: &Path,
    name: &str,
    count: u32,
    extra: &[&str],
) -> Result<Vec<Process>, Error> {
    (0..count)
        .map(|n| Process::start(&arguments(path, &format!("{name}-{n}"), extra)))
        .collect()
}

/// Reports of subscriber processes, once their stream has ended.
pub(super) fn finish_all(processes: Vec<Process>) -> Result<Vec<Seen>, Error> {
    processes.into_iter().map(Process::finish).collect()
}
