//! From a byte of a profile's text to what a person looks for: line, column, rule and field.

use std::fmt;
use std::ops::Range;

/// What is wrong with a profile, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {}{message}", at(rule, field))]
pub struct ProfileError {
    /// The file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Name of the rule at fault; empty if it is none, or has no name.
    pub rule: String,
    /// The field at fault; empty where the text is no TOML at all.
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
}

fn at(rule: &str, field: &str) -> impl fmt::Display {
    let rule = Some(rule)
        .filter(|rule| !rule.is_empty())
        .map(|rule| format!("rule `{rule}`"));
    let field = Some(field)
        .filter(|field| !field.is_empty())
        .map(|field| format!("`{field}`"));
    let parts: Vec<_> = rule.into_iter().chain(field).collect();
    if parts.is_empty() {
        String::new()
    } else {
        format!("{}: ", parts.join(", "))
    }
}

/// The text that errors are about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
}

impl Text<'_> {
    /// An error at a place.
    pub(super) fn invalid(&self, span: &Range<usize>, message: impl Into<String>) -> ProfileError {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        ProfileError {
            file: self.file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            rule: rule_at(self.text, span.start),
            field: field_at(self.text, span.start),
            message: message.into(),
        }
    }

    /// An error of the TOML parser.
    pub(super) fn toml(&self, error: &toml::de::Error) -> ProfileError {
        let message = error.message();
        let invalid = self.invalid(&error.span().unwrap_or(0..0), message);
        // Its place is that of the table that lacks it.
        let missing = message
            .strip_prefix("missing field `")
            .and_then(|rest| rest.split('`').next());
        match missing {
            Some(field) => ProfileError {
                field: field.to_owned(),
                ..invalid
            },
            None => invalid,
        }
    }
}

/// The rule in whose table the byte is.
fn rule_at(text: &str, offset: usize) -> String {
    let (before, after) = text.split_at(line_end(text, offset));
    let own: Vec<_> = before
        .lines()
        .rev()
        .take_while(|line| !is_header(line))
        .collect();
    let header = before.lines().rev().find(|line| is_header(line));
    if header.map(str::trim) != Some("[[rule]]") {
        return String::new();
    }
    let rest = after.lines().take_while(|line| !is_header(line));
    let mut table = own.into_iter().rev().chain(rest);
    table
        .find_map(|line| {
            let (key, value) = line.split_once('=')?;
            (key.trim() == "name").then(|| value.trim().trim_matches(['"', '\'']).to_owned())
        })
        .unwrap_or_default()
}

/// A table's head: `[machines]` or `[[rule]]`, not an array in a value.
fn is_header(line: &str) -> bool {
    let line = line.trim();
    let name = line.trim_start_matches('[');
    name.len() < line.len() && name.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// Where the line of a byte ends.
fn line_end(text: &str, offset: usize) -> usize {
    let tail = text.get(offset..).unwrap_or_default();
    tail.find('\n').map_or(text.len(), |at| offset + at)
}

/// The key whose value covers the byte: of its line, or of the last line before it that has one.
fn field_at(text: &str, offset: usize) -> String {
    text[..line_end(text, offset)]
        .lines()
        .rev()
        .take_while(|line| !is_header(line))
        .find_map(|line| {
            let (key, _) = line.split_once('=')?;
            let key = key.trim();
            let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            (!key.is_empty() && key.chars().all(is_key)).then(|| key.to_owned())
        })
        .unwrap_or_default()
}
