//! This host's side of a camera: its node, and the programs that use it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use mos_testkit::wait_until;
use mos_virtual_uvc::{Camera, CameraConfig, FormatKind};

/// An emulated guest takes seconds for what takes milliseconds elsewhere.
pub(crate) const WITHIN: Duration = Duration::from_mins(1);

/// Whether this host can have virtual cameras; says so if not.
pub(crate) fn ready(test: &str) -> bool {
    let loaded = Path::new("/sys/devices/platform/vhci_hcd.0/attach").exists()
        && Path::new("/sys/bus/usb/drivers/uvcvideo").exists();
    if !loaded {
        assert!(
            std::env::var_os("MOS_UVC_REQUIRED").is_none(),
            "vhci_hcd or uvcvideo is not loaded, but MOS_UVC_REQUIRED is set"
        );
        mos_testkit::skip::skip(
            test,
            "vhci_hcd and uvcvideo are not loaded; runs in the lab",
        )
        .unwrap();
    }
    loaded
}

/// A plugged camera and its node, which programs can open.
pub(crate) fn plug(config: &CameraConfig) -> (Camera, PathBuf) {
    let camera = Camera::plug(config).unwrap();
    let node = node(&camera);
    (camera, node)
}

/// The node of a camera, once there is one.
pub(crate) fn node(camera: &Camera) -> PathBuf {
    wait_until("node of the camera", WITHIN, || {
        camera.nodes().into_iter().find(|node| node.exists())
    })
    .unwrap()
}

/// Runs v4l2-ctl on a node.
pub(crate) fn v4l2<S: AsRef<OsStr>>(node: &Path, arguments: &[S]) -> Output {
    Command::new("v4l2-ctl")
        .arg("--device")
        .arg(node)
        .args(arguments)
        .output()
        .unwrap()
}

/// What v4l2-ctl prints; it has to succeed.
pub(crate) fn told<S: AsRef<OsStr>>(node: &Path, arguments: &[S]) -> String {
    let output = v4l2(node, arguments);
    let text = all(&output);
    assert!(output.status.success(), "{text}");
    text
}

/// All that a program said.
pub(crate) fn all(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|bytes| String::from_utf8_lossy(bytes))
        .concat()
}

/// v4l2-ctl's arguments for a format.
pub(crate) fn format(kind: FormatKind, (width, height): (u16, u16)) -> String {
    let four_cc = match kind {
        FormatKind::Mjpeg => "MJPG",
        FormatKind::Nv12 => "NV12",
        FormatKind::Yuyv => "YUYV",
    };
    format!("--set-fmt-video=width={width},height={height},pixelformat={four_cc}")
}

/// Takes frames with v4l2-ctl; what it got, all in one.
pub(crate) fn frames(node: &Path, kind: FormatKind, count: usize) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("frames");
    let count = format!("--stream-count={count}");
    let to = format!("--stream-to={}", file.display());
    told(
        node,
        &[&format(kind, (320, 240)), "--stream-mmap", &count, &to],
    );
    std::fs::read(file).unwrap()
}

/// A v4l2-ctl that takes frames until it is dropped or gets none any more.
pub(crate) struct Taking {
    child: Child,
    folder: tempfile::TempDir,
}

impl Taking {
    pub(crate) fn start(node: &Path, kind: FormatKind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let child = Command::new("v4l2-ctl")
            .arg("--device")
            .arg(node)
            .args([&format(kind, (320, 240)), "--stream-mmap"])
            .arg(format!(
                "--stream-to={}",
                folder.path().join("frames").display()
            ))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, folder }
    }

    /// Bytes of frames that it got.
    pub(crate) fn bytes(&self) -> u64 {
        std::fs::metadata(self.folder.path().join("frames")).map_or(0, |data| data.len())
    }

    /// Whether it goes on.
    pub(crate) fn goes_on(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
