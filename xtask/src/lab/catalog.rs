//! The lab's tests: `lab/tests/NAME.sh`, with a header that says what each shows and needs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::Error;
use crate::paths;

/// How long a test may take if its header does not say.
const DEFAULT_LIMIT: Duration = Duration::from_mins(5);

/// A test that runs in the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LabTest {
    /// Its file name without `.sh`.
    pub(crate) name: String,
    /// The script.
    pub(crate) script: PathBuf,
    /// First line of its header.
    pub(crate) about: String,
    /// Host-built test programs that it runs: package and test target.
    pub(crate) needs: Vec<(String, String)>,
    /// Host-built programs of the workspace that it runs: package and binary.
    pub(crate) programs: Vec<(String, String)>,
    /// How long it may take in the guest, which is some fifteen times slower than the host without KVM.
    pub(crate) limit: Duration,
}

/// All tests, by name.
pub(crate) fn load() -> Result<Vec<LabTest>, Error> {
    let folder = paths::root().join("lab/tests");
    let entries = fs::read_dir(&folder).map_err(Error::path("read", &folder))?;
    let scripts = entries.filter_map(Result::ok).map(|entry| entry.path());
    let mut scripts: Vec<_> = scripts
        .filter(|path| path.extension().is_some_and(|kind| kind == "sh"))
        .collect();
    scripts.sort();
    scripts.iter().map(|script| read(script)).collect()
}

fn read(script: &Path) -> Result<LabTest, Error> {
    let text = fs::read_to_string(script).map_err(Error::path("read", script))?;
    parse(script, &text).map_err(|why| Error::Unexpected {
        what: script.display().to_string(),
        why,
    })
}

fn parse(script: &Path, text: &str) -> Result<LabTest, String> {
    let header: Vec<_> = text
        .lines()
        .map_while(|line| line.strip_prefix("# "))
        .collect();
    let about = (*header
        .first()
        .ok_or("its first line has to be a comment that says what it shows")?)
    .to_owned();
    let name = script
        .file_stem()
        .ok_or("it has no name")?
        .to_string_lossy()
        .into_owned();
    let (mut needs, mut programs, mut limit) = (Vec::new(), Vec::new(), DEFAULT_LIMIT);
    for line in &header[1..] {
        if let Some(need) = line.strip_prefix("Needs: ") {
            needs.push(pair(need).ok_or("Needs: takes a package and a test target")?);
        } else if let Some(program) = line.strip_prefix("Program: ") {
            programs.push(pair(program).ok_or("Program: takes a package and a binary")?);
        } else if let Some(seconds) = line.strip_prefix("Limit: ") {
            limit =
                Duration::from_secs(seconds.trim().parse().map_err(|_| "Limit: takes seconds")?);
        }
    }
    Ok(LabTest {
        name,
        script: script.to_owned(),
        about,
        needs,
        programs,
        limit,
    })
}

/// A package and what of it.
fn pair(text: &str) -> Option<(String, String)> {
    let (package, target) = text.trim().split_once(' ')?;
    Some((package.to_owned(), target.trim().to_owned()))
}

/// The named tests, or all.
pub(crate) fn select(all: Vec<LabTest>, names: &[String]) -> Result<Vec<LabTest>, Error> {
    if let Some(unknown) = names
        .iter()
        .find(|name| all.iter().all(|test| test.name != **name))
    {
        let known: Vec<_> = all.iter().map(|test| test.name.as_str()).collect();
        return Err(Error::NotMet(format!(
            "no lab test is named {unknown}; there are: {}",
            known.join(", ")
        )));
    }
    Ok(all
        .into_iter()
        .filter(|test| names.is_empty() || names.contains(&test.name))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read() {
        let text = "# Shows a thing.\n# Needs: crate-a test_a\n# Needs: crate-b test_b\n# Program: crate-c c\n# Limit: 7\nset -e\n# Limit: 9\n";
        let test = parse(Path::new("x/thing.sh"), text).unwrap();
        assert_eq!(
            (test.name.as_str(), test.about.as_str()),
            ("thing", "Shows a thing.")
        );
        let owned = |(package, target): (&str, &str)| (package.to_owned(), target.to_owned());
        let needs = [("crate-a", "test_a"), ("crate-b", "test_b")];
        assert_eq!(test.needs, needs.map(owned));
        assert_eq!(test.programs, [owned(("crate-c", "c"))]);
        assert_eq!(test.limit, Duration::from_secs(7));
    }

    #[test]
    fn bad_headers_are_refused() {
        for text in [
            "",
            "set -e\n",
            "# About\n# Needs: alone\n",
            "# About\n# Program: alone\n",
            "# About\n# Limit: soon\n",
        ] {
            assert!(parse(Path::new("thing.sh"), text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_shipped_tests_can_be_read_and_chosen() {
        let all = load().unwrap();
        assert!(!all.is_empty());
        let one = all[0].name.clone();
        assert_eq!(
            select(all.clone(), std::slice::from_ref(&one))
                .unwrap()
                .len(),
            1
        );
        assert!(
            select(all, &["nosuch".to_owned()])
                .unwrap_err()
                .to_string()
                .contains(&one)
        );
    }
}
