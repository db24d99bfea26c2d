//! Bars: what a figure has to reach.

use serde::Serialize;

/// A figure and its limit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Bar {
    name: String,
    value: f64,
    limit: f64,
    ok: bool,
}

impl Bar {
    /// Holds if `value` is not below `limit`.
    pub(crate) fn at_least(name: &str, value: f64, limit: f64) -> Self {
        Self {
            name: name.to_owned(),
            value,
            limit,
            ok: value >= limit,
        }
    }

    /// Holds if `value` is not above `limit`.
    pub(crate) fn at_most(name: &str, value: f64, limit: f64) -> Self {
        Self {
            name: name.to_owned(),
            value,
            limit,
            ok: value <= limit,
        }
    }

    /// Whether it holds.
    pub(crate) fn holds(&self) -> bool {
        self.ok
    }

    /// Cells of a table.
    pub(crate) fn cells(&self) -> Vec<String> {
        let verdict = if self.ok { "ok" } else { "NOT MET" };
        vec![
            self.name.clone(),
            verdict.to_owned(),
            figure(self.value),
            figure(self.limit),
        ]
    }
}

/// Whole numbers whole, others with two digits.
fn figure(value: f64) -> String {
    if value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_belong_to_what_holds() {
        let cases = [
            (Bar::at_least("a", 29.9, 29.9), true),
            (Bar::at_least("a", 29.89, 29.9), false),
            (Bar::at_most("a", 0.0, 0.0), true),
            (Bar::at_most("a", 1.0, 0.0), false),
            // Nothing measured is nothing reached.
            (Bar::at_least("a", f64::NAN, 1.0), false),
            (Bar::at_most("a", f64::NAN, 1.0), false),
        ];
        for (bar, holds) in cases {
            assert_eq!(bar.holds(), holds, "{bar:?}");
        }
    }

    #[test]
    fn figures_are_short() {
        assert_eq!(
            Bar::at_most("drops", 3.0, 0.0).cells(),
            ["drops", "NOT MET", "3", "0"]
        );
        assert_eq!(
            Bar::at_least("fps", 29.954, 29.9).cells(),
            ["fps", "ok", "29.95", "29.90"]
        );
    }
}
