//! What the programs in the packages say of themselves: the processor that they are for, and that what they need is in
//! what their package depends on. Asked of the finished packages, so it holds whatever made them.

use super::arch::Arch;

/// Everything that is wrong with what `packaging/check/elf.sh` printed.
pub(crate) fn faults(arch: Arch, printed: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut count = 0;
    for line in printed.lines() {
        let Some(rest) = line.strip_prefix("elf ") else {
            continue;
        };
        count += 1;
        let words: Vec<_> = rest.split(' ').collect();
        let [package, file, machine, needed @ ..] = &words[..] else {
            faults.push(format!("not understood: {line}"));
            continue;
        };
        if machine.parse() != Ok(arch.elf_machine()) {
            let of = arch.debian();
            faults.push(format!(
                "{package}: {file} is not for {of}, but for machine {machine}"
            ));
        }
        let depends = depends(printed, package);
        for need in needed {
            let (library, owners) = need.split_once('=').unwrap_or((need, ""));
            let covered = owners.split(',').any(|owner| depends.contains(&owner));
            if !covered {
                faults.push(format!(
                    "{package}: {file} needs {library} (in: {owners}), which its Depends don't bring"
                ));
            }
        }
    }
    if count == 0 {
        faults.push("no ELF file in any package".to_owned());
    }
    faults
}

/// Names in a package's Depends, alternatives included.
fn depends<'a>(printed: &'a str, package: &str) -> Vec<&'a str> {
    let line = printed.lines().find_map(|line| {
        let (name, rest) = line.strip_prefix("depends ")?.split_once(' ')?;
        (name == package).then_some(rest)
    });
    let words = line.unwrap_or_default().split([',', '|', ' ']);
    words
        .map(|word| word.split(':').next().unwrap_or_default())
        .filter(|word| !word.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "depends mosctl libc6 (>= 2.39), libgcc-s1 (>= 4.2) \n\
        elf mosctl /usr/bin/mosctl 183 libc.so.6=libc6 libgcc_s.so.1=libgcc-s1\n\
        depends libmos-frame-dev libmos-frame0 (= 1) \n";

    #[test]
    fn good_packages_have_no_faults() {
        assert_eq!(faults(Arch::Arm64, GOOD), Vec::<String>::new());
    }

    #[test]
    fn each_fault_is_named() {
        for (arch, from, to, says) in [
            (Arch::Amd64, "", "", "not for amd64"),
            (
                Arch::Arm64,
                ", libgcc-s1 (>= 4.2)",
                "",
                "needs libgcc_s.so.1",
            ),
            (Arch::Arm64, "=libgcc-s1", "=", "(in: )"),
            (Arch::Arm64, "elf ", "not ", "no ELF file"),
            (
                Arch::Arm64,
                " /usr/bin/mosctl 183 libc.so.6=libc6 libgcc_s.so.1=libgcc-s1",
                "",
                "not understood",
            ),
        ] {
            let text = GOOD.replacen(from, to, 1);
            let faults = faults(arch, &text);
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert!(faults[0].contains(says), "{faults:?}");
        }
    }

    #[test]
    fn alternatives_and_architectures_count_by_name() {
        let line = "depends p a:any (>= 1), b | c:arm64, d\n";
        let names = depends(line, "p");
        for name in ["a", "b", "c", "d"] {
            assert!(names.contains(&name), "{names:?}");
        }
        assert!(depends(line, "other").is_empty());
    }
}
