//! `mosctl`: controls the capture service and looks at the frame bus.

#![allow(
    clippy::format_push_string,
    reason = "a few lines of text a second: `push_str(&format!())` reads better than `let _ = write!()`"
)]

use std::process::ExitCode;

use clap::Parser as _;

mod args;
mod bus;
mod cli;
mod commands;
mod doctor;
mod exit;
mod finding;
mod frames;
mod output;
mod signals;
mod table;
mod text;
mod view;

#[cfg(feature = "development")]
mod picture;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let out = output::Out::new(cli.global.json);
    match commands::run(cli, &out) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has had enough: `mosctl status | head -1` is no failure.
        Err(failure) if failure.is_closed_pipe() => ExitCode::SUCCESS,
        Err(failure) => {
            out.failure(&failure);
            failure.code.into()
        }
    }
}
