//! The transports, each as little as it takes: what the service's configuration has for it, and which server serves it.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use mos_testkit::certificates::{Authority, Dates};

#[cfg(doc)]
use super::faults::Act;
use super::faults::Picture;
use super::net;
use crate::error::Error;
use crate::rig::config::quoted;

/// A way for a camera's picture to come to the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Media inside the RTSP connection.
    RtspTcp,
    /// Media beside it.
    RtspUdp,
    /// Media inside the RTSP connection, which is in TLS.
    Rtsps,
    /// Media inside an RTSP connection that ONVIF is asked for.
    Onvif,
    /// WebRTC, agreed on by WHEP over HTTPS.
    Whep,
}

/// The user of every camera.
pub(crate) const USER: &str = "camera";
/// Its password, which is no secret: it is for cameras that live for a minute in a namespace of their own.
pub(crate) const PASSWORD: &str = "opensesame";

/// Where the server listens that the service talks to.
const PORT: u16 = 554;
/// Where the real one listens if another stands in front of it.
const BEHIND: u16 = 8554;

/// Picture of every camera: small, so that many can be encoded at once.
const SIZE: &str = "320x240";
/// The size that it changes to.
const OTHER_SIZE: &str = "400x224";
const RATE: u32 = 15;
/// Seconds of a session before a WHEP server changes its size: after the stream counted as well once, before it does again.
const WHEP_RESIZES_AFTER: u32 = 6;
/// Frames from one key frame to the next: a picture that is lost costs half a second.
const KEY_INT: u32 = 8;
/// The rate that it changes to.
const OTHER_RATE: u32 = 5;

impl Transport {
    /// All of them, in the table's order.
    pub(crate) const ALL: [Self; 5] = [
        Self::RtspTcp,
        Self::RtspUdp,
        Self::Rtsps,
        Self::Onvif,
        Self::Whep,
    ];

    /// Its name in the table and for `--transport`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::RtspTcp => "rtsp-tcp",
            Self::RtspUdp => "rtsp-udp",
            Self::Rtsps => "rtsps",
            Self::Onvif => "onvif",
            Self::Whep => "whep",
        }
    }

    /// By its name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// Whether clients come in TLS, which is what the server in front does.
    pub(crate) const fn is_tls(self) -> bool {
        matches!(self, Self::Rtsps | Self::Whep)
    }

    /// What the service's configuration has for camera `number`; `root` is the authority that issued its certificate.
    pub(crate) fn table(
        self,
        stream: &str,
        number: u16,
        password_file: &Path,
        root: &Path,
    ) -> String {
        let (name, host) = (quoted(stream), net::host(number));
        let file = quoted(&password_file.to_string_lossy());
        let (kind, key, place) = match self {
            Self::RtspTcp | Self::RtspUdp => ("rtsp", "url", rtsp_url("rtsp", number)),
            Self::Rtsps => ("rtsp", "url", rtsp_url("rtsps", number)),
            Self::Onvif => ("onvif", "address", host),
            Self::Whep => ("whep", "url", format!("https://{host}:{PORT}/whep")),
        };
        let login = match self {
            Self::Whep => format!("token_file = {file}"),
            _ => format!("user = \"{USER}\"\npassword_file = {file}"),
        };
        let place = quoted(&place);
        let mut text =
            format!("[cameras.{name}.{kind}]\n{key} = {place}\n{login}\ntimeout_ms = 3000\n");
        match self {
            Self::Whep => {}
            Self::RtspUdp => text += "transport = \"udp\"\n",
            Self::RtspTcp | Self::Rtsps | Self::Onvif => text += "transport = \"tcp\"\n",
        }
        if self.is_tls() {
            let authority = quoted(&root.to_string_lossy());
            let _ = writeln!(text, "tls_ca_file = {authority}");
        }
        text
    }
}

fn rtsp_url(scheme: &str, number: u16) -> String {
    format!("{scheme}://{}:{PORT}/cam0", net::host(number))
}

