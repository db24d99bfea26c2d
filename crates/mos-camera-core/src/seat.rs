//! Where cameras are wired to a Qualcomm chip, by its device tree, and which number its camera service gives them.
//!
//! The service knows cameras by number only. Which number a connector has is decided by the board's camera drivers in user space;
//! by default they are taken to count as the tree does, and a table `[cameras.NAME.qmmf]` says it where they don't.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::device::{DeviceId, Transport};

/// A camera that the operator said the service's number of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QmmfSource {
    /// The service's number.
    pub camera: u32,
    /// Where it is wired to, as in the id of the device there; none gives it an id by its name.
    pub link: Option<String>,
}

impl QmmfSource {
    /// Largest number (`camera` of `qticamsrc`).
    pub const MAX_CAMERA: u32 = 32;

    /// The id of the camera that is called `name` in the configuration.
    ///
    /// Links of a deserializer end in `/linkN`; all others are sensors on the chip's own receivers.
    pub fn device(&self, name: &str) -> DeviceId {
        match &self.link {
            Some(link) => DeviceId::new(transport_of(link), link),
            None => DeviceId::new(Transport::MipiCsi, name),
        }
    }
}

fn transport_of(link: &str) -> Transport {
    let last = link.rsplit('/').next().unwrap_or_default();
    let number = last.strip_prefix("link").unwrap_or_default();
    if number.parse::<u32>().is_ok() {
        Transport::Gmsl2
    } else {
        Transport::MipiCsi
    }
}

/// A node of a device tree, as far as it matters here. Nodes that are disabled, or below such, are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// Its path, as `/soc@0/cci@ac4a000/i2c-bus@0/gmsl-deserializer@29`.
    pub path: String,
    /// `compatible`, most specific first.
    pub compatible: Vec<String>,
    /// `cell-index`, which vendors' trees number cameras by.
    pub cell_index: Option<u32>,
    /// Numbers of its ports that have an endpoint; a lone `port` is 0.
    pub ports: Vec<u32>,
}

/// A place that a camera is wired to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// What names it: buses, chip and link, as `cci@ac4a000/i2c-bus@0/max96712@29/link0`.
    pub link: String,
    /// How.
    pub transport: Transport,
    /// The sensor if the tree names it, else the deserializer.
    pub model: String,
    /// The node in the tree.
    pub node: String,
}

impl Seat {
    /// The id of whatever camera is there.
    pub fn device(&self) -> DeviceId {
        DeviceId::new(self.transport, &self.link)
    }
}

/// GMSL2 deserializers, with the number of their links, which are their first ports.
///
/// `maxim,max96712.yaml` and `maxim,max96714.yaml` of the kernel (`Documentation/devicetree/bindings/media/i2c`), `maxim,max9296a.yaml`
/// of Analog Devices' kernel, which has the drivers of the others; `maxim,max9296` is in vendors' trees.
const DESERIALIZERS: [(&str, u32); 9] = [
    ("maxim,max96712", 4),
    ("maxim,max96724", 4),
    ("maxim,max9296a", 2),
    ("maxim,max9296", 2),
    ("maxim,max96716a", 2),
    ("maxim,max96792a", 2),
    ("maxim,max96714", 1),
    ("maxim,max96714f", 1),
    ("maxim,max96714r", 1),
];

/// What the vendor's kernels call every sensor (`qcom,cam-sensor` with a `cell-index`, `camera-kernel`).
const VENDOR_SENSOR: &str = "qcom,cam-sensor";

/// Whether a node is Qualcomm's camera control interface, an I2C controller that drives cameras alone
/// (`qcom,i2c-cci.yaml`; `qcom,cci` in vendors' trees).
fn is_cci(node: &Node) -> bool {
    let word = |word: &String| word.starts_with("qcom,") && word.ends_with("cci");
    node.compatible.iter().any(word)
}

fn deserializer(node: &Node) -> Option<(&'static str, u32)> {
    let known = |word: &String| DESERIALIZERS.iter().find(|(known, _)| known == word);
    node.compatible.iter().find_map(known).copied()
}

