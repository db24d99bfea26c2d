//! Conditions, bars and the small statistics that the benchmarks share.

use std::fs;

use serde::Serialize;

/// One promise with its figure.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Bar {
    pub(crate) name: &'static str,
    pub(crate) value: f64,
    pub(crate) limit: f64,
    pub(crate) ok: bool,
}

impl Bar {
    /// A bar that holds while `value` is at most `limit`.
    pub(crate) fn at_most(name: &'static str, value: f64, limit: f64) -> Self {
        Self {
            name,
            value,
            limit,
            ok: value <= limit,
        }
    }
}

/// The machine and the build, without which a figure says nothing.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Conditions {
    cpus: usize,
    cpu_model: String,
    kernel: String,
    version: &'static str,
    profile: &'static str,
    load_average: String,
}

impl Bar {
    /// A bar that holds from `limit` on.
    pub(crate) fn at_least(name: &'static str, value: f64, limit: f64) -> Self {
        Self {
            name,
            value,
            limit,
            ok: value >= limit,
        }
    }
}

impl Conditions {
    pub(crate) fn here() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let model = read("/proc/cpuinfo")
            .lines()
            .find_map(|line| {
                line.strip_prefix("model name")?
                    .split_once(':')
                    .map(|(_, m)| m.trim().to_owned())
            })
            .unwrap_or_else(|| "unknown".into());
        Self {
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            cpu_model: model,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            version: env!("CARGO_PKG_VERSION"),
            profile: if cfg!(debug_assertions) {
                "debug"
            } else {
                "release"
            },
            load_average: read("/proc/loadavg")
                .split(' ')
                .next()
                .unwrap_or_default()
                .to_owned(),
        }
    }
}

/// Median of the values; 0 for none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert!(median(&[]).abs() < f64::EPSILON);
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
    }
}
