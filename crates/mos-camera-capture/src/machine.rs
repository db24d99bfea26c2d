//! What the probe of the platform says of a machine, without starting anything: for integrators who have another machine's
//! device tree at hand, or wonder what this one would choose.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use mos_camera_backends::platform::Probe;
use mos_camera_core::platform::{Board, Family, Platform};
use serde::Serialize;

use crate::exit::Exit;

/// Why a machine could not be described.
#[derive(Debug, thiserror::Error)]
pub enum DescribeError {
    /// The media framework can't be used.
    #[error("GStreamer can't be used: {0}; is it installed (libgstreamer1.0-0)?")]
    Media(gst::glib::Error),
    /// There is no such folder.
    #[error("{} is no folder; name one that has another machine's proc/device-tree/compatible", .0.display())]
    NoFolder(PathBuf),
    /// Nobody reads what is printed.
    #[error("can't print: {0}")]
    Output(#[from] io::Error),
}

impl DescribeError {
    /// The exit code for it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Media(_) => Exit::Internal,
            Self::NoFolder(_) => Exit::Usage,
            Self::Output(_) => Exit::Io,
        }
    }
}

/// Prints a line of JSON for each of `roots`: `/`, or a folder with another machine's files; `boards` are those of profiles,
/// `configured` overrules what is found.
pub fn describe(
    roots: &[PathBuf],
    configured: Option<Family>,
    boards: &[Board],
    out: &mut dyn Write,
) -> Result<(), DescribeError> {
    if let Some(root) = roots.iter().find(|root| !root.is_dir()) {
        return Err(DescribeError::NoFolder(root.clone()));
    }
    gst::init().map_err(DescribeError::Media)?;
    let probe = Probe::new();
    for root in roots {
        let platform = probe.machine(root, configured, boards);
        serde_json::to_writer(&mut *out, &Machine::new(root, &platform))
            .map_err(io::Error::from)?;
        writeln!(out)?;
    }
    Ok(())
}

/// The fields are those of `mosctl platform --json`, and the root.
#[derive(Debug, Serialize)]
struct Machine<'a> {
    sysroot: &'a Path,
    family: String,
    ground: String,
    soc: Option<&'a str>,
    model: Option<&'a str>,
    compatible: &'a [String],
    csi_backend: Option<String>,
    csi_element: Option<&'a str>,
    overridden_family: Option<String>,
    overridden_ground: Option<String>,
    refused: Vec<Refused<'a>>,
    problems: Vec<Problem<'a>>,
    soc_family: Option<&'a str>,
    soc_id: Option<&'a str>,
    elements: Vec<Element<'a>>,
    camera_service: &'static str,
    media_devices: Vec<MediaDevice<'a>>,
}

#[derive(Debug, Serialize)]
struct Element<'a> {
    name: &'a str,
    usable: bool,
    unusable: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct MediaDevice<'a> {
    node: &'a str,
    model: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Refused<'a> {
    backend: String,
    why: &'a str,
}

#[derive(Debug, Serialize)]
struct Problem<'a> {
    message: &'a str,
    hint: &'a str,
}

impl<'a> Machine<'a> {
    fn new(sysroot: &'a Path, platform: &'a Platform) -> Self {
        let evidence = &platform.evidence;
        let overridden = platform.overridden.as_ref();
        Self {
            sysroot,
            family: platform.family.to_string(),
            ground: platform.ground.to_string(),
            soc: platform.soc.map(|soc| soc.name),
            model: evidence.model.as_deref(),
            compatible: &evidence.compatible,
            csi_backend: platform.csi.map(|csi| csi.to_string()),
            csi_element: platform.element,
            overridden_family: overridden.map(|(family, _)| family.to_string()),
            overridden_ground: overridden.map(|(_, ground)| ground.to_string()),
            refused: platform
                .refused
                .iter()
                .map(|refused| Refused {
                    backend: refused.backend.to_string(),
                    why: &refused.why,
                })
                .collect(),
            problems: platform
                .problems
                .iter()
                .map(|problem| Problem {
                    message: &problem.message,
                    hint: &problem.hint,
                })
                .collect(),
            soc_family: evidence.soc.family.as_deref(),
            soc_id: evidence.soc.id.as_deref(),
            elements: evidence
                .elements
                .iter()
                .map(|(name, state)| Element {
                    name,
                    usable: state.unusable().is_none(),
                    unusable: state.unusable(),
                })
                .collect(),
            camera_service: evidence.camera_service.name(),
            media_devices: evidence
                .media
                .iter()
                .map(|device| MediaDevice {
                    node: &device.node,
                    model: Some(device.model.as_str()).filter(|model| !model.is_empty()),
                })
                .collect(),
        }
    }
}
