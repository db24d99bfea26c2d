//! Between the contract's messages and the core's types.

use std::time::{Duration, SystemTime};

use mos_camera_api::v1;
use mos_camera_core::lifecycle::State;
use mos_camera_core::plan::{
    Capture, Explanation, FrameMemory, Handover, NoPlan, Plan, PoolMemory, Rejected, Step, validate,
};
use mos_camera_core::platform::{ElementState, MediaDevice, Platform, Problem, Refused};
use mos_camera_core::{
    Capability, Control, Device, DeviceId, Fault, FaultKind, Framerate, Health, MediaPath,
    MenuItem, Profile, Rates, SessionFacts, Sizes,
};
use mos_camera_core::{OnViolation, StreamConfig, StreamName, Transport};

use super::fail::BadField;
use super::service::BUILD;
use crate::engine::{
    Event, EventKind, FrameClock, Hotplug, Memory, StreamStats, StreamStatus, SubscriberStats,
    ViolationKind, Violations,
};

/// A stream's name as a request gives it in `field`.
pub fn stream_name(field: &'static str, text: &str) -> Result<StreamName, BadField> {
    text.parse()
        .map_err(|e| bad(field, "INVALID_STREAM_NAME", format!("{e}")))
}

/// Stream names as a request gives them in the field `streams`.
pub fn stream_names(names: &[String]) -> Result<Vec<StreamName>, BadField> {
    names
        .iter()
        .map(|name| stream_name("streams", name))
        .collect()
}

fn bad(field: &'static str, reason: &'static str, message: impl Into<String>) -> BadField {
    BadField {
        field,
        reason,
        message: message.into(),
    }
}

/// The transports that a request asks for.
pub fn transports(values: &[i32]) -> Result<Vec<Transport>, BadField> {
    let known = |value: &i32| {
        v1::Transport::try_from(*value)
            .ok()
            .and_then(core_transport)
    };
    values
        .iter()
        .map(|v| {
            known(v).ok_or_else(|| {
                bad(
                    "transports",
                    "INVALID_TRANSPORT",
                    format!("{v} is no transport"),
                )
            })
        })
        .collect()
}

const fn core_transport(transport: v1::Transport) -> Option<Transport> {
    match transport {
        v1::Transport::Unspecified => None,
        v1::Transport::Test => Some(Transport::Test),
        v1::Transport::MipiCsi => Some(Transport::MipiCsi),
        v1::Transport::Gmsl2 => Some(Transport::Gmsl2),
        v1::Transport::UsbUvc => Some(Transport::UsbUvc),
        v1::Transport::V4l2 => Some(Transport::V4l2),
        v1::Transport::Rtsp => Some(Transport::Rtsp),
        v1::Transport::Whep => Some(Transport::Whep),
    }
}

/// The contract's word for a transport.
pub const fn transport(transport: Transport) -> v1::Transport {
    match transport {
        Transport::Test => v1::Transport::Test,
        Transport::MipiCsi => v1::Transport::MipiCsi,
        Transport::Gmsl2 => v1::Transport::Gmsl2,
        Transport::UsbUvc => v1::Transport::UsbUvc,
        Transport::V4l2 => v1::Transport::V4l2,
        Transport::Rtsp => v1::Transport::Rtsp,
        Transport::Whep => v1::Transport::Whep,
    }
}

