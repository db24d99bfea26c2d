//! What the kernel makes of a camera that is plugged in and unplugged.

use std::path::Path;

use mos_testkit::wait_until;
use mos_virtual_uvc::{
    Camera, CameraConfig, ControlId, Error, Fault, FormatKind, FormatSpec, Stats,
};

use crate::host::{WITHIN, node, plug, ready, told};

fn of(kind: FormatKind, sizes: &[(u16, u16)], rates: &[u32]) -> CameraConfig {
    CameraConfig {
        formats: vec![FormatSpec::new(kind, sizes, rates)],
        ..CameraConfig::default()
    }
}

/// The lines of a listing without their indentation.
fn lines(text: &str) -> Vec<&str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect()
}

#[test]
fn formats_are_as_declared() {
    if !ready("formats_are_as_declared") {
        return;
    }
    let config = CameraConfig {
        name: "Third eye".to_owned(),
        formats: vec![
            FormatSpec::new(FormatKind::Mjpeg, &[(640, 480), (320, 240)], &[30, 10]),
            FormatSpec::new(FormatKind::Yuyv, &[(192, 64)], &[5]),
            FormatSpec::new(FormatKind::Nv12, &[(176, 144)], &[25]),
        ],
        ..CameraConfig::default()
    };
    let (_camera, node) = plug(&config);
    assert!(told(&node, &["--info"]).contains("Third eye"));
    let listed = told(&node, &["--list-formats-ext"]);
    let expected = [
        "[0]: 'MJPG' (Motion-JPEG, compressed)",
        "Size: Discrete 640x480",
        "Interval: Discrete 0.033s (30.000 fps)",
        "Interval: Discrete 0.100s (10.000 fps)",
        "Size: Discrete 320x240",
        "Interval: Discrete 0.033s (30.000 fps)",
        "Interval: Discrete 0.100s (10.000 fps)",
        "[1]: 'YUYV' (YUYV 4:2:2)",
        "Size: Discrete 192x64",
        "Interval: Discrete 0.200s (5.000 fps)",
        "[2]: 'NV12' (Y/UV 4:2:0)",
        "Size: Discrete 176x144",
        "Interval: Discrete 0.040s (25.000 fps)",
    ];
    assert_eq!(lines(&listed)[2..], expected, "{listed}");
}

#[test]
fn controls_are_as_declared_and_are_set_in_the_camera() {
    if !ready("controls_are_as_declared_and_are_set_in_the_camera") {
        return;
    }
    let (camera, node) = plug(&CameraConfig::default());
    let listed = told(&node, &["--list-ctrls"]);
    for id in ControlId::all() {
        let line = lines(&listed)
            .into_iter()
            .find(|line| line.starts_with(id.name()));
        assert!(line.is_some(), "no {id} in {listed}");
    }
    let ranges = [
        ("brightness", "min=-64 max=64 step=1 default=0 value=0"),
        ("hue", "min=-2000 max=2000 step=100 default=0 value=0"),
        (
            "auto_exposure",
            "min=0 max=3 default=3 value=3 (Aperture Priority Mode)",
        ),
        (
            "exposure_time_absolute",
            "min=1 max=5000 step=1 default=157 value=157 flags=inactive",
        ),
        ("white_balance_automatic", "default=1 value=1"),
        (
            "power_line_frequency",
            "min=0 max=2 default=1 value=1 (50 Hz)",
        ),
        (
            "zoom_absolute",
            "min=100 max=500 step=1 default=100 value=100",
        ),
    ];
    for (name, range) in ranges {
        let line = lines(&listed)
            .into_iter()
            .find(|line| line.starts_with(name))
            .unwrap();
        assert!(line.ends_with(range), "{line}");
    }
    // V4L2's number for manual exposure is the device's bit for it.
    let sets = [
        ("brightness=-10", ControlId::Brightness, -10),
        ("gain=7", ControlId::Gain, 7),
        ("auto_exposure=1", ControlId::AutoExposure, 1),
        ("exposure_time_absolute=50", ControlId::Exposure, 50),
        ("focus_automatic_continuous=0", ControlId::FocusAuto, 0),
        ("focus_absolute=1023", ControlId::Focus, 1023),
    ];
    for (set, id, value) in sets {
        told(&node, &["--set-ctrl", set]);
        assert_eq!(camera.control(id), Some(value), "{set}");
    }
}

