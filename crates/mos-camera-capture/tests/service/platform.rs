//! What the service runs on: as it is found on the machine of the test, and as the configuration says.

use std::path::Path;

use mos_camera_api::v1::{GetStatusRequest, Platform};

use crate::harness::{Service, TWO_CAMERAS};

async fn platform(service: &Service) -> Platform {
    let mut control = service.control().await;
    let answer = control.get_status(GetStatusRequest::default()).await;
    let status = answer.unwrap().into_inner();
    status.service.unwrap().platform.expect("a platform")
}

#[tokio::test]
async fn the_machine_is_found_out() {
    let service = Service::start(TWO_CAMERAS);
    let found = platform(&service).await;
    let tree = std::fs::read("/proc/device-tree/compatible").unwrap_or_default();
    assert_eq!(
        found.compatible,
        mos_camera_core::platform::strings(&tree),
        "as the kernel shows it"
    );
    if tree.is_empty() {
        assert_eq!(found.family, "generic");
        assert_eq!(found.ground, "there is no device tree");
        assert!(found.problems.is_empty(), "{:?}", found.problems);
    }
    assert_eq!(found.overridden_family, "");
}

#[tokio::test]
async fn the_configuration_overrules_and_the_next_best_is_used() {
    let service = Service::start(&format!("[service]\nplatform = \"qcs\"\n{TWO_CAMERAS}"));
    let found = platform(&service).await;
    assert_eq!(found.family, "qcs");
    assert_eq!(found.ground, "the configuration says so");
    assert_ne!(found.overridden_family, "");
    if !Path::new(mos_camera_core::platform::CAMERA_SERVICE).exists() {
        // No board, no service: a problem with advice, and the other cameras go on.
        assert_ne!(found.csi_backend, "qmmf");
        let [problem] = &found.problems[..] else {
            panic!("{:?}", found.problems)
        };
        assert!(
            problem
                .message
                .starts_with("qmmf can't be used on this qcs board")
        );
        assert!(problem.hint.contains("cam-server"), "{}", problem.hint);
    }
    service
        .wait_state("subject", mos_camera_api::v1::State::Streaming)
        .await;
}
