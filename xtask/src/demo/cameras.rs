//! The demo's cameras: two generated ones, a network camera, and whatever is plugged in.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mos_testkit::{Auth, RtspServer, RtspServerOptions};

use crate::error::Error;
use crate::rig::config::{Camera, Source};
use crate::rig::ctl::{Ctl, Device};
use crate::ui::say;

const USER: &str = "viewer";
const PASSWORD: &str = "demo-only";

/// A stream and one word on where its picture comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StreamSource {
    /// The stream's name.
    pub(crate) stream: String,
    /// `test`, `rtsp`, `v4l2`, ...
    pub(crate) kind: String,
}

/// A real RTSP server in a process of its own, which wants a digest log-in.
#[derive(Debug)]
pub(crate) struct RtspCamera {
    server: RtspServer,
    password_file: PathBuf,
}

impl RtspCamera {
    /// Starts it on a free port of the loopback interface; its password goes into a file in `folder`.
    pub(crate) fn start(folder: &Path) -> Result<Self, Error> {
        let password_file = folder.join("password");
        let written = fs::write(&password_file, PASSWORD);
        let private = fs::Permissions::from_mode(0o600);
        written
            .and_then(|()| fs::set_permissions(&password_file, private))
            .map_err(Error::path("write", &password_file))?;
        let options = RtspServerOptions {
            auth: Auth::Digest,
            user: USER.to_owned(),
            password: PASSWORD.to_owned(),
            ..RtspServerOptions::default()
        };
        let server =
            RtspServer::start(&options).map_err(Error::io("cannot start the RTSP server"))?;
        Ok(Self {
            server,
            password_file,
        })
    }
}

/// The cameras of the configuration file.
pub(crate) fn all(rtsp: &RtspCamera) -> Vec<Camera> {
    let test = |name: &str, pattern| Camera {
        name: name.to_owned(),
        source: Source::Test { pattern },
        size: Some((640, 480)),
        framerate: Some(30),
    };
    let (url, password_file) = (rtsp.server.url(0), rtsp.password_file.clone());
    let source = Source::Rtsp {
        url,
        user: USER.to_owned(),
        password_file,
    };
    let door = Camera {
        name: "door".to_owned(),
        source,
        size: None,
        framerate: None,
    };
    vec![test("front", "ball"), test("rear", "smpte"), door]
}

/// What they are, for the table.
pub(crate) fn sources(cameras: &[Camera]) -> Vec<StreamSource> {
    let source = |camera: &Camera| StreamSource {
        stream: camera.name.clone(),
        kind: camera.source.kind().to_owned(),
    };
    cameras.iter().map(source).collect()
}

/// Makes a stream of every real camera that the service found, and starts it.
pub(crate) fn add_real(ctl: &Ctl) -> Result<Vec<StreamSource>, Error> {
    let mut added = Vec::new();
    for device in ctl.devices()?.iter().filter(|device| is_node(device)) {
        let found = format!("found {} at {}", device.id, device.location);
        if !is_free(device) {
            say(format!("{found}, left out: it is {}", device.health));
            continue;
        }
        let stream = stream_name(&device.location);
        let started = ctl
            .run(&["configure", &stream, "--device", &device.id, "--json"])
            .and_then(|_| ctl.run(&["start", &stream, "--json"]));
        if let Err(why) = started {
            // The demo is of what works; the others go on.
            say(format!("{found}, left out: {why}"));
            continue;
        }
        say(format!("{found}: stream {stream}"));
        added.push(StreamSource {
            stream,
            kind: device.transport.clone(),
        });
    }
    Ok(added)
}

/// A device node of this machine.
fn is_node(device: &Device) -> bool {
    device.location.starts_with("/dev/video")
}

/// Works, and nothing uses it yet.
fn is_free(device: &Device) -> bool {
    device.health == "ready" && device.stream.is_none()
}

/// `video0` for `/dev/video0`.
fn stream_name(node: &str) -> String {
    node.rsplit('/').next().unwrap_or(node).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(location: &str, health: &str, stream: Option<&str>) -> Device {
        Device {
            id: "v4l2:x".to_owned(),
            transport: "v4l2".to_owned(),
            location: location.to_owned(),
            health: health.to_owned(),
            stream: stream.map(str::to_owned),
        }
    }

    #[test]
    fn only_free_nodes_that_work_are_added() {
        assert!(is_node(&device("/dev/video0", "ready", None)));
        assert!(!is_node(&device("rtsp://host/cam", "ready", None)));
        assert!(is_free(&device("/dev/video0", "ready", None)));
        assert!(!is_free(&device("/dev/video0", "busy", None)));
        assert!(!is_free(&device("/dev/video0", "ready", Some("front"))));
        assert_eq!(stream_name("/dev/video12"), "video12");
    }
}