/// The ONVIF device of camera `number`, to be run in its namespace; it leads to the camera's RTSP server.
pub(crate) fn onvif_device(number: u16) -> Command {
    let mut command = net::within(&net::camera(number), mos_testkit::rtsp::PYTHON);
    command
        .arg(mos_testkit::paths::peer("onvif_camera.py"))
        .args(["--host=0.0.0.0", "--port=80"])
        .args([format!("--user={USER}"), format!("--password={PASSWORD}")])
        .arg(format!("--rtsp={}", rtsp_url("rtsp", number)));
    command
}

/// The real server, to be run in camera `number`'s namespace.
pub(crate) fn server(number: u16, picture: Picture, behind: bool) -> Command {
    let codec = match picture {
        Picture::Usual => "h264",
        Picture::Other => "jpeg",
    };
    let (address, port) = if behind {
        ("127.0.0.1", BEHIND)
    } else {
        ("0.0.0.0", PORT)
    };
    let mut command = net::within(&net::camera(number), mos_testkit::rtsp::PYTHON);
    command
        .arg(mos_testkit::paths::peer("rtsp_server.py"))
        .args([format!("--address={address}"), format!("--port={port}")])
        .args([format!("--codec={codec}"), format!("--size={SIZE}")])
        .args([format!("--fps={RATE}"), format!("--key-int={KEY_INT}")])
        .args(["--bitrate=256", "--pattern=smpte", "--auth=digest"])
        .args([
            format!("--resize-to={OTHER_SIZE}"),
            format!("--fps-to={OTHER_RATE}"),
        ])
        .arg(format!("--user={USER}"))
        .env("RTSP_PASSWORD", PASSWORD);
    command
}

/// The WHEP server, aiortc, to be run in camera `number`'s namespace behind the one that speaks TLS. Its picture changes its
/// size by itself, some seconds after a session began, if `resizes`.
pub(crate) fn whep_server(number: u16, picture: Picture, resizes: bool) -> Result<Command, Error> {
    let python = mos_testkit::whep::python().ok_or_else(|| {
        Error::NotMet("no Python with aiortc: run it without --no-setup once".to_owned())
    })?;
    let codec = match picture {
        Picture::Usual => "H264",
        Picture::Other => "VP8",
    };
    let mut command = net::within(&net::camera(number), python);
    command
        .arg(mos_testkit::paths::peer("whep_server.py"))
        .args([format!("--port={BEHIND}"), format!("--codec={codec}")])
        .args([format!("--size={SIZE}"), format!("--fps={RATE}")])
        .env("WHEP_TOKEN", PASSWORD);
    if resizes {
        let after = WHEP_RESIZES_AFTER * RATE;
        command.args([
            format!("--resize-to={OTHER_SIZE}"),
            format!("--resize-after={after}"),
        ]);
    }
    Ok(command)
}

/// The server that misbehaves, to be run in camera `number`'s namespace in front of the real one; in TLS with the
/// certificates of a folder, if one is given.
pub(crate) fn front(
    number: u16,
    program: &Path,
    seed: u64,
    certificates: Option<&Path>,
) -> Command {
    let mut command = net::within(&net::camera(number), program);
    command.args([
        format!("--listen=0.0.0.0:{PORT}"),
        format!("--server=127.0.0.1:{BEHIND}"),
        format!("--seed={seed}"),
    ]);
    command.args(certificates.map(|folder| format!("--certificates={}", folder.display())));
    command
}

/// An authority that has issued the certificates of all cameras, by the names that [`Act::Certificate`] has.
pub(crate) fn authority() -> Result<Authority, Error> {
    let make = || {
        let authority = Authority::new()?;
        let hosts = format!("*.{}", net::DOMAIN);
        authority.issue("good", &[&hosts], Dates::Good)?;
        authority.issue("expired", &[&hosts], Dates::Expired)?;
        Ok(authority)
    };
    make().map_err(Error::io("cannot make certificates"))
}

/// The part of a camera's configuration that all transports share. The watchdogs are shorter than the service's defaults,
/// for a table that takes minutes.
pub(crate) fn camera(stream: &str, start: bool) -> String {
    let name = quoted(stream);
    format!(
        "\n[cameras.{name}]\nstart = {start}\nfirst_frame_timeout_ms = 10000\nsteady_timeout_ms = 3000\n"
    )
}
