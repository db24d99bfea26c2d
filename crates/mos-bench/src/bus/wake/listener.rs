//! A listener process: one thread per way, each asleep until it is woken, each noting how late it was.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Acquire;
use std::thread;
use std::time::Duration;

use clap::Args;
use mos_frame::{RecvError, Subscriber, SubscriberOptions, monotonic_ns};
use rustix::io::Errno;
use rustix::thread::futex;

use super::Way;
use super::cores;
use super::floors::{join, receive};
use super::page::Page;
use crate::contender::Error;

#[derive(Debug, Args)]
pub(crate) struct ListenArgs {
    /// The bus's socket.
    #[arg(long)]
    bus: PathBuf,
    /// The floors' socket.
    #[arg(long)]
    floors: PathBuf,
    /// The core that all threads stay on.
    #[arg(long)]
    core: usize,
}

pub(super) fn arguments(bus: &Path, floors: &Path, core: usize) -> Vec<String> {
    let (bus, floors) = (bus.to_string_lossy(), floors.to_string_lossy());
    let core = core.to_string();
    [
        "listen", "--bus", &bus, "--floors", &floors, "--core", &core,
    ]
    .map(str::to_owned)
    .to_vec()
}

/// First frames of a way that don't count: caches are cold, descriptors are new.
pub(super) const COLD: usize = 3;

/// What a thread could fail with, across the thread's boundary.
type Samples = Result<Vec<u64>, String>;

/// The body of a listener process; prints the samples of each way when the run is over.
pub(crate) fn listen(args: &ListenArgs) -> Result<(), Error> {
    cores::stay_on(&[args.core])?;
    let (plain, fds) = join(&args.floors)?;
    let [with_fd, event, page] =
        <[OwnedFd; 3]>::try_from(fds).map_err(|fds| format!("{} descriptors came", fds.len()))?;
    let page = Page::open(page)?;
    let options = SubscriberOptions {
        name: "listener".into(),
        reconnect: false,
        timeout: Duration::from_secs(30),
        ..SubscriberOptions::default()
    };
    let bus = Subscriber::connect(&args.bus, options)?;
    let samples = thread::scope(|scope| {
        let page = &page;
        let ways = [
            (Way::Bus, scope.spawn(move || text(by_bus(bus)))),
            (Way::Seqpacket, scope.spawn(move || text(by_socket(&plain)))),
            (
                Way::SeqpacketFd,
                scope.spawn(move || text(by_socket(&with_fd))),
            ),
            (
                Way::Eventfd,
                scope.spawn(move || text(by_eventfd(&event, page))),
            ),
            (Way::Futex, scope.spawn(move || text(by_futex(page)))),
        ];
        ways.into_iter()
            .map(|(way, thread)| {
                let samples: Samples = thread.join().map_err(|_| "a thread panicked".to_owned())?;
                Ok((way, samples?.into_iter().skip(COLD).collect::<Vec<_>>()))
            })
            .collect::<Result<BTreeMap<_, _>, String>>()
    })?;
    println!("{}", serde_json::to_string(&samples)?);
    Ok(())
}

fn text(samples: Result<Vec<u64>, Error>) -> Samples {
    samples.map_err(|error| error.to_string())
}

fn by_bus(mut subscriber: Subscriber) -> Result<Vec<u64>, Error> {
    let mut samples = Vec::new();
    loop {
        match subscriber.next() {
            Ok(frame) => samples.push(monotonic_ns() - frame.publish_ns()),
            Err(RecvError::Disconnected) => return Ok(samples),
            Err(error) => return Err(error.into()),
        }
    }
}

fn by_socket(socket: &OwnedFd) -> Result<Vec<u64>, Error> {
    let mut samples = Vec::new();
    while let Some((message, _fds)) = receive(socket)? {
        let now = monotonic_ns();
        let mut stamp = [0; 8];
        stamp.copy_from_slice(&message[..8]);
        samples.push(now - u64::from_le_bytes(stamp));
    }
    Ok(samples)
}

fn by_eventfd(event: &OwnedFd, page: &Page) -> Result<Vec<u64>, Error> {
    let (stop, stamp) = (page.stop()?, page.stamp()?);
    let mut samples = Vec::new();
    loop {
        rustix::io::read(event, &mut [0; 8])?;
        let now = monotonic_ns();
        if stop.load(Acquire) != 0 {
            return Ok(samples);
        }
        samples.extend(now.checked_sub(stamp.load(Acquire)));
    }
}

fn by_futex(page: &Page) -> Result<Vec<u64>, Error> {
    let (stop, stamp, word) = (page.stop()?, page.stamp()?, page.futex()?);
    let mut samples = Vec::new();
    let mut last = word.load(Acquire);
    // Looked at before each sleep: the end is announced before the word changes, so it can't be slept through.
    while stop.load(Acquire) == 0 {
        match futex::wait(word, futex::Flags::empty(), last, None) {
            Ok(()) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let now = monotonic_ns();
        let seen = word.load(Acquire);
        // Woken for nothing or for the end: no sample.
        if seen != last && stop.load(Acquire) == 0 {
            samples.extend(now.checked_sub(stamp.load(Acquire)));
        }
        last = seen;
    }
    Ok(samples)
}
