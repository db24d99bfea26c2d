//! Placeholder.
use crate::error::Error;
/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}
/// Runs.
pub(crate) fn run(_args: &Args) -> Result<(), Error> {
    Ok(())
}
