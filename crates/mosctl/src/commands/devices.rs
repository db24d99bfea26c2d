//! `mosctl devices`.

use mos_camera_api::v1::{Device, Health, ListDevicesRequest, ListDevicesResponse};

use super::answer;
use crate::cli::Global;
use crate::exit::Result;
use crate::output::Out;
use crate::table::{Align, Table};
use crate::{text, view};

pub(super) async fn run(global: &Global, out: &Out) -> Result<()> {
    let found = answer(
        global
            .control()
            .await?
            .list_devices(ListDevicesRequest::default()),
    )
    .await?;
    out.result(&view::Devices::from(&found), |_| render(&found))
}

fn render(found: &ListDevicesResponse) -> String {
    let mut text = if found.devices.is_empty() {
        "No cameras found. Plug one in, or describe a network camera in the service's configuration.\n".to_owned()
    } else {
        table(&found.devices) + &offers(&found.devices)
    };
    for p in &found.problems {
        text.push_str(&format!(
            "\nCould not look for {} cameras: {}",
            text::transport(p.transport),
            p.message
        ));
        text.push_str(&if p.hint.is_empty() {
            "\n".to_owned()
        } else {
            format!(" ({})\n", p.hint)
        });
    }
    text
}

fn table(devices: &[Device]) -> String {
    let mut table = Table::new(&[
        ("DEVICE", Align::Left),
        ("MODEL", Align::Left),
        ("LOCATION", Align::Left),
        ("HEALTH", Align::Left),
        ("STREAM", Align::Left),
    ]);
    for d in devices {
        let stream = if d.stream.is_empty() {
            text::NONE.to_owned()
        } else {
            d.stream.clone()
        };
        table.row(vec![
            d.id.clone(),
            d.model.clone(),
            d.location.clone(),
            health(d),
            stream,
        ]);
    }
    table.render()
}

fn health(device: &Device) -> String {
    match (device.health(), device.health_detail.as_str()) {
        (Health::Unknown, _) => "unknown until it runs".to_owned(),
        (health, "") => text::enum_name(health.as_str_name(), "HEALTH_").replace('_', " "),
        (health, detail) => format!(
            "{}: {detail}",
            text::enum_name(health.as_str_name(), "HEALTH_").replace('_', " ")
        ),
    }
}

fn offers(devices: &[Device]) -> String {
    let mut text = String::new();
    for d in devices.iter().filter(|d| !d.capabilities.is_empty()) {
        text.push_str(&format!("\n{} offers\n", d.id));
        for profile in &d.profiles {
            text.push_str(&format!("  profile {}\n", text::profile(profile)));
            for settable in &profile.settable {
                text.push_str(&format!(
                    "    can be set to {}\n",
                    text::capability(settable)
                ));
            }
        }
        // The profiles say the same, and more.
        let plain = d.profiles.is_empty();
        for capability in d.capabilities.iter().filter(|_| plain) {
            text.push_str(&format!("  {}\n", text::capability(capability)));
        }
        if !d.controls.is_empty() {
            text.push_str("and has the controls\n");
        }
        for control in &d.controls {
            text.push_str(&format!("  {}\n", text::control(control)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use mos_camera_api::v1::{
        Capability, Control, ControlKind, DiscoveryProblem, Framerate, Profile, Size, Transport,
    };

    use super::*;

    fn device(id: &str, health: Health, detail: &str) -> Device {
        Device {
            id: id.into(),
            model: "Model".into(),
            location: "/dev/video0".into(),
            health: health.into(),
            health_detail: detail.into(),
            ..Device::default()
        }
    }

    fn control(name: &str, kind: ControlKind) -> Control {
        Control {
            name: name.into(),
            kind: kind.into(),
            min: 0,
            max: 255,
            step: 5,
            default: Some(10),
            ..Default::default()
        }
    }

    #[test]
    fn devices_are_listed_with_their_offers_and_problems() {
        let capability = Capability {
            format: "NV12".into(),
            sizes: vec![Size {
                width: 640,
                height: 480,
            }],
            framerates: vec![Framerate {
                numerator: 30,
                denominator: 1,
            }],
            ..Capability::default()
        };
        let used = Device {
            stream: "front".into(),
            capabilities: vec![capability],
            controls: vec![
                control("gain", ControlKind::Integer),
                control("focus_auto", ControlKind::Boolean),
            ],
            ..device("test:front", Health::Ready, "")
        };
        let problem = DiscoveryProblem {
            transport: Transport::V4l2.into(),
            message: "no permission".into(),
            hint: "join `video`".into(),
        };
        let devices = vec![
            device("rtsp:door", Health::Unknown, ""),
            used,
            device("v4l2:x", Health::NoPermission, "group video"),
        ];
        assert_eq!(
            render(&ListDevicesResponse {
                devices,
                problems: vec![problem]
            }),
            "\
DEVICE      MODEL  LOCATION     HEALTH                      STREAM
rtsp:door   Model  /dev/video0  unknown until it runs       -
test:front  Model  /dev/video0  ready                       front
v4l2:x      Model  /dev/video0  no permission: group video  -

test:front offers
  NV12 640x480 at 30 fps
and has the controls
  gain: 0 to 255 in steps of 5, default 10
  focus_auto: 0 or 1, default 10

Could not look for v4l2 cameras: no permission (join `video`)
"
        );
    }

    #[test]
    fn profiles_are_listed_instead_of_what_they_come_to() {
        let capability = || Capability {
            format: "video/x-h264".into(),
            sizes: vec![Size {
                width: 640,
                height: 360,
            }],
            ..Capability::default()
        };
        let profile = Profile {
            token: "p1".into(),
            name: "Main".into(),
            format: "video/x-h264".into(),
            size: capability().sizes.pop(),
            framerate: Some(Framerate {
                numerator: 25,
                denominator: 1,
            }),
            settable: vec![capability()],
        };
        let camera = Device {
            capabilities: vec![capability()],
            profiles: vec![profile],
            ..device("rtsp:urn:uuid:1", Health::Unauthorized, "wants a user")
        };
        let text = render(&ListDevicesResponse {
            devices: vec![camera],
            problems: Vec::new(),
        });
        assert!(text.contains("unauthorized: wants a user"), "{text}");
        assert!(
            text.ends_with(
                "offers\n  profile p1 (Main): video/x-h264 640x360 at 25 fps\n    can be set to video/x-h264 640x360\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn an_empty_list_says_what_to_do() {
        assert!(
            render(&ListDevicesResponse::default()).starts_with("No cameras found. Plug one in")
        );
    }
}
