//! Values on the command line.

use std::time::Duration;

/// Parses `640x480`.
pub(crate) fn size(text: &str) -> Result<(u32, u32), String> {
    text.split_once(['x', 'X'])
        .and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)))
        .ok_or_else(|| "expected <width>x<height> in pixels, for example 640x480".to_owned())
}

/// Parses `brightness=40`.
pub(crate) fn control(text: &str) -> Result<(String, i64), String> {
    text.split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .and_then(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
        .ok_or_else(|| {
            "expected a control's name and a whole number, for example brightness=40".to_owned()
        })
}

/// Parses `latency_ms=0`: the value is TOML's where it is one, such as a number, `true` or a quoted text, else it is the text.
pub(crate) fn setting(text: &str) -> Result<(String, toml::Value), String> {
    let (key, value) = text
        .split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .ok_or_else(|| "expected a key and its value, for example latency_ms=0".to_owned())?;
    let parsed = value.parse::<toml::Value>();
    Ok((
        key.to_owned(),
        parsed.unwrap_or_else(|_| toml::Value::String(value.to_owned())),
    ))
}

/// Parses `5`, `2.5s`, `500ms` or `2m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds_per_unit = match unit {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" | "min" => 60.0,
        _ => return Err(format!("unknown unit `{unit}`: use ms, s or m")),
    };
    let number: f64 = number
        .trim()
        .parse()
        .map_err(|_| "expected a time such as 5s, 500ms or 2m".to_owned())?;
    Duration::try_from_secs_f64(number * seconds_per_unit)
        .map_err(|_| format!("`{text}` is no time that can be waited for"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_a_name_and_a_number() {
        assert_eq!(control("hue=-7"), Ok(("hue".to_owned(), -7)));
        for bad in ["hue", "hue=", "=7", "hue=7.5", "hue=high", ""] {
            assert!(control(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_parse() {
        for (text, expected) in [
            ("640x480", Some((640, 480))),
            ("1920X1080", Some((1920, 1080))),
            ("640", None),
            ("x480", None),
            ("-1x2", None),
            ("", None),
        ] {
            assert_eq!(size(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn durations_parse_with_and_without_unit() {
        for (text, millis) in [
            ("5", Some(5000)),
            ("2.5s", Some(2500)),
            ("500ms", Some(500)),
            ("2m", Some(120_000)),
            ("1 s", Some(1000)),
            ("", None),
            ("s", None),
            ("5h", None),
            ("-1", None),
            ("inf", None),
            ("1e30", None),
            ("1e300m", None),
        ] {
            assert_eq!(duration(text).ok().map(|d| d.as_millis()), millis, "{text}");
        }
    }
}
