//! What a machine and a service's answers mean.

use mos_camera_api::v1::{
    Device, ExplainDeviceResponse, Health, PlanProblem, ServiceStatus, State, StreamStatus,
};
use mos_camera_core::platform::{CsiBackend, Family};

use super::{Answers, Machine, Service, Unanswered, access};
use crate::finding::{Finding, Level};
use crate::text;

/// All findings, what matters most first.
pub(crate) fn examine(machine: &Machine, service: &Service) -> Vec<Finding> {
    let mut findings: Vec<_> = memory(machine).into_iter().collect();
    findings.extend(clock(machine));
    match service {
        Service::Silent { why, hint } => {
            findings.push(Finding::new(Level::Problem, why.clone(), hint.clone()));
        }
        Service::Answers(answers) => {
            if let Some(access) = &answers.access {
                findings.extend(access::findings(machine, access));
            }
            findings.extend(no_media(machine, answers));
            findings.extend(answers.unanswered.iter().map(unanswered));
            findings.extend(of_service(answers));
        }
    }
    findings.sort_by_key(|finding| finding.level);
    findings
}

/// Where buffers that the service allocates itself can come from.
fn memory(machine: &Machine) -> Option<Finding> {
    let has_any = machine.has("/dev/dma_heap/") || machine.has("/dev/udmabuf");
    (!has_any).then(|| {
        Finding::new(
            Level::Warning,
            "there is neither /dev/dma_heap nor /dev/udmabuf",
            "only cameras and decoders that bring dma-bufs of their own are copied nowhere; a kernel with CONFIG_DMABUF_HEAPS or CONFIG_UDMABUF has them",
        )
    })
}

fn clock(machine: &Machine) -> Option<Finding> {
    match machine.clock_synchronised {
        Some(true) => None,
        Some(false) => Some(Finding::new(
            Level::Warning,
            "the time of day was not set by the network yet",
            "cameras' times of day and certificates are judged by it: `timedatectl timesync-status` says more",
        )),
        None => Some(Finding::new(
            Level::Note,
            "who sets the time of day is not known",
            "make sure that NTP or PTP does, if frames of several machines are compared",
        )),
    }
}

/// libcamera drives media devices; on a board that has inputs for cameras there is one, once the drivers are loaded.
fn no_media(machine: &Machine, answers: &Answers) -> Option<Finding> {
    let platform = answers.status.service.as_ref()?.platform.as_ref()?;
    let missing = platform.csi_backend == CsiBackend::Libcamera.to_string()
        && platform.family != Family::Generic.name()
        && !machine.has("/dev/media");
    missing.then(|| {
        Finding::new(
            Level::Warning,
            "libcamera is to drive the cameras on the chip, but the kernel shows no media device",
            "the drivers of the receiver and of the sensors have to be there (`lsmod`), and the device tree has to enable them",
        )
    })
}

fn unanswered(question: &Unanswered) -> Finding {
    let Unanswered { what, why, hint } = question;
    Finding::new(
        Level::Note,
        format!("the service did not say {what}: {why}"),
        hint.clone(),
    )
}

fn of_service(answers: &Answers) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(service) = &answers.status.service {
        findings.extend(whole(service));
    }
    for problem in &answers.devices.problems {
        findings.push(Finding::new(
            Level::Problem,
            format!(
                "{} cameras can't be looked for: {}",
                text::transport(problem.transport),
                problem.message
            ),
            problem.hint.clone(),
        ));
    }
    findings.extend(answers.devices.devices.iter().filter_map(unhealthy));
    findings.extend(
        answers
            .plans
            .iter()
            .filter_map(|plan| costly(plan, answers)),
    );
    findings.extend(answers.status.streams.iter().filter_map(fault));
    findings.extend(answers.status.streams.iter().filter_map(broken_contract));
    findings
}

