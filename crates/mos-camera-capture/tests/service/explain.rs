//! How a camera's pictures become NV12 is explained before it streams, and the status says the same once it does.

use mos_camera_api::v1::{ExplainDeviceRequest, FrameMemory, Framerate, Handover, Size, State};
use tonic::Code;

use crate::bystander::Bystander;
use crate::harness::{Service, TWO_CAMERAS, refused};

fn ask(device: &str, size: Option<(u32, u32)>) -> ExplainDeviceRequest {
    ExplainDeviceRequest {
        device: device.to_owned(),
        size: size.map(|(width, height)| Size { width, height }),
        framerate: None,
        max_subscribers: 0,
    }
}

#[tokio::test]
async fn the_plan_is_what_then_runs() {
    let service = Service::start(TWO_CAMERAS);
    let other = Bystander::watch(&service).await;
    let running = service.wait_state("subject", State::Streaming).await;
    let mut inspect = service.inspect().await;

    let mut request = ask("test:subject", Some((320, 240)));
    request.framerate = Some(Framerate {
        numerator: 30,
        denominator: 1,
    });
    let explained = inspect.explain_device(request).await.unwrap().into_inner();
    let plan = explained.plan.unwrap();
    assert_eq!(
        (plan.cpu_copies, plan.hardware_copies, plan.software),
        (0, 0, true)
    );
    assert_eq!(
        (plan.memory(), plan.rule.as_str()),
        (FrameMemory::Memfd, "as-is")
    );
    assert_eq!(
        plan.capture
            .as_ref()
            .map(mos_camera_api::v1::CaptureFormat::handover),
        Some(Handover::Drawn)
    );
    assert_eq!(plan.text, "NV12 320x240 at 30 fps -> NV12 in memfds");
    assert_eq!(
        (explained.build.as_str(), explained.problem),
        ("development", None)
    );
    assert_eq!(running.plan, Some(plan));
    assert_eq!(running.frames.map(|frames| frames.corrupt), Some(0));

    let too_large = inspect
        .explain_device(ask("test:subject", Some((16384, 16384))))
        .await;
    let explained = too_large.unwrap().into_inner();
    assert_eq!(explained.plan, None);
    assert_eq!(
        explained.problem.map(|p| p.reason).as_deref(),
        Some("NO_PLAN")
    );
    assert_eq!(explained.rejected[0].reason, "NOT_IN_SIZE");

    let after = service.status("subject").await;
    assert_eq!(
        (after.state(), after.restarts),
        (State::Streaming, running.restarts)
    );
    other.did_not_notice();
}

#[tokio::test]
async fn what_is_no_device_or_no_size_is_refused() {
    let service = Service::start(TWO_CAMERAS);
    let mut inspect = service.inspect().await;
    let mut refuse = async |device, size, code, reason| {
        refused(
            inspect.explain_device(ask(device, size)).await,
            code,
            reason,
        )
        .1
        .field
    };
    assert_eq!(
        refuse("front", None, Code::InvalidArgument, "INVALID_DEVICE").await,
        "device"
    );
    assert_eq!(
        refuse(
            "test:subject",
            Some((3, 2)),
            Code::InvalidArgument,
            "ODD_SIZE"
        )
        .await,
        "size"
    );
    for device in ["test:nobody", "usb:no:body"] {
        let field = refuse(device, None, Code::NotFound, "UNKNOWN_DEVICE").await;
        assert_eq!(field, "device");
    }
}
