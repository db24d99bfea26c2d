//! The systemd units and how far they are shut in.

/// The most that systemd may find exposed of each unit (systemd-analyze(1), `security`), in tenths of its scale from 0 to
/// 10. A unit says what it leaves open and why: raise these only with a reason there.
pub(crate) const EXPOSURE: [(&str, u32); 2] = [
    ("mos-camera-capture.service", 18),
    ("mos-unixfd@.service", 8),
];

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::process::{Command, Output};

    use mos_testkit::skip::skip;

    use super::*;
    use crate::paths;

    const MISSING: &str = "systemd-analyze is not installed";

    fn analyze(arguments: &[&str]) -> Option<Output> {
        Command::new("systemd-analyze")
            .args(arguments)
            .output()
            .ok()
    }

    /// The unit as it is, but for its program, which is not installed here.
    fn unit(folder: &tempfile::TempDir, name: &str) -> PathBuf {
        let text = fs::read_to_string(paths::root().join("dist").join(name)).unwrap();
        let lines = text
            .lines()
            .map(|line| match line.strip_prefix("ExecStart=") {
                Some(_) => "ExecStart=/bin/true",
                None => line,
            });
        let path = folder.path().join(name);
        fs::write(&path, lines.collect::<Vec<_>>().join("\n") + "\n").unwrap();
        path
    }

    #[test]
    fn systemd_finds_nothing_wrong_with_the_units() {
        let folder = tempfile::tempdir().unwrap();
        for (name, _) in EXPOSURE {
            let path = unit(&folder, name);
            let Some(output) = analyze(&["verify", "--man=no", path.to_str().unwrap()]) else {
                skip("systemd_finds_nothing_wrong_with_the_units", MISSING).unwrap();
                return;
            };
            // It also speaks of the machine's own units.
            let said = String::from_utf8_lossy(&output.stderr);
            let ours = said.lines().filter(|line| line.contains("mos-"));
            assert_eq!(ours.collect::<Vec<_>>(), Vec::<&str>::new());
        }
    }

    #[test]
    fn the_units_are_shut_in() {
        let folder = tempfile::tempdir().unwrap();
        for (name, limit) in EXPOSURE {
            let path = unit(&folder, name);
            let threshold = format!("--threshold={limit}");
            let arguments = ["security", "--offline=true", "--no-pager", &threshold];
            let Some(output) = analyze(&[&arguments[..], &[path.to_str().unwrap()]].concat())
            else {
                skip("the_units_are_shut_in", MISSING).unwrap();
                return;
            };
            let said = String::from_utf8_lossy(&output.stderr);
            if said.contains("unrecognized option") || said.contains("Unknown") {
                skip(
                    "the_units_are_shut_in",
                    "this systemd-analyze is too old to judge a file",
                )
                .unwrap();
                return;
            }
            let table = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{name}:\n{table}{said}");
        }
    }
}