fn whole(service: &ServiceStatus) -> Vec<Finding> {
    let mut findings = Vec::new();
    let platform = service.platform.clone().unwrap_or_default();
    for problem in platform.problems {
        findings.push(Finding::new(Level::Problem, problem.message, problem.hint));
    }
    if !platform.overridden_family.is_empty() {
        findings.push(Finding::new(
            Level::Note,
            format!(
                "the configuration says that this is {}; by itself it would be {}: {}",
                platform.family, platform.overridden_family, platform.overridden_ground
            ),
            "",
        ));
    }
    if !service.state_saved {
        findings.push(Finding::new(
            Level::Problem,
            format!("the wanted state can't be saved: {}", service.state_problem),
            "make room, or make the folder of the state file writable; a restart would forget the last changes",
        ));
    }
    if service.hotplug != "udev" {
        findings.push(Finding::new(
            Level::Warning,
            format!(
                "plugging in is noticed by {}: {}",
                service.hotplug, service.hotplug_detail
            ),
            "",
        ));
    }
    if service.stray_mappings > 0 {
        findings.push(Finding::new(
            Level::Warning,
            format!(
                "{} dma-bufs that are no stream's were mapped in the service",
                service.stray_mappings
            ),
            "the service's log names the libraries",
        ));
    }
    if service.build == "development" {
        findings.push(Finding::new(
            Level::Note,
            "this is a development build",
            "a production build refuses what would touch pixels by the CPU, instead of falling back",
        ));
    }
    findings
}

fn unhealthy(device: &Device) -> Option<Finding> {
    let health = device.health();
    let fine = matches!(
        health,
        Health::Ready | Health::Unknown | Health::Unspecified
    );
    (!fine).then(|| {
        Finding::new(
            Level::Problem,
            format!(
                "{} is {}: {}",
                device.id,
                text::enum_name(health.as_str_name(), "HEALTH_").replace('_', " "),
                device.health_detail
            ),
            "",
        )
    })
}

/// A camera that can't be streamed, or only by the CPU. One that is not healthy is told already.
fn costly(plan: &ExplainDeviceResponse, answers: &Answers) -> Option<Finding> {
    let mut devices = answers.devices.devices.iter();
    let device = devices.find(|device| device.id == plan.device);
    if device.is_some_and(|device| unhealthy(device).is_some()) {
        return None;
    }
    match (&plan.plan, &plan.problem) {
        (Some(chosen), _) if chosen.software => Some(Finding::new(
            Level::Warning,
            format!("{} costs the CPU: {}", plan.device, chosen.text),
            format!("`mosctl explain {}` says why not otherwise", plan.device),
        )),
        (Some(_), _) | (None, None) => None,
        (None, Some(PlanProblem { message, hint, .. })) => {
            Some(Finding::new(Level::Problem, message.clone(), hint.clone()))
        }
    }
}

fn fault(stream: &StreamStatus) -> Option<Finding> {
    let (level, why, advice) = match &stream.fault {
        Some(fault) if stream.wanted => (Level::Problem, &fault.message, &fault.hint),
        Some(fault) => (Level::Note, &fault.message, &fault.hint),
        None if stream.wanted && stream.state() == State::Absent => {
            let device = &stream.config.as_ref()?.device;
            let why = format!("its camera {device} is not there");
            let advice = "plug it in; it streams by itself when it is back";
            return Some(wrong(stream, Level::Problem, &why, advice));
        }
        None => return None,
    };
    Some(wrong(stream, level, why, advice))
}

fn wrong(stream: &StreamStatus, level: Level, why: &str, advice: &str) -> Finding {
    let state = text::state(stream.state);
    Finding::new(
        level,
        format!("stream {} is {state}: {why}", stream.stream),
        advice,
    )
}

