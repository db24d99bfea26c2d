//! Families of chips, and the words in a device tree that name them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Chips whose cameras are driven alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// NXP i.MX 8M Plus.
    Imx8mp,
    /// Qualcomm's chips for cameras and robots with the QMMF service.
    Qcs,
    /// Anything else.
    Generic,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 3] = [Self::Imx8mp, Self::Qcs, Self::Generic];

    /// As it is written in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Imx8mp => "imx8mp",
            Self::Qcs => "qcs",
            Self::Generic => "generic",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no family.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no platform: expected imx8mp, qcs or generic")]
pub struct UnknownFamily(String);

impl FromStr for Family {
    type Err = UnknownFamily;

    fn from_str(text: &str) -> Result<Self, UnknownFamily> {
        Self::ALL
            .into_iter()
            .find(|family| family.name() == text)
            .ok_or_else(|| UnknownFamily(text.to_owned()))
    }
}

/// A chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Soc {
    /// What its device trees say in the root's `compatible`.
    pub compatible: &'static str,
    /// What the kernel's `SoC` driver calls it, in `soc_id`.
    pub ids: &'static [&'static str],
    /// What it is sold as.
    pub name: &'static str,
    /// How its cameras are driven.
    pub family: Family,
}

/// The chips that are known.
///
/// The words are those of the mainline kernel: `Documentation/devicetree/bindings/arm/fsl.yaml` and `qcom.yaml`, and the trees in
/// `arch/arm64/boot/dts/freescale` and `qcom` (the tests read those of Linux 7.3). Boards with a QCS6490 say `qcom,qcm6490` there,
/// those with a QCS9075 `qcom,qcs9100`; `qcom,qcs9075` was in trees that were proposed and is in vendors' ones.
/// Not in it: QCS404, which has no camera interface, and phones' chips (`qcom,sm8550`), whose boards run no QMMF service.
/// The numbers are Qualcomm's of `include/dt-bindings/arm/qcom,ids.h`, NXP's name is that of `drivers/soc/imx/soc-imx8m.c`.
const KNOWN: [Soc; 8] = [
    soc("fsl,imx8mp", &["i.MX8MP"], "i.MX 8M Plus", Family::Imx8mp),
    soc(
        "qcom,qcm6490",
        &["497", "498"],
        "QCM6490/QCS6490",
        Family::Qcs,
    ),
    soc("qcom,qcs8550", &["603", "604"], "QCS8550", Family::Qcs),
    soc("qcom,qcs8300", &["674", "675"], "QCS8300", Family::Qcs),
    soc("qcom,qcs9100", &["667"], "QCS9100", Family::Qcs),
    soc("qcom,qcs9075", &["676"], "QCS9075", Family::Qcs),
    soc("qcom,sa8775p", &["534"], "SA8775P", Family::Qcs),
    soc("qcom,qcs615", &["680"], "QCS615", Family::Qcs),
];

const fn soc(
    compatible: &'static str,
    ids: &'static [&'static str],
    name: &'static str,
    family: Family,
) -> Soc {
    Soc {
        compatible,
        ids,
        name,
        family,
    }
}

/// The chip of a device tree. Words are compared whole: `fsl,imx8mp-evk` is a board, not a chip.
pub(super) fn of_compatible(compatible: &[String]) -> Option<Soc> {
    let known = |word: &String| KNOWN.into_iter().find(|soc| soc.compatible == word);
    compatible.iter().find_map(known)
}

/// The chip that the kernel's `SoC` driver names, for trees that do not say it: some vendors leave the word out.
pub(super) fn of_soc_id(id: &str) -> Option<Soc> {
    KNOWN.into_iter().find(|soc| soc.ids.contains(&id))
}
