//! A camera of Qualcomm's camera service, whose element is the stand-in, loaded as a plugin. The service's socket is in a file system
//! of the program's own, so that nothing of it is seen outside.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;

use mos_camera_api::v1::{GetStatusRequest, ListDevicesRequest, State};
use mos_testkit::{paths, skip};

use crate::harness::{Home, Service};

const CONFIG: &str = r#"
[service]
platform = "qcs"
[onvif]
discovery = false
[cameras.mast]
width = 640
height = 480
framerate = "30"
qmmf = { camera = 3, link = "i2c@1/max96712@29/link2" }
"#;

/// Mounts `$1` where the camera service's socket is looked for, and becomes the program that follows.
const MOUNT: &str = "mount -t tmpfs tmpfs /run && mkdir /run/cam_server && mount --bind \"$1\" /run/cam_server && shift && exec \"$@\"";

fn can_mount() -> bool {
    let tried = Command::new("unshare")
        .args(["--mount", "mount", "-t", "tmpfs", "tmpfs", "/run"])
        .output();
    tried.is_ok_and(|output| output.status.success())
}

fn start(home: Home) -> (Service, UnixListener) {
    let sockets = home.path().join("cam_server");
    let plugins = home.path().join("plugins");
    for folder in [&sockets, &plugins] {
        std::fs::create_dir(folder).unwrap();
    }
    let listener = UnixListener::bind(sockets.join("le_cam_socket")).unwrap();
    let plugin = paths::qmmf_standin().unwrap();
    symlink(&plugin, plugins.join(plugin.file_name().unwrap())).unwrap();
    let plain = home.command();
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-ec", MOUNT, "sh"])
        .arg(&sockets)
        .arg(plain.get_program())
        .args(plain.get_args())
        .env_remove("NOTIFY_SOCKET")
        .env_remove("WATCHDOG_USEC")
        .env("GST_PLUGIN_PATH", &plugins)
        .env("GST_REGISTRY", home.path().join("registry.bin"))
        .env("MOS_QMMF_STANDIN", "gbm");
    (home.start_as(command), listener)
}

#[tokio::test]
async fn a_camera_behind_a_deserializer_streams() {
    if !can_mount() {
        skip::skip(
            "service qmmf_camera",
            "it takes root and a mount namespace of its own",
        )
        .unwrap();
        return;
    }
    let (service, _listener) = start(Home::new(CONFIG));
    let mut control = service.control().await;
    let status = control.get_status(GetStatusRequest::default()).await;
    let platform = status.unwrap().into_inner().service.unwrap().platform;
    let platform = platform.expect("a platform");
    assert_eq!(platform.csi_backend, "qmmf");
    assert!(platform.problems.is_empty(), "{:?}", platform.problems);
    service.wait_state("mast", State::Streaming).await;
    let listed = control.list_devices(ListDevicesRequest::default()).await;
    let listed = listed.unwrap().into_inner();
    let id = "gmsl:i2c@1/max96712@29/link2";
    let camera = listed.devices.iter().find(|device| device.id == id);
    let camera = camera.unwrap_or_else(|| panic!("{listed:?}"));
    assert_eq!(camera.location, "camera 3 of the camera service");
    let (end, home) = service.stop();
    assert!(end.success(), "{}", home.log());
    assert!(!home.log().contains("left behind"), "{}", home.log());
}
