//! A container in which udev does not run.

use std::process::{Command, Stdio};

use mos_camera_api::v1::{GetStatusRequest, State};
use mos_virtual_uvc::{Camera, FormatKind};

use crate::rig::{Rig, camera};

async fn hotplug(rig: &Rig) -> (String, String) {
    let mut control = rig.service.control().await;
    let status = control
        .get_status(GetStatusRequest::default())
        .await
        .unwrap();
    let service = status.into_inner().service.unwrap();
    (service.hotplug, service.hotplug_detail)
}

pub(crate) async fn where_udev_runs_it_is_the_source(rig: &Rig) {
    let start = rig.told.mark();
    assert_eq!(hotplug(rig).await, ("udev".to_owned(), String::new()));
    let _camera = Camera::plug(&camera(Some("U1"), FormatKind::Nv12)).unwrap();
    rig.told.added(start).await;
    assert_eq!(hotplug(rig).await.0, "udev");
}

pub(crate) async fn without_udev_plugging_in_is_noticed_by_inotify_and_the_status_says_so() {
    const STREAM: &str = "without-udev";
    let rig = Rig::alone(|home| {
        let service = home.command();
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c"])
            .arg("mount -t tmpfs none /run/udev && exec \"$@\"")
            .arg("sh")
            .arg(service.get_program())
            .args(service.get_args())
            .stdin(Stdio::null());
        command
    })
    .await;
    let (word, why) = hotplug(&rig).await;
    assert_eq!(
        (word.as_str(), why.as_str()),
        ("inotify", "udev does not run here")
    );
    let camera = Camera::plug(&camera(Some("U2"), FormatKind::Nv12)).unwrap();
    rig.told.added(0).await;
    rig.stream(STREAM, "usb:1d6b:0102:U2").await;
    let mark = rig.told.mark();
    camera.unplug().unwrap();
    rig.told.state(mark, STREAM, State::Absent).await;
}
