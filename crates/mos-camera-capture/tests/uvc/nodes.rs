//! Nodes that are no cameras, are in use, or may not be opened.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mos_camera_api::v1::{Health, ListDevicesRequest};
use mos_virtual_uvc::{Camera, FormatKind};

use crate::rig::{Rig, camera, node, vivid};

pub(crate) async fn an_output_is_listed_as_one_and_metadata_nodes_are_not_listed(rig: &Rig) {
    let start = rig.told.mark();
    let camera = Camera::plug(&camera(Some("H1"), FormatKind::Nv12)).unwrap();
    rig.told.added(start).await;
    // uvcvideo makes a second node, for metadata.
    let nodes = std::fs::read_dir("/sys/class/video4linux")
        .unwrap()
        .flatten();
    let names = nodes.map(|node| std::fs::read_to_string(node.path().join("name")).unwrap());
    assert_eq!(names.filter(|name| name.contains("mos virtual")).count(), 2);
    let node = node(&camera);
    let cameras = rig.cameras().await;
    assert_eq!(cameras.len(), 1);
    assert_eq!(Path::new(&cameras[0].location), node);
    let output = vivid("vid-out").remove(0);
    let mut control = rig.service.control().await;
    let listed = control.list_devices(ListDevicesRequest::default()).await;
    let listed = listed.unwrap().into_inner().devices;
    let output = listed
        .iter()
        .find(|device| device.location == output.to_str().unwrap())
        .unwrap_or_else(|| panic!("{listed:#?}"));
    assert_eq!(output.health(), Health::Unusable, "{output:?}");
    assert!(output.health_detail.contains("is an output"), "{output:?}");
}

pub(crate) async fn a_camera_that_another_program_uses_is_busy_with_the_program_s_name(rig: &Rig) {
    const STREAM: &str = "busy";
    let start = rig.told.mark();
    let camera = Camera::plug(&camera(Some("H2"), FormatKind::Nv12)).unwrap();
    rig.told.added(start).await;
    let mut user = Command::new("v4l2-ctl")
        .arg("--device")
        .arg(node(&camera))
        .arg("--stream-mmap")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    camera.wait_streaming(crate::harness::PATIENCE).unwrap();
    let busy = rig.cameras().await.remove(0);
    assert_eq!(busy.health(), Health::Busy, "{busy:?}");
    let expected = format!("in use by v4l2-ctl (process {})", user.id());
    assert!(busy.health_detail.contains(&expected), "{busy:?}");
    user.kill().unwrap();
    user.wait().unwrap();
    assert_eq!(rig.cameras().await[0].health(), Health::Ready);
    // In the service's own hands it is not busy.
    rig.stream(STREAM, "usb:1d6b:0102:H2").await;
    assert_eq!(rig.cameras().await[0].health(), Health::Ready);
}

/// A copy of root's registry of GStreamer's plugins that others can read: to make one takes minutes under emulation.
fn plugin_registry(folder: &Path) -> PathBuf {
    let home = std::env::var_os("HOME").unwrap();
    let cache = Path::new(&home).join(".cache/gstreamer-1.0");
    let registry = std::fs::read_dir(cache).unwrap().flatten().next().unwrap();
    let copy = folder.join("registry.bin");
    std::fs::copy(registry.path(), &copy).unwrap();
    std::fs::set_permissions(&copy, Permissions::from_mode(0o644)).unwrap();
    copy
}

/// The service runs as another user, who may not open the camera's node.
pub(crate) async fn a_camera_that_may_not_be_opened_is_told_and_taken_up_once_it_may() {
    const STREAM: &str = "forbidden";
    let rig = Rig::alone(|home| {
        std::fs::set_permissions(home.path(), Permissions::from_mode(0o777)).unwrap();
        let registry = plugin_registry(home.path());
        let service = home.command();
        let mut command = Command::new("setpriv");
        command
            .args([
                "--reuid=65534",
                "--regid=65534",
                "--clear-groups",
                "env",
                "HOME=/tmp",
                "GST_REGISTRY_UPDATE=no",
            ])
            .arg(format!("GST_REGISTRY={}", registry.display()))
            .arg(service.get_program())
            .args(service.get_args())
            .stdin(Stdio::null());
        command
    })
    .await;
    let camera = Camera::plug(&camera(Some("H3"), FormatKind::Nv12)).unwrap();
    let (_, device) = rig.told.added(0).await;
    assert_eq!(device.health(), Health::NoPermission, "{device:?}");
    assert!(device.health_detail.contains("group"), "{device:?}");
    let node = node(&camera);
    std::fs::set_permissions(&node, Permissions::from_mode(0o666)).unwrap();
    assert_eq!(rig.cameras().await[0].health(), Health::Ready);
    rig.stream(STREAM, "usb:1d6b:0102:H3").await;
}
