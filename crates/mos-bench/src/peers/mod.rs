//! Foreign systems that the bus is measured against, each as a [`Contender`]; and the bus's own GStreamer elements, which
//! have to be measured on the same GStreamer as the foreign ones.
//!
//! A contender starts processes of this same program (`mos-bench peer ...`) that carry frames and count them.

mod baseline;
mod console;
mod course;
mod elements;
#[cfg(feature = "iceoryx2")]
mod iceoryx;
mod pipeline;
mod process;
mod source;
mod story;
mod subscriber;
mod system;

use std::env;
use std::path::PathBuf;
use std::rc::Rc;

use clap::{Args, Subcommand};

use crate::contender::{Absent, Contender, Error};
use baseline::Baseline;
use elements::{Elements, Kind};
use system::System;

/// What the foreign contenders need from the command line.
#[derive(Debug, Clone, Args)]
pub(crate) struct PeerArgs {
    /// Measure foreign systems in the same run
    #[arg(long)]
    pub(crate) peers: bool,
    /// Root folder of a Debian 13 with GStreamer 1.24 or newer
    #[arg(long, value_name = "FOLDER", requires = "peers")]
    pub(crate) peer_root: Option<PathBuf>,
}

/// A process of a foreign contender, started by it as `mos-bench peer ...`.
#[derive(Debug, Args)]
pub(crate) struct ProcessArgs {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Runs a pipeline
    Pipeline(pipeline::PipelineArgs),
    /// Says what GStreamer has
    Look(pipeline::LookArgs),
    /// Receives from the bus
    Subscriber(subscriber::SubscriberArgs),
    /// Publishes or receives with iceoryx2
    #[cfg(feature = "iceoryx2")]
    Iceoryx(iceoryx::IceoryxArgs),
}

type Contenders = (Vec<Box<dyn Contender>>, Vec<Absent>);

const KINDS: [Kind; 4] = [Kind::Shm, Kind::UnixFd, Kind::Bus, Kind::BusToProgram];
const ICEORYX: &str = "iceoryx2";

/// The foreign contenders of this machine, and those that can't be had here.
pub(crate) fn all(args: &PeerArgs) -> Result<Contenders, Error> {
    if !args.peers {
        let names = KINDS.map(Kind::name).into_iter().chain([ICEORYX]);
        let absent = names.map(|name| absent(name, "not asked for (--peers)"));
        return Ok((Vec::new(), absent.collect()));
    }
    let (mut present, mut missing) = on_gstreamer(args)?;
    match iceoryx_contenders()? {
        Some(contenders) => present.extend(contenders),
        None => missing.push(absent(ICEORYX, "built without it (cargo feature iceoryx2)")),
    }
    Ok((present, missing))
}

#[cfg(feature = "iceoryx2")]
fn iceoryx_contenders() -> Result<Option<Vec<Box<dyn Contender>>>, Error> {
    iceoryx::all().map(Some)
}

#[cfg(not(feature = "iceoryx2"))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "the signature of the build that has it"
)]
fn iceoryx_contenders() -> Result<Option<Vec<Box<dyn Contender>>>, Error> {
    Ok(None)
}

/// The body of a foreign contender's process.
pub(crate) fn process(args: &ProcessArgs) -> Result<(), Error> {
    match &args.role {
        Role::Pipeline(args) => pipeline::run(args),
        Role::Look(args) => pipeline::look(args),
        Role::Subscriber(args) => subscriber::run(args),
        #[cfg(feature = "iceoryx2")]
        Role::Iceoryx(args) => iceoryx::process(args),
    }
}

fn on_gstreamer(args: &PeerArgs) -> Result<Contenders, Error> {
    let system = System::new(args.peer_root.as_deref())?;
    let stock: Vec<_> = KINDS
        .iter()
        .flat_map(|kind| kind.needs())
        .copied()
        .collect();
    let found = system.look(&stock)?;
    let (plugin, baseline) = (our_plugin()?, Rc::new(Baseline::default()));
    let (mut present, mut missing): Contenders = Default::default();
    for kind in KINDS {
        if !found.has(kind.needs()) {
            let why = format!("{} has no {}", found.version, kind.needs().join(" or no "));
            missing.push(absent(kind.name(), &why));
        } else if kind.is_ours() && plugin.is_none() {
            missing.push(absent(
                kind.name(),
                "libgstmos.so is not beside this program: build gst-plugin-mos",
            ));
        } else {
            let elements = Elements::new(
                kind,
                system.clone(),
                found.version.clone(),
                plugin.clone(),
                Rc::clone(&baseline),
            );
            present.push(Box::new(elements));
        }
    }
    Ok((present, missing))
}

/// Our GStreamer plugin of the same build.
fn our_plugin() -> Result<Option<PathBuf>, Error> {
    let file = env::current_exe()?.with_file_name("libgstmos.so");
    Ok(file.exists().then_some(file))
}

fn absent(name: &str, why: &str) -> Absent {
    Absent {
        name: name.to_owned(),
        why: why.to_owned(),
    }
}