/// A stream's configuration with the defaults filled in. Whether it makes sense is for the core to say.
pub fn config_from(config: Option<v1::StreamConfig>) -> Result<StreamConfig, BadField> {
    let config = config.ok_or_else(|| bad("config", "MISSING", "no configuration was given"))?;
    let device: DeviceId = config
        .device
        .parse()
        .map_err(|e| bad("config.device", "INVALID_DEVICE", format!("{e}")))?;
    let default = StreamConfig::new(device);
    let timeout = |field, given, default| duration(field, given).map(|d| d.unwrap_or(default));
    Ok(StreamConfig {
        size: config.size.map(|size| (size.width, size.height)),
        framerate: config
            .framerate
            .map(|rate| framerate_from("config.framerate", rate))
            .transpose()?,
        first_frame_timeout: timeout(
            "config.first_frame_timeout",
            config.first_frame_timeout,
            default.first_frame_timeout,
        )?,
        steady_timeout: timeout(
            "config.steady_timeout",
            config.steady_timeout,
            default.steady_timeout,
        )?,
        max_subscribers: Some(config.max_subscribers).filter(|n| *n != 0),
        controls: config.controls.into_iter().collect(),
        on_violation: on_violation_from(config.on_violation)?,
        profile: Some(config.profile).filter(|profile| !profile.is_empty()),
        set_encoder: config.set_encoder,
        ..default
    })
}

/// A value that this service does not know is refused: it may have been meant to stop the stream.
fn on_violation_from(value: i32) -> Result<OnViolation, BadField> {
    use v1::OnViolation as Asked;
    match Asked::try_from(value) {
        Ok(Asked::Unspecified | Asked::Report) => Ok(OnViolation::Report),
        Ok(Asked::Stop) => Ok(OnViolation::Stop),
        Err(_) => Err(bad(
            "config.on_violation",
            "INVALID_ON_VIOLATION",
            format!("{value} is nothing that can be done on a violation"),
        )),
    }
}

fn framerate_from(field: &'static str, rate: v1::Framerate) -> Result<Framerate, BadField> {
    Framerate::new(rate.numerator, rate.denominator.max(1)).ok_or_else(|| {
        bad(
            field,
            "INVALID_FRAMERATE",
            "the numerator is 0: expected frames per second above zero",
        )
    })
}

fn duration(
    field: &'static str,
    given: Option<prost_types::Duration>,
) -> Result<Option<Duration>, BadField> {
    let negative = |_| {
        bad(
            field,
            "TIMEOUT_OUT_OF_RANGE",
            "the duration is negative or out of range",
        )
    };
    given
        .map(|d| Duration::try_from(d).map_err(negative))
        .transpose()
}

/// A configuration as it is saved.
pub fn config(config: &StreamConfig) -> v1::StreamConfig {
    v1::StreamConfig {
        device: config.device.to_string(),
        size: config.size.map(size),
        framerate: config.framerate.map(framerate),
        first_frame_timeout: Some(proto_duration(config.first_frame_timeout)),
        steady_timeout: Some(proto_duration(config.steady_timeout)),
        max_subscribers: config.max_subscribers.unwrap_or_default(),
        controls: config.controls.clone().into_iter().collect(),
        on_violation: on_violation(config.on_violation).into(),
        profile: config.profile.clone().unwrap_or_default(),
        set_encoder: config.set_encoder,
    }
}

const fn on_violation(on: OnViolation) -> v1::OnViolation {
    match on {
        OnViolation::Report => v1::OnViolation::Report,
        OnViolation::Stop => v1::OnViolation::Stop,
    }
}

const fn size((width, height): (u32, u32)) -> v1::Size {
    v1::Size { width, height }
}

const fn framerate(rate: Framerate) -> v1::Framerate {
    v1::Framerate {
        numerator: rate.num(),
        denominator: rate.den(),
    }
}

/// A span of time; more than the contract's type holds is its largest.
fn proto_duration(duration: Duration) -> prost_types::Duration {
    duration.try_into().unwrap_or(prost_types::Duration {
        seconds: i64::MAX,
        nanos: 0,
    })
}

/// A time of day.
pub fn timestamp(at: SystemTime) -> prost_types::Timestamp {
    at.into()
}

