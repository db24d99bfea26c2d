//! What was measured, for the table at the end.

use std::sync::{Mutex, PoisonError};

static FIGURES: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

/// Adds a line to the table.
pub(crate) fn note(what: impl Into<String>, figure: impl Into<String>) {
    let mut figures = FIGURES.lock().unwrap_or_else(PoisonError::into_inner);
    figures.push((what.into(), figure.into()));
}

/// Prints the table.
pub(crate) fn print() {
    let figures = FIGURES.lock().unwrap_or_else(PoisonError::into_inner);
    for (what, figure) in figures.iter() {
        println!("zero-copy proof: {what:<58} {figure}");
    }
}
