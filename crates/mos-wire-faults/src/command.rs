//! The loop of a program that takes commands on standard input.

use std::io::{self, BufRead, Write};

/// Reads a command a line and answers it by `ok` or `error: REASON`, until the input ends.
pub fn serve(mut obey: impl FnMut(&str) -> Result<(), String>) -> io::Result<()> {
    say("ready")?;
    for line in io::stdin().lock().lines() {
        match obey(line?.trim()) {
            Ok(()) => say("ok")?,
            Err(why) => say(&format!("error: {why}"))?,
        }
    }
    Ok(())
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
