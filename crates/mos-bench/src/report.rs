//! Bars and conditions: what a figure has to reach, and what it was measured on.

use std::collections::BTreeMap;
use std::fs;

use serde::Serialize;

/// How a bar came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Ok,
    Missed,
    /// Its measurement was left out or could not be made here. That is never the same as ok.
    NotMeasured,
}

/// One promise with its figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Bar {
    pub(crate) name: &'static str,
    /// What has to be reached.
    #[serde(rename = "bar")]
    pub(crate) demand: &'static str,
    /// What was reached.
    pub(crate) figure: String,
    /// The numbers in it.
    pub(crate) values: BTreeMap<String, f64>,
    pub(crate) verdict: Verdict,
    /// True only if it was measured and reached.
    pub(crate) ok: bool,
    /// What it was measured with.
    pub(crate) conditions: String,
}

/// What a measurement has to say about its bar.
#[derive(Debug, Clone, Default)]
pub(crate) struct Finding {
    pub(crate) reached: bool,
    pub(crate) figure: String,
    pub(crate) values: Vec<(&'static str, f64)>,
    pub(crate) conditions: String,
}

impl Bar {
    /// A bar with what was found, or not measured.
    pub(crate) fn new(name: &'static str, demand: &'static str, finding: Option<Finding>) -> Self {
        let verdict = match &finding {
            Some(finding) if finding.reached => Verdict::Ok,
            Some(_) => Verdict::Missed,
            None => Verdict::NotMeasured,
        };
        let finding = finding.unwrap_or_else(|| Finding {
            figure: "not measured".to_owned(),
            ..Finding::default()
        });
        let values = finding.values.into_iter();
        Self {
            name,
            demand,
            figure: finding.figure,
            values: values
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            verdict,
            ok: verdict == Verdict::Ok,
            conditions: finding.conditions,
        }
    }

    /// The verdict for people.
    pub(crate) const fn word(&self) -> &'static str {
        match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Missed => "MISSED",
            Verdict::NotMeasured => "not measured",
        }
    }
}

/// The machine and the build, without which a figure says nothing.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Conditions {
    pub(crate) cpus: usize,
    pub(crate) cpu_model: String,
    pub(crate) virtual_machine: bool,
    pub(crate) memory_gib: f64,
    pub(crate) kernel: String,
    pub(crate) version: &'static str,
    pub(crate) profile: &'static str,
    /// Runnable tasks over the last minute, before the first measurement: what else the machine did.
    pub(crate) load_before: String,
    /// What the caller knows: date, commit, compiler, command.
    pub(crate) notes: BTreeMap<String, String>,
}

impl Conditions {
    pub(crate) fn here(notes: BTreeMap<String, String>) -> Self {
        let cpuinfo = read("/proc/cpuinfo");
        Self {
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            cpu_model: field(&cpuinfo, "model name").unwrap_or_else(|| "unknown".into()),
            virtual_machine: field(&cpuinfo, "flags")
                .is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
            memory_gib: field(&read("/proc/meminfo"), "MemTotal")
                .and_then(|text| text.trim_end_matches(" kB").parse::<f64>().ok())
                .map_or(f64::NAN, |kib| kib / f64::from(1 << 20)),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            version: env!("CARGO_PKG_VERSION"),
            profile: if cfg!(debug_assertions) {
                "debug"
            } else {
                "release"
            },
            load_before: load_average(),
            notes,
        }
    }

    /// Name and value of each, for a table.
    pub(crate) fn rows(&self) -> Vec<(String, String)> {
        let kind = if self.virtual_machine {
            "virtual machine"
        } else {
            "bare metal"
        };
        let row = |name: &str, value: String| (name.to_owned(), value);
        let mut rows = vec![
            row(
                "machine",
                format!(
                    "{kind}, {} cores of {}, {:.0} GiB",
                    self.cpus, self.cpu_model, self.memory_gib
                ),
            ),
            row("kernel", self.kernel.clone()),
            row("load before", self.load_before.clone()),
            row(
                "version",
                format!("{}, {} build", self.version, self.profile),
            ),
        ];
        rows.extend(self.notes.clone());
        rows
    }
}

/// Load average of the last minute.
pub(crate) fn load_average() -> String {
    let text = read("/proc/loadavg");
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// A file of proc(5); empty where there is none, and the figure then says that it is not known.
fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Value of the first line `name : value`.
fn field(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_is_not_ok() {
        let finding = |reached| Finding {
            reached,
            figure: "1.0".into(),
            ..Finding::default()
        };
        let cases = [
            (Some(finding(true)), Verdict::Ok, true),
            (Some(finding(false)), Verdict::Missed, false),
            (None, Verdict::NotMeasured, false),
        ];
        for (finding, verdict, ok) in cases {
            let bar = Bar::new("a", "b", finding);
            assert_eq!((bar.verdict, bar.ok), (verdict, ok));
        }
    }

    #[test]
    fn fields_of_proc_files() {
        let text = "processor\t: 0\nmodel name\t: A: B\n\nMemTotal:       24 kB\n";
        assert_eq!(field(text, "model name").as_deref(), Some("A: B"));
        assert_eq!(field(text, "MemTotal").as_deref(), Some("24 kB"));
        assert_eq!(field(text, "flags"), None);
    }
}
