//! How QEMU is told to play the two machines: one that installs packages, and the board.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::lab::qemu::option;

/// Several threads of the host play the processors.
const ACCEL: [&str; 2] = ["-accel", "tcg,thread=multi,tb-size=512"];
/// No card has a size that is no power of two.
const SMALLEST_CARD: u64 = 1 << 26;

/// What a board is booted with.
#[derive(Debug)]
pub(super) struct Boot<'a> {
    /// Linux.
    pub(super) kernel: &'a Path,
    /// Mounts the disk.
    pub(super) ramdisk: &'a Path,
    /// The device tree.
    pub(super) tree: &'a Path,
    /// The root, on the board's soldered card; what is written to it is forgotten.
    pub(super) disk: &'a Path,
    /// What is in the board's card slot: a tar archive.
    pub(super) card: &'a Path,
}

/// A machine with as little as it takes to install packages: the shared folder, and memory for the root.
pub(super) fn installer(kernel: &Path, ramdisk: &Path, share: &Path) -> Vec<OsString> {
    let mut arguments = words(&[
        "-M",
        "virt",
        "-cpu",
        "cortex-a72",
        "-smp",
        "2",
        "-m",
        "6G",
        "-nodefaults",
    ]);
    arguments.extend(words(&ACCEL));
    arguments.extend(words(&[
        "-display",
        "none",
        "-no-reboot",
        "-serial",
        "stdio",
    ]));
    arguments.extend(words(&[
        "-append",
        "console=ttyAMA0 quiet panic=-1 rdinit=/install",
    ]));
    arguments.extend([
        "-kernel".into(),
        kernel.into(),
        "-initrd".into(),
        ramdisk.into(),
    ]);
    arguments.extend(words(&[
        "-device",
        "virtio-9p-pci,fsdev=share,mount_tag=host",
    ]));
    arguments.extend([
        "-fsdev".into(),
        option("local,id=share,security_model=none,path=", share),
    ]);
    arguments
}

/// NXP's evaluation kit of the i.MX 8M Plus. Its second serial port is the console.
///
/// Its `PCIe` is of no use: Debian's kernel lacks the driver of the interconnect that the device tree puts before it.
pub(super) fn board(boot: &Boot<'_>) -> Vec<OsString> {
    let mut arguments = words(&["-M", "imx8mp-evk", "-smp", "4", "-m", "3G"]);
    arguments.extend(words(&ACCEL));
    arguments.extend(words(&[
        "-display",
        "none",
        "-monitor",
        "none",
        "-no-reboot",
        "-serial",
        "null",
        "-serial",
        "stdio",
    ]));
    arguments.extend(words(&[
        "-append",
        "console=ttymxc1,115200 quiet panic=-1 root=/dev/mmcblk2 rootfstype=squashfs ro systemd.unit=mos-board.target systemd.show_status=true systemd.mask=timers.target",
    ]));
    for (flag, path) in [
        ("-kernel", boot.kernel),
        ("-initrd", boot.ramdisk),
        ("-dtb", boot.tree),
    ] {
        arguments.extend([flag.into(), path.into()]);
    }
    for (start, path) in [
        (
            "if=sd,bus=2,id=soldered,format=raw,snapshot=on,file=",
            boot.disk,
        ),
        (
            "if=sd,bus=1,id=slot,format=raw,snapshot=on,file=",
            boot.card,
        ),
    ] {
        arguments.extend(["-drive".into(), option(start, path)]);
    }
    arguments
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(Into::into).collect()
}

/// Makes a file long enough to be a card.
pub(super) fn fit_card(path: &Path) -> Result<(), Error> {
    let file = File::options()
        .write(true)
        .open(path)
        .map_err(Error::path("open", path))?;
    let length = file.metadata().map_err(Error::path("look at", path))?.len();
    file.set_len(card_size(length))
        .map_err(Error::path("lengthen", path))
}

fn card_size(length: u64) -> u64 {
    length.max(SMALLEST_CARD).next_power_of_two()
}

/// The files below `folder` as a card: a tar archive without a file system around it.
pub(super) fn card(folder: &Path, target: &Path) -> Result<(), Error> {
    let mut command = std::process::Command::new("tar");
    command.arg("-cf").arg(target).arg("-C").arg(folder);
    command.args(["--owner=0", "--group=0", "."]);
    crate::exec::capture("writing the board's card", &mut command)?;
    fit_card(target)
}

/// What the board's job puts in front of each line of its results, an archive in base64.
const RESULT: &str = "mos-board-results: ";

/// What a board wrote to its console: files in `folder`. A board that died wrote none; what is missing is missed.
pub(super) fn unpack_results(console: &str, folder: &Path) -> Result<PathBuf, Error> {
    fs::create_dir_all(folder).map_err(Error::path("create", folder))?;
    let encoded = results(console);
    if !encoded.is_empty() {
        let archive = folder.with_extension("base64");
        fs::write(&archive, encoded).map_err(Error::path("write", &archive))?;
        let mut command = std::process::Command::new("sh");
        command.args([
            "-c",
            r#"base64 --decode "$1" | tar -xz --no-same-owner -C "$2""#,
            "sh",
        ]);
        command.arg(&archive).arg(folder);
        crate::exec::capture("reading what the board wrote", &mut command)?;
    }
    Ok(folder.to_owned())
}

/// The lines of the results, without what else is said on the console.
fn results(console: &str) -> String {
    let lines = console.lines().map(str::trim_end);
    lines
        .filter_map(|line| line.strip_prefix(RESULT))
        .flat_map(|line| [line, "\n"])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_have_the_sizes_of_cards() {
        for (length, size) in [
            (0, 1 << 26),
            (1 << 26, 1 << 26),
            ((1 << 26) + 1, 1 << 27),
            (200_000_000, 1 << 28),
        ] {
            assert_eq!(card_size(length), size, "{length}");
        }
    }

    #[test]
    fn results_come_between_other_lines() {
        let folder = tempfile::tempdir().unwrap();
        let console =
            format!("[ 1.0] kernel\n{RESULT}H4sI\r\nmos-board: status 0\r\n{RESULT}AAAA\r\n");
        assert_eq!(results(&console), "H4sI\nAAAA\n");
        let none = unpack_results("[ 1.0] kernel\n", &folder.path().join("results")).unwrap();
        assert_eq!(fs::read_dir(none).unwrap().count(), 0);
    }

    #[test]
    fn what_a_card_holds_can_be_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let files = folder.path().join("files");
        fs::create_dir(&files).unwrap();
        fs::write(files.join("task"), "probe").unwrap();
        let card_path = folder.path().join("card");
        card(&files, &card_path).unwrap();
        assert_eq!(fs::metadata(&card_path).unwrap().len(), SMALLEST_CARD);
        let listed = crate::exec::capture(
            "listing the card",
            std::process::Command::new("tar").arg("-tf").arg(&card_path),
        );
        assert!(listed.unwrap().contains("./task"));
    }
}
