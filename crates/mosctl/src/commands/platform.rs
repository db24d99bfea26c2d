//! `mosctl platform`.

use mos_camera_api::v1::{GetStatusRequest, Platform};

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
            ..Platform::default()
        };
        let text = render(&platform);
        for line in [
            "machine              Monaco EVK\n",
            "chip                 QCS8300\n",
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
        assert!(text.contains(&format!("machine              {}\n", text::NONE)));
    }
}
