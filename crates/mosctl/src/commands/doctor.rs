//! `mosctl doctor`.

use std::path::Path;

use mos_camera_api::v1::{
    ExplainDeviceRequest, ExplainDeviceResponse, GetStatusRequest, ListDevicesRequest, PlanProblem,
};

use super::answer;
use crate::cli::Global;
use crate::doctor::{Answers, Report, Service, examine, look, render};
use crate::exit::Result;
use crate::output::Out;

pub(super) async fn run(global: &Global, out: &Out) -> Result<()> {
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
