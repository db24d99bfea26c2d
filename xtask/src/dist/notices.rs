//! What the programs hold of others: the crates that are linked into them, with their licences, as their licences ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::error::Error;

/// File names of licences and notices, in capitals.
const TEXTS: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE"];

/// A crate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Crate {
    /// Name and version, as in the folder of crates.
    name: String,
    /// Its licences, as it states them.
    licence: String,
}

/// The document for what `cargo tree` printed: a line `NAME vVERSION ...|LICENCES` each.
pub(crate) fn write(tree: &str, crates: &Path, to: &Path) -> Result<(), Error> {
    let all = parse(tree);
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for one in &all {
        for text in read_texts(&crates.join(&one.name))? {
            texts.entry(text).or_default().push(one.name.clone());
        }
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(Error::path("create", folder))?;
    }
    fs::write(to, render(&all, &texts)).map_err(Error::path("write", to))
}

/// Crates of this workspace have a folder behind their version; they are not others'.
fn parse(tree: &str) -> BTreeSet<Crate> {
    let read = |line: &str| {
        let (package, licence) = line.split_once('|')?;
        let mut words = package.split(' ').filter(|word| *word != "(proc-macro)");
        let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
        words.next().is_none().then(|| Crate {
            name: format!("{name}-{version}"),
            licence: licence.replace(" (*)", ""),
        })
    };
    tree.lines().filter_map(read).collect()
}

fn read_texts(folder: &Path) -> Result<Vec<String>, Error> {
    let entries = fs::read_dir(folder).map_err(Error::path("read", folder))?;
    let mut paths: Vec<_> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let name = name.to_uppercase();
            path.is_file() && TEXTS.iter().any(|text| name.starts_with(text))
        })
        .collect();
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let bytes = fs::read(path).map_err(Error::path("read", path))?;
        Ok(String::from_utf8_lossy(&bytes)
            .replace("\r\n", "\n")
            .trim()
            .to_owned())
    };
    paths.iter().map(read).collect()
}

/// The list, then each text once with the crates that it came with.
fn render(all: &BTreeSet<Crate>, texts: &BTreeMap<String, Vec<String>>) -> String {
    let mut parts = vec!["Rust crates in the programs and libraries of mos-camera, with the licences that they state.\n\n".to_owned()];
    parts.extend(
        all.iter()
            .map(|one| format!("{}: {}\n", one.name, one.licence)),
    );
    let line = "-".repeat(72);
    for (text, names) in texts {
        let names = names.join(", ");
        parts.push(format!("\n{line}\n{names}\n{line}\n\n{text}\n"));
    }
    parts.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_of_others_are_listed_once() {
        let tree = "mosctl v0.1.0 (/usr/src/mos-camera/crates/mosctl)|MIT OR Apache-2.0\nclap v4.6.0|MIT OR Apache-2.0\nring v0.17.0|Apache-2.0 AND ISC\nclap v4.6.0|MIT OR Apache-2.0 (*)\nserde_derive v1.0.0 (proc-macro)|MIT\n\n";
        let all = parse(tree);
        let names: Vec<_> = all.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["clap-4.6.0", "ring-0.17.0", "serde_derive-1.0.0"]);
    }

    #[test]
    fn a_text_that_several_have_is_there_once() {
        let crates = tempfile::tempdir().unwrap();
        for (name, file, text) in [
            ("a-1.0.0", "LICENSE-MIT", "Copyright A\r\n"),
            ("b-1.0.0", "license.txt", "Copyright A\n"),
            ("b-1.0.0", "Cargo.toml", "no licence"),
            ("c-1.0.0", "COPYING", "Copyright C\n"),
        ] {
            fs::create_dir_all(crates.path().join(name)).unwrap();
            fs::write(crates.path().join(name).join(file), text).unwrap();
        }
        let to = crates.path().join("out/third-party.txt");
        write(
            "a v1.0.0|MIT\nb v1.0.0|MIT\nc v1.0.0|ISC\n",
            crates.path(),
            &to,
        )
        .unwrap();
        let document = fs::read_to_string(&to).unwrap();
        assert!(document.contains("\nc-1.0.0: ISC\n"), "{document}");
        assert!(document.contains("\na-1.0.0, b-1.0.0\n"), "{document}");
        assert_eq!(document.matches("Copyright A").count(), 1);
        assert!(!document.contains("no licence"));
        assert!(write("d v1.0.0|MIT\n", crates.path(), &to).is_err());
    }
}