/// A format that a device offers.
pub fn capability(capability: &Capability) -> v1::Capability {
    let mut out = v1::Capability {
        format: capability.format.clone(),
        ..v1::Capability::default()
    };
    match &capability.sizes {
        Sizes::Discrete(sizes) => out.sizes = sizes.iter().copied().map(size).collect(),
        Sizes::Stepwise { width, height } => {
            out.size_range = Some(v1::SizeRange {
                min: Some(size((width.min, height.min))),
                max: Some(size((width.max, height.max))),
                step: Some(size((width.step, height.step))),
            });
        }
    }
    match &capability.rates {
        Rates::Discrete(rates) => out.framerates = rates.iter().copied().map(framerate).collect(),
        Rates::Continuous(low, high) => {
            (out.min_framerate, out.max_framerate) =
                (Some(framerate(*low)), Some(framerate(*high)));
        }
    }
    out
}

/// A control that a device has.
pub fn control(control: &Control) -> v1::Control {
    use mos_camera_core::ControlKind as Kind;
    let item = |item: &MenuItem| v1::MenuItem {
        value: item.value,
        name: item.name.clone(),
    };
    let (kind, items) = match &control.kind {
        Kind::Integer => (v1::ControlKind::Integer, Vec::new()),
        Kind::Boolean => (v1::ControlKind::Boolean, Vec::new()),
        Kind::Menu(items) => (v1::ControlKind::Menu, items.iter().map(item).collect()),
    };
    v1::Control {
        name: control.name.clone(),
        kind: kind.into(),
        min: control.min,
        max: control.max,
        step: control.step,
        divisor: control.divisor,
        default: control.default,
        read_only: control.read_only,
        items,
    }
}

/// How plugging in is noticed: the word for it, and why it is not the best one.
pub fn hotplug(hotplug: Hotplug) -> (String, String) {
    let (word, detail) = match hotplug {
        Hotplug::Udev => ("udev", String::new()),
        Hotplug::Inotify(why) => ("inotify", why),
        Hotplug::Off(why) => ("off", why),
    };
    (word.to_owned(), detail)
}

/// The machine.
pub fn platform(platform: &Platform, profiles: Vec<String>) -> v1::Platform {
    let (overridden_family, overridden_ground) = platform
        .overridden
        .as_ref()
        .map(|(family, ground)| (family.to_string(), ground.to_string()))
        .unwrap_or_default();
    let refused = |refused: &Refused| v1::RefusedBackend {
        backend: refused.backend.to_string(),
        why: refused.why.clone(),
    };
    let problem = |problem: &Problem| v1::PlatformProblem {
        message: problem.message.clone(),
        hint: problem.hint.clone(),
    };
    let evidence = &platform.evidence;
    v1::Platform {
        family: platform.family.to_string(),
        ground: platform.ground.to_string(),
        soc: platform.soc.map_or("", |soc| soc.name).to_owned(),
        model: evidence.model.clone().unwrap_or_default(),
        compatible: evidence.compatible.clone(),
        csi_backend: platform.csi.map_or_else(String::new, |csi| csi.to_string()),
        csi_element: platform.element.unwrap_or_default().to_owned(),
        overridden_family,
        overridden_ground,
        refused: platform.refused.iter().map(refused).collect(),
        problems: platform.problems.iter().map(problem).collect(),
        profiles,
        soc_family: evidence.soc.family.clone().unwrap_or_default(),
        soc_id: evidence.soc.id.clone().unwrap_or_default(),
        elements: evidence.elements.iter().map(camera_element).collect(),
        camera_service: evidence.camera_service.name().to_owned(),
        media_devices: evidence.media.iter().map(media_device).collect(),
    }
}

fn camera_element((name, state): (&String, &ElementState)) -> v1::CameraElement {
    v1::CameraElement {
        name: name.clone(),
        usable: state.unusable().is_none(),
        unusable: state.unusable().unwrap_or_default().to_owned(),
    }
}

fn media_device(device: &MediaDevice) -> v1::MediaDevice {
    v1::MediaDevice {
        node: device.node.clone(),
        model: device.model.clone(),
    }
}

