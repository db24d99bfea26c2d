//! Reads the device tree as the kernel shows it, one folder a node.

use std::fs;
use std::path::Path;

use mos_camera_core::platform::strings;
use mos_camera_core::seat::Node;

/// Root of the tree.
const TREE: &str = "proc/device-tree";
/// Deepest node that is looked at.
const DEEPEST: usize = 24;

/// The nodes that say what they are; those that are disabled are left out, with all below them. `root` is `/` but in tests.
pub(super) fn nodes(root: &Path) -> Vec<Node> {
    let mut found = Vec::new();
    walk(&root.join(TREE), "", DEEPEST, &mut found);
    found
}

fn walk(folder: &Path, path: &str, left: usize, found: &mut Vec<Node>) {
    if left == 0 || !is_enabled(folder) {
        return;
    }
    let compatible = property(folder, "compatible");
    if !compatible.is_empty() {
        found.push(Node {
            path: path.to_owned(),
            compatible,
            cell_index: cell(folder, "cell-index"),
            ports: ports(folder),
        });
    }
    for name in children(folder) {
        walk(
            &folder.join(&name),
            &format!("{path}/{name}"),
            left - 1,
            found,
        );
    }
}

/// `status`: none is `okay` (Devicetree Specification v0.4, section 2.3.4).
fn is_enabled(folder: &Path) -> bool {
    let status = property(folder, "status");
    status
        .first()
        .is_none_or(|word| word == "okay" || word == "ok")
}

fn property(folder: &Path, name: &str) -> Vec<String> {
    fs::read(folder.join(name)).map_or_else(|_| Vec::new(), |bytes| strings(&bytes))
}

/// A number of 32 bits, big-endian (section 2.2.4).
fn cell(folder: &Path, name: &str) -> Option<u32> {
    let bytes = fs::read(folder.join(name)).ok()?;
    Some(u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?))
}