/// The places that a tree describes, in the order that the service is taken to count them: by buses and addresses, then links.
///
/// The nodes of the vendor's camera drivers, if there are any, are all there is: their order is that of `cell-index`.
pub fn seats(nodes: &[Node]) -> Vec<Seat> {
    let mut nodes: Vec<&Node> = nodes.iter().collect();
    nodes.sort_by(|a, b| natural(&a.path, &b.path));
    let vendors = vendors(&nodes);
    if !vendors.is_empty() {
        return vendors;
    }
    let sensors = nodes.iter().filter(|node| is_sensor(node, &nodes));
    let direct = sensors.map(|node| Seat {
        link: named(&node.path, model(node)),
        transport: Transport::MipiCsi,
        model: model(node).to_owned(),
        node: node.path.clone(),
    });
    let serial = nodes.iter().flat_map(|node| links(node, &nodes));
    let mut seats: Vec<Seat> = direct.chain(serial).collect();
    seats.sort_by(|a, b| natural(&a.node, &b.node));
    seats
}

fn vendors(nodes: &[&Node]) -> Vec<Seat> {
    let is_vendors = |node: &&&Node| node.compatible.iter().any(|word| word == VENDOR_SENSOR);
    let mut found: Vec<(u32, &Node)> = nodes
        .iter()
        .filter(is_vendors)
        .filter_map(|node| Some((node.cell_index?, *node)))
        .collect();
    found.sort_by_key(|(index, _)| *index);
    let seat = |(index, node): (u32, &Node)| Seat {
        link: format!("cam-sensor{index}"),
        transport: Transport::MipiCsi,
        model: "cam-sensor".to_owned(),
        node: node.path.clone(),
    };
    found.into_iter().map(seat).collect()
}

/// A node on the camera control interface that gives pictures, and is no part of a serial link.
fn is_sensor(node: &Node, all: &[&Node]) -> bool {
    let above = |other: &&&Node| is_below(&node.path, &other.path);
    let behind = |test: fn(&Node) -> bool| all.iter().filter(above).any(|other| test(other));
    !node.ports.is_empty()
        && deserializer(node).is_none()
        && behind(is_cci)
        && !behind(|other| deserializer(other).is_some())
}

/// The links of a deserializer that the tree says something is connected to; all if it says nothing of any.
fn links(node: &Node, all: &[&Node]) -> Vec<Seat> {
    let Some((chip, count)) = deserializer(node) else {
        return Vec::new();
    };
    let described: Vec<u32> = (0..count)
        .filter(|link| node.ports.contains(link))
        .collect();
    let links = if described.is_empty() {
        (0..count).collect()
    } else {
        described
    };
    let seat = |link: u32| Seat {
        link: format!("{}/link{link}", named(&node.path, bare(chip))),
        transport: Transport::Gmsl2,
        model: behind(node, link, all)
            .unwrap_or_else(|| bare(chip))
            .to_owned(),
        node: node.path.clone(),
    };
    links.into_iter().map(seat).collect()
}

/// The sensor at the far end of a link: what the link's own I2C bus has beside the serializer.
fn behind<'a>(node: &Node, link: u32, all: &[&'a Node]) -> Option<&'a str> {
    let buses =
        ["i2c-atr", "i2c-mux", "i2c-gate"].map(|bus| format!("{}/{bus}/i2c@{link}", node.path));
    let is_serializer = |node: &Node| {
        node.compatible
            .iter()
            .any(|word| word.starts_with("maxim,"))
    };
    all.iter()
        .filter(|other| buses.iter().any(|bus| is_below(&other.path, bus)))
        .find(|other| !other.ports.is_empty() && !is_serializer(other))
        .map(|other| model(other))
}

fn is_below(path: &str, ancestor: &str) -> bool {
    path.strip_prefix(ancestor)
        .is_some_and(|rest| rest.starts_with('/'))
}

/// As `max96712` of `maxim,max96712`.
fn bare(compatible: &str) -> &str {
    compatible.rsplit(',').next().unwrap_or(compatible)
}

fn model(node: &Node) -> &str {
    node.compatible.first().map_or("camera", |word| bare(word))
}

/// A node's path without the chip's bus, and with `what` in place of the node's own name.
fn named(path: &str, what: &str) -> String {
    let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let own = parts.pop().unwrap_or_default();
    if parts.first().is_some_and(|first| is_soc(first)) {
        parts.remove(0);
    }
    let address = own
        .split_once('@')
        .map(|(_, address)| format!("@{address}"));
    let last = format!("{what}{}", address.unwrap_or_default());
    parts.push(&last);
    parts.join("/")
}

fn is_soc(part: &str) -> bool {
    part == "soc" || part.starts_with("soc@")
}

