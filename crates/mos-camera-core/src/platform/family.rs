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
/// The words are those of the mainline kernel, Linux 7.3: each chip's entry says which trees have it, and the line of
/// `Documentation/devicetree/bindings/arm/fsl.yaml` or `qcom.yaml` that lists the word is found by it. The tests read the trees
/// (`tests/data/device-trees.txt`), and those of vendors with the place that each comes from (`vendor-trees.txt`).
/// The numbers are named as in `include/dt-bindings/arm/qcom,ids.h`; NXP's name is that of `drivers/soc/imx/soc-imx8m.c`.
/// Not in it: QCS404, which has no camera interface, and phones' chips (`qcom,sm8550`), whose boards run no QMMF service.
pub(super) const KNOWN: [Soc; 8] = [
    // freescale/imx8mp-*.dts.
    soc("fsl,imx8mp", &["i.MX8MP"], "i.MX 8M Plus", Family::Imx8mp),
    // qcom/qcm6490-*.dts and qcs6490-*.dts, which say `qcom,qcm6490`, too. QCOM_ID_QCM6490, QCOM_ID_QCS6490.
    soc(
        "qcom,qcm6490",
        &["497", "498"],
        "QCM6490/QCS6490",
        Family::Qcs,
    ),
    // qcom/qcs8550-*.dts. QCOM_ID_QCS8550, QCOM_ID_QCM8550.
    soc("qcom,qcs8550", &["603", "604"], "QCS8550", Family::Qcs),
    // qcom/monaco-*.dts and qcs8300-*.dts. QCOM_ID_QCS8300, QCOM_ID_QCS8275.
    soc("qcom,qcs8300", &["674", "675"], "QCS8300", Family::Qcs),
    // qcom/lemans-*.dts and qcs9100-*.dts, boards with a QCS9075 among them. QCOM_ID_QCS9100.
    soc("qcom,qcs9100", &["667"], "QCS9100", Family::Qcs),
    // Only vendors' trees: qcs9075-*.dts. QCOM_ID_QCS9075.
    soc("qcom,qcs9075", &["676"], "QCS9075", Family::Qcs),
    // Last in the trees of the two above, where they come first; alone in sa8775p-ride.dts of older kernels. QCOM_ID_SA8775P.
    soc("qcom,sa8775p", &["534"], "SA8775P", Family::Qcs),
    // qcom/talos-*.dts and qcs615-*.dts. QCOM_ID_QCS615.
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
