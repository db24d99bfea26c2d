//! `mosctl completions`.

use clap::CommandFactory as _;
use serde::Serialize;

use crate::cli::{Cli, Completions};
use crate::exit::Result;
use crate::output::Out;

#[derive(Debug, Serialize)]
struct Script {
    shell: String,
    script: String,
}

pub(super) fn run(args: &Completions, out: &Out) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "mosctl", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    out.result(
        &Script {
            shell: args.shell.to_string(),
            script,
        },
        |s| s.script.clone(),
    )
}