/// Paths in the order of their unit addresses, which are hexadecimal, and otherwise of their names.
fn natural(a: &str, b: &str) -> Ordering {
    let key = |path: &str| -> Vec<(String, u64)> { path.split('/').map(part_key).collect() };
    key(a).cmp(&key(b))
}

fn part_key(part: &str) -> (String, u64) {
    let (name, address) = part.split_once('@').unwrap_or((part, ""));
    let first = address.split(',').next().unwrap_or_default();
    (
        name.to_owned(),
        u64::from_str_radix(first, 16).unwrap_or_default(),
    )
}

/// A camera of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wired {
    /// Its id.
    pub id: DeviceId,
    /// The service's number of it.
    pub camera: u32,
    /// Where the tree has it; none if only the configuration knows of it.
    pub seat: Option<Seat>,
    /// Another camera that has been given the same number: a camera is one device.
    pub taken_by: Option<DeviceId>,
}

/// Gives every place its number: what the operator said, else its position in the tree. Sorted by id.
pub fn assign(seats: &[Seat], configured: &[(DeviceId, QmmfSource)]) -> Vec<Wired> {
    let mut wired: BTreeMap<DeviceId, Wired> = configured
        .iter()
        .map(|(id, source)| (id.clone(), wire(id, source.camera, None)))
        .collect();
    let owner = |camera: u32| configured.iter().find(|(_, s)| s.camera == camera);
    for (position, seat) in seats.iter().enumerate() {
        let id = seat.device();
        if let Some(known) = wired.get_mut(&id) {
            known.seat = Some(seat.clone());
            continue;
        }
        let camera = position as u32;
        let taken_by = owner(camera).map(|(id, _)| id.clone());
        let wire = Wired {
            taken_by,
            ..wire(&id, camera, Some(seat))
        };
        wired.insert(id, wire);
    }
    wired.into_values().collect()
}

