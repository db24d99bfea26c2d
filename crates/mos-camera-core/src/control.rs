//! Camera controls: exposure, gain, white balance, focus and the like, with the values that a camera takes.

use std::collections::BTreeMap;
use std::fmt;

/// Values of controls by name, as a stream asks for them.
///
/// Booleans are 0 and 1, menus the number of their item.
pub type ControlValues = BTreeMap<String, i64>;

/// A control of a device.
///
/// Of a V4L2 node it is named as in `linux/v4l2-controls.h` without `V4L2_CID_` and in lower case (`exposure_absolute`), or,
/// where that has no name for it, as the driver names it (`led1_mode`); of a camera that libcamera drives, as libcamera names it,
/// in the same form (`exposure_time`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// Its name.
    pub name: String,
    /// What kind of value it takes.
    pub kind: ControlKind,
    /// Smallest value; `i64::MIN` where it is not told.
    pub min: i64,
    /// Largest value; `i64::MAX` where it is not told.
    pub max: i64,
    /// Distance between values, counted from `min`; at least 1.
    pub step: i64,
    /// All values are of this part of a unit: with 1000, a gain of 1.5 is 1500. At least 1.
    pub divisor: u32,
    /// What the device starts with, where that is told.
    pub default: Option<i64>,
    /// Whether it can only be read.
    pub read_only: bool,
}

/// What kind of value a control takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlKind {
    /// A number.
    Integer,
    /// 0 or 1.
    Boolean,
    /// One of these items, by number; numbers that are left out are not valid.
    Menu(Vec<MenuItem>),
}

/// An item of a menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MenuItem {
    /// Its value.
    pub value: i64,
    /// What the driver calls it.
    pub name: String,
}

/// Why a control can't have a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The device has no such control.
    #[error("no control is named `{name}`; {}", list(known))]
    Unknown {
        /// The name.
        name: String,
        /// The device's controls that can be set.
        known: Vec<String>,
    },
    /// It can be read, not set.
    #[error("`{name}` can only be read")]
    ReadOnly {
        /// The name.
        name: String,
    },
    /// The value is not one that it takes.
    #[error("`{}` can't be {value}: it takes {control}", control.name)]
    OutOfRange {
        /// The control, with its range.
        control: Box<Control>,
        /// The value.
        value: i64,
    },
}

fn list(known: &[String]) -> String {
    if known.is_empty() {
        "the device has none that can be set".to_owned()
    } else {
        format!("there are: {}", known.join(", "))
    }
}

impl ControlError {
    /// The control that the error is about, where the device has it.
    pub fn control(&self) -> Option<&Control> {
        match self {
            Self::OutOfRange { control, .. } => Some(control),
            Self::Unknown { .. } | Self::ReadOnly { .. } => None,
        }
    }

    /// The control's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Unknown { name, .. } | Self::ReadOnly { name } => name,
            Self::OutOfRange { control, .. } => &control.name,
        }
    }
}

impl Control {
    /// Whether the control takes the value.
    pub fn takes(&self, value: i64) -> bool {
        let in_range = (self.min..=self.max).contains(&value);
        match &self.kind {
            ControlKind::Boolean => matches!(value, 0 | 1),
            ControlKind::Menu(items) => items.iter().any(|item| item.value == value),
            // Drivers report a step of 0 where they mean 1; the difference can't be smaller than 0 here.
            ControlKind::Integer => {
                in_range && i128::from(value) - i128::from(self.min) == self.steps_to(value)
            }
        }
    }

    /// The distance from `min` to the last step at or below `value`.
    fn steps_to(&self, value: i64) -> i128 {
        let (distance, step) = (
            i128::from(value) - i128::from(self.min),
            i128::from(self.step.max(1)),
        );
        distance - distance.rem_euclid(step)
    }
}

impl fmt::Display for Control {
    /// What it takes: `0 to 255 in steps of 5`, `0 or 1`, `1 (Manual Mode) or 3 (Aperture Priority Mode)`, `0 or more, in 1/1000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ControlKind::Boolean => f.write_str("0 or 1"),
            ControlKind::Menu(items) => {
                let items: Vec<_> = items
                    .iter()
                    .map(|item| format!("{} ({})", item.value, item.name))
                    .collect();
                f.write_str(&items.join(" or "))
            }
            ControlKind::Integer => {
                match (self.min, self.max) {
                    (i64::MIN, i64::MAX) => f.write_str("any number")?,
                    (i64::MIN, max) => write!(f, "{max} or less")?,
                    (min, i64::MAX) => write!(f, "{min} or more")?,
                    (min, max) => write!(f, "{min} to {max}")?,
                }
                if self.step > 1 {
                    write!(f, " in steps of {}", self.step)?;
                }
                if self.divisor > 1 {
                    write!(f, ", in 1/{}", self.divisor)?;
                }
                Ok(())
            }
        }
    }
}

