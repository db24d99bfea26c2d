//! What the demo, the benchmarks and the conformance table have in common: a real service with cameras, and real subscriber processes.

pub(crate) mod config;
pub(crate) mod ctl;
pub(crate) mod procfs;
pub(crate) mod service;
pub(crate) mod subscriber;
pub(crate) mod watch;

use crate::cargo::{self, Profile, cargo};
use crate::error::Error;

/// Builds service, command line and plugin as a development build.
pub(crate) fn build(profile: Profile) -> Result<(), Error> {
    let mut command = cargo("build");
    command.args(cargo::product_args());
    if profile == Profile::Release {
        command.arg("--release");
    }
    cargo::build("build", &mut command).map(drop)
}
