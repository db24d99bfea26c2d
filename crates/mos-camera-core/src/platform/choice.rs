//! From what a machine says of itself to what drives its cameras.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::board::Board;
use super::evidence::{CameraService, Evidence};
use super::family::{self, Family, Soc};

/// What drives cameras that are wired to the chip: MIPI CSI-2, also behind a GMSL2 link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CsiBackend {
    /// libcamera, by its element `libcamerasrc`.
    Libcamera,
    /// Qualcomm's camera service, by its element.
    Qmmf,
}

impl CsiBackend {
    /// The elements that it is reached by, the preferred one first.
    ///
    /// Qualcomm's was renamed; releases have one of them, or the old name as an alias.
    pub const fn elements(self) -> &'static [&'static str] {
        match self {
            Self::Libcamera => &["libcamerasrc"],
            Self::Qmmf => &["qticamsrc", "qtiqmmfsrc"],
        }
    }
}

impl fmt::Display for CsiBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Libcamera => "libcamera",
            Self::Qmmf => "qmmf",
        })
    }
}

/// What a decision rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ground {
    /// A word of the device tree.
    Compatible(String),
    /// A word of the device tree, and the profile that knows it.
    Profile {
        /// The word.
        word: String,
        /// The profile.
        origin: String,
    },
    /// The kernel's `SoC` driver; the device tree does not say it.
    SocId(String),
    /// Qualcomm's device tree, and its camera service and element: a chip that is not in the list, with what the listed have.
    CameraService,
    /// The configuration says so.
    Configured,
    /// There is a device tree, but of no chip that is known.
    UnknownChip(String),
    /// There is no device tree, as on a PC.
    NoTree,
}

impl fmt::Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compatible(word) => write!(f, "the device tree says {word}"),
            Self::Profile { word, origin } => {
                write!(f, "the device tree says {word}, and {origin} knows it")
            }
            Self::SocId(id) => write!(f, "the kernel's SoC driver says {id}"),
            Self::CameraService => f.write_str(
                "a Qualcomm chip that is not in the list, with the QMMF service and its element",
            ),
            Self::Configured => f.write_str("the configuration says so"),
            Self::UnknownChip(words) => write!(f, "the device tree names no known chip: {words}"),
            Self::NoTree => f.write_str("there is no device tree"),
        }
    }
}

/// A backend that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Which.
    pub backend: CsiBackend,
    /// Why.
    pub why: String,
}

/// Something that should be there and is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// Which machine this is, and by what its own cameras are driven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// The family whose ways are used.
    pub family: Family,
    /// What that rests on.
    pub ground: Ground,
    /// The family that would have been found, and why, if the configuration says another.
    pub overridden: Option<(Family, Ground)>,
    /// The chip, if it is known.
    pub soc: Option<Soc>,
    /// What all of it was decided on.
    pub evidence: Evidence,
    /// What drives cameras that are wired to the chip; none: those that the kernel shows as V4L2 nodes are driven as such.
    pub csi: Option<CsiBackend>,
    /// The element of [`Self::csi`].
    pub element: Option<&'static str>,
    /// Those that were not taken.
    pub refused: Vec<Refused>,
    /// What should be there and is not.
    pub problems: Vec<Problem>,
    /// What would drive the cameras if Qualcomm's camera service listened and let this process in, as it may later; none if nothing else.
    pub awaited: Option<CsiBackend>,
}

/// Decides; `configured` overrules what was found.
///
/// Never fails: on a machine that lacks what its family should have, the next best is chosen, and [`Platform::problems`] says so.
pub fn decide(evidence: &Evidence, configured: Option<Family>) -> Platform {
    decide_with(evidence, configured, &[])
}

/// The same with boards that profiles tell of: they come before what is known here.
pub fn decide_with(evidence: &Evidence, configured: Option<Family>, boards: &[Board]) -> Platform {
    let board = boards
        .iter()
        .find(|board| evidence.compatible.contains(&board.compatible));
    let (found, ground, soc) = match board {
        Some(board) => (
            board.family,
            Ground::Profile {
                word: board.compatible.clone(),
                origin: board.origin.clone(),
            },
            family::of_compatible(&evidence.compatible),
        ),
        None => find(evidence),
    };
    let (family, ground, overridden) = match configured {
        Some(family) => (family, Ground::Configured, Some((found, ground))),
        None => (found, ground, None),
    };
    let mut refused = Vec::new();
    let mut chosen = None;
    // What a profile says of a board does not hold for another family that the configuration names.
    let preferred = board
        .filter(|board| board.family == family)
        .and_then(|board| board.csi.as_deref())
        .unwrap_or_else(|| preference(family));
    for &backend in preferred {
        match usable(backend, evidence) {
            Ok(element) if chosen.is_none() => chosen = Some((backend, element)),
            Ok(_) => refused.push(Refused {
                backend,
                why: "another is preferred on this platform".to_owned(),
            }),
            Err(why) => refused.push(Refused { backend, why }),
        }
    }
    let (csi, element) = chosen.unzip();
    Platform {
        family,
        ground,
        overridden,
        soc,
        evidence: evidence.clone(),
        problems: problems(family, preferred, csi, &refused, evidence),
        awaited: awaited(evidence, configured, boards).filter(|&other| csi != Some(other)),
        csi,
        element,
        refused,
    }
}

