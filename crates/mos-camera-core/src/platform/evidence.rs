//! What a machine says of itself.

use std::collections::BTreeMap;

/// Everything that the decision rests on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// `compatible` of the device tree's root, most specific first; empty on a machine without a device tree.
    ///
    /// Devicetree Specification v0.4, section 2.3.1.
    pub compatible: Vec<String>,
    /// `model` of the device tree's root, or what the firmware's tables call the machine.
    pub model: Option<String>,
    /// What the kernel's `SoC` driver found out by itself.
    pub soc: SocIds,
    /// The camera elements that GStreamer's registry has, by factory; what it lacks is not in here.
    pub elements: BTreeMap<String, ElementState>,
    /// What there is of Qualcomm's camera service.
    pub camera_service: CameraService,
    /// The kernel's media devices: the graphs of sensors, receivers and ISPs that libcamera drives. They decide nothing, for drivers
    /// may be loaded later; without one libcamera has no camera.
    pub media: Vec<MediaDevice>,
}

/// `/sys/bus/media/devices/media*`: `Documentation/ABI/testing/sysfs-bus-media` of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaDevice {
    /// As `/dev/media0`.
    pub node: String,
    /// What its driver calls it, as `mxc-isi`; empty if it does not tell.
    pub model: String,
}

/// Qualcomm's camera service, as it is seen from this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CameraService {
    /// It does not listen.
    #[default]
    Absent,
    /// It listens, and this process may not connect to it.
    Denied,
    /// It listens.
    Listens,
}

impl CameraService {
    /// `absent`, `denied` or `listens`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Denied => "denied",
            Self::Listens => "listens",
        }
    }
}

/// `/sys/devices/soc0`: `Documentation/ABI/testing/sysfs-devices-soc` of the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SocIds {
    /// As `Freescale i.MX` or `Snapdragon`.
    pub family: Option<String>,
    /// As `i.MX8MP`, or Qualcomm's number of the chip, as `498`.
    pub id: Option<String>,
}

/// What became of an element that the registry has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ElementState {
    /// An instance could be made.
    Usable,
    /// None could be made; why, as far as it is known.
    Broken(String),
    /// It must not be used, though it could be made; why.
    Unfit(String),
}

impl ElementState {
    /// Why it is of no use.
    pub fn unusable(&self) -> Option<&str> {
        match self {
            Self::Usable => None,
            Self::Broken(why) | Self::Unfit(why) => Some(why),
        }
    }
}

impl Evidence {
    /// The first of `factories` of which an instance can be made.
    pub(super) fn usable<'a>(&self, factories: &[&'a str]) -> Option<&'a str> {
        let usable = |factory: &&str| self.elements.get(*factory) == Some(&ElementState::Usable);
        factories.iter().copied().find(usable)
    }

    /// Why none of `factories` can be used.
    pub(super) fn unusable(&self, factories: &[&str]) -> String {
        for factory in factories {
            match self.elements.get(*factory) {
                Some(ElementState::Broken(why)) => {
                    return format!("GStreamer lists {factory}, but can't make one: {why}");
                }
                Some(ElementState::Unfit(why)) => return format!("{factory} is not used: {why}"),
                Some(ElementState::Usable) | None => {}
            }
        }
        format!("GStreamer has no element {}", factories.join(" or "))
    }
}

/// The strings of a device tree property: each ends with a zero byte (Devicetree Specification v0.4, section 2.2.4).
///
/// Bytes that are not UTF-8 are replaced, for a property is only compared and shown.
pub fn strings(property: &[u8]) -> Vec<String> {
    property
        .split(|&byte| byte == 0)
        .map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned())
        .filter(|text| !text.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_an_element_is_told() {
        use ElementState::{Broken, Unfit, Usable};
        let why = "it is too old".to_owned();
        for (state, usable, says) in [
            (Some(Usable), true, "GStreamer has no element a or b"),
            (
                Some(Broken(why.clone())),
                false,
                "GStreamer lists b, but can't make one: it is too old",
            ),
            (Some(Unfit(why)), false, "b is not used: it is too old"),
            (None, false, "GStreamer has no element a or b"),
        ] {
            let evidence = Evidence {
                elements: state.into_iter().map(|s| ("b".to_owned(), s)).collect(),
                ..Evidence::default()
            };
            let expected = usable.then_some("b");
            assert_eq!(evidence.usable(&["a", "b"]), expected);
            assert_eq!(evidence.unusable(&["a", "b"]), says);
        }
    }

    #[test]
    fn properties_are_split_at_their_zeros() {
        for (property, expected) in [
            (&b""[..], &[][..]),
            (b"\0", &[]),
            (
                b"fsl,imx8mp-evk\0fsl,imx8mp\0",
                &["fsl,imx8mp-evk", "fsl,imx8mp"],
            ),
            (
                b"fsl,imx8mp-evk\0fsl,imx8mp",
                &["fsl,imx8mp-evk", "fsl,imx8mp"],
            ),
            (b"\0\0a\0\0", &["a"]),
            (b"\xff\0b\n\0", &["\u{fffd}", "b"]),
        ] {
            assert_eq!(strings(property), expected, "{property:?}");
        }
    }
}
