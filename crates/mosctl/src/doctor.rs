//! One report on a machine, its service and its cameras: what to look at first, and what to send to who is asked for help.

mod access;
mod elements;
mod examine;
mod machine;

use mos_camera_api::v1;
use serde::Serialize;

use crate::finding::Finding;
use crate::view;
pub(crate) use access::Access;
pub(crate) use elements::nodes as nodes_of_registry;
pub(crate) use examine::examine;
pub(crate) use machine::{Machine, look};

/// What the service says, or why it says nothing.
#[derive(Debug)]
pub(crate) enum Service {
    /// Its answers.
    Answers(Box<Answers>),
    /// It could not be asked.
    Silent {
        /// Why.
        why: String,
        /// What to do about it.
        hint: String,
    },
}

/// The service's answers.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub(crate) status: v1::GetStatusResponse,
    pub(crate) devices: v1::ListDevicesResponse,
    /// How each device's pictures become NV12.
    pub(crate) plans: Vec<v1::ExplainDeviceResponse>,
    /// What GStreamer has there; none: see `unanswered`.
    pub(crate) registry: Option<String>,
    /// What the service may do with the machine's nodes; none: see `unanswered`.
    pub(crate) access: Option<Access>,
    /// What could not be asked, and why.
    pub(crate) unanswered: Vec<Unanswered>,
}

/// A question that only a part of the report depends on.
#[derive(Debug)]
pub(crate) struct Unanswered {
    /// What was asked for.
    pub(crate) what: &'static str,
    pub(crate) why: String,
    pub(crate) hint: String,
}

/// The report, as JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Report<'a> {
    mosctl: &'static str,
    machine: &'a Machine,
    service: Option<view::Status>,
    devices: Option<view::Devices>,
    plans: Vec<view::Explanation>,
    /// As `--record-registry` writes it.
    registry: Option<&'a str>,
    access: Option<&'a Access>,
    findings: &'a [Finding],
}

impl<'a> Report<'a> {
    pub(crate) fn new(machine: &'a Machine, service: &'a Service, findings: &'a [Finding]) -> Self {
        let answers = match service {
            Service::Answers(answers) => Some(answers),
            Service::Silent { .. } => None,
        };
        Self {
            mosctl: env!("CARGO_PKG_VERSION"),
            machine,
            service: answers.map(|answers| view::Status::from(&answers.status)),
            devices: answers.map(|answers| view::Devices::from(&answers.devices)),
            plans: answers.map_or_else(Vec::new, |answers| {
                answers.plans.iter().map(view::Explanation::from).collect()
            }),
            registry: answers.and_then(|answers| answers.registry.as_deref()),
            access: answers.and_then(|answers| answers.access.as_ref()),
            findings,
        }
    }
}

/// The report for people: what matters first, then what it rests on.
pub(crate) fn render(machine: &Machine, service: &Service, findings: &[Finding]) -> String {
    let mut text = String::from("findings\n");
    if findings.is_empty() {
        text.push_str("  none: nothing here looks wrong\n");
    }
    for finding in findings {
        text.push_str(&finding.render());
    }
    text.push_str(&machine.render());
    if let Service::Answers(answers) = service {
        text.push_str(&elements::render(answers));
        text.push_str(&cameras(answers));
    }
    text
}

fn cameras(answers: &Answers) -> String {
    let mut text = String::from("cameras\n");
    for device in &answers.devices.devices {
        let plan = answers.plans.iter().find(|plan| plan.device == device.id);
        let plan = plan.map_or("not asked", |plan| match (&plan.plan, &plan.problem) {
            (Some(plan), _) => plan.text.as_str(),
            (None, Some(problem)) => problem.message.as_str(),
            (None, None) => "no plan",
        });
        text.push_str(&format!("  {} ({}): {plan}\n", device.id, device.model));
    }
    text
}