#[test]
fn an_unplugged_camera_has_no_node_and_another_one_comes_into_its_port() {
    if !ready("an_unplugged_camera_has_no_node_and_another_one_comes_into_its_port") {
        return;
    }
    let (camera, old) = plug(&of(FormatKind::Nv12, &[(320, 240)], &[30]));
    let port = camera.port();
    let taken = Camera::plug(&CameraConfig {
        port,
        ..CameraConfig::default()
    })
    .unwrap_err();
    assert!(matches!(taken, Error::PortTaken(_)), "{taken}");
    let stats = camera.unplug().unwrap();
    assert!(!stats.attached);
    wait_until("node to go", WITHIN, || (!old.exists()).then_some(())).unwrap();

    let other = of(FormatKind::Mjpeg, &[(160, 120)], &[15]);
    let (camera, node) = plug(&CameraConfig { port, ..other });
    assert_eq!(camera.port(), port);
    let listed = told(&node, &["--list-formats"]);
    assert!(
        listed.contains("MJPG") && !listed.contains("NV12"),
        "{listed}"
    );
}

#[test]
fn ports_that_there_are_not_are_refused() {
    if !ready("ports_that_there_are_not_are_refused") {
        return;
    }
    let error = Camera::plug(&CameraConfig {
        port: Some(200),
        ..CameraConfig::default()
    });
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("no high-speed port 200") && error.contains("0, 1"),
        "{error}"
    );
}

#[test]
fn like_cameras_without_a_serial_number_have_nodes_of_their_own() {
    if !ready("like_cameras_without_a_serial_number_have_nodes_of_their_own") {
        return;
    }
    let config = of(FormatKind::Yuyv, &[(320, 240)], &[10]);
    let cameras = [&config, &config].map(|config| Camera::plug(config).unwrap());
    let nodes = [&cameras[0], &cameras[1]].map(node);
    assert_ne!(nodes[0], nodes[1]);
    assert_ne!(cameras[0].port(), cameras[1].port());
    for camera in &cameras {
        assert!(!camera.sysfs().unwrap().join("serial").exists());
    }
    let [first, second] = cameras;
    first.unplug().unwrap();
    wait_until("first node to go", WITHIN, || {
        (!nodes[0].exists()).then_some(())
    })
    .unwrap();
    assert_eq!(second.nodes(), [nodes[1].clone()]);
}

#[test]
fn a_serial_number_is_the_devices() {
    if !ready("a_serial_number_is_the_devices") {
        return;
    }
    let config = CameraConfig {
        serial: Some("CAM0".to_owned()),
        ..CameraConfig::default()
    };
    let (camera, _) = plug(&config);
    let read = |name: &str| std::fs::read_to_string(camera.sysfs().unwrap().join(name)).unwrap();
    assert_eq!(
        ["serial", "product", "speed"].map(read),
        ["CAM0\n", "mos virtual camera\n", "480\n"]
    );
}

/// Enumeration is cut off at its start, in its strings, among its controls and close to its end.
#[test]
fn a_camera_that_vanishes_while_the_kernel_gets_to_know_it_leaves_nothing() {
    if !ready("a_camera_that_vanishes_while_the_kernel_gets_to_know_it_leaves_nothing") {
        return;
    }
    let (camera, _) = plug(&CameraConfig::default());
    let port = camera.port();
    let whole = camera.unplug().unwrap().control_requests as u32;
    assert!(whole > 20, "{whole} requests");
    for after_requests in [0, 1, 4, 10, whole / 2] {
        let faults = vec![Fault::VanishDuringEnumeration { after_requests }];
        let camera = Camera::plug(&CameraConfig {
            port,
            faults,
            ..CameraConfig::default()
        })
        .unwrap();
        let gone = |stats: &Stats| !stats.attached;
        let stats = camera.wait("gone", WITHIN, gone).unwrap();
        assert_eq!(stats.control_requests, u64::from(after_requests));
        let sysfs = camera.sysfs();
        camera.unplug().unwrap();
        let left = || sysfs.as_deref().is_some_and(Path::exists);
        wait_until("device to go", WITHIN, || (!left()).then_some(())).unwrap();
    }
    let (_camera, node) = plug(&CameraConfig {
        port,
        ..CameraConfig::default()
    });
    assert!(told(&node, &["--list-formats"]).contains("MJPG"));
}
