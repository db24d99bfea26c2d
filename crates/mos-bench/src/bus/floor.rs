//! What no bus can go below, as a contender: a message of a frame's description to each subscriber's socket, and nothing
//! else. No buffer is kept from being overwritten, nobody's frame is counted, no memory is shared.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use mos_frame::monotonic_ns;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with,
    bind, connect, listen, recv, send, socket_with,
};
use serde::{Deserialize, Serialize};

use super::process::Process;
use super::producer::{due, process_cpu, sleep_until};
use crate::contender::{Contender, Error, FLOOR, Lane, Load, Run, StopPlan, StopStory};

/// A frame's description is as long on the bus.
const MESSAGE: usize = 64;

/// Raw sockets.
#[derive(Debug)]
pub(super) struct Floor;

#[derive(Debug, Args)]
pub(crate) struct FloorArgs {
    #[arg(long)]
    path: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
struct Seen {
    cpu_ns: u64,
    wake_ns: Vec<u64>,
}

fn seqpacket() -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC;
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
}

/// The body of a subscriber process.
pub(crate) fn receive(args: &FloorArgs) -> Result<(), Error> {
    let socket = seqpacket()?;
    connect(&socket, &SocketAddrUnix::new(&args.path)?)?;
    let (cpu, mut wake_ns) = (process_cpu(), Vec::new());
    let mut message = [0; MESSAGE];
    while recv(&socket, &mut message, RecvFlags::empty())?.0 > 0 {
        let now = monotonic_ns();
        let mut sent = [0; 8];
        sent.copy_from_slice(&message[..8]);
        wake_ns.push(now - u64::from_le_bytes(sent));
    }
    let cpu_ns = process_cpu().saturating_sub(cpu).as_nanos() as u64;
    println!("{}", serde_json::to_string(&Seen { cpu_ns, wake_ns })?);
    Ok(())
}

/// CPU time of keeping the pace of `load`, with `act` for every frame.
fn paced(load: &Load, mut act: impl FnMut() -> Result<(), Error>) -> Result<Duration, Error> {
    let (start, cpu) = (Instant::now(), process_cpu());
    for n in 0..load.frames {
        sleep_until(start + due(n, load.fps));
        act()?;
    }
    Ok(process_cpu().saturating_sub(cpu))
}

fn subscribers(path: &Path, count: u32) -> Result<(Vec<Process>, Vec<OwnedFd>), Error> {
    let listener = seqpacket()?;
    bind(&listener, &SocketAddrUnix::new(path)?)?;
    listen(&listener, 128)?;
    let (mut processes, mut sockets) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let path = path.to_string_lossy();
        let arguments = ["floor", "--path", &path].map(str::to_owned);
        processes.push(Process::start(&arguments)?);
        sockets.push(accept_with(&listener, SocketFlags::CLOEXEC)?);
    }
    Ok((processes, sockets))
}

impl Contender for Floor {
    fn name(&self) -> String {
        FLOOR.to_owned()
    }

    fn lane(&self) -> Lane {
        Lane::Native
    }

    fn conditions(&self) -> BTreeMap<String, String> {
        let how = format!(
            "one message of {MESSAGE} bytes a frame and subscriber; one call sends it, one receives it"
        );
        BTreeMap::from([("how".to_owned(), how)])
    }

    fn run(&mut self, load: &Load) -> Result<Run, Error> {
        let dir = tempfile::tempdir()?;
        let (processes, sockets) = subscribers(&dir.path().join("floor"), load.subscribers)?;
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let cpu = paced(load, || {
            let mut message = [0; MESSAGE];
            message[..8].copy_from_slice(&monotonic_ns().to_le_bytes());
            for socket in &sockets {
                send(socket, &message, flags)?;
            }
            Ok(())
        })?;
        let alone = paced(load, || Ok(()))?;
        drop(sockets);
        let seen = processes
            .into_iter()
            .map(Process::finish::<Seen>)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Run {
            deliveries: seen.iter().map(|s| s.wake_ns.len() as u64).sum(),
            cpu_ns: cpu.as_nanos() as u64 + seen.iter().map(|s| s.cpu_ns).sum::<u64>(),
            baseline_ns: alone.as_nanos() as u64,
            wake_ns: seen.into_iter().flat_map(|s| s.wake_ns).collect(),
            torn: None,
        })
    }

    /// Who can lose nothing has nothing to show.
    fn stop(&mut self, _: &StopPlan) -> Result<Option<StopStory>, Error> {
        Ok(None)
    }
}
