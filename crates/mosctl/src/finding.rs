//! What an examination finds, and what to do about it.

use serde::Serialize;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// Frames are lost, or somebody or something is shut out.
    Problem,
    /// It may become a problem.
    Warning,
    /// Good to know.
    Note,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) level: Level,
    /// What is the case.
    pub(crate) what: String,
    /// What to do about it; may be empty.
    pub(crate) advice: String,
}

impl Finding {
    pub(crate) fn new(level: Level, what: impl Into<String>, advice: impl Into<String>) -> Self {
        let (what, advice) = (what.into(), advice.into());
        Self {
            level,
            what,
            advice,
        }
    }

    /// One or two lines, for people.
    pub(crate) fn render(&self) -> String {
        let mark = match self.level {
            Level::Problem => "problem",
            Level::Warning => "warning",
            Level::Note => "note",
        };
        let mut text = format!("  {mark:8} {}\n", self.what);
        if !self.advice.is_empty() {
            text.push_str(&format!("  {:8} -> {}\n", "", self.advice));
        }
        text
    }
}