fn broken_contract(stream: &StreamStatus) -> Option<Finding> {
    let breaches = stream.frames.as_ref()?.violations;
    (breaches > 0).then(|| {
        Finding::new(
            Level::Problem,
            format!(
                "stream {}: {breaches} breaches of the contract",
                stream.stream
            ),
            format!(
                "`mosctl status {}` says which, and the log who",
                stream.stream
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use mos_camera_api::v1::{
        Fault, FrameCounters, GetStatusResponse, ListDevicesResponse, NormalisePlan, Platform,
        PlatformProblem, StreamConfig,
    };

    use super::*;
    use crate::doctor::machine::Node;

    fn machine(nodes: &[&str], synchronised: Option<bool>) -> Machine {
        let node = |path: &&str| Node {
            path: (*path).to_owned(),
            name: None,
            uid: 0,
            gid: 44,
            group: None,
            mode: "660".to_owned(),
        };
        Machine {
            nodes: nodes.iter().map(node).collect(),
            clock_synchronised: synchronised,
            ..Machine::default()
        }
    }

    fn good() -> Machine {
        machine(&["/dev/dma_heap/system"], Some(true))
    }

    fn service() -> ServiceStatus {
        ServiceStatus {
            build: "production".to_owned(),
            state_saved: true,
            hotplug: "udev".to_owned(),
            ..ServiceStatus::default()
        }
    }

    fn answers(service: ServiceStatus) -> Answers {
        Answers {
            status: GetStatusResponse {
                service: Some(service),
                streams: Vec::new(),
            },
            ..Answers::default()
        }
    }

    /// What is found with these answers on a good machine.
    fn found(answers: Answers) -> Vec<(Level, String)> {
        examine(&good(), &Service::Answers(Box::new(answers)))
            .into_iter()
            .map(|finding| (finding.level, finding.what))
            .collect()
    }

    #[test]
    fn a_machine_in_order_has_no_findings() {
        assert_eq!(found(answers(service())), []);
    }

    #[test]
    fn machines_are_judged_by_memory_and_clock() {
        let fine = || Service::Answers(Box::new(answers(service())));
        for (nodes, synchronised, expected) in [
            (&["/dev/udmabuf"][..], Some(true), &[][..]),
            (&["/dev/video0"], Some(true), &[Level::Warning]),
            (&["/dev/udmabuf"], Some(false), &[Level::Warning]),
            (&["/dev/udmabuf"], None, &[Level::Note]),
        ] {
            let findings = examine(&machine(nodes, synchronised), &fine());
            let levels: Vec<_> = findings.iter().map(|finding| finding.level).collect();
            assert_eq!(levels, expected, "{nodes:?} {synchronised:?}");
        }
    }

    #[test]
    fn a_service_that_is_silent_comes_first() {
        let silent = Service::Silent {
            why: "no socket".to_owned(),
            hint: "start it".to_owned(),
        };
        let findings = examine(&machine(&[], None), &silent);
        assert_eq!(findings[0].what, "no socket");
        assert_eq!(findings[0].advice, "start it");
        assert!(findings.is_sorted_by_key(|finding| finding.level));
    }

    #[test]
    fn what_the_service_says_of_itself_is_judged() {
        let platform = |platform| ServiceStatus {
            platform: Some(platform),
            ..service()
        };
        let problem = PlatformProblem {
            message: "qmmf can't be used".to_owned(),
            hint: String::new(),
        };
        for (status, level, says) in [
            (
                platform(Platform {
                    problems: vec![problem],
                    ..Platform::default()
                }),
                Level::Problem,
                "qmmf can't be used",
            ),
            (
                platform(Platform {
                    overridden_family: "imx8mp".to_owned(),
                    ..Platform::default()
                }),
                Level::Note,
                "by itself it would be imx8mp",
            ),
            (
                ServiceStatus {
                    state_saved: false,
                    ..service()
                },
                Level::Problem,
                "can't be saved",
            ),
            (
                ServiceStatus {
                    hotplug: "inotify".to_owned(),
                    ..service()
                },
                Level::Warning,
                "noticed by inotify",
            ),
            (
                ServiceStatus {
                    stray_mappings: 2,
                    ..service()
                },
                Level::Warning,
                "2 dma-bufs",
            ),
            (
                ServiceStatus {
                    build: "development".to_owned(),
                    ..service()
                },
                Level::Note,
                "development build",
            ),
        ] {
            let findings = found(answers(status));
            let [(seen, what)] = &findings[..] else {
                panic!("{says}: {findings:?}")
            };
            assert_eq!(*seen, level, "{what}");
            assert!(what.contains(says), "{what}");
        }
    }

    #[test]
    fn a_board_whose_kernel_shows_no_media_device_is_told() {
        let on = |family: &str, backend: &str| {
            let platform = Platform {
                family: family.to_owned(),
                csi_backend: backend.to_owned(),
                ..Platform::default()
            };
            Service::Answers(Box::new(answers(ServiceStatus {
                platform: Some(platform),
                ..service()
            })))
        };
        for (family, backend, node, expected) in [
            ("imx8mp", "libcamera", "/dev/udmabuf", 1),
            ("imx8mp", "libcamera", "/dev/media0", 0),
            ("imx8mp", "", "/dev/udmabuf", 0),
            ("qcs", "qmmf", "/dev/udmabuf", 0),
            ("qcs", "libcamera", "/dev/udmabuf", 1),
            ("generic", "libcamera", "/dev/udmabuf", 0),
        ] {
            let machine = machine(&["/dev/dma_heap/system", node], Some(true));
            let findings = examine(&machine, &on(family, backend));
            assert_eq!(findings.len(), expected, "{family} {backend}: {findings:?}");
        }
    }

    #[test]
    fn a_part_of_the_report_that_is_missing_is_told() {
        let mut answers = answers(service());
        answers.unanswered.push(Unanswered {
            what: "what GStreamer has",
            why: "an element broke".to_owned(),
            hint: String::new(),
        });
        let expected = "the service did not say what GStreamer has: an element broke";
        assert_eq!(found(answers), [(Level::Note, expected.to_owned())]);
    }

    #[test]
    fn a_camera_is_told_once() {
        let device = |health: Health| Device {
            id: "csi:a".to_owned(),
            health: health.into(),
            health_detail: "why".to_owned(),
            ..Device::default()
        };
        let no_way = PlanProblem {
            message: "no way".to_owned(),
            ..PlanProblem::default()
        };
        let software = NormalisePlan {
            software: true,
            text: "by the CPU".to_owned(),
            ..NormalisePlan::default()
        };
        for (health, plan, problem, expected) in [
            (Health::Ready, None, None, None),
            (
                Health::Busy,
                None,
                Some(no_way.clone()),
                Some((Level::Problem, "csi:a is busy: why")),
            ),
            (
                Health::Ready,
                None,
                Some(no_way),
                Some((Level::Problem, "no way")),
            ),
            (
                Health::Unknown,
                Some(software),
                None,
                Some((Level::Warning, "csi:a costs the CPU: by the CPU")),
            ),
        ] {
            let plan = ExplainDeviceResponse {
                device: "csi:a".to_owned(),
                plan,
                problem,
                ..ExplainDeviceResponse::default()
            };
            let answers = Answers {
                devices: ListDevicesResponse {
                    devices: vec![device(health)],
                    problems: Vec::new(),
                },
                plans: vec![plan],
                ..answers(service())
            };
            let expected: Vec<_> = expected
                .into_iter()
                .map(|(level, what)| (level, what.to_owned()))
                .collect();
            assert_eq!(found(answers), expected, "{health:?}");
        }
    }

    #[test]
    fn streams_are_judged_by_their_faults_and_their_contract() {
        let stream = |wanted, fault: bool, violations| StreamStatus {
            stream: "front".to_owned(),
            wanted,
            fault: fault.then(|| Fault {
                message: "gone".to_owned(),
                ..Fault::default()
            }),
            frames: Some(FrameCounters {
                violations,
                ..FrameCounters::default()
            }),
            ..StreamStatus::default()
        };
        let absent = |wanted| StreamStatus {
            state: State::Absent.into(),
            config: Some(StreamConfig::default()),
            ..stream(wanted, false, 0)
        };
        for (stream, expected) in [
            (absent(true), &[Level::Problem][..]),
            (absent(false), &[]),
            (stream(true, false, 0), &[]),
            (stream(true, true, 0), &[Level::Problem]),
            (stream(false, true, 0), &[Level::Note]),
            (stream(true, false, 3), &[Level::Problem]),
            (stream(true, true, 3), &[Level::Problem, Level::Problem]),
        ] {
            let mut answers = answers(service());
            answers.status.streams.push(stream);
            let levels: Vec<_> = found(answers).into_iter().map(|(level, _)| level).collect();
            assert_eq!(levels, expected);
        }
    }
}
