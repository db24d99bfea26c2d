//! The service's configuration file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A camera of the file.
#[derive(Clone, Debug)]
pub(crate) struct Camera {
    /// Its name, which is its stream's too.
    pub(crate) name: String,
    /// Where its picture comes from.
    pub(crate) source: Source,
    /// Frame size in pixels; the device's choice if absent.
    pub(crate) size: Option<(u32, u32)>,
    /// Frames per second; the device's choice if absent.
    pub(crate) framerate: Option<u32>,
}

/// Where a picture comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// Generated.
    Test {
        /// `ball`, `smpte` or `gradient`.
        pattern: &'static str,
    },
    /// An RTSP server without log-in.
    OpenRtsp {
        /// Where it is.
        url: String,
        /// `tcp` or `udp`.
        transport: &'static str,
        /// Of the jitter buffer.
        latency_ms: u32,
    },
    /// An RTSP server.
    Rtsp {
        /// Without credentials.
        url: String,
        /// Who logs in.
        user: String,
        /// Where the password is.
        password_file: PathBuf,
    },
}

impl Source {
    /// One word for tables.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Test { .. } => "test",
            Self::OpenRtsp { .. } | Self::Rtsp { .. } => "rtsp",
        }
    }
}

/// The file for `cameras`, with all the service's own files in `folder`.
pub(crate) fn file(folder: &Path, cameras: &[Camera]) -> String {
    let mut text = service(folder);
    for camera in cameras {
        table(&mut text, camera);
    }
    text
}

/// The file's beginning, without cameras.
pub(crate) fn service(folder: &Path) -> String {
    let mut text = String::from("[service]\n");
    for (key, name) in [
        ("control_socket", "control.sock"),
        ("frame_dir", "frames"),
        ("state_file", "state/state.json"),
    ] {
        let _ = writeln!(
            text,
            "{key} = {}",
            quoted(&folder.join(name).to_string_lossy())
        );
    }
    text
}

fn table(text: &mut String, camera: &Camera) {
    let name = quoted(&camera.name);
    let _ = writeln!(text, "\n[cameras.{name}]");
    if let Some((width, height)) = camera.size {
        let _ = writeln!(text, "width = {width}\nheight = {height}");
    }
    if let Some(framerate) = camera.framerate {
        let _ = writeln!(text, "framerate = \"{framerate}\"");
    }
    let _ = match &camera.source {
        Source::Test { pattern } => {
            writeln!(text, "[cameras.{name}.test]\npattern = {}", quoted(pattern))
        }
        Source::OpenRtsp {
            url,
            transport,
            latency_ms,
        } => writeln!(
            text,
            "[cameras.{name}.rtsp]\nurl = {}\ntransport = \"{transport}\"\nlatency_ms = {latency_ms}",
            quoted(url)
        ),
        Source::Rtsp {
            url,
            user,
            password_file,
        } => {
            let [url, user, file] = [url, user, &password_file.to_string_lossy().into_owned()]
                .map(|value| quoted(value));
            writeln!(
                text,
                "[cameras.{name}.rtsp]\nurl = {url}\nuser = {user}\npassword_file = {file}"
            )
        }
    };
}

/// A TOML basic string, whose escapes JSON's are too.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_one_table_a_camera() {
        let front = Camera {
            name: "front".to_owned(),
            source: Source::Test { pattern: "ball" },
            size: Some((640, 480)),
            framerate: Some(30),
        };
        let source = Source::Rtsp {
            url: "rtsp://h/\"x".to_owned(),
            user: "u".to_owned(),
            password_file: "/d/pw".into(),
        };
        let door = Camera {
            name: "door".to_owned(),
            source,
            size: None,
            framerate: None,
        };
        let expected = r#"[service]
control_socket = "/d/control.sock"
frame_dir = "/d/frames"
state_file = "/d/state/state.json"

[cameras."front"]
width = 640
height = 480
framerate = "30"
[cameras."front".test]
pattern = "ball"

[cameras."door"]
[cameras."door".rtsp]
url = "rtsp://h/\"x"
user = "u"
password_file = "/d/pw"
"#;
        assert_eq!(file(Path::new("/d"), &[front, door]), expected);
    }
}
