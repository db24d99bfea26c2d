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
    /// What is built on the host for it.
    pub(crate) needs: Vec<Need>,
    /// Whether it is too long for every run: it runs only where it is named.
    pub(crate) long: bool,
    /// How long it may take in the guest, which is some fifteen times slower than the host without KVM.
    pub(crate) limit: Duration,
}

/// Something that is built on the host for a test and is in the guest's PATH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    /// What kind of target it is.
    pub(crate) kind: Kind,
    /// The package that has it.
    pub(crate) package: String,
    /// The target.
    pub(crate) target: String,
    /// Whether it is of the production build.
    pub(crate) production: bool,
}

/// What is built for the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An integration test.
    Test,
    /// A program of the workspace.
    Program,
    /// A library that others load: the GStreamer plugin.
    Library,
}

impl LabTest {
    /// Whether it runs Rust test programs.
    pub(crate) fn has_tests(&self) -> bool {
        self.needs.iter().any(|need| need.kind == Kind::Test)
    }
}

impl Need {
    /// What it is called in the guest.
    pub(crate) fn name(&self) -> String {
        let name = match self.kind {
            Kind::Library => format!("lib{}.so", self.target),
            Kind::Test | Kind::Program => self.target.clone(),
        };
        match (self.production, self.kind) {
            // GStreamer finds a plugin by its file name, so the two builds are in folders of their own.
            (true, Kind::Library) => format!("production/{name}"),
            (true, _) => format!("{name}-production"),
            (false, _) => name,
        }
    }
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
    let (mut needs, mut limit, mut long) = (Vec::new(), DEFAULT_LIMIT, false);
    for line in &header[1..] {
        let need = HEADERS
            .iter()
            .find_map(|(header, kind)| Some((line.strip_prefix(header)?, *kind)));
        if let Some((text, kind)) = need {
            needs.push(parse_need(kind, text).ok_or_else(|| {
                format!("`{line}`: expected a package, a target and perhaps `production`")
            })?);
        } else if *line == "Long" {
            long = true;
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
        long,
        limit,
    })
}

const HEADERS: [(&str, Kind); 3] = [
    ("Needs: ", Kind::Test),
    ("Program: ", Kind::Program),
    ("Library: ", Kind::Library),
];

/// `PACKAGE TARGET [production]`.
fn parse_need(kind: Kind, text: &str) -> Option<Need> {
    let words: Vec<_> = text.split_whitespace().collect();
    let (package, target, production) = match words[..] {
        [package, target] => (package, target, false),
        [package, target, "production"] => (package, target, true),
        _ => return None,
    };
    Some(Need {
        kind,
        package: package.to_owned(),
        target: target.to_owned(),
        production,
    })
}

/// The named tests, or all that are not long.
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
        .filter(|test| match names {
            [] => !test.long,
            names => names.contains(&test.name),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read() {
        let text = "# Shows a thing.\n# Needs: crate-a test_a\n# Program: crate-c c production\n# Library: crate-d d production\n# Long\n# Limit: 7\nset -e\n# Limit: 9\n";
        let test = parse(Path::new("x/thing.sh"), text).unwrap();
        assert_eq!(
            (test.name.as_str(), test.about.as_str()),
            ("thing", "Shows a thing.")
        );
        let need = |kind, package: &str, target: &str, production| Need {
            kind,
            package: package.to_owned(),
            target: target.to_owned(),
            production,
        };
        assert_eq!(
            test.needs,
            [
                need(Kind::Test, "crate-a", "test_a", false),
                need(Kind::Program, "crate-c", "c", true),
                need(Kind::Library, "crate-d", "d", true),
            ]
        );
        let names: Vec<_> = test.needs.iter().map(Need::name).collect();
        assert_eq!(names, ["test_a", "c-production", "production/libd.so"]);
        assert_eq!((test.long, test.limit), (true, Duration::from_secs(7)));
        assert_eq!(select(vec![test.clone()], &[]).unwrap(), []);
        let named = select(vec![test.clone()], &["thing".to_owned()]);
        assert_eq!(named.unwrap(), [test]);
    }

    #[test]
    fn bad_headers_are_refused() {
        for text in [
            "",
            "set -e\n",
            "# About\n# Needs: alone\n",
            "# About\n# Program: alone\n",
            "# About\n# Needs: a b c\n",
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