/// Checks the values that a stream asks for against what the device has.
///
/// Whether a control can be set just now (manual exposure while the automatic is on) only the device knows.
pub fn check_controls(wanted: &ControlValues, offered: &[Control]) -> Result<(), ControlError> {
    for (name, &value) in wanted {
        let Some(control) = offered.iter().find(|control| control.name == *name) else {
            let settable = offered.iter().filter(|control| !control.read_only);
            return Err(ControlError::Unknown {
                name: name.clone(),
                known: settable.map(|control| control.name.clone()).collect(),
            });
        };
        if control.read_only {
            return Err(ControlError::ReadOnly { name: name.clone() });
        }
        if !control.takes(value) {
            return Err(ControlError::OutOfRange {
                control: Box::new(control.clone()),
                value,
            });
        }
    }
    Ok(())
}

/// The order in which to set controls: what switches an automatic first, since a manual value is refused while it is on.
///
/// Pairs of name and value, every one of `wanted` once.
pub fn setting_order(wanted: &ControlValues) -> Vec<(&str, i64)> {
    let (automatics, manual): (Vec<_>, Vec<_>) = wanted
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .partition(|(name, _)| is_automatic(name));
    automatics.into_iter().chain(manual).collect()
}

/// `V4L2_CID_EXPOSURE_AUTO`, `V4L2_CID_AUTO_WHITE_BALANCE`, `V4L2_CID_AUTOGAIN` and so on: one word of the name says so.
fn is_automatic(name: &str) -> bool {
    name.split('_').any(|word| word.starts_with("auto"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(name: &str, kind: ControlKind, (min, max, step): (i64, i64, i64)) -> Control {
        Control {
            name: name.to_owned(),
            kind,
            min,
            max,
            step,
            divisor: 1,
            default: Some(min),
            read_only: false,
        }
    }

    fn webcam() -> Vec<Control> {
        let item = |value, name: &str| MenuItem {
            value,
            name: name.to_owned(),
        };
        let modes = vec![item(1, "Manual Mode"), item(3, "Aperture Priority Mode")];
        let mut privacy = control("privacy", ControlKind::Boolean, (0, 1, 1));
        privacy.read_only = true;
        vec![
            control("brightness", ControlKind::Integer, (-64, 64, 1)),
            control("exposure_absolute", ControlKind::Integer, (3, 2047, 4)),
            control("exposure_auto", ControlKind::Menu(modes), (0, 3, 1)),
            control("focus_auto", ControlKind::Boolean, (0, 1, 1)),
            control("gain", ControlKind::Integer, (i64::MIN, i64::MAX, 0)),
            privacy,
        ]
    }

    #[test]
    fn values_are_held_against_what_the_device_takes() {
        for (name, value, refused) in [
            ("brightness", -64, None),
            ("brightness", 64, None),
            (
                "brightness",
                65,
                Some("`brightness` can't be 65: it takes -64 to 64"),
            ),
            ("exposure_absolute", 3, None),
            ("exposure_absolute", 7, None),
            (
                "exposure_absolute",
                8,
                Some("`exposure_absolute` can't be 8: it takes 3 to 2047 in steps of 4"),
            ),
            ("exposure_auto", 3, None),
            (
                "exposure_auto",
                0,
                Some(
                    "`exposure_auto` can't be 0: it takes 1 (Manual Mode) or 3 (Aperture Priority Mode)",
                ),
            ),
            ("focus_auto", 1, None),
            (
                "focus_auto",
                2,
                Some("`focus_auto` can't be 2: it takes 0 or 1"),
            ),
            ("gain", i64::MAX, None),
            ("privacy", 1, Some("`privacy` can only be read")),
            (
                "contrast",
                1,
                Some(
                    "no control is named `contrast`; there are: brightness, exposure_absolute, exposure_auto, focus_auto, gain",
                ),
            ),
        ] {
            let wanted = ControlValues::from([(name.to_owned(), value)]);
            let got = check_controls(&wanted, &webcam());
            assert_eq!(
                got.as_ref().map_err(ToString::to_string),
                refused.map_or(Ok(&()), |text| Err(text.to_owned())),
                "{name} = {value}"
            );
            assert!(got.err().is_none_or(|error| error.name() == name));
        }
    }

    #[test]
    fn what_a_control_takes_is_told_as_far_as_it_is_known() {
        for (range, divisor, expected) in [
            ((0, 255, 1), 1, "0 to 255"),
            ((0, 255, 5), 1, "0 to 255 in steps of 5"),
            ((i64::MIN, i64::MAX, 1), 1, "any number"),
            ((0, i64::MAX, 1), 1000, "0 or more, in 1/1000"),
            ((i64::MIN, -1, 1), 1, "-1 or less"),
        ] {
            let control = Control {
                divisor,
                ..control("x", ControlKind::Integer, range)
            };
            assert_eq!(control.to_string(), expected);
        }
    }

    #[test]
    fn automatics_are_switched_before_their_values_are_set() {
        let wanted: ControlValues = [
            "auto_white_balance",
            "brightness",
            "exposure_absolute",
            "exposure_auto",
            "white_balance_temperature",
        ]
        .into_iter()
        .map(|name| (name.to_owned(), 1))
        .collect();
        let order: Vec<_> = setting_order(&wanted)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(
            order,
            [
                "auto_white_balance",
                "exposure_auto",
                "brightness",
                "exposure_absolute",
                "white_balance_temperature"
            ]
        );
    }
}
