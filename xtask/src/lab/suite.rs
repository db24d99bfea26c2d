//! One boot, several tests, one tally.

use std::collections::{BTreeMap, HashMap};
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
    scope: Scope,
    log: &Path,
    tick: &mut dyn FnMut(&str),
) -> Result<Tally, Error> {
    preflight::can_boot()?;
    let image = image::ready(tick)?;
    let share = Share::new(&paths::artifacts().join("lab/share"), "job", tick)?;
    share.add_tests(tests)?;
    let needs: BTreeMap<_, _> = tests
        .iter()
        .flat_map(|test| &test.needs)
        .map(|need| (need.name(), need))
        .collect();
    let mut builds = Builds::default();
    for (name, need) in needs {
        share.add_program(&name, &builds.file(need, scope, tick)?)?;
    }
    let limit = BOOT_LIMIT + tests.iter().map(|test| test.limit).sum::<Duration>();
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

/// How much is built at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The whole workspace, as the other steps of a test run build it: what they have built is not built again.
    Workspace,
    /// Only what is needed. Built alone a crate may want other features of its dependencies, which are compiled again for it.
    Needed,
}

/// What cargo said, in JSON, to each command line that it was called with.
#[derive(Default)]
struct Builds(HashMap<Vec<String>, Vec<String>>);

impl Builds {
    /// Builds what is needed on the host and answers the file's path.
    fn file(
        &mut self,
        need: &Need,
        scope: Scope,
        tick: &mut dyn FnMut(&str),
    ) -> Result<PathBuf, Error> {
        let arguments = arguments(need, scope);
        if !self.0.contains_key(&arguments) {
            let said = build(need, &arguments, tick)?;
            self.0.insert(arguments.clone(), said);
        }
        let said = self.0.get(&arguments).into_iter().flatten();
        let file = said.rev().find_map(|line| file_of(line, need));
        file.ok_or_else(|| Error::Unexpected {
            what: "cargo".to_owned(),
            why: format!("it named no file for {}", need.name()),
        })
    }
}

/// Cargo's arguments to build what is needed.
fn arguments(need: &Need, scope: Scope) -> Vec<String> {
    let of_test = need.kind == Kind::Test;
    let arguments: Vec<&str> = match (scope, need.production) {
        (Scope::Workspace, false) if of_test => vec!["test", "--workspace", "--no-run"],
        (Scope::Workspace, false) => vec!["build", "--workspace"],
        (Scope::Workspace, true) if !of_test => {
            return ["build".to_owned()]
                .into_iter()
                .chain(production::arguments())
                .collect();
        }
        _ => {
            let target: &[&str] = match need.kind {
                Kind::Test => &["--no-run", "--test", &need.target],
                Kind::Program => &["--bin", &need.target],
                Kind::Library => &["--lib"],
            };
            let features: &[&str] = if need.production {
                &["--no-default-features"]
            } else {
                &[]
            };
            let subcommand = if of_test { "test" } else { "build" };
            let package = [subcommand, "--package", &need.package];
            [&package[..], target, features].concat()
        }
    };
    arguments.into_iter().map(str::to_owned).collect()
}

/// Calls cargo; what it says in JSON.
fn build(
    need: &Need,
    arguments: &[String],
    tick: &mut dyn FnMut(&str),
) -> Result<Vec<String>, Error> {
    let (subcommand, options) = arguments.split_first().ok_or_else(|| Error::Unexpected {
        what: "the lab".to_owned(),
        why: "it has no command for cargo".to_owned(),
    })?;
    let mut command = cargo(subcommand);
    command
        .args(options)
        .arg("--message-format=json-render-diagnostics");
    if need.production {
        production::in_own_folder(&mut command);
    }
    let log = paths::artifacts()
        .join("lab")
        .join(format!("build-{}.log", need.name().replace('/', "-")));
    let what = format!("building {} of {}", need.name(), need.package);
    tick(&what);
    let mut said = Vec::new();
    let on_line = |line: &str| {
        if line.starts_with('{') {
            said.push(line.to_owned());
        }
    };
    let on_tick = |_: &str| tick(&what);
    run_logged(&what, &mut command, &log, BUILD_LIMIT, on_line, on_tick)?.require(&what)?;
    Ok(said)
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    manifest_path: PathBuf,
    executable: Option<PathBuf>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    target: Option<Target>,
    #[serde(default)]
    profile: Profile,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    name: String,
}

