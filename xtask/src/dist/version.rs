//! The packages' version and time, from git: the same commit gives the same packages.

use std::path::Path;
use std::process::Command;

use crate::error::Error;
use crate::exec::capture;

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Goes up when the packaging changes and nothing else does.
const REVISION: &str = "1";

/// What is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    /// Debian's version of it.
    pub(crate) debian: String,
    /// When it was committed, in seconds of Unix time.
    pub(crate) epoch: String,
    /// The same as Debian's changelogs have it.
    pub(crate) date: String,
    /// The commit, for people.
    pub(crate) commit: String,
}

/// Asks git about the working tree in `root`.
pub(crate) fn find(root: &Path) -> Result<Version, Error> {
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command
            .current_dir(root)
            .env("TZ", "UTC")
            .env("LC_ALL", "C")
            .args(arguments);
        capture("asking git for the commit", &mut command)
    };
    let format = "--format=%ct%n%h%n%cd";
    let date = "--date=format-local:%a, %d %b %Y %H:%M:%S +0000%n%Y%m%d.%H%M%S";
    let about = git(&["log", "-1", "--abbrev=8", format, date])?;
    let tags = git(&["tag", "--points-at", "HEAD"])?;
    let changes = git(&["status", "--porcelain"])?;
    parse(&about, &tags, &changes).ok_or_else(|| Error::Unexpected {
        what: "git log".to_owned(),
        why: about.clone(),
    })
}

fn parse(about: &str, tags: &str, changes: &str) -> Option<Version> {
    let mut lines = about.lines();
    let (epoch, commit, date) = (lines.next()?, lines.next()?, lines.next()?);
    let stamp = lines.next()?;
    let changed = !changes.is_empty();
    let released = !changed && tags.lines().any(|tag| tag == format!("v{VERSION}"));
    let upstream = if released {
        VERSION.to_owned()
    } else {
        // Older than the release that it leads to (`~`), in the order of commits; `+` is newer than without.
        let local = if changed { "+local" } else { "" };
        format!("{VERSION}~git{stamp}.{commit}{local}")
    };
    Some(Version {
        debian: format!("{upstream}-{REVISION}"),
        epoch: epoch.to_owned(),
        date: date.to_owned(),
        commit: commit.to_owned(),
    })
}

impl Version {
    /// debian/changelog (deb-changelog(5)); what changed is in CHANGELOG.md, which comes with every package.
    pub(crate) fn changelog(&self, maintainer: &str) -> String {
        let Self {
            debian,
            date,
            commit,
            ..
        } = self;
        format!(
            "mos-camera ({debian}) unstable; urgency=medium\n\n  * Built from commit {commit}.\n\n -- {maintainer}  {date}\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABOUT: &str = "1764400000\n0123abcd\nSat, 29 Nov 2025 07:06:40 +0000\n20251129.070640\n";

    #[test]
    fn only_the_tagged_commit_is_the_release() {
        let tag = format!("v{VERSION}\n");
        for (tags, changes, debian) in [
            ("", "", format!("{VERSION}~git20251129.070640.0123abcd-1")),
            (
                "v0.0.1\nother\n",
                "",
                format!("{VERSION}~git20251129.070640.0123abcd-1"),
            ),
            (tag.as_str(), "", format!("{VERSION}-1")),
            (
                tag.as_str(),
                " M x\n",
                format!("{VERSION}~git20251129.070640.0123abcd+local-1"),
            ),
        ] {
            assert_eq!(parse(ABOUT, tags, changes).unwrap().debian, debian);
        }
        assert_eq!(parse("1\n2\n", "", ""), None);
    }

    #[test]
    fn the_changelog_is_debians() {
        let text = parse(ABOUT, "", "").unwrap().changelog("Who <who@there>");
        assert!(
            text.starts_with(&format!("mos-camera ({VERSION}~git")),
            "{text}"
        );
        assert!(
            text.ends_with("\n\n -- Who <who@there>  Sat, 29 Nov 2025 07:06:40 +0000\n"),
            "{text}"
        );
    }

    #[test]
    fn git_answers_what_is_asked() {
        let version = find(crate::paths::root()).unwrap();
        assert!(version.epoch.parse::<u64>().is_ok(), "{version:?}");
        assert!(version.date.ends_with(" +0000"), "{version:?}");
    }
}
