//! Camera controls: what a node has, and setting them (Documentation/userspace-api/media/v4l/control.rst).

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use linuxvideo::Device;
use linuxvideo::controls::{Cid, ControlDesc, ControlFlags, CtrlType};
use mos_camera_core::control::setting_order;
use mos_camera_core::{Control, ControlKind, ControlValues, DeviceId, Fault, FaultKind, MenuItem};

use super::{faults, node};

/// Names of controls, from `linux/v4l2-controls.h` without `V4L2_CID_`: what drivers call them changed over the years.
const NAMES: [(Cid, &str); 50] = [
    (Cid::BRIGHTNESS, "brightness"),
    (Cid::CONTRAST, "contrast"),
    (Cid::SATURATION, "saturation"),
    (Cid::HUE, "hue"),
    (Cid::AUTO_WHITE_BALANCE, "auto_white_balance"),
    (Cid::RED_BALANCE, "red_balance"),
    (Cid::BLUE_BALANCE, "blue_balance"),
    (Cid::GAMMA, "gamma"),
    (Cid::EXPOSURE, "exposure"),
    (Cid::AUTOGAIN, "autogain"),
    (Cid::GAIN, "gain"),
    (Cid::HFLIP, "hflip"),
    (Cid::VFLIP, "vflip"),
    (Cid::POWER_LINE_FREQUENCY, "power_line_frequency"),
    (Cid::HUE_AUTO, "hue_auto"),
    (Cid::WHITE_BALANCE_TEMPERATURE, "white_balance_temperature"),
    (Cid::SHARPNESS, "sharpness"),
    (Cid::BACKLIGHT_COMPENSATION, "backlight_compensation"),
    (Cid::CHROMA_AGC, "chroma_agc"),
    (Cid::CHROMA_GAIN, "chroma_gain"),
    (Cid::COLOR_KILLER, "color_killer"),
    (Cid::COLORFX, "colorfx"),
    (Cid::AUTOBRIGHTNESS, "autobrightness"),
    (Cid::BAND_STOP_FILTER, "band_stop_filter"),
    (Cid::ROTATE, "rotate"),
    (Cid::ALPHA_COMPONENT, "alpha_component"),
    (Cid::EXPOSURE_AUTO, "exposure_auto"),
    (Cid::EXPOSURE_ABSOLUTE, "exposure_absolute"),
    (Cid::EXPOSURE_AUTO_PRIORITY, "exposure_auto_priority"),
    (Cid::AUTO_EXPOSURE_BIAS, "auto_exposure_bias"),
    (Cid::EXPOSURE_METERING, "exposure_metering"),
    (Cid::PAN_ABSOLUTE, "pan_absolute"),
    (Cid::TILT_ABSOLUTE, "tilt_absolute"),
    (Cid::PAN_SPEED, "pan_speed"),
    (Cid::TILT_SPEED, "tilt_speed"),
    (Cid::FOCUS_ABSOLUTE, "focus_absolute"),
    (Cid::FOCUS_AUTO, "focus_auto"),
    (Cid::AUTO_FOCUS_RANGE, "auto_focus_range"),
    (Cid::AUTO_FOCUS_STATUS, "auto_focus_status"),
    (Cid::ZOOM_ABSOLUTE, "zoom_absolute"),
    (Cid::ZOOM_CONTINUOUS, "zoom_continuous"),
    (Cid::PRIVACY, "privacy"),
    (Cid::IRIS_ABSOLUTE, "iris_absolute"),
    (
        Cid::AUTO_N_PRESET_WHITE_BALANCE,
        "auto_n_preset_white_balance",
    ),
    (Cid::WIDE_DYNAMIC_RANGE, "wide_dynamic_range"),
    (Cid::IMAGE_STABILIZATION, "image_stabilization"),
    (Cid::ISO_SENSITIVITY, "iso_sensitivity"),
    (Cid::ISO_SENSITIVITY_AUTO, "iso_sensitivity_auto"),
    (Cid::SCENE_MODE, "scene_mode"),
    (Cid::CAMERA_3A_LOCK, "3a_lock"),
];