/// Folders in a folder; links are not followed.
fn children(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

/// Ports with an endpoint, in the node or its `ports` (`graph.yaml` of dt-schema).
fn ports(folder: &Path) -> Vec<u32> {
    let mut found: Vec<u32> = [folder.to_owned(), folder.join("ports")]
        .iter()
        .filter(|place| is_enabled(place))
        .flat_map(|place| {
            children(place)
                .into_iter()
                .map(move |name| (place.join(&name), name))
        })
        .filter(|(port, _)| is_enabled(port))
        .filter_map(|(port, name)| Some((port_number(&name)?, port)))
        .filter(|(_, port)| children(port).iter().any(|name| is_endpoint(name)))
        .map(|(number, _)| number)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn port_number(name: &str) -> Option<u32> {
    match name.split_once('@') {
        None => (name == "port").then_some(0),
        Some(("port", address)) => u32::from_str_radix(address, 16).ok(),
        Some(_) => None,
    }
}

fn is_endpoint(name: &str) -> bool {
    name == "endpoint" || name.starts_with("endpoint@")
}

#[cfg(test)]
mod tests {
    use mos_camera_core::seat::seats;

    use super::*;

    /// A tree of `path/property = value` lines: quoted words are strings, numbers cells; a line that ends in `/` is a node.
    fn tree(lines: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (path, value) = line.split_once(" = ").unwrap_or((line, ""));
            let path = root.path().join(TREE).join(path);
            if value.is_empty() {
                fs::create_dir_all(path).unwrap();
                continue;
            }
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let bytes: Vec<u8> = match value.parse::<u32>() {
                Ok(number) => number.to_be_bytes().to_vec(),
                Err(_) => value
                    .split(' ')
                    .flat_map(|word| word.bytes().chain([0]))
                    .collect(),
            };
            fs::write(path, bytes).unwrap();
        }
        root
    }

    fn shown(lines: &str) -> Vec<String> {
        let root = tree(lines);
        seats(&nodes(root.path()))
            .iter()
            .map(|seat| format!("{} {}", seat.device(), seat.model))
            .collect()
    }

    /// After the example of `maxim,max96712.yaml` (mainline), on a chip's camera control interface (`qcom,i2c-cci.yaml`).
    const QUAD: &str = "
        compatible = qcom,monaco-evk qcom,qcs8300
        soc@0/compatible = simple-bus
        soc@0/cci@ac13000/compatible = qcom,qcs8300-cci qcom,msm8996-cci
        soc@0/cci@ac13000/i2c-bus@0/gmsl-deserializer@49/compatible = maxim,max96712
        soc@0/cci@ac13000/i2c-bus@0/gmsl-deserializer@49/ports/port@0/endpoint/
        soc@0/cci@ac13000/i2c-bus@0/gmsl-deserializer@49/ports/port@3/endpoint@0/
        soc@0/cci@ac13000/i2c-bus@0/gmsl-deserializer@49/ports/port@1/
        soc@0/cci@ac13000/i2c-bus@0/gmsl-deserializer@49/ports/port@4/endpoint/";

    /// After the example of `maxim,max9296a.yaml` (Analog Devices' kernel).
    const DUAL: &str = "
        compatible = qcom,qcs9100-ride qcom,qcs9100
        soc@0/i2c@a94000/deserializer@28/compatible = maxim,max9296a
        soc@0/i2c@a94000/deserializer@28/ports/port@0/endpoint/
        soc@0/i2c@a94000/deserializer@28/ports/port@1/endpoint/
        soc@0/i2c@a94000/deserializer@28/ports/port@2/endpoint/
        soc@0/i2c@a94000/deserializer@28/i2c-atr/i2c@0/serializer@40/compatible = maxim,max96717 maxim,max96717f
        soc@0/i2c@a94000/deserializer@28/i2c-atr/i2c@0/serializer@40/ports/port@1/endpoint/
        soc@0/i2c@a94000/deserializer@28/i2c-atr/i2c@0/camera@10/compatible = ovti,ox03c10
        soc@0/i2c@a94000/deserializer@28/i2c-atr/i2c@0/camera@10/port/endpoint/";

    /// After `qcs6490-rb3gen2-vision-mezzanine.dtso` (mainline): a sensor on the camera control interface.
    const SENSOR: &str = "
        compatible = qcom,qcs6490-rb3gen2 qcom,qcm6490
        soc@0/cci@ac4b000/compatible = qcom,sc7280-cci qcom,msm8996-cci
        soc@0/cci@ac4b000/i2c-bus@1/camera@1a/compatible = sony,imx577
        soc@0/cci@ac4b000/i2c-bus@1/camera@1a/port/endpoint/
        soc@0/cci@ac4a000/compatible = qcom,sc7280-cci qcom,msm8996-cci
        soc@0/cci@ac4a000/i2c-bus@0/camera@10/compatible = sony,imx412
        soc@0/cci@ac4a000/i2c-bus@0/camera@10/port/endpoint/
        soc@0/cci@ac4a000/status = disabled";

    /// After the vendor's `camera-kernel`: sensors without a name, numbered by `cell-index`.
    const VENDOR: &str = "
        compatible = qcom,qcm6490-idp qcom,qcm6490
        soc/qcom,cci0/compatible = qcom,cci simple-bus
        soc/qcom,cci0/qcom,cam-sensor0/compatible = qcom,cam-sensor
        soc/qcom,cci0/qcom,cam-sensor0/cell-index = 0
        soc/qcom,cci0/qcom,cam-sensor2/compatible = qcom,cam-sensor
        soc/qcom,cci0/qcom,cam-sensor2/cell-index = 2
        soc/qcom,cci0/qcom,cam-sensor1/compatible = qcom,cam-sensor
        soc/qcom,cci0/qcom,cam-sensor1/cell-index = 1
        soc/qcom,cci0/qcom,cam-sensor1/status = disabled";

    #[test]
    fn trees_of_boards_become_places() {
        for (lines, expected) in [
            ("compatible = qcom,qcs6490", &[][..]),
            (
                QUAD,
                &[
                    "gmsl:cci@ac13000/i2c-bus@0/max96712@49/link0 max96712",
                    "gmsl:cci@ac13000/i2c-bus@0/max96712@49/link3 max96712",
                ],
            ),
            (
                DUAL,
                &[
                    "gmsl:i2c@a94000/max9296a@28/link0 ox03c10",
                    "gmsl:i2c@a94000/max9296a@28/link1 max9296a",
                ],
            ),
            (SENSOR, &["csi:cci@ac4b000/i2c-bus@1/imx577@1a imx577"]),
            (
                VENDOR,
                &["csi:cam-sensor0 cam-sensor", "csi:cam-sensor2 cam-sensor"],
            ),
        ] {
            assert_eq!(shown(lines), expected, "{lines}");
        }
    }

    #[test]
    fn no_tree_has_no_places_and_a_bottomless_one_ends() {
        assert!(nodes(tempfile::tempdir().unwrap().path()).is_empty());
        let root = tempfile::tempdir().unwrap();
        let deep = "n/".repeat(200);
        fs::create_dir_all(root.path().join(TREE).join(&deep)).unwrap();
        fs::write(
            root.path().join(TREE).join(&deep).join("compatible"),
            b"x\0",
        )
        .unwrap();
        assert!(nodes(root.path()).is_empty());
    }
}
