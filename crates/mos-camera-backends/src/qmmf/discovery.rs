//! What cameras there are: what the device tree says is wired, and what the operator named. None is opened for it.

use mos_camera_core::seat::Wired;
use mos_camera_core::{Capability, Device, DeviceId, Health};

/// What helps where two cameras would have one number.
pub(super) const SAY_WHICH: &str =
    "give it a number of its own by a table [cameras.NAME.qmmf] with `camera` and `link`";

/// As it is listed.
pub(super) fn device(wired: &Wired, capabilities: &[Capability]) -> Device {
    Device {
        id: wired.id.clone(),
        transport: wired.id.transport(),
        model: model(wired),
        location: location(wired),
        capabilities: capabilities.to_vec(),
        controls: Vec::new(),
        profiles: Vec::new(),
        health: health(wired, capabilities),
    }
}

fn model(wired: &Wired) -> String {
    let seat = wired.seat.as_ref();
    seat.map_or_else(|| wired.id.rest().to_owned(), |seat| seat.model.clone())
}

/// As `camera 2 of the camera service, at /soc@0/cci@ac4a000/i2c-bus@0/gmsl-deserializer@29`.
fn location(wired: &Wired) -> String {
    let number = format!("camera {} of the camera service", wired.camera);
    match &wired.seat {
        Some(seat) => format!("{number}, at {}", seat.node),
        None => number,
    }
}

/// Only opening a camera shows whether one is plugged in.
fn health(wired: &Wired, capabilities: &[Capability]) -> Health {
    match &wired.taken_by {
        Some(other) => Health::Unusable(taken(wired, other)),
        None if capabilities.is_empty() => {
            Health::Unusable("the element names no format that it gives".to_owned())
        }
        None => Health::Ready,
    }
}

/// Why a camera is nobody's.
pub(super) fn taken(wired: &Wired, other: &DeviceId) -> String {
    format!(
        "{}: camera {}, which it would be by the order of the device tree, is configured as {other}",
        wired.id, wired.camera
    )
}

#[cfg(test)]
mod tests {
    use mos_camera_core::seat::{Node, assign, seats};
    use mos_camera_core::{QmmfSource, Rates, Sizes, Transport};

    use super::*;

    #[test]
    fn a_camera_is_listed_with_its_number_and_place() {
        let node = Node {
            path: "/soc@0/i2c@1/deserializer@29".to_owned(),
            compatible: vec!["maxim,max9296a".to_owned()],
            cell_index: None,
            ports: vec![0, 1],
        };
        let source = QmmfSource {
            camera: 1,
            link: None,
        };
        let named = (source.device("roof"), source);
        let capability = Capability {
            format: "NV12".to_owned(),
            sizes: Sizes::Discrete(vec![(640, 480)]),
            rates: Rates::Discrete(Vec::new()),
        };
        let listed: Vec<_> = assign(&seats(&[node]), &[named])
            .iter()
            .map(|wired| device(wired, std::slice::from_ref(&capability)))
            .collect();
        let at = "at /soc@0/i2c@1/deserializer@29";
        for (device, id, location, ready) in [
            (
                &listed[0],
                "csi:roof",
                "camera 1 of the camera service".to_owned(),
                true,
            ),
            (
                &listed[1],
                "gmsl:i2c@1/max9296a@29/link0",
                format!("camera 0 of the camera service, {at}"),
                true,
            ),
            (
                &listed[2],
                "gmsl:i2c@1/max9296a@29/link1",
                format!("camera 1 of the camera service, {at}"),
                false,
            ),
        ] {
            assert_eq!((device.id.as_str(), &device.location), (id, &location));
            assert_eq!(device.health == Health::Ready, ready, "{:?}", device.health);
        }
        assert_eq!(listed[1].transport, Transport::Gmsl2);
        assert_eq!(
            device(
                &assign(&[], &[])[..]
                    .first()
                    .cloned()
                    .unwrap_or_else(|| Wired {
                        id: listed[0].id.clone(),
                        camera: 0,
                        seat: None,
                        taken_by: None,
                    }),
                &[]
            )
            .health,
            Health::Unusable("the element names no format that it gives".to_owned())
        );
    }
}
