//! Joins pairs of network interfaces: what comes in at one goes out at the other, as late, lossy and out of order as told.
//!
//! Commands: `join NAME INTERFACE INTERFACE`, `shape NAME SEED [loss=PERCENT] [delay=MS] [jitter=MS] [reorder=PERCENT]`.
//! A new pair is clean. It needs `CAP_NET_RAW`. The interfaces must not leave checksums or segmentation to the hardware
//! (`ethtool -K INTERFACE tx off` at the other end of a veth pair), since frames pass as they are.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use mos_wire_faults::command;
use mos_wire_faults::shape::{Direction, Shape};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, send, socket,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Joins pairs of network interfaces, on command.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {}

/// Longest Ethernet frame that is passed: what is longer was left for the hardware to cut, and would be lost anyway.
const LONGEST: usize = 64 * 1024 + 18;
/// How long a direction that has nothing under way waits before it looks up; a new shape concerns only what comes later.
const IDLE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    Cli::parse();
    let mut wires = HashMap::new();
    match command::serve(|line| obey(&mut wires, line)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mos-wire: {error}");
            ExitCode::FAILURE
        }
    }
}

type Queue = Arc<Mutex<Direction<Vec<u8>>>>;

fn obey(wires: &mut HashMap<String, [Queue; 2]>, line: &str) -> Result<(), String> {
    let words: Vec<_> = line.split_whitespace().collect();
    match words.as_slice() {
        ["join", name, first, second] => {
            let wire = join(first, second)
                .map_err(|error| format!("can't join {first} and {second}: {error}"))?;
            wires.insert((*name).to_owned(), wire);
            Ok(())
        }
        ["shape", name, seed, shape @ ..] => {
            let wire = wires
                .get(*name)
                .ok_or_else(|| format!("no wire `{name}`"))?;
            let shape: Shape = shape.join(" ").parse()?;
            let seed: u64 = seed
                .parse()
                .map_err(|_| format!("the seed `{seed}` is no number"))?;
            for (queue, seed) in wire.iter().zip([seed, !seed]) {
                lock(queue).set(shape, seed);
            }
            Ok(())
        }
        _ => Err(format!("no command `{line}`: join, shape")),
    }
}

fn lock(queue: &Queue) -> std::sync::MutexGuard<'_, Direction<Vec<u8>>> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Two threads, one a direction, which live as long as the program.
fn join(first: &str, second: &str) -> io::Result<[Queue; 2]> {
    let (first, second) = (Arc::new(open(first)?), Arc::new(open(second)?));
    let queues = [Queue::default(), Queue::default()];
    for (queue, from, to) in [(&queues[0], &first, &second), (&queues[1], &second, &first)] {
        let (queue, from, to) = (queue.clone(), from.clone(), to.clone());
        thread::spawn(move || {
            if let Err(error) = pass(&queue, &from, &to) {
                eprintln!("mos-wire: a direction ended: {error}");
            }
        });
    }
    Ok(queues)
}

/// A socket for all frames of an interface (packet(7)). Frames that it sends itself don't come back to it.
fn open(interface: &str) -> io::Result<OwnedFd> {
    let fd = socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        SockProtocol::EthAll,
    )?;
    bind(fd.as_raw_fd(), &address(interface)?)?;
    Ok(fd)
}

/// Its link-layer address names no protocol: bound to it a socket keeps its own, which is all of them.
fn address(interface: &str) -> io::Result<LinkAddr> {
    nix::ifaddrs::getifaddrs()?
        .filter(|found| found.interface_name == interface)
        .find_map(|found| found.address?.as_link_addr().copied())
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no interface {interface}")))
}

/// Passes frames on until the interface is gone.
fn pass(queue: &Queue, from: &OwnedFd, to: &OwnedFd) -> io::Result<()> {
    let (epoch, mut frame) = (Instant::now(), vec![0; LONGEST]);
    loop {
        wait(
            from,
            lock(queue)
                .next_due()
                .map(|due| due.saturating_sub(epoch.elapsed())),
        )?;
        while let Some(length) = receive(from, &mut frame)? {
            lock(queue).enter(epoch.elapsed(), frame[..length].to_vec());
        }
        loop {
            let Some(frame) = lock(queue).leave(epoch.elapsed()) else {
                break;
            };
            put(to, &frame)?;
        }
    }
}

fn wait(from: &OwnedFd, due: Option<Duration>) -> io::Result<()> {
    let time = Timespec::try_from(due.unwrap_or(IDLE)).map_err(io::Error::other)?;
    match poll(
        &mut [PollFd::new(&from.as_fd(), PollFlags::IN)],
        Some(&time),
    ) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn receive(from: &OwnedFd, frame: &mut [u8]) -> io::Result<Option<usize>> {
    match recv(from.as_raw_fd(), frame, MsgFlags::MSG_DONTWAIT) {
        Ok(length) => Ok(Some(length)),
        // The last is told once when an interface goes down; it may come up again.
        Err(nix::Error::EAGAIN | nix::Error::EINTR | nix::Error::ENETDOWN) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What can't be sent is lost, as on any wire.
fn put(to: &OwnedFd, frame: &[u8]) -> io::Result<()> {
    match send(to.as_raw_fd(), frame, MsgFlags::MSG_DONTWAIT) {
        Err(nix::Error::ENODEV | nix::Error::EBADF) => Err(nix::Error::ENODEV.into()),
        _ => Ok(()),
    }
}
