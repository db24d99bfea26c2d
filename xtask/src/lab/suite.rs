//! One boot, several tests, one tally.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::catalog::{Kind, LabTest, Need};
use super::share::{Outcome, Share};
use super::{image, preflight, qemu};
use crate::cargo::cargo;
use crate::error::Error;
use crate::exec::{create, read_lossy, run_logged, tail};
use crate::paths;
use crate::test::{Tally, production};

/// For booting and powering off under emulation on a busy machine.
const BOOT_LIMIT: Duration = Duration::from_mins(5);
/// Boots before a kernel that dies at boot is a failure.
const BOOTS: u32 = 3;
const BUILD_LIMIT: Duration = Duration::from_mins(30);

/// Builds what the tests need, boots once, runs them; `log` gets all they printed.
pub(crate) fn run(
    tests: &[LabTest],
    log: &Path,
    tick: &mut dyn FnMut(&str),
) -> Result<Tally, Error> {
    preflight::can_boot()?;
    let image = image::ready(tick)?;
    let share = Share::new(&paths::artifacts().join("lab/share"), "job", tick)?;
    share.add_tests(tests)?;
    let mut added = BTreeSet::new();
    for need in tests.iter().flat_map(|test| &test.needs) {
        if added.insert(need.name()) {
            share.add_program(&need.name(), &built(need, tick)?)?;
        }
    }
    let limit = BOOT_LIMIT + tests.iter().map(|test| test.limit).sum();
    let console = paths::artifacts().join("lab/console.log");
    let mut died = 0;
    let guest = loop {
        let guest = qemu::run(&image, share.folder(), &console, limit, tick)?;
        if died == BOOTS - 1 || !died_at_boot(&read_lossy(&console)?) {
            break guest;
        }
        died += 1;
        tick("the guest's kernel died at boot; booting again");
    };
    share.drop_programs()?;

    let (tally, text) = verdict(
        &share.results(),
        tests
            .iter()
            .map(|test| (test, share.outcome(test)))
            .map(|(test, outcome)| (test.name.as_str(), test.has_tests(), outcome)),
    );
    let mut file = create(log)?;
    if died > 0 {
        writeln!(file, "== the guest's kernel died {died} times at boot")
            .map_err(Error::path("write", log))?;
    }
    file.write_all(text.as_bytes())
        .map_err(Error::path("write", log))?;
    if !guest.ok() || tally.failed > 0 {
        let end = tail(&read_lossy(&console)?, 30);
        writeln!(
            file,
            "== the guest's console (QEMU: {})\n{end}",
            guest.status
        )
        .map_err(Error::path("write", log))?;
    }
    Ok(tally)
}

/// Whether the guest's kernel died before any test could begin.
///
/// Emulation with a thread for each processor does so now and then: one processor runs into the breakpoint with which
/// another one is patching the kernel's code. It says nothing of the tests. Later deaths are failures, whatever their cause.
fn died_at_boot(console: &str) -> bool {
    console.contains("Kernel panic") && !console.contains("mos-lab: ready")
}

/// Counts and a readable log of what the guest left.
fn verdict<'a>(
    results: &Path,
    outcomes: impl Iterator<Item = (&'a str, bool, Outcome)>,
) -> (Tally, String) {
    let (mut sum, mut text) = (Tally::default(), String::new());
    for (name, has_tests, outcome) in outcomes {
        let counted = count(&outcome, has_tests);
        sum += counted;
        let status = outcome
            .status
            .map_or("it did not end".to_owned(), |status| {
                format!("status {status}")
            });
        let _ = writeln!(
            text,
            "== {name}: {} passed, {} failed ({status})",
            counted.passed, counted.failed
        );
        text.push_str(&outcome.log);
        if counted.failed > 0 {
            let _ = writeln!(
                text,
                "== {name}: its log, the kernel's and the graphs of its pipelines are {}/{name}.*",
                results.display()
            );
        }
    }
    (sum, text)
}

/// A script counts as the tests that it ran, or as one test where it has no test program. One that has and ran no test in
/// it failed: whoever wrote it meant another build, or another name.
fn count(outcome: &Outcome, has_tests: bool) -> Tally {
    let ok = outcome.status == Some(0);
    let counted = Tally::of_log(&outcome.log);
    let ran = counted.passed + counted.failed + counted.skipped > 0;
    match (ok, ran) {
        (_, false) => Tally::one(ok && !has_tests),
        (true, true) => counted,
        (false, true) => Tally {
            failed: counted.failed.max(1),
            ..counted
        },
    }
}