/// The controls of a node, in the driver's order.
///
/// Those that are no single value to keep are left out: buttons, texts, arrays, relative movements and those whose value
/// can't be read back. A driver without controls has none, and what a camera does not answer for is left out: pictures come
/// all the same. Only a node that is gone is an error.
pub(super) fn list(node: &Device) -> io::Result<Vec<Control>> {
    Ok(described(node)?
        .into_iter()
        .map(|(_, control)| control)
        .collect())
}

fn described(node: &Device) -> io::Result<Vec<(Cid, Control)>> {
    let mut found: Vec<_> = brightness(node)?
        .map(|control| (Cid::BRIGHTNESS, control))
        .into_iter()
        .collect();
    for described in node.controls() {
        let Some(described) = answered(described)? else {
            break;
        };
        if described.id() == Cid::BRIGHTNESS {
            continue;
        }
        if let Some(kind) = answered(kind(node, &described))?.flatten() {
            found.push((described.id(), control(&described, kind)));
        }
    }
    Ok(found)
}

/// What a driver or camera answered; none if it refused or failed to, an error if the node is gone.
fn answered<T>(answer: io::Result<T>) -> io::Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if faults::says_gone(&error) => Err(error),
        Err(error) => {
            if !node::is_refusal(&error) {
                tracing::debug!(%error, "a camera does not answer for a control");
            }
            Ok(None)
        }
    }
}

/// The first of all controls: `linuxvideo` 0.3.5 asks for those that come after it (`V4L2_CTRL_FLAG_NEXT_CTRL`).
fn brightness(node: &Device) -> io::Result<Option<Control>> {
    /// `V4L2_CID_BRIGHTNESS` (linux/v4l2-controls.h).
    const ID: u32 = 0x0098_0900;
    /// `V4L2_CTRL_FLAG_DISABLED` and `V4L2_CTRL_FLAG_READ_ONLY` (linux/videodev2.h).
    const DISABLED: u32 = 1;
    const READ_ONLY: u32 = 4;
    let Some(asked) = answered(gstmos::v4l2::query_control(node.as_fd(), ID))? else {
        return Ok(None);
    };
    Ok((asked.flags & DISABLED == 0).then(|| Control {
        name: "brightness".to_owned(),
        kind: ControlKind::Integer,
        min: i64::from(asked.minimum),
        max: i64::from(asked.maximum),
        step: i64::from(asked.step).max(1),
        divisor: 1,
        default: Some(i64::from(asked.default_value)),
        read_only: asked.flags & READ_ONLY != 0,
    }))
}

fn kind(node: &Device, described: &ControlDesc) -> io::Result<Option<ControlKind>> {
    if described.flags().contains(ControlFlags::WRITE_ONLY) {
        return Ok(None);
    }
    Ok(match described.control_type() {
        CtrlType::BOOLEAN => Some(ControlKind::Boolean),
        CtrlType::MENU => Some(ControlKind::Menu(menu(node, described)?)),
        // The items of a menu of numbers have no names; which are not valid the driver says when one is set.
        CtrlType::INTEGER | CtrlType::BITMASK | CtrlType::INTEGER_MENU => {
            Some(ControlKind::Integer)
        }
        _ => None,
    })
}

fn menu(node: &Device, described: &ControlDesc) -> io::Result<Vec<MenuItem>> {
    node.enumerate_menu(described)
        .map(|item| {
            let item = item?;
            Ok(MenuItem {
                value: i64::from(item.index()),
                name: item.name().to_owned(),
            })
        })
        .collect()
}

fn control(described: &ControlDesc, kind: ControlKind) -> Control {
    Control {
        name: name(described.id(), described.name()),
        kind,
        min: i64::from(described.minimum()),
        max: i64::from(described.maximum()),
        step: i64::from(described.step()).max(1),
        divisor: 1,
        default: Some(i64::from(described.default_value())),
        read_only: described.flags().contains(ControlFlags::READ_ONLY),
    }
}

/// The kernel's name of a control, else the driver's in the form that `v4l2-ctl` gives it: lower case, one `_` between words.
fn name(id: Cid, by_driver: &str) -> String {
    if let Some((_, name)) = NAMES.iter().find(|(known, _)| *known == id) {
        return (*name).to_owned();
    }
    let lower = by_driver.to_ascii_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("_")
}

