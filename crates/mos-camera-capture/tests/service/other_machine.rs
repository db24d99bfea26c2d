//! `--print-platform`: what would be chosen on machines of which there are only files, without starting anything.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Home, binary, end_of};

/// A folder with a machine's device tree.
fn machine(folder: &tempfile::TempDir, name: &str, compatible: &[u8]) -> PathBuf {
    let root = folder.path().join(name);
    let tree = root.join("proc/device-tree");
    fs::create_dir_all(&tree).unwrap();
    fs::write(tree.join("compatible"), compatible).unwrap();
    root
}

/// What `service` prints of the machine whose files are below `root`.
pub(crate) fn print_platform(service: &mut Command, root: &Path) -> serde_json::Value {
    let output = service
        .arg("--print-platform")
        .arg("--sysroot")
        .arg(root)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn each_folder_is_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let roots = [
        machine(&folder, "evk", b"fsl,imx8mp-evk\0fsl,imx8mp\0"),
        machine(&folder, "rb3gen2", b"qcom,qcs6490-rb3gen2\0qcom,qcm6490\0"),
        machine(&folder, "mini", b"fsl,imx8mm-evk\0fsl,imx8mm\0"),
    ];
    let home = Home::new("[service]\n");
    let mut command = home.command();
    command.arg("--print-platform");
    for root in &roots {
        command.arg("--sysroot").arg(root);
    }
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3, "{text}");
    for ((line, root), (family, soc)) in lines.iter().zip(&roots).zip([
        ("imx8mp", Some("i.MX 8M Plus")),
        ("qcs", Some("QCM6490/QCS6490")),
        ("generic", None),
    ]) {
        assert_eq!(line["sysroot"].as_str(), root.to_str(), "{line}");
        assert_eq!(line["family"], family, "{line}");
        assert_eq!(line["soc"].as_str(), soc, "{line}");
    }
    // The camera service can't listen in these folders.
    assert!(
        lines[1]["problems"][0]["message"]
            .as_str()
            .unwrap()
            .starts_with("qmmf can't be used"),
        "{text}"
    );
    assert!(!home.control_socket().exists(), "nothing was started");
}

#[test]
fn what_the_other_machine_shows_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let root = machine(&folder, "board", b"acme,cam\0qcom,qcs8300\0");
    for (path, text) in [
        ("sys/devices/soc0/family", "Snapdragon\n"),
        ("sys/devices/soc0/soc_id", "675\n"),
        (
            "sys/bus/media/devices/media0/model",
            "Qualcomm Camera Subsystem\n",
        ),
    ] {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let socket = root.join("run/cam_server/le_cam_socket");
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
    let _camera_service = std::os::unix::net::UnixListener::bind(socket).unwrap();
    let home = Home::new("[service]\n");
    let line = print_platform(&mut home.command(), &root);
    assert_eq!(line["soc_family"], "Snapdragon", "{line}");
    assert_eq!(line["soc_id"], "675", "{line}");
    assert_eq!(line["camera_service"], "listens", "{line}");
    assert_eq!(
        line["media_devices"],
        serde_json::json!([{"node": "/dev/media0", "model": "Qualcomm Camera Subsystem"}]),
        "{line}"
    );
}

#[test]
fn the_configuration_overrules_here_too() {
    let folder = tempfile::tempdir().unwrap();
    let root = machine(&folder, "evk", b"fsl,imx8mp-evk\0fsl,imx8mp\0");
    let home = Home::new("[service]\nplatform = \"generic\"\n");
    let line = print_platform(&mut home.command(), &root);
    assert_eq!(line["family"], "generic");
    assert_eq!(line["overridden_family"], "imx8mp");
}

#[test]
fn what_is_asked_wrongly_is_a_wrong_command_line() {
    for arguments in [
        &["--sysroot", "/"][..],
        &["--print-platform", "--sysroot", "/no/such/folder"],
    ] {
        let output = Command::new(binary()).args(arguments).output().unwrap();
        let (code, said) = end_of(&output);
        assert_eq!(code, 64, "{arguments:?}: {said}");
        assert!(output.stdout.is_empty());
    }
}
