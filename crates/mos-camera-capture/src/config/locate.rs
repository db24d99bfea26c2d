//! From a byte of the file to what a person looks for: line, column and key.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Line and column (in characters) of a byte offset, both from 1.
pub(super) fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

/// The dotted key whose name or value covers the byte offset; as deep as the text tells.
///
/// Text that is not TOML is parsed as far as it goes.
pub(super) fn key_at(text: &str, offset: usize) -> String {
    let (table, _errors) = DeTable::parse_recoverable(text);
    let mut path = Vec::new();
    if descend(table.get_ref(), offset, &mut path) {
        path.join(".")
    } else {
        key_by_sight(text, offset)
    }
}

/// The key of the line at the offset, in the table of the last header before it: for lines that the parser gave up on,
/// such as a key that is given twice. Empty if the line gives a value to nothing.
fn key_by_sight(text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    let line = text[line_start..].lines().next().unwrap_or_default();
    let Some((key, _)) = line.split_once('=') else {
        return String::new();
    };
    let header = before
        .lines()
        .rev()
        .find_map(|l| l.trim().strip_prefix('[')?.strip_suffix(']'));
    header
        .into_iter()
        .chain([key.trim()])
        .collect::<Vec<_>>()
        .join(".")
}

/// Appends the keys from `table` down to the one at `offset`; false if none is there.
fn descend(table: &DeTable<'_>, offset: usize, path: &mut Vec<String>) -> bool {
    for (key, value) in table {
        path.push(key.get_ref().to_string());
        if inside(value, offset, path) || covers(key, offset) || covers(value, offset) {
            return true;
        }
        path.pop();
    }
    false
}

fn inside(value: &Spanned<DeValue<'_>>, offset: usize, path: &mut Vec<String>) -> bool {
    match value.get_ref() {
        DeValue::Table(table) => descend(table, offset, path),
        _ => false,
    }
}

fn covers<T>(spanned: &Spanned<T>, offset: usize) -> bool {
    spanned.span().contains(&offset)
}

/// Replaces quoted strings of a parser message: `invalid type: string "hunter2"` must not show a secret.
///
/// Names in backticks (keys and the words that are allowed) stay.
pub(super) fn without_values(message: &str) -> String {
    match message.split_once("string \"") {
        Some((head, tail)) => match tail.rsplit_once('"') {
            Some((_, rest)) => format!("{head}string \"...\"{rest}"),
            None => format!("{head}string \"...\""),
        },
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_and_in_characters() {
        let text = "a = 1\nπ = x\n";
        let cases = [
            (0, (1, 1)),
            (4, (1, 5)),
            (6, (2, 1)),
            (11, (2, 5)),
            (text.len(), (3, 1)),
            (999, (3, 1)),
        ];
        for (offset, expected) in cases {
            assert_eq!(line_column(text, offset), expected, "offset {offset}");
        }
    }

    #[test]
    fn a_key_is_found_from_its_name_and_from_its_value() {
        let text = "[service]\nlog_level = 5\n[cameras.front.test]\npattern = 'ball'\n[cameras.back]\nwidth = 'x'\n";
        let cases = [
            ("log_level", "service.log_level"),
            ("5", "service.log_level"),
            ("'ball'", "cameras.front.test.pattern"),
            ("'x'", "cameras.back.width"),
        ];
        for (needle, key) in cases {
            let offset = text.find(needle).expect("in the text");
            assert_eq!(key_at(text, offset), key, "at {needle}");
        }
    }

    #[test]
    fn a_key_that_is_given_twice_is_found_by_its_line() {
        let text = "[a]\nx = 1\n[cameras.front]\nstart = true\nstart = false\n";
        let offset = text.rfind("start").expect("in the text");
        assert_eq!(key_at(text, offset), "cameras.front.start");
        assert_eq!(key_at("[a]\nno value\n", 4), "");
    }

    #[test]
    fn values_do_not_reach_a_message() {
        let shown = without_values("invalid type: string \"hun\\\"ter2\", expected u32");
        assert_eq!(shown, "invalid type: string \"...\", expected u32");
        assert_eq!(without_values("duplicate key"), "duplicate key");
    }
}
