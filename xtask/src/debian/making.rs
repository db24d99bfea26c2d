//! One run of mmdebstrap, for whoever makes a root.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{explain, remove};
use crate::error::Error;
use crate::exec::{read_lossy, run_logged};
use crate::paths;
use crate::signals;
use crate::ui::say;

/// A mirror that is being updated answers with lists that don't belong together; a moment later they do.
const TRIES: u32 = 2;

/// What is made, and what is said if it can't be.
pub(crate) struct Making<'a> {
    /// For errors: `making ... from Debian's packages`.
    pub(crate) what: &'a str,
    /// The log's name below the artifacts.
    pub(crate) log: &'a str,
    /// A run that takes longer hangs.
    pub(crate) limit: Duration,
    /// The file with the packages' names.
    pub(crate) list: &'a str,
    /// Where the packages come from.
    pub(crate) mirror: &'a str,
    /// What comes of it; what a failed try left of it is removed.
    pub(crate) result: &'a Path,
}

impl Making<'_> {
    /// Runs the command, and once more if it failed.
    pub(crate) fn run(
        &self,
        command: &mut Command,
        tick: &mut dyn FnMut(&str),
    ) -> Result<(), Error> {
        let log = paths::artifacts().join(self.log);
        // Some hundred megabytes come over the network; one lost connection must not cost the whole.
        command.arg(r#"--aptopt=Acquire::Retries "5""#);
        let mut tries = 0;
        loop {
            let done = run_logged(
                "mmdebstrap",
                command,
                &log,
                self.limit,
                |_| (),
                |line| tick(line),
            )?;
            tries += 1;
            match done.require(self.what) {
                Ok(()) => return Ok(()),
                Err(failed) if tries == TRIES => {
                    return Err(explain(failed, &read_lossy(&log)?, self.mirror, self.list));
                }
                Err(failed) => {
                    signals::check()?;
                    say(format!("    trying again: {failed}"));
                    remove(self.result)?;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(log: &str, script: &str, result: &Path) -> Result<(), Error> {
        let making = Making {
            what: "making a test's root",
            log,
            limit: Duration::from_secs(20),
            list: "list.txt",
            mirror: "http://mirror/",
            result,
        };
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(result);
        making.run(&mut command, &mut |_| ())
    }

    #[test]
    fn a_second_try_begins_afresh() {
        let folder = tempfile::tempdir().unwrap();
        let (result, seen) = (folder.path().join("root"), folder.path().join("seen"));
        let script = format!(
            r#"test ! -e "$1" || exit 3; echo half >"$1"; test -e '{0}' || {{ touch '{0}'; exit 1; }}"#,
            seen.display()
        );
        run("debian/second-try.log", &script, &result).unwrap();
        assert!(result.exists() && seen.exists());
    }

    #[test]
    fn what_fails_twice_is_explained() {
        let folder = tempfile::tempdir().unwrap();
        let count = folder.path().join("count");
        let script = format!(
            "echo x >>'{}'; echo \"E: Could not resolve 'mirror'\"; exit 1",
            count.display()
        );
        let error = run("debian/fails.log", &script, &folder.path().join("root")).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("http://mirror/ can't be reached"),
            "{error}"
        );
        assert_eq!(std::fs::read_to_string(count).unwrap(), "x\nx\n");
    }
}