/// What it would be with the camera service.
fn awaited(
    evidence: &Evidence,
    configured: Option<Family>,
    boards: &[Board],
) -> Option<CsiBackend> {
    if evidence.camera_service == CameraService::Listens {
        return None;
    }
    let with_service = Evidence {
        camera_service: CameraService::Listens,
        ..evidence.clone()
    };
    decide_with(&with_service, configured, boards).csi
}

/// The backends of a family, the best first.
///
/// A chip has one owner of its cameras: Qualcomm's service and libcamera, which drives the mainline kernel's CAMSS, exclude each
/// other. On any other machine libcamera drives what it knows (Raspberry Pi, Rockchip, Intel IPU, ...).
const fn preference(family: Family) -> &'static [CsiBackend] {
    match family {
        Family::Imx8mp | Family::Generic => &[CsiBackend::Libcamera],
        Family::Qcs => &[CsiBackend::Qmmf, CsiBackend::Libcamera],
    }
}

fn find(evidence: &Evidence) -> (Family, Ground, Option<Soc>) {
    if let Some(soc) = family::of_compatible(&evidence.compatible) {
        let ground = Ground::Compatible(soc.compatible.to_owned());
        return (soc.family, ground, Some(soc));
    }
    if let Some((id, soc)) = evidence
        .soc
        .id
        .as_ref()
        .and_then(|id| Some((id, family::of_soc_id(id)?)))
        .filter(|(_, soc)| same_maker(evidence, soc))
    {
        return (soc.family, Ground::SocId(id.clone()), Some(soc));
    }
    let of_qualcomm = evidence
        .compatible
        .iter()
        .any(|word| word.starts_with("qcom,"));
    if of_qualcomm && usable(CsiBackend::Qmmf, evidence).is_ok() {
        return (Family::Qcs, Ground::CameraService, None);
    }
    let ground = if evidence.compatible.is_empty() {
        Ground::NoTree
    } else {
        Ground::UnknownChip(evidence.compatible.join(" "))
    };
    (Family::Generic, ground, None)
}

/// Whether an id is of the maker of a chip: ids are bare numbers at Qualcomm.
fn same_maker(evidence: &Evidence, soc: &Soc) -> bool {
    let maker = match soc.family {
        Family::Imx8mp => "Freescale i.MX",
        Family::Qcs => "Snapdragon",
        Family::Generic => return false,
    };
    evidence.soc.family.as_deref() == Some(maker)
}

/// The element by which a backend can be used here, or why it can't.
fn usable(backend: CsiBackend, evidence: &Evidence) -> Result<&'static str, String> {
    let factories = backend.elements();
    let element = evidence
        .usable(factories)
        .ok_or_else(|| evidence.unusable(factories))?;
    match (backend, evidence.camera_service) {
        (CsiBackend::Qmmf, CameraService::Absent) => Err(format!(
            "the camera service does not listen at {CAMERA_SERVICE}"
        )),
        (CsiBackend::Qmmf, CameraService::Denied) => Err(format!(
            "this service has no permission to use the camera service at {CAMERA_SERVICE}"
        )),
        _ => Ok(element),
    }
}

/// What helps who may not connect to the camera service.
pub const DENIED_HINT: &str = "that socket and its folder have to be writable for this service: add their group (`ls -ld`; `video` on Qualcomm Linux) to its `SupplementaryGroups=` by a drop-in (`systemctl edit mos-camera-capture`), then restart it";

/// Where Qualcomm's camera service listens.
pub const CAMERA_SERVICE: &str = "/run/cam_server/le_cam_socket";

/// What a family's board should have and this one has not.
fn problems(
    family: Family,
    preferred: &[CsiBackend],
    csi: Option<CsiBackend>,
    refused: &[Refused],
    evidence: &Evidence,
) -> Vec<Problem> {
    let Some(&best) = preferred.first() else {
        return Vec::new();
    };
    if family == Family::Generic || csi == Some(best) {
        return Vec::new();
    }
    let why = refused
        .iter()
        .find(|refused| refused.backend == best)
        .map_or("", |refused| refused.why.as_str());
    let instead = csi.map_or_else(
        || {
            "cameras on the chip's own inputs are driven as V4L2 nodes, if the kernel shows any"
                .to_owned()
        },
        |csi| format!("{csi} is used instead"),
    );
    vec![Problem {
        message: format!("{best} can't be used on this {family} board: {why}; {instead}"),
        hint: match best {
            CsiBackend::Libcamera => {
                "install libcamera with its GStreamer plugin (Debian: gstreamer1.0-libcamera), then restart the service"
            }
            CsiBackend::Qmmf if evidence.usable(best.elements()).is_none() => {
                "install Qualcomm's GStreamer plugins and start its camera service (cam-server), then restart this service"
            }
            CsiBackend::Qmmf if evidence.camera_service == CameraService::Denied => DENIED_HINT,
            CsiBackend::Qmmf => {
                "start the camera service (`systemctl start cam-server`, or as the board's maker names it): it is used as soon as it listens"
            }
        }
        .to_owned(),
    }]
}