/// A device, and the stream that it feeds.
pub fn device(device: &Device, stream: Option<&StreamName>) -> v1::Device {
    let (health, health_detail) = match &device.health {
        Health::Ready => (v1::Health::Ready, ""),
        Health::Unknown => (v1::Health::Unknown, ""),
        Health::Unreachable(why) => (v1::Health::Unreachable, why.as_str()),
        Health::Reachable(why) => (v1::Health::Reachable, why.as_str()),
        Health::Unauthorized(why) => (v1::Health::Unauthorized, why.as_str()),
        Health::Busy(why) => (v1::Health::Busy, why.as_str()),
        Health::NoPermission(why) => (v1::Health::NoPermission, why.as_str()),
        Health::Unusable(why) => (v1::Health::Unusable, why.as_str()),
    };
    v1::Device {
        id: device.id.to_string(),
        transport: transport(device.transport).into(),
        model: device.model.clone(),
        location: device.location.clone(),
        capabilities: device.capabilities.iter().map(capability).collect(),
        health: health.into(),
        health_detail: health_detail.to_owned(),
        stream: stream.map(ToString::to_string).unwrap_or_default(),
        controls: device.controls.iter().map(control).collect(),
        profiles: device.profiles.iter().map(profile).collect(),
    }
}

fn profile(profile: &Profile) -> v1::Profile {
    v1::Profile {
        token: profile.token.clone(),
        name: profile.name.clone(),
        format: profile.format.clone(),
        size: profile.size.map(size),
        framerate: profile.rate.map(framerate),
        settable: profile.settable.iter().map(capability).collect(),
    }
}

/// The contract's word for a state.
pub const fn state(state: State) -> v1::State {
    match state {
        State::Absent => v1::State::Absent,
        State::Idle => v1::State::Idle,
        State::Configured => v1::State::Configured,
        State::Starting => v1::State::Starting,
        State::Streaming => v1::State::Streaming,
        State::Stalled => v1::State::Stalled,
        State::Backoff { .. } => v1::State::Backoff,
        State::Unauthorized => v1::State::Unauthorized,
        State::Failed => v1::State::Failed,
        State::Stopping => v1::State::Stopping,
    }
}

const fn fault_kind(kind: FaultKind) -> v1::FaultKind {
    match kind {
        FaultKind::Absent => v1::FaultKind::Absent,
        FaultKind::Unreachable => v1::FaultKind::Unreachable,
        FaultKind::Unauthorized => v1::FaultKind::Unauthorized,
        FaultKind::NotFound => v1::FaultKind::NotFound,
        FaultKind::Disconnected => v1::FaultKind::Disconnected,
        FaultKind::EndOfStream => v1::FaultKind::EndOfStream,
        FaultKind::NoFirstFrame => v1::FaultKind::NoFirstFrame,
        FaultKind::Stalled => v1::FaultKind::Stalled,
        FaultKind::Unsupported => v1::FaultKind::Unsupported,
        FaultKind::Busy => v1::FaultKind::Busy,
        FaultKind::Certificate => v1::FaultKind::Certificate,
        FaultKind::NoPermission => v1::FaultKind::NoPermission,
        FaultKind::Missing => v1::FaultKind::Missing,
        FaultKind::Contract => v1::FaultKind::Contract,
        FaultKind::Bus => v1::FaultKind::Bus,
        FaultKind::Internal => v1::FaultKind::Internal,
    }
}

fn fault(fault: &Fault, at: SystemTime) -> v1::Fault {
    v1::Fault {
        kind: fault_kind(fault.kind).into(),
        message: fault.message.clone(),
        hint: fault.hint.clone(),
        at: Some(timestamp(at)),
    }
}

