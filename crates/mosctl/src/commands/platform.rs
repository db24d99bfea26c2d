//! `mosctl platform`.

use mos_camera_api::v1::{CameraElement, GetStatusRequest, MediaDevice, Platform};
use mos_camera_core::platform::CAMERA_SERVICE;

use super::answer;
use crate::cli::Global;
use crate::exit::{Exit, Failure, Result};
use crate::output::Out;
use crate::{text, view};

pub(super) async fn run(global: &Global, out: &Out) -> Result<()> {
    let request = GetStatusRequest::default();
    let status = answer(global.control().await?.get_status(request)).await?;
    let platform = status
        .service
        .and_then(|service| service.platform)
        .ok_or_else(|| {
            Failure::new(
                Exit::Other,
                "the service does not say what it runs on",
                "it is older than this mosctl: restart it after the update",
            )
        })?;
    out.result(&view::Platform::from(&platform), |_| render(&platform))
}

fn render(platform: &Platform) -> String {
    let mut lines = vec![
        ("machine", or_none(&platform.model)),
        ("chip", or_none(&platform.soc)),
        ("SoC driver", or_none(&soc_driver(platform))),
        ("compatible", or_none(&platform.compatible.join(" "))),
        (
            "platform",
            format!("{}: {}", platform.family, platform.ground),
        ),
    ];
    if !platform.overridden_family.is_empty() {
        let found = format!(
            "{}: {}",
            platform.overridden_family, platform.overridden_ground
        );
        lines.push(("without the key", found));
    }
    lines.push((
        "camera elements",
        or_none(&join(&platform.elements, element)),
    ));
    let service = match platform.camera_service.as_str() {
        "listens" => "listens",
        "denied" => "may not be used by the service; it listens",
        _ => "does not listen",
    };
    lines.push(("QMMF service", format!("{service} at {CAMERA_SERVICE}")));
    let devices = join(&platform.media_devices, media_device);
    lines.push(("media devices", or_none(&devices)));
    for file in &platform.profiles {
        lines.push(("profile", file.clone()));
    }
    lines.push(("cameras on the chip", csi(platform)));
    for refused in &platform.refused {
        lines.push(("not taken", format!("{}: {}", refused.backend, refused.why)));
    }
    let mut text = String::new();
    for (what, value) in lines {
        text.push_str(&format!("{what:<20} {value}\n"));
    }
    for problem in &platform.problems {
        text.push_str(&format!("\n{}\n  {}\n", problem.message, problem.hint));
    }
    text
}

/// Family and number of the chip, as the kernel's driver says; either may be missing.
fn soc_driver(platform: &Platform) -> String {
    let words = [platform.soc_family.as_str(), platform.soc_id.as_str()];
    let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.join(", ")
}

fn join<T>(items: &[T], text: impl Fn(&T) -> String) -> String {
    items.iter().map(text).collect::<Vec<_>>().join(", ")
}

fn element(element: &CameraElement) -> String {
    if element.usable {
        element.name.clone()
    } else {
        format!("{} (not usable: {})", element.name, element.unusable)
    }
}

fn media_device(device: &MediaDevice) -> String {
    if device.model.is_empty() {
        device.node.clone()
    } else {
        format!("{} ({})", device.node, device.model)
    }
}

fn csi(platform: &Platform) -> String {
    if platform.csi_backend.is_empty() {
        "by V4L2, those that the kernel shows as nodes".to_owned()
    } else {
        format!(
            "by {}, element {}",
            platform.csi_backend, platform.csi_element
        )
    }
}

fn or_none(text: &str) -> String {
    if text.is_empty() { text::NONE } else { text }.to_owned()
}

#[cfg(test)]
mod tests {
    use mos_camera_api::v1::{PlatformProblem, RefusedBackend};

    use super::*;

    #[test]
    fn what_was_found_and_chosen_is_told_with_the_reasons() {
        let platform = Platform {
            family: "qcs".to_owned(),
            ground: "the device tree says qcom,qcs8300".to_owned(),
            soc: "QCS8300".to_owned(),
            model: "Monaco EVK".to_owned(),
            compatible: vec!["qcom,monaco-evk".to_owned(), "qcom,qcs8300".to_owned()],
            csi_backend: "libcamera".to_owned(),
            csi_element: "libcamerasrc".to_owned(),
            refused: vec![RefusedBackend {
                backend: "qmmf".to_owned(),
                why: "no service".to_owned(),
            }],
            profiles: vec!["/etc/mos-camera/profiles.d/50-acme.toml".to_owned()],
            problems: vec![PlatformProblem {
                message: "qmmf can't be used".to_owned(),
                hint: "start it".to_owned(),
            }],
            soc_family: "Snapdragon".to_owned(),
            soc_id: "675".to_owned(),
            elements: vec![
                CameraElement {
                    name: "libcamerasrc".to_owned(),
                    usable: true,
                    unusable: String::new(),
                },
                CameraElement {
                    name: "qticamsrc".to_owned(),
                    usable: false,
                    unusable: "libx.so is missing".to_owned(),
                },
            ],
            camera_service: "listens".to_owned(),
            media_devices: vec![
                MediaDevice {
                    node: "/dev/media0".to_owned(),
                    model: "Qualcomm Camera Subsystem".to_owned(),
                },
                MediaDevice {
                    node: "/dev/media1".to_owned(),
                    model: String::new(),
                },
            ],
            ..Platform::default()
        };
        let text = render(&platform);
        for line in [
            "machine              Monaco EVK\n",
            "chip                 QCS8300\n",
            "SoC driver           Snapdragon, 675\n",
            "camera elements      libcamerasrc, qticamsrc (not usable: libx.so is missing)\n",
            "QMMF service         listens at /run/cam_server/le_cam_socket\n",
            "media devices        /dev/media0 (Qualcomm Camera Subsystem), /dev/media1\n",
            "compatible           qcom,monaco-evk qcom,qcs8300\n",
            "platform             qcs: the device tree says qcom,qcs8300\n",
            "profile              /etc/mos-camera/profiles.d/50-acme.toml\n",
            "cameras on the chip  by libcamera, element libcamerasrc\n",
            "not taken            qmmf: no service\n",
            "\nqmmf can't be used\n  start it\n",
        ] {
            assert!(text.contains(line), "{line:?} in {text}");
        }
        assert!(!text.contains("without the key"));
    }

    #[test]
    fn a_configured_platform_shows_what_would_have_been_found() {
        let platform = Platform {
            family: "generic".to_owned(),
            ground: "the configuration says so".to_owned(),
            overridden_family: "imx8mp".to_owned(),
            overridden_ground: "the device tree says fsl,imx8mp".to_owned(),
            ..Platform::default()
        };
        let text = render(&platform);
        assert!(text.contains("without the key      imx8mp: the device tree says fsl,imx8mp\n"));
        assert!(text.contains("cameras on the chip  by V4L2"));
        assert!(
            text.contains(
                "QMMF service         does not listen at /run/cam_server/le_cam_socket\n"
            )
        );
        for what in ["machine", "SoC driver", "camera elements", "media devices"] {
            let line = format!("{what:<20} {}\n", text::NONE);
            assert!(text.contains(&line), "{line:?} in {text}");
        }
    }
}
