//! Writing results: tables and sentences for people, JSON for programs.

use std::io::{self, Write as _};

use serde::Serialize;

use crate::exit::{Failure, Result};
use crate::view;

/// Where results go.
#[derive(Debug)]
pub(crate) struct Out {
    json: bool,
}

impl Out {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// One result: `value` as one line of JSON, or what `text` makes of it.
    pub(crate) fn result<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<()> {
        let text = if self.json {
            json_line(value)?
        } else {
            text(value)
        };
        write(&text)
    }

    /// Something for people only: left out in JSON.
    pub(crate) fn say(&self, text: &str) -> Result<()> {
        if self.json { Ok(()) } else { write(text) }
    }

    /// Tells why the command failed, on standard error; in JSON if that was asked for.
    pub(crate) fn failure(&self, failure: &Failure) {
        let text = match json_line(&view::Error::from(failure)) {
            Ok(line) if self.json => line,
            _ => failure.text(),
        };
        // Nothing is left to tell it to if this fails too; the exit code says it.
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

/// Writes text and pushes it out at once: a reader at the other end of a pipe waits for it.
fn write(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(|e| Failure::output(&e))
}

fn json_line(value: &impl Serialize) -> Result<String> {
    let mut line = serde_json::to_string(value).map_err(|e| Failure::output(&e.into()))?;
    line.push('\n');
    Ok(line)
}