/// Sets controls, automatics first. The first that the device refuses ends it.
pub(super) fn set(device: &DeviceId, path: &Path, values: &ControlValues) -> Result<(), Fault> {
    if values.is_empty() {
        return Ok(());
    }
    let mut node = node::open(device, path)?;
    let known = node::guarded(device, path, || {
        described(&node).map_err(|error| faults::of_system(device, path, &error))
    })?;
    for (name, value) in setting_order(values) {
        let Some((id, control)) = known.iter().find(|(_, control)| control.name == name) else {
            return Err(refused(
                device,
                name,
                value,
                "the camera has no such control, or does not answer for it",
            ));
        };
        let narrow = i32::try_from(value)
            .map_err(|_| refused(device, name, value, &format!("it takes {control}")))?;
        node.write_control_raw(*id, narrow)
            .map_err(|error| not_set(device, path, control, value, &error))?;
    }
    Ok(())
}

/// What a failed `VIDIOC_S_CTRL` means (Documentation/userspace-api/media/v4l/vidioc-g-ctrl.rst).
fn not_set(
    device: &DeviceId,
    path: &Path,
    control: &Control,
    value: i64,
    error: &io::Error,
) -> Fault {
    use rustix::io::Errno;
    let name = &control.name;
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::RANGE | Errno::INVAL) => {
            refused(device, name, value, &format!("it takes {control}"))
        }
        Some(Errno::ACCESS) => refused(
            device,
            name,
            value,
            "the camera does not let it be set now: switch its automatic off in the same configuration, such as exposure_auto = 1",
        ),
        Some(Errno::BUSY) => refused(device, name, value, "another program has taken it over"),
        _ => {
            let fault = faults::of_system(device, path, error);
            Fault::new(
                fault.kind,
                format!("{device}: control `{name}` can't be set: {error}"),
                fault.hint,
            )
        }
    }
}

fn refused(device: &DeviceId, name: &str, value: i64, why: &str) -> Fault {
    Fault::new(
        FaultKind::Unsupported,
        format!("{device}: control `{name}` can't be {value}: {why}"),
        "change the stream's configuration; `mosctl devices` lists the camera's controls",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_named_by_the_kernel_and_else_by_the_driver() {
        for (id, by_driver, expected) in [
            (
                Cid::EXPOSURE_ABSOLUTE,
                "Exposure Time, Absolute",
                "exposure_absolute",
            ),
            (
                Cid::EXPOSURE_ABSOLUTE,
                "Exposure (Absolute)",
                "exposure_absolute",
            ),
            (Cid::DO_WHITE_BALANCE, "LED1  Mode (on)", "led1_mode_on"),
        ] {
            assert_eq!(name(id, by_driver), expected);
        }
    }

    #[test]
    fn names_are_unique() {
        for (i, (id, name)) in NAMES.iter().enumerate() {
            let twice = |(other, other_name): &(Cid, &str)| other == id || other_name == name;
            assert!(!NAMES[i + 1..].iter().any(twice), "{name}");
        }
    }

    #[test]
    fn refusals_say_what_to_change() {
        use rustix::io::Errno;
        let control = Control {
            name: "exposure_absolute".to_owned(),
            kind: ControlKind::Integer,
            min: 3,
            max: 2047,
            step: 1,
            divisor: 1,
            default: Some(250),
            read_only: false,
        };
        let device: DeviceId = "usb:046d:0825:1".parse().unwrap();
        let of = |errno: Errno| {
            let error = io::Error::from(errno);
            not_set(&device, Path::new("/dev/video0"), &control, 5, &error)
        };
        for (errno, kind, text) in [
            (Errno::RANGE, FaultKind::Unsupported, "it takes 3 to 2047"),
            (
                Errno::ACCESS,
                FaultKind::Unsupported,
                "switch its automatic off",
            ),
            (Errno::BUSY, FaultKind::Unsupported, "another program"),
            (Errno::NODEV, FaultKind::Absent, "can't be set"),
        ] {
            let fault = of(errno);
            assert_eq!(fault.kind, kind, "{fault}");
            assert!(fault.message.contains(text), "{fault}");
            assert!(fault.message.contains("exposure_absolute"), "{fault}");
        }
    }
}
