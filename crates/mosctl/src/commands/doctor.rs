//! `mosctl doctor`.

use std::collections::BTreeSet;
use std::path::Path;

use mos_camera_api::v1::{
    CheckAccessRequest, ExplainDeviceRequest, ExplainDeviceResponse, GetStatusRequest,
    ListDevicesRequest, PlanProblem, Platform, RecordRegistryRequest,
};
use mos_camera_core::platform::CAMERA_SERVICE;

use super::answer;
use crate::cli::{Examine, Global};
use crate::doctor::{
    Access, Answers, Machine, Report, Service, Unanswered, examine, look, nodes_of_registry, render,
};
use crate::exit::{Exit, Failure, Result};
use crate::output::Out;

pub(super) async fn run(global: &Global, args: &Examine, out: &Out) -> Result<()> {
    if let Some(file) = &args.record_registry {
        return record(global, file, out).await;
    }
    // What is wrong with the service is what the report is for.
    let (machine, service) = match ask(global).await {
        Ok(mut answers) => {
            let machine = look(
                Path::new("/"),
                &nodes_of_registry(answers.registry.as_deref()),
            );
            match access(global, &machine).await {
                Ok(access) => answers.access = Some(access),
                Err(failure) => {
                    answers
                        .unanswered
                        .push(unanswered("which nodes it may use", failure));
                }
            }
            (machine, Service::Answers(Box::new(answers)))
        }
        Err(failure) => {
            let service = Service::Silent {
                why: failure.message,
                hint: failure.hint,
            };
            (look(Path::new("/"), &BTreeSet::new()), service)
        }
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
    let registry = registry(global).await?;
    let head = head(&service.platform.unwrap_or_default(), &service.version);
    std::fs::write(file, format!("{head}{registry}")).map_err(|error| {
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
    let mut answers = Answers {
        status,
        devices,
        plans,
        ..Answers::default()
    };
    match registry(global).await {
        Ok(registry) => answers.registry = Some(registry),
        Err(failure) => answers
            .unanswered
            .push(unanswered("what GStreamer has", failure)),
    }
    Ok(answers)
}

fn unanswered(what: &'static str, failure: Failure) -> Unanswered {
    Unanswered {
        what,
        why: failure.message,
        hint: failure.hint,
    }
}

async fn registry(global: &Global) -> Result<String> {
    let mut inspect = global.inspect().await?;
    let recorded = answer(inspect.record_registry(RecordRegistryRequest {})).await?;
    Ok(recorded.registry)
}

/// What the service may do with the machine's nodes.
async fn access(global: &Global, machine: &Machine) -> Result<Access> {
    let request = CheckAccessRequest {
        paths: asked(machine),
    };
    let mut inspect = global.inspect().await?;
    Ok(answer(inspect.check_access(request)).await?.into())
}

/// Whoever runs this may see less than the service of what is in the camera service's folder.
fn asked(machine: &Machine) -> Vec<String> {
    let seen = machine.nodes.iter().map(|node| node.path.clone());
    let asked: BTreeSet<_> = seen.chain([CAMERA_SERVICE.to_owned()]).collect();
    asked.into_iter().collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_camera_service_is_asked_for_once_whoever_sees_it() {
        let root = tempfile::tempdir().unwrap();
        let named = ["/dev/video0", CAMERA_SERVICE];
        assert_eq!(
            asked(&look(root.path(), &BTreeSet::new())),
            [CAMERA_SERVICE]
        );
        for path in named {
            let path = root.path().join(path.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        assert_eq!(asked(&look(root.path(), &BTreeSet::new())), named);
    }
}
