//! Whether KVM really works here. That `/dev/kvm` can be opened says little: on some hosts the first run of a virtual
//! processor fails. So a program of three instructions is run in a real virtual machine.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::error::Error;
use crate::exec::Running;

/// How QEMU executes the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accel {
    /// On the processor.
    Kvm,
    /// By translation, some fifteen times slower.
    Tcg,
}

impl Accel {
    /// QEMU's arguments for it.
    pub(crate) fn arguments(self) -> [&'static str; 4] {
        match self {
            Self::Kvm => ["-accel", "kvm", "-cpu", "host"],
            Self::Tcg => ["-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max"],
        }
    }

    /// For messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Kvm => "KVM",
            Self::Tcg => "emulation, as KVM does not work here",
        }
    }
}

/// What the probe writes to the debug-exit port; QEMU then ends with `(code << 1) | 1`.
const CODE: u8 = 0x10;
const PORT: u8 = 0xf4;
const FIRMWARE_SIZE: usize = 64 * 1024;
/// Where an x86 processor starts, from the end of the firmware.
const RESET_VECTOR: usize = FIRMWARE_SIZE - 16;
/// A working KVM needs milliseconds.
const LIMIT: Duration = Duration::from_secs(15);

/// Finds out by trying.
pub(crate) fn probe() -> Result<Accel, Error> {
    let folder = tempfile::tempdir().map_err(Error::io("cannot make a temporary folder"))?;
    let firmware = folder.path().join("probe.bin");
    fs::write(&firmware, firmware_image()).map_err(Error::path("write", &firmware))?;
    Ok(if runs(Accel::Kvm, &firmware)? {
        Accel::Kvm
    } else {
        Accel::Tcg
    })
}

/// `mov al, CODE; out PORT, al; hlt` at the reset vector.
fn firmware_image() -> Vec<u8> {
    let mut image = vec![0xf4; FIRMWARE_SIZE];
    image[RESET_VECTOR..RESET_VECTOR + 5].copy_from_slice(&[0xb0, CODE, 0xe6, PORT, 0xf4]);
    image
}

fn runs(accel: Accel, firmware: &Path) -> Result<bool, Error> {
    let mut command = Command::new(super::qemu::PROGRAM);
    command
        .args(["-M", "q35", "-nodefaults", "-display", "none", "-no-reboot"])
        .args(accel.arguments());
    command
        .args([
            "-device",
            &format!("isa-debug-exit,iobase={PORT:#x},iosize=1"),
            "-bios",
        ])
        .arg(firmware);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut vm = Running::spawn("KVM probe", &mut command)?;
    let expected = Some(i32::from(CODE << 1 | 1));
    Ok(vm
        .wait_timeout(LIMIT)?
        .is_some_and(|status| status.code() == expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probe_starts_at_the_reset_vector() {
        let image = firmware_image();
        assert_eq!(image.len(), FIRMWARE_SIZE);
        assert_eq!(
            image[FIRMWARE_SIZE - 16..FIRMWARE_SIZE - 11],
            [0xb0, 0x10, 0xe6, 0xf4, 0xf4]
        );
    }
}