/// Builds a target on the host and answers the file's path.
fn built(need: &Need, tick: &mut dyn FnMut(&str)) -> Result<PathBuf, Error> {
    let (subcommand, options): (_, &[&str]) = match need.kind {
        Kind::Test => ("test", &["--no-run", "--test", &need.target]),
        Kind::Program => ("build", &["--bin", &need.target]),
        Kind::Library => ("build", &["--lib"]),
    };
    let mut command = cargo(subcommand);
    command
        .args(["--package", &need.package])
        .arg("--message-format=json-render-diagnostics")
        .args(options);
    if need.production {
        command.arg("--no-default-features");
        production::in_own_folder(&mut command);
    }
    let log = paths::artifacts()
        .join("lab")
        .join(format!("build-{}.log", need.name().replace('/', "-")));
    let what = format!("building {} of {}", need.name(), need.package);
    tick(&what);
    let mut file = None;
    let on_line = |line: &str| file = file_of(line, need).or(file.take());
    let on_tick = |_: &str| tick(&what);
    run_logged(&what, &mut command, &log, BUILD_LIMIT, on_line, on_tick)?.require(&what)?;
    file.ok_or_else(|| Error::Unexpected {
        what: "cargo".to_owned(),
        why: format!("it named no file for {}", need.name()),
    })
}

#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    target: Option<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// The file that a line of cargo's JSON output names for what is needed.
fn file_of(line: &str, need: &Need) -> Option<PathBuf> {
    let message: Message = serde_json::from_str(line).ok()?;
    message.target.filter(|found| found.name == need.target)?;
    match need.kind {
        Kind::Test | Kind::Program => message.executable,
        Kind::Library => message
            .filenames
            .into_iter()
            .find(|file| file.extension().is_some_and(|kind| kind == "so")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(log: &str, status: Option<i32>) -> Outcome {
        Outcome {
            log: log.to_owned(),
            status,
        }
    }

    #[test]
    fn scripts_count_as_what_they_ran() {
        let tally = |passed, failed, skipped| Tally {
            passed,
            failed,
            skipped,
        };
        let ok = "test result: ok. 3 passed; 0 failed; 1 ignored\n";
        let bad = "test result: FAILED. 2 passed; 2 failed; 0 ignored\n";
        let cases = [
            (outcome("there", Some(0)), tally(1, 0, 0)),
            (outcome("missing", Some(1)), tally(0, 1, 0)),
            (outcome("", None), tally(0, 1, 0)),
            (outcome(ok, Some(0)), tally(3, 0, 1)),
            (outcome(bad, Some(101)), tally(2, 2, 0)),
            // The test program was content, the script was not; or the guest died after it.
            (outcome(ok, Some(7)), tally(3, 1, 1)),
            (outcome(ok, None), tally(3, 1, 1)),
        ];
        for (outcome, expected) in cases {
            assert_eq!(count(&outcome, false), expected, "{outcome:?}");
        }
    }

    #[test]
    fn only_a_death_before_the_tests_is_no_failure_of_theirs() {
        let panic = "Oops: int3\nKernel panic - not syncing: Fatal exception\n";
        for (console, expected) in [
            (panic.to_owned(), true),
            (format!("mos-lab: ready after 9 s\n{panic}"), false),
            ("mos-lab: ready after 9 s\n".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(died_at_boot(&console), expected, "{console}");
        }
    }

    #[test]
    fn a_test_program_without_tests_is_a_failure() {
        let none = "test result: ok. 0 passed; 0 failed; 0 ignored\n";
        assert_eq!(count(&outcome(none, Some(0)), true), Tally::one(false));
        assert_eq!(count(&outcome(none, Some(0)), false), Tally::one(true));
    }

    #[test]
    fn the_log_names_each_test() {
        let (tally, text) = verdict(
            Path::new("/r"),
            [
                ("a", false, outcome("x\n", Some(0))),
                ("b", true, outcome("", None)),
            ]
            .into_iter(),
        );
        assert_eq!(
            tally,
            Tally {
                passed: 1,
                failed: 1,
                skipped: 0
            }
        );
        assert_eq!(
            text,
            "== a: 1 passed, 0 failed (status 0)\nx\n== b: 0 passed, 1 failed (it did not end)\n== b: its log, the kernel's and the graphs of its pipelines are /r/b.*\n"
        );
    }

    #[test]
    fn cargo_names_the_file() {
        let need = |kind, target: &str| Need {
            kind,
            package: "p".to_owned(),
            target: target.to_owned(),
            production: false,
        };
        let test =
            r#"{"reason":"compiler-artifact","target":{"name":"conf"},"executable":"/t/conf-1"}"#;
        let library =
            r#"{"target":{"name":"gstmos"},"filenames":["/t/a.rlib","/t/a.so"],"executable":null}"#;
        for (line, need, expected) in [
            (test, need(Kind::Test, "conf"), Some("/t/conf-1")),
            (test, need(Kind::Test, "other"), None),
            (library, need(Kind::Library, "gstmos"), Some("/t/a.so")),
            (library, need(Kind::Program, "gstmos"), None),
            ("   Compiling conf", need(Kind::Test, "conf"), None),
        ] {
            assert_eq!(file_of(line, &need), expected.map(PathBuf::from), "{line}");
        }
    }
}