#[derive(Deserialize, Default)]
struct Profile {
    /// It is a test program, such as that of a program's own unit tests.
    test: bool,
}

/// The file that a line of cargo's JSON output names for what is needed.
fn file_of(line: &str, need: &Need) -> Option<PathBuf> {
    let message: Message = serde_json::from_str(line).ok()?;
    let folder = message.manifest_path.parent()?.file_name()?;
    let kind = match need.kind {
        Kind::Test => "test",
        Kind::Program => "bin",
        Kind::Library => "cdylib",
    };
    let ours = |found: &Target| found.name == need.target && found.kind.iter().any(|k| k == kind);
    message.target.filter(ours)?;
    // Packages are in folders of their names.
    if folder != need.package.as_str() || message.profile.test != (need.kind == Kind::Test) {
        return None;
    }
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

    fn need(kind: Kind, package: &str, target: &str, production: bool) -> Need {
        Need {
            kind,
            package: package.to_owned(),
            target: target.to_owned(),
            production,
        }
    }

    /// A line of cargo's, as far as it is read.
    fn line(package: &str, kind: &str, name: &str, test: bool, files: &str) -> String {
        format!(
            r#"{{"manifest_path":"/w/crates/{package}/Cargo.toml","target":{{"kind":["{kind}"],"name":"{name}"}},"profile":{{"test":{test}}},{files}}}"#
        )
    }

    #[test]
    fn cargo_names_the_file() {
        let executable = r#""executable":"/t/x""#;
        let library = r#""filenames":["/t/a.rlib","/t/a.so"],"executable":null"#;
        let test = line("p", "test", "conf", true, executable);
        let program = line("p", "bin", "tool", false, executable);
        let unit_tests = line("p", "bin", "tool", true, executable);
        let plugin = line("p", "cdylib", "gstmos", false, library);
        for (line, need, expected) in [
            (&test, need(Kind::Test, "p", "conf", false), Some("/t/x")),
            (&test, need(Kind::Test, "p", "other", false), None),
            (&test, need(Kind::Test, "q", "conf", false), None),
            (
                &program,
                need(Kind::Program, "p", "tool", false),
                Some("/t/x"),
            ),
            (&unit_tests, need(Kind::Program, "p", "tool", false), None),
            (
                &plugin,
                need(Kind::Library, "p", "gstmos", false),
                Some("/t/a.so"),
            ),
            (&plugin, need(Kind::Program, "p", "gstmos", false), None),
            (
                &"   Compiling conf".to_owned(),
                need(Kind::Test, "p", "conf", false),
                None,
            ),
        ] {
            assert_eq!(file_of(line, &need), expected.map(PathBuf::from), "{line}");
        }
    }

    #[test]
    fn a_whole_run_builds_as_the_steps_before_it_did() {
        let line =
            |scope, kind, production| arguments(&need(kind, "p", "t", production), scope).join(" ");
        for (scope, kind, production, expected) in [
            (
                Scope::Workspace,
                Kind::Test,
                false,
                "test --workspace --no-run",
            ),
            (Scope::Workspace, Kind::Program, false, "build --workspace"),
            (
                Scope::Workspace,
                Kind::Test,
                true,
                "test --package p --no-run --test t --no-default-features",
            ),
            (
                Scope::Needed,
                Kind::Test,
                false,
                "test --package p --no-run --test t",
            ),
            (
                Scope::Needed,
                Kind::Program,
                true,
                "build --package p --bin t --no-default-features",
            ),
            (
                Scope::Needed,
                Kind::Library,
                false,
                "build --package p --lib",
            ),
        ] {
            assert_eq!(line(scope, kind, production), expected);
        }
        let production = line(Scope::Workspace, Kind::Library, true);
        assert_eq!(
            production,
            format!("build {}", production::arguments().join(" "))
        );
    }
}