/// A stream's status.
pub fn stream_status(status: &StreamStatus) -> v1::StreamStatus {
    let life = &status.life;
    let stats = &status.stats;
    v1::StreamStatus {
        stream: status.name.to_string(),
        state: state(life.state).into(),
        wanted: life.wanted,
        config: status.config.as_ref().map(config),
        fault: status.fault.as_ref().map(|(f, at)| fault(f, *at)),
        attempt: life.attempt,
        next_attempt_in: status.next_attempt_in.map(proto_duration),
        restarts: life.restarts,
        format: format(stats),
        frames: Some(frames(stats)),
        subscribers: stats.subscribers.iter().map(subscriber).collect(),
        chain: stats.chain.clone(),
        software: stats.software,
        bus_socket: status.bus_socket.display().to_string(),
        streaming_since: status.streaming_since.map(timestamp),
        plan: stats.plan.as_ref().map(plan),
        session: stats.session.as_ref().map(session),
        clock: stats.clock.map(frame_clock),
    }
}

fn frame_clock(clock: FrameClock) -> v1::FrameClock {
    v1::FrameClock {
        source: clock.source.to_owned(),
        error: clock.error.map(proto_duration),
        camera_ahead: clock.camera_ahead_ns.map(signed_duration),
    }
}

/// Both parts have the sign, as the contract of `Duration` wants it.
fn signed_duration(ns: i64) -> prost_types::Duration {
    prost_types::Duration {
        seconds: ns / 1_000_000_000,
        nanos: i32::try_from(ns % 1_000_000_000).unwrap_or_default(),
    }
}

fn session(facts: &SessionFacts) -> v1::Session {
    let detail = |(about, text): &(String, String)| v1::SessionDetail {
        about: about.clone(),
        text: text.clone(),
    };
    v1::Session {
        protocol: facts.protocol.clone(),
        security: facts.security.clone(),
        insecure: facts.insecure,
        codec: facts.codec.clone(),
        peer: facts.peer.clone(),
        details: facts.details.iter().map(detail).collect(),
        path: facts.path.as_ref().map(media_path),
    }
}

fn media_path(path: &MediaPath) -> v1::MediaPath {
    v1::MediaPath {
        local: path.local.name().to_owned(),
        remote: path.remote.name().to_owned(),
        protocol: path.carrier.to_string(),
        relay_protocol: path.relay_protocol.clone(),
    }
}

/// A plan.
pub fn plan(plan: &Plan) -> v1::NormalisePlan {
    v1::NormalisePlan {
        capture: Some(capture(&plan.capture)),
        elements: factories(&plan.steps),
        memory: frame_memory(plan.memory).into(),
        cpu_copies: plan.copies.cpu,
        hardware_copies: plan.copies.hardware,
        software: plan.software,
        rule: plan.rule.clone(),
        why: plan.why.clone(),
        text: plan.to_string(),
        origin: plan.origin.clone(),
        traps: plan.traps.clone(),
        limit: plan
            .limit
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
    }
}

fn factories(steps: &[Step]) -> Vec<String> {
    steps.iter().map(|step| step.factory.clone()).collect()
}

fn capture(capture: &Capture) -> v1::CaptureFormat {
    v1::CaptureFormat {
        format: capture.format.clone(),
        size: capture.size.map(size),
        framerate: capture.rate.map(framerate),
        max_framerate: capture.best_rate.map(framerate),
        handover: match capture.handover {
            Handover::Labelled => v1::Handover::Labelled,
            Handover::Exported => v1::Handover::Exported,
            Handover::Gbm => v1::Handover::Gbm,
            Handover::Drawn => v1::Handover::Drawn,
            Handover::Process => v1::Handover::Process,
        }
        .into(),
    }
}

const fn frame_memory(memory: FrameMemory) -> v1::FrameMemory {
    match memory {
        FrameMemory::Driver => v1::FrameMemory::Driver,
        FrameMemory::Pool(PoolMemory::DmaHeap) => v1::FrameMemory::DmaHeap,
        FrameMemory::Pool(PoolMemory::Udmabuf) => v1::FrameMemory::Udmabuf,
        FrameMemory::Pool(PoolMemory::Memfd) => v1::FrameMemory::Memfd,
    }
}

