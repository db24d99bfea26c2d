//! Foreign systems that the bus is measured against, each as a [`Contender`].

use std::path::PathBuf;

use clap::Args;

use crate::contender::{Absent, Contender, Error};

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
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// The foreign contenders of this machine, and those that can't be had here.
pub(crate) fn all(args: &PeerArgs) -> Result<(Vec<Box<dyn Contender>>, Vec<Absent>), Error> {
    let absent = |name: &str, why: &str| Absent {
        name: name.to_owned(),
        why: why.to_owned(),
    };
    let why = if args.peers {
        "this build has no foreign contenders"
    } else {
        "not asked for (--peers)"
    };
    let names = ["shmsink", "unixfdsink", "iceoryx2"];
    Ok((Vec::new(), names.map(|name| absent(name, why)).to_vec()))
}

/// The body of a foreign contender's process.
pub(crate) fn process(args: &ProcessArgs) -> Result<(), Error> {
    Err(format!("no such peer process: {:?}", args.rest).into())
}