fn wire(id: &DeviceId, camera: u32, seat: Option<&Seat>) -> Wired {
    Wired {
        id: id.clone(),
        camera,
        seat: seat.cloned(),
        taken_by: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(path: &str, compatible: &str, ports: &[u32]) -> Node {
        Node {
            path: path.to_owned(),
            compatible: compatible.split_whitespace().map(str::to_owned).collect(),
            cell_index: None,
            ports: ports.to_owned(),
        }
    }

    const CCI: &str = "/soc@0/cci@ac4a000";

    fn cci() -> Node {
        node(CCI, "qcom,sc7280-cci qcom,msm8996-cci", &[])
    }

    fn shown(nodes: &[Node]) -> Vec<String> {
        seats(nodes)
            .iter()
            .map(|seat| format!("{} {}", seat.device(), seat.model))
            .collect()
    }

    #[test]
    fn places_are_named_by_buses_chip_and_link() {
        let des = |ports: &[u32]| {
            node(
                &format!("{CCI}/i2c-bus@0/gmsl-deserializer@29"),
                "maxim,max96712",
                ports,
            )
        };
        let dual = "/soc@0/geniqup@8c0000/i2c@890000/deserializer@48";
        let sensor = format!("{dual}/i2c-atr/i2c@1/sensor@1a");
        for (nodes, expected) in [
            (vec![cci()], vec![]),
            // Two links are described.
            (
                vec![cci(), des(&[2, 0, 4])],
                vec![
                    "gmsl:cci@ac4a000/i2c-bus@0/max96712@29/link0 max96712",
                    "gmsl:cci@ac4a000/i2c-bus@0/max96712@29/link2 max96712",
                ],
            ),
            // Only the output is, as in the binding's example.
            (
                vec![des(&[4])],
                vec![
                    "gmsl:cci@ac4a000/i2c-bus@0/max96712@29/link0 max96712",
                    "gmsl:cci@ac4a000/i2c-bus@0/max96712@29/link1 max96712",
                    "gmsl:cci@ac4a000/i2c-bus@0/max96712@29/link2 max96712",
                    "gmsl:cci@ac4a000/i2c-bus@0/max96712@29/link3 max96712",
                ],
            ),
            // Not on the camera control interface; the sensor behind one of its links is named, and no camera of its own.
            (
                vec![
                    node(dual, "maxim,max9296a", &[0, 1, 2]),
                    node(
                        &format!("{dual}/i2c-atr/i2c@1/serializer@40"),
                        "maxim,max96717 maxim,max96717f",
                        &[0, 1],
                    ),
                    node(&sensor, "sony,imx219", &[0]),
                ],
                vec![
                    "gmsl:geniqup@8c0000/i2c@890000/max9296a@48/link0 max9296a",
                    "gmsl:geniqup@8c0000/i2c@890000/max9296a@48/link1 imx219",
                ],
            ),
            // Sensors: what has a port on the camera control interface; a memory chip has none. Addresses count as numbers.
            (
                vec![
                    cci(),
                    node(&format!("{CCI}/i2c-bus@1/camera@1a"), "sony,imx577", &[0]),
                    node(&format!("{CCI}/i2c-bus@1/camera@9"), "ovti,ov9282", &[0]),
                    node(&format!("{CCI}/i2c-bus@0/eeprom@50"), "atmel,24c64", &[]),
                    node("/soc@0/i2c@a94000/bridge@2b", "lontium,lt9611uxc", &[0, 1]),
                ],
                vec![
                    "csi:cci@ac4a000/i2c-bus@1/ov9282@9 ov9282",
                    "csi:cci@ac4a000/i2c-bus@1/imx577@1a imx577",
                ],
            ),
        ] {
            assert_eq!(shown(&nodes), expected);
        }
    }

    #[test]
    fn the_vendors_own_nodes_are_all_there_is_and_have_their_order() {
        let sensor = |path: &str, index| Node {
            cell_index: index,
            ..node(path, "qcom,cam-sensor", &[])
        };
        let nodes = [
            sensor("/soc/qcom,cci0/qcom,cam-sensor1", Some(1)),
            sensor("/soc/qcom,cci1/qcom,cam-sensor0", Some(0)),
            sensor("/soc/qcom,cci1/qcom,cam-sensor9", None),
            node("/soc/i2c@1/deserializer@29", "maxim,max96712", &[0]),
        ];
        assert_eq!(
            shown(&nodes),
            ["csi:cam-sensor0 cam-sensor", "csi:cam-sensor1 cam-sensor"]
        );
    }

    #[test]
    fn every_deserializer_has_links() {
        for (chip, count) in DESERIALIZERS {
            assert_eq!(
                shown(&[node("/i2c@1/des@29", chip, &[])]).len(),
                count as usize,
                "{chip}"
            );
        }
        assert!(shown(&[node("/i2c@1/des@29", "maxim,max9271", &[0])]).is_empty());
    }

    #[test]
    fn a_link_says_how_a_camera_is_attached() {
        let source = |link: Option<&str>| QmmfSource {
            camera: 0,
            link: link.map(str::to_owned),
        };
        for (link, id) in [
            (None, "csi:left"),
            (Some("max96712@29/link0"), "gmsl:max96712@29/link0"),
            (Some("cci@1/imx577@1a"), "csi:cci@1/imx577@1a"),
            (Some("link"), "csi:link"),
        ] {
            assert_eq!(source(link).device("left").as_str(), id);
        }
    }

    #[test]
    fn no_number_has_two_owners() {
        let seats = seats(&[node("/i2c@1/des@29", "maxim,max96712", &[0, 1])]);
        let link = |n: u32| format!("i2c@1/max96712@29/link{n}");
        let source = |camera, link: Option<String>| {
            let source = QmmfSource { camera, link };
            (source.device("other"), source)
        };
        let shown = |configured: &[(DeviceId, QmmfSource)]| -> Vec<_> {
            assign(&seats, configured)
                .into_iter()
                .map(|w| {
                    (
                        w.id.to_string(),
                        w.camera,
                        w.seat.is_some(),
                        w.taken_by.map(|id| id.to_string()),
                    )
                })
                .collect()
        };
        let gmsl = |n: u32| format!("gmsl:{}", link(n));
        // In the tree's order.
        assert_eq!(
            shown(&[]),
            [(gmsl(0), 0, true, None), (gmsl(1), 1, true, None)]
        );
        // The other way round.
        assert_eq!(
            shown(&[source(1, Some(link(0))), source(0, Some(link(1)))]),
            [(gmsl(0), 1, true, None), (gmsl(1), 0, true, None)]
        );
        // One got the number of another, which nobody said anything of.
        assert_eq!(
            shown(&[source(1, Some(link(0)))]),
            [(gmsl(0), 1, true, None), (gmsl(1), 1, true, Some(gmsl(0)))]
        );
        // A camera that the tree does not know.
        assert_eq!(
            shown(&[source(7, None)])[0],
            ("csi:other".to_owned(), 7, false, None)
        );
    }
}