/// What is asked to be explained, as a configuration with defaults for the rest.
pub fn explained_from(request: &v1::ExplainDeviceRequest) -> Result<StreamConfig, BadField> {
    let device: DeviceId = request
        .device
        .parse()
        .map_err(|e| bad("device", "INVALID_DEVICE", format!("{e}")))?;
    let framerate = request
        .framerate
        .map(|rate| framerate_from("framerate", rate))
        .transpose()?;
    let config = StreamConfig {
        size: request.size.map(|size| (size.width, size.height)),
        framerate,
        max_subscribers: Some(request.max_subscribers).filter(|n| *n != 0),
        ..StreamConfig::new(device)
    };
    // What the device does not offer is explained; what nothing can be is refused.
    validate(&config, &[])
        .map_err(|error| bad(error.field(), error.reason(), error.to_string()))?;
    Ok(config)
}

/// An explanation. That there is no plan is an answer.
pub fn explanation(device: &DeviceId, explanation: Explanation) -> v1::ExplainDeviceResponse {
    let rejected = explanation.rejected.iter().map(rejected).collect();
    let (plan, problem) = match explanation.into_plan(device) {
        Ok(chosen) => (Some(plan(&chosen)), None),
        Err(error) => (None, Some(plan_problem(&error))),
    };
    v1::ExplainDeviceResponse {
        device: device.to_string(),
        plan,
        problem,
        rejected,
        build: BUILD.to_owned(),
    }
}

fn plan_problem(error: &NoPlan) -> v1::PlanProblem {
    v1::PlanProblem {
        reason: error.reason().to_owned(),
        message: error.to_string(),
        hint: error.hint().to_owned(),
    }
}

fn rejected(rejected: &Rejected) -> v1::RejectedPlan {
    v1::RejectedPlan {
        capture: Some(capture(&rejected.capture)),
        elements: factories(&rejected.steps),
        rule: rejected.rule.clone(),
        reason: rejected.reason.name().to_owned(),
        message: rejected.reason.to_string(),
    }
}

fn format(stats: &StreamStats) -> Option<v1::VideoFormat> {
    stats.format.as_ref().map(|format| v1::VideoFormat {
        format: "NV12".to_owned(),
        size: Some(size(format.size)),
        framerate: format.framerate.map(framerate),
        memory: match format.memory {
            Memory::DmaBuf => v1::Memory::Dmabuf,
            Memory::Memfd => v1::Memory::Memfd,
        }
        .into(),
        epoch: format.epoch,
    })
}

fn frames(stats: &StreamStats) -> v1::FrameCounters {
    v1::FrameCounters {
        published: stats.published,
        copied: stats.copied,
        violations: stats.violations.total(),
        violations_by_kind: Some(violations(stats.violations)),
        corrupt: stats.corrupt,
        late: stats.late,
        delay: stats.delay.map(proto_duration),
        last_frame_age: stats.last_frame_age.map(proto_duration),
        fps: stats.fps,
    }
}

const fn violations(violations: Violations) -> v1::Violations {
    v1::Violations {
        refused_frames: violations.refused_frames,
        refused_maps: violations.refused_maps,
        mapped_dmabufs: violations.mapped_dmabufs,
    }
}

const fn violation_kind(kind: ViolationKind) -> v1::ViolationKind {
    match kind {
        ViolationKind::RefusedFrame => v1::ViolationKind::RefusedFrame,
        ViolationKind::RefusedMap => v1::ViolationKind::RefusedMap,
        ViolationKind::MappedDmabuf => v1::ViolationKind::MappedDmabuf,
    }
}

fn subscriber(subscriber: &SubscriberStats) -> v1::Subscriber {
    v1::Subscriber {
        id: subscriber.id,
        name: subscriber.name.clone(),
        pid: subscriber.pid,
        uid: subscriber.uid,
        window: subscriber.window,
        hold: subscriber.hold,
        offered: subscriber.offered,
        claimed: subscriber.claimed,
        recalled: subscriber.lost.recalled,
        skipped: subscriber.lost.skipped,
        held: subscriber.held,
    }
}

