//! `build`: the programs and the GStreamer plugin.

use crate::cargo::{self, Profile, cargo, product_args};
use crate::error::Error;
use crate::setup::{self, Group};
use crate::ui;

/// Arguments of `build`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Without test cameras, software fall-backs and any code that reads pixels with the CPU
    #[arg(long)]
    production: bool,
    /// Don't check or install system packages
    #[arg(long)]
    no_setup: bool,
}

/// Builds an optimised product and says where it is.
pub(crate) fn run(args: &Args) -> Result<(), Error> {
    if !args.no_setup {
        setup::ensure(&[Group::Build])?;
    }
    let mut command = cargo("build");
    command.arg("--release").args(product_args());
    if args.production {
        command.arg("--no-default-features");
    }
    cargo::build(
        if args.production {
            "production build"
        } else {
            "development build"
        },
        &mut command,
    )?;
    for name in ["mos-camera-capture", "mosctl", "libgstmos.so"] {
        ui::say(format!(
            "  {}",
            cargo::program(Profile::Release, name).display()
        ));
    }
    Ok(())
}
