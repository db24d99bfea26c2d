//! Booting the guest.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::accel::{self, Accel};
use super::image::Image;
use crate::error::Error;
use crate::exec::{Finished, run_logged};
use crate::ui::say;

/// The emulator.
pub(crate) const PROGRAM: &str = "qemu-system-x86_64";

/// Boots, runs the shared folder's job, powers off. `console` gets the guest's serial console.
pub(crate) fn run(
    image: &Image,
    share: &Path,
    console: &Path,
    limit: Duration,
    tick: &mut dyn FnMut(&str),
) -> Result<Finished, Error> {
    let accel = accel::probe()?;
    tick(&format!("booting by {}", accel.name()));
    let mut command = Command::new(PROGRAM);
    command.args(arguments(image, share, accel, "stdio"));
    run_logged(
        "the lab's guest",
        &mut command,
        console,
        limit,
        |_| (),
        |line| tick(line),
    )
}

/// Boots with the terminal as console.
pub(crate) fn interactive(image: &Image, share: &Path) -> Result<(), Error> {
    let accel = accel::probe()?;
    say(format!(
        "booting by {}; Ctrl-A X ends the guest at once",
        accel.name()
    ));
    let mut command = Command::new(PROGRAM);
    command.args(arguments(image, share, accel, "mon:stdio"));
    let status = command.status().map_err(|source| Error::Spawn {
        program: PROGRAM.to_owned(),
        source,
    })?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::NotMet(format!("QEMU ended with {status}")))
    }
}

fn arguments(image: &Image, share: &Path, accel: Accel, serial: &str) -> Vec<OsString> {
    // Without the timer's check: the kernel gives up where a busy host keeps the emulated timer waiting.
    let kernel = "console=ttyS0 quiet panic=-1 no_timer_check mitigations=off root=/dev/vda rootfstype=squashfs ro init=/sbin/mos-lab-init";
    let mut arguments: Vec<OsString> = [
        "-M",
        "q35",
        "-smp",
        "2",
        "-m",
        "2G",
        "-nodefaults",
        "-no-reboot",
    ]
    .into_iter()
    .chain(["-display", "none", "-serial", serial, "-append", kernel])
    .chain(accel.arguments())
    .chain([
        "-device",
        "virtio-blk-pci,drive=root",
        "-device",
        "virtio-9p-pci,fsdev=share,mount_tag=host",
    ])
    .map(Into::into)
    .collect();
    arguments.extend([
        "-kernel".into(),
        image.kernel().into(),
        "-initrd".into(),
        image.ramdisk().into(),
    ]);
    arguments.extend([
        "-drive".into(),
        option(
            "if=none,id=root,format=raw,readonly=on,file=",
            &image.disk(),
        ),
    ]);
    arguments.extend([
        "-fsdev".into(),
        option("local,id=share,security_model=none,path=", share),
    ]);
    arguments
}

/// An option that ends with a path; QEMU wants commas in values doubled.
pub(super) fn option(start: &str, path: &Path) -> OsString {
    let path = path.to_string_lossy().replace(',', ",,");
    format!("{start}{path}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_paths_are_kept() {
        assert_eq!(option("path=", Path::new("/a,b")), "path=/a,,b");
    }
}