/// An event.
pub fn event(event: &Event) -> v1::Event {
    use v1::event::Kind;
    let kind = match &event.kind {
        EventKind::StateChanged {
            stream,
            from,
            to,
            fault: reason,
        } => Kind::StateChanged(v1::StateChanged {
            stream: stream.to_string(),
            from: state(*from).into(),
            to: state(*to).into(),
            fault: reason.as_ref().map(|(f, at)| fault(f, *at)),
        }),
        EventKind::DeviceAdded {
            device: added,
            stream,
        } => Kind::DeviceAdded(device(added, stream.as_ref())),
        EventKind::DeviceRemoved { id } => {
            Kind::DeviceRemoved(v1::DeviceRemoved { id: id.to_string() })
        }
        EventKind::Drops {
            stream,
            subscriber,
            name,
            lost,
        } => Kind::Drops(v1::Drops {
            stream: stream.to_string(),
            subscriber: *subscriber,
            name: name.clone(),
            recalled: lost.recalled,
            skipped: lost.skipped,
        }),
        EventKind::Violation {
            stream,
            kind,
            count,
            detail,
        } => Kind::Violation(v1::Violation {
            stream: stream.as_ref().map(ToString::to_string).unwrap_or_default(),
            kind: violation_kind(*kind).into(),
            count: *count,
            detail: detail.clone(),
        }),
    };
    v1::Event {
        at: Some(timestamp(event.at)),
        kind: Some(kind),
    }
}

/// The first event of a watch, one for each stream.
pub fn snapshot(status: &StreamStatus) -> v1::Event {
    now(v1::event::Kind::Snapshot(Box::new(stream_status(status))))
}

/// Tells a watcher that it was too slow.
pub fn lagged(lost: u64) -> v1::Event {
    now(v1::event::Kind::Lagged(v1::Lagged { lost }))
}

fn now(kind: v1::event::Kind) -> v1::Event {
    v1::Event {
        at: Some(timestamp(SystemTime::now())),
        kind: Some(kind),
    }
}

#[cfg(test)]
mod tests {
    use mos_camera_core::platform::{CameraService, Evidence, SocIds, decide};

    use super::*;

    #[test]
    fn a_platform_is_told_with_all_that_it_was_decided_on() {
        let broken = ElementState::Broken("libx.so is missing".to_owned());
        let evidence = Evidence {
            compatible: vec!["acme,cam".to_owned()],
            model: Some("Acme Cam".to_owned()),
            soc: SocIds {
                family: Some("Snapdragon".to_owned()),
                id: Some("675".to_owned()),
            },
            elements: [
                ("libcamerasrc".to_owned(), ElementState::Usable),
                ("qticamsrc".to_owned(), broken),
            ]
            .into(),
            camera_service: CameraService::Denied,
            media: vec![MediaDevice {
                node: "/dev/media0".to_owned(),
                model: "camss".to_owned(),
            }],
        };
        let told = super::platform(&decide(&evidence, None), vec!["/etc/x.toml".to_owned()]);
        assert_eq!(
            (told.model.as_str(), told.soc.as_str()),
            ("Acme Cam", "QCS8300")
        );
        assert_eq!(told.compatible, ["acme,cam"]);
        assert_eq!(
            (told.soc_family.as_str(), told.soc_id.as_str()),
            ("Snapdragon", "675")
        );
        let elements: Vec<_> = told
            .elements
            .iter()
            .map(|e| (e.name.as_str(), e.usable, e.unusable.as_str()))
            .collect();
        assert_eq!(
            elements,
            [
                ("libcamerasrc", true, ""),
                ("qticamsrc", false, "libx.so is missing")
            ]
        );
        assert_eq!(told.camera_service, "denied");
        let media = &told.media_devices[..];
        assert!(
            matches!(media, [d] if (d.node.as_str(), d.model.as_str()) == ("/dev/media0", "camss")),
            "{media:?}"
        );
        assert_eq!(told.profiles, ["/etc/x.toml"]);
    }
}
