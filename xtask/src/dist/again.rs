//! `dist --reproducible`: packages made twice are the same, byte for byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::error::Error;

/// What two folders of packages differ in, a line each.
pub(crate) fn differences(first: &Path, second: &Path) -> Result<Vec<String>, Error> {
    let (first, second) = (read(first)?, read(second)?);
    let mut all: Vec<_> = second
        .keys()
        .filter(|name| !first.contains_key(*name))
        .map(|name| format!("{name} came only the second time"))
        .collect();
    for (name, bytes) in &first {
        let Some(again) = second.get(name) else {
            all.push(format!("{name} came only the first time"));
            continue;
        };
        let pairs = bytes.iter().zip(again);
        let same = pairs.take_while(|(one, other)| one == other).count();
        if bytes != again {
            let (one, other) = (bytes.len(), again.len());
            all.push(format!(
                "{name} differs from byte {same} on ({one} and {other} bytes)"
            ));
        }
    }
    if first.is_empty() {
        all.push("there are no packages to compare".to_owned());
    }
    Ok(all)
}

fn read(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let paths = super::package::packages(folder)?;
    let read = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let bytes = fs::read(path).map_err(Error::path("read", path))?;
        Ok((name.into_owned(), bytes))
    };
    paths.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_bytes_are_the_same() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let write = |folder: &tempfile::TempDir, name: &str, text: &str| {
            fs::write(folder.path().join(name), text).unwrap();
        };
        let compare = || differences(first.path(), second.path()).unwrap();
        assert_eq!(compare(), ["there are no packages to compare"]);
        for folder in [&first, &second] {
            write(folder, "a.deb", "same");
        }
        write(&second, "a.buildinfo", "no package");
        assert_eq!(compare(), Vec::<String>::new());

        write(&first, "b.deb", "one");
        write(&second, "b.deb", "other");
        write(&first, "c.deb", "");
        write(&second, "d.deb", "");
        assert_eq!(
            compare(),
            [
                "d.deb came only the second time",
                "b.deb differs from byte 1 on (3 and 5 bytes)",
                "c.deb came only the first time",
            ]
        );
        // Cut off.
        write(&second, "a.deb", "sam");
        assert!(compare()[1].starts_with("a.deb differs from byte 3 on"));
    }
}
