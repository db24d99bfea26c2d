//! `mosctl doctor`.

use std::path::Path;

use mos_camera_api::v1::{
    ExplainDeviceRequest, ExplainDeviceResponse, GetStatusRequest, ListDevicesRequest, PlanProblem,
    Platform, RecordRegistryRequest,
};

use super::answer;
use crate::cli::{Examine, Global};
use crate::doctor::{Answers, Report, Service, examine, look, render};
use crate::exit::{Exit, Failure, Result};
use crate::output::Out;

pub(super) async fn run(global: &Global, args: &Examine, out: &Out) -> Result<()> {
    if let Some(file) = &args.record_registry {
        return record(global, file, out).await;
    }
    let machine = look(Path::new("/"));
    // What is wrong with the service is what the report is for.
    let service = match ask(global).await {
        Ok(answers) => Service::Answers(Box::new(answers)),
        Err(failure) => Service::Silent {
            why: failure.message,
            hint: failure.hint,
        },
    };
    let findings = examine(&machine, &service);
    out.result(&Report::new(&machine, &service, &findings), |_| {
        render(&machine, &service, &findings)
    })
}

/// Writes down what GStreamer has on the service's machine.
async fn record(global: &Global, file: &Path, out: &Out) -> Result<()> {
    let status = answer(
        global
            .control()
            .await?
            .get_status(GetStatusRequest::default()),
    )
    .await?;
    let service = status.service.unwrap_or_default();
    let recorded = answer(
        global
            .inspect()
            .await?
            .record_registry(RecordRegistryRequest {}),
    )
    .await?;
    let head = head(&service.platform.unwrap_or_default(), &service.version);
    std::fs::write(file, format!("{head}{}", recorded.registry)).map_err(|error| {
        Failure::new(
            Exit::Other,
            format!("can't write {}: {error}", file.display()),
            "name a file in a folder that you may write to",
        )
    })?;
    out.say(&format!(
        "written to {}: please look through it, and send it with the board's name\n",
        file.display()
    ))
}

/// Whose registry it is, as comments.
fn head(platform: &Platform, version: &str) -> String {
    let or_unknown = |text: &str| match text {
        "" => "unknown".to_owned(),
        text => text.to_owned(),
    };
    format!(
        "# Recorded by `mosctl doctor --record-registry`, version {version}.\n# machine: {}\n# compatible: {}\n# platform: {}, {}\n",
        or_unknown(&platform.model),
        or_unknown(&platform.compatible.join(" ")),
        platform.family,
        platform.ground,
    )
}

async fn ask(global: &Global) -> Result<Answers> {
    let mut control = global.control().await?;
    let status = answer(control.get_status(GetStatusRequest::default())).await?;
    let devices = answer(control.list_devices(ListDevicesRequest::default())).await?;
    let mut plans = Vec::new();
    for device in &devices.devices {
        plans.push(explain(global, &device.id).await?);
    }
    Ok(Answers {
        status,
        devices,
        plans,
    })
}

/// A camera's plan, or why none could be asked for.
async fn explain(global: &Global, device: &str) -> Result<ExplainDeviceResponse> {
    let request = ExplainDeviceRequest {
        device: device.to_owned(),
        ..ExplainDeviceRequest::default()
    };
    let answered = answer(global.inspect().await?.explain_device(request)).await;
    Ok(answered.unwrap_or_else(|failure| ExplainDeviceResponse {
        device: device.to_owned(),
        problem: Some(PlanProblem {
            message: failure.message,
            hint: failure.hint,
            ..PlanProblem::default()
        }),
        ..ExplainDeviceResponse::default()
    }))
}
