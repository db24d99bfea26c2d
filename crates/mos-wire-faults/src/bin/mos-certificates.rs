//! Makes an authority and certificates of servers, good and expired, for the fault laboratory.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use mos_wire_faults::certificate;

/// Makes an authority (`authority.pem`) and certificates with their keys (`good.pem`, `expired.pem`) in a folder
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// The folder; it has to be there
    folder: PathBuf,
    /// Names that the certificates are for, such as *.lab.test
    #[arg(required = true)]
    names: Vec<String>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match certificate::write(&cli.folder, &cli.names) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mos-certificates: {}: {error}", cli.folder.display());
            ExitCode::FAILURE
        }
    }
}
