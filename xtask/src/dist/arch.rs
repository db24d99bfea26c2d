//! The processors that packages are built for, and what everybody calls them.

use clap::ValueEnum;

/// A processor, by Debian's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Arch {
    /// 64-bit x86
    Amd64,
    /// 64-bit Arm
    Arm64,
}

impl Arch {
    /// This machine's.
    pub(crate) const NATIVE: Self = if cfg!(target_arch = "aarch64") {
        Self::Arm64
    } else {
        Self::Amd64
    };

    /// Debian's name.
    pub(crate) fn debian(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// What GNU tools have in their names and Debian in its library folders.
    pub(crate) fn gnu(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-linux-gnu",
            Self::Arm64 => "aarch64-linux-gnu",
        }
    }

    /// Rust's target.
    pub(crate) fn rust(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// `e_machine` of its ELF files (elf(5)).
    pub(crate) fn elf_machine(self) -> u16 {
        match self {
            Self::Amd64 => 62,
            Self::Arm64 => 183,
        }
    }

    /// What cross-building takes in the environment: the linker, the C compiler and the folders of .pc files.
    pub(crate) fn environment(self) -> Vec<(String, String)> {
        let (rust, gnu) = (self.rust(), self.gnu());
        let tool = |name: &str| format!("{gnu}-{name}");
        let upper = rust.to_uppercase().replace('-', "_");
        let lower = rust.replace('-', "_");
        vec![
            (format!("CARGO_TARGET_{upper}_LINKER"), tool("gcc")),
            (format!("CC_{lower}"), tool("gcc")),
            (format!("AR_{lower}"), tool("ar")),
            ("PKG_CONFIG_ALLOW_CROSS".to_owned(), "1".to_owned()),
            (
                "PKG_CONFIG_LIBDIR".to_owned(),
                format!("/usr/lib/{gnu}/pkgconfig:/usr/share/pkgconfig"),
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_each_world() {
        let names = |arch: Arch| (arch.debian(), arch.gnu(), arch.rust(), arch.elf_machine());
        assert_eq!(
            [names(Arch::Amd64), names(Arch::Arm64)],
            [
                ("amd64", "x86_64-linux-gnu", "x86_64-unknown-linux-gnu", 62),
                (
                    "arm64",
                    "aarch64-linux-gnu",
                    "aarch64-unknown-linux-gnu",
                    183
                ),
            ]
        );
        for arch in [Arch::Amd64, Arch::Arm64] {
            assert_eq!(Arch::from_str(arch.debian(), false), Ok(arch));
        }
    }

    #[test]
    fn everything_that_is_looked_up_is_of_the_target() {
        let environment = Arch::Arm64.environment();
        let of = |name: &str| {
            environment
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.as_str())
        };
        assert_eq!(
            of("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER"),
            Some("aarch64-linux-gnu-gcc")
        );
        assert_eq!(
            of("CC_aarch64_unknown_linux_gnu"),
            Some("aarch64-linux-gnu-gcc")
        );
        assert!(
            of("PKG_CONFIG_LIBDIR")
                .is_some_and(|path| path.starts_with("/usr/lib/aarch64-linux-gnu/pkgconfig:"))
        );
    }
}
