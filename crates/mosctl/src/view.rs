//! The JSON that `--json` prints: names and units are part of the command line's contract.
//!
//! Enums are lower-case words, durations end in `_ms`, times of day are RFC 3339 in UTC, absent values are `null`.

use std::collections::BTreeMap;

use mos_camera_api::v1;
use serde::Serialize;

use crate::exit::Failure;
use crate::text;

/// A failure, on standard error.
#[derive(Debug, Serialize)]
pub(crate) struct Error<'a> {
    error: ErrorBody<'a>,
}

#[derive(Debug, Serialize)]
struct ErrorBody<'a> {
    code: &'static str,
    exit: u8,
    message: &'a str,
    hint: &'a str,
    reason: &'a str,
    field: &'a str,
    supported: Vec<Capability>,
    control: Option<Control>,
}

impl<'a> From<&'a Failure> for Error<'a> {
    fn from(f: &'a Failure) -> Self {
        let supported = f.detail.supported.iter().map(Capability::from).collect();
        let (code, exit) = (f.code.name(), f.code as u8);
        Self {
            error: ErrorBody {
                code,
                exit,
                message: &f.message,
                hint: &f.hint,
                reason: &f.detail.reason,
                field: &f.detail.field,
                supported,
                control: f.detail.control.as_ref().map(Control::from),
            },
        }
    }
}

/// A frame size.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Size {
    width: u32,
    height: u32,
}

impl From<&v1::Size> for Size {
    fn from(s: &v1::Size) -> Self {
        Self {
            width: s.width,
            height: s.height,
        }
    }
}

fn size(size: Option<&v1::Size>) -> Option<Size> {
    size.map(Size::from)
}

fn framerate(rate: Option<&v1::Framerate>) -> Option<String> {
    rate.map(|r| text::framerate(Some(r)))
}

fn time(time: Option<&prost_types::Timestamp>) -> Option<String> {
    time.map(prost_types::Timestamp::to_string)
}

fn millis(duration: Option<&prost_types::Duration>) -> Option<u64> {
    text::to_duration(duration).map(|d| d.as_millis() as u64)
}

fn non_empty(text: &str) -> Option<String> {
    Some(text).filter(|t| !t.is_empty()).map(str::to_owned)
}

/// What a device offers in one format.
#[derive(Debug, Serialize)]
pub(crate) struct Capability {
    format: String,
    sizes: Vec<Size>,
    min_size: Option<Size>,
    max_size: Option<Size>,
    step: Option<Size>,
    framerates: Vec<String>,
    min_framerate: Option<String>,
    max_framerate: Option<String>,
}

impl From<&v1::Capability> for Capability {
    fn from(c: &v1::Capability) -> Self {
        let range = c.size_range.as_ref();
        Self {
            format: c.format.clone(),
            sizes: c.sizes.iter().map(Size::from).collect(),
            min_size: range.and_then(|r| size(r.min.as_ref())),
            max_size: range.and_then(|r| size(r.max.as_ref())),
            step: range.and_then(|r| size(r.step.as_ref())),
            framerates: c
                .framerates
                .iter()
                .map(|r| text::framerate(Some(r)))
                .collect(),
            min_framerate: framerate(c.min_framerate.as_ref()),
            max_framerate: framerate(c.max_framerate.as_ref()),
        }
    }
}

/// A camera.
#[derive(Debug, Serialize)]
pub(crate) struct Device {
    id: String,
    transport: String,
    model: String,
    location: String,
    health: String,
    health_detail: Option<String>,
    stream: Option<String>,
    capabilities: Vec<Capability>,
    controls: Vec<Control>,
    profiles: Vec<Profile>,
}

/// A stream that a network camera offers beside others.
#[derive(Debug, Serialize)]
struct Profile {
    token: String,
    name: String,
    format: String,
    size: Option<Size>,
    framerate: Option<String>,
    /// What its encoder can be set to.
    settable: Vec<Capability>,
}

impl From<&v1::Profile> for Profile {
    fn from(p: &v1::Profile) -> Self {
        Self {
            token: p.token.clone(),
            name: p.name.clone(),
            format: p.format.clone(),
            size: size(p.size.as_ref()),
            framerate: framerate(p.framerate.as_ref()),
            settable: p.settable.iter().map(Capability::from).collect(),
        }
    }
}

/// A control that a camera has.
#[derive(Debug, Serialize)]
pub(crate) struct Control {
    name: String,
    kind: String,
    min: i64,
    max: i64,
    step: i64,
    divisor: u32,
    default: Option<i64>,
    read_only: bool,
    items: Vec<MenuItem>,
}

#[derive(Debug, Serialize)]
struct MenuItem {
    value: i64,
    name: String,
}

impl From<&v1::Control> for Control {
    fn from(c: &v1::Control) -> Self {
        let item = |item: &v1::MenuItem| MenuItem {
            value: item.value,
            name: item.name.clone(),
        };
        Self {
            name: c.name.clone(),
            kind: text::enum_name(c.kind().as_str_name(), "CONTROL_KIND_"),
            min: c.min,
            max: c.max,
            step: c.step,
            divisor: c.divisor,
            default: c.default,
            read_only: c.read_only,
            items: c.items.iter().map(item).collect(),
        }
    }
}

impl From<&v1::Device> for Device {
    fn from(d: &v1::Device) -> Self {
        Self {
            id: d.id.clone(),
            transport: text::transport(d.transport),
            model: d.model.clone(),
            location: d.location.clone(),
            health: text::enum_name(d.health().as_str_name(), "HEALTH_"),
            health_detail: non_empty(&d.health_detail),
            stream: non_empty(&d.stream),
            capabilities: d.capabilities.iter().map(Capability::from).collect(),
            controls: d.controls.iter().map(Control::from).collect(),
            profiles: d.profiles.iter().map(Profile::from).collect(),
        }
    }
}

/// A transport whose discovery failed.
#[derive(Debug, Serialize)]
struct Problem {
    transport: String,
    message: String,
    hint: String,
}

/// Answer of `devices`.
#[derive(Debug, Serialize)]
pub(crate) struct Devices {
    devices: Vec<Device>,
    problems: Vec<Problem>,
}

impl From<&v1::ListDevicesResponse> for Devices {
    fn from(r: &v1::ListDevicesResponse) -> Self {
        let problem = |p: &v1::DiscoveryProblem| Problem {
            transport: text::transport(p.transport),
            message: p.message.clone(),
            hint: p.hint.clone(),
        };
        Self {
            devices: r.devices.iter().map(Device::from).collect(),
            problems: r.problems.iter().map(problem).collect(),
        }
    }
}

/// What a stream is asked to be.
#[derive(Debug, Serialize)]
pub(crate) struct Config {
    device: String,
    size: Option<Size>,
    framerate: Option<String>,
    first_frame_timeout_ms: Option<u64>,
    steady_timeout_ms: Option<u64>,
    /// None: eight, or as many as the camera serves without a copy.
    max_subscribers: Option<u32>,
    /// `report` or `stop`.
    on_violation: String,
    profile: Option<String>,
    set_encoder: bool,
    controls: std::collections::BTreeMap<String, i64>,
}

impl From<&v1::StreamConfig> for Config {
    fn from(c: &v1::StreamConfig) -> Self {
        Self {
            device: c.device.clone(),
            size: size(c.size.as_ref()),
            framerate: framerate(c.framerate.as_ref()),
            first_frame_timeout_ms: millis(c.first_frame_timeout.as_ref()),
            steady_timeout_ms: millis(c.steady_timeout.as_ref()),
            max_subscribers: Some(c.max_subscribers).filter(|n| *n != 0),
            on_violation: text::enum_name(c.on_violation().as_str_name(), "ON_VIOLATION_"),
            profile: non_empty(&c.profile),
            set_encoder: c.set_encoder,
            controls: c.controls.clone().into_iter().collect(),
        }
    }
}

/// Answer of `configure`.
#[derive(Debug, Serialize)]
pub(crate) struct Configured {
    pub(crate) stream: String,
    pub(crate) unchanged: bool,
    pub(crate) config: Option<Config>,
}

/// Answer of `start`, `stop` and `reset`.
#[derive(Debug, Serialize)]
pub(crate) struct Commanded {
    pub(crate) stream: String,
    /// `started`, `stopped` or `reset`.
    pub(crate) done: &'static str,
    /// It was so before.
    pub(crate) already: bool,
}

/// Answer of `add`.
#[derive(Debug, Serialize)]
pub(crate) struct Added {
    pub(crate) camera: String,
    /// Its device id.
    pub(crate) device: String,
    /// It had been added exactly so before.
    pub(crate) unchanged: bool,
}

/// Answer of `remove`.
#[derive(Debug, Serialize)]
pub(crate) struct Removed {
    pub(crate) camera: String,
    pub(crate) removed: bool,
}

/// A fault.
#[derive(Debug, Serialize)]
pub(crate) struct Fault {
    kind: String,
    message: String,
    hint: String,
    at: Option<String>,
}

impl From<&v1::Fault> for Fault {
    fn from(f: &v1::Fault) -> Self {
        Self {
            kind: text::enum_name(f.kind().as_str_name(), "FAULT_KIND_"),
            message: f.message.clone(),
            hint: f.hint.clone(),
            at: time(f.at.as_ref()),
        }
    }
}

/// The format as it flows.
#[derive(Debug, Serialize)]
#[allow(clippy::struct_field_names, reason = "the names of the contract")]
struct Format {
    format: String,
    size: Option<Size>,
    framerate: Option<String>,
    memory: String,
    epoch: u32,
}

impl From<&v1::VideoFormat> for Format {
    fn from(f: &v1::VideoFormat) -> Self {
        Self {
            format: f.format.clone(),
            size: size(f.size.as_ref()),
            framerate: framerate(f.framerate.as_ref()),
            memory: text::enum_name(f.memory().as_str_name(), "MEMORY_"),
            epoch: f.epoch,
        }
    }
}

#[derive(Debug, Serialize)]
struct Counters {
    published: u64,
    copied: u64,
    violations: u64,
    corrupt: u64,
    late: u64,
    delay_ms: Option<u64>,
    violations_by_kind: Option<Violations>,
    last_frame_age_ms: Option<u64>,
    fps: f64,
}

impl From<&v1::FrameCounters> for Counters {
    fn from(c: &v1::FrameCounters) -> Self {
        let last_frame_age_ms = millis(c.last_frame_age.as_ref());
        Self {
            published: c.published,
            copied: c.copied,
            violations: c.violations,
            corrupt: c.corrupt,
            late: c.late,
            delay_ms: millis(c.delay.as_ref()),
            violations_by_kind: c.violations_by_kind.as_ref().map(Violations::from),
            last_frame_age_ms,
            fps: c.fps,
        }
    }
}

/// What a camera is asked for.
#[derive(Debug, Serialize)]
#[allow(clippy::struct_field_names, reason = "the names of the contract")]
struct CaptureFormat {
    format: String,
    size: Option<Size>,
    framerate: Option<String>,
    max_framerate: Option<String>,
    handover: String,
}

impl From<&v1::CaptureFormat> for CaptureFormat {
    fn from(c: &v1::CaptureFormat) -> Self {
        Self {
            format: c.format.clone(),
            size: size(c.size.as_ref()),
            framerate: framerate(c.framerate.as_ref()),
            max_framerate: framerate(c.max_framerate.as_ref()),
            handover: text::enum_name(c.handover().as_str_name(), "HANDOVER_"),
        }
    }
}

/// How a camera's pictures become NV12.
#[derive(Debug, Serialize)]
struct Plan {
    capture: Option<CaptureFormat>,
    elements: Vec<String>,
    memory: String,
    cpu_copies: u32,
    hardware_copies: u32,
    software: bool,
    rule: String,
    why: String,
    text: String,
    /// The profile that the rule comes from.
    origin: String,
    traps: Vec<String>,
    limit: Option<String>,
}

impl From<&v1::NormalisePlan> for Plan {
    fn from(p: &v1::NormalisePlan) -> Self {
        Self {
            capture: p.capture.as_ref().map(CaptureFormat::from),
            elements: p.elements.clone(),
            memory: text::enum_name(p.memory().as_str_name(), "FRAME_MEMORY_"),
            cpu_copies: p.cpu_copies,
            hardware_copies: p.hardware_copies,
            software: p.software,
            rule: p.rule.clone(),
            why: p.why.clone(),
            text: p.text.clone(),
            origin: p.origin.clone(),
            traps: p.traps.clone(),
            limit: non_empty(&p.limit),
        }
    }
}

#[derive(Debug, Serialize)]
struct PlanProblem {
    reason: String,
    message: String,
    hint: String,
}

#[derive(Debug, Serialize)]
struct RejectedPlan {
    capture: Option<CaptureFormat>,
    elements: Vec<String>,
    rule: Option<String>,
    reason: String,
    message: String,
}

/// Answer of `explain`.
#[derive(Debug, Serialize)]
pub(crate) struct Explanation {
    device: String,
    build: String,
    plan: Option<Plan>,
    problem: Option<PlanProblem>,
    rejected: Vec<RejectedPlan>,
}

impl From<&v1::ExplainDeviceResponse> for Explanation {
    fn from(r: &v1::ExplainDeviceResponse) -> Self {
        let problem = |p: &v1::PlanProblem| PlanProblem {
            reason: p.reason.clone(),
            message: p.message.clone(),
            hint: p.hint.clone(),
        };
        let rejected = |r: &v1::RejectedPlan| RejectedPlan {
            capture: r.capture.as_ref().map(CaptureFormat::from),
            elements: r.elements.clone(),
            rule: non_empty(&r.rule),
            reason: r.reason.clone(),
            message: r.message.clone(),
        };
        Self {
            device: r.device.clone(),
            build: r.build.clone(),
            plan: r.plan.as_ref().map(Plan::from),
            problem: r.problem.as_ref().map(problem),
            rejected: r.rejected.iter().map(rejected).collect(),
        }
    }
}

/// How often the contract was broken, by kind.
#[derive(Debug, Serialize)]
struct Violations {
    refused_frames: u64,
    refused_maps: u64,
    mapped_dmabufs: u64,
}

impl From<&v1::Violations> for Violations {
    fn from(v: &v1::Violations) -> Self {
        Self {
            refused_frames: v.refused_frames,
            refused_maps: v.refused_maps,
            mapped_dmabufs: v.mapped_dmabufs,
        }
    }
}

#[derive(Debug, Serialize)]
struct Subscriber {
    id: u64,
    name: String,
    pid: i32,
    uid: u32,
    window: u32,
    hold: u32,
    offered: u64,
    claimed: u64,
    recalled: u64,
    skipped: u64,
    held: u32,
}

impl From<&v1::Subscriber> for Subscriber {
    fn from(s: &v1::Subscriber) -> Self {
        Self {
            id: s.id,
            name: s.name.clone(),
            pid: s.pid,
            uid: s.uid,
            window: s.window,
            hold: s.hold,
            offered: s.offered,
            claimed: s.claimed,
            recalled: s.recalled,
            skipped: s.skipped,
            held: s.held,
        }
    }
}

/// The session with a network camera.
#[derive(Debug, Serialize)]
struct Session {
    protocol: String,
    security: String,
    insecure: bool,
    codec: Option<String>,
    peer: Option<String>,
    path: Option<MediaPath>,
    details: BTreeMap<String, String>,
}

/// The way of a WebRTC session's media.
#[derive(Debug, Serialize)]
struct MediaPath {
    local: String,
    remote: String,
    protocol: String,
    relay_protocol: Option<String>,
}

impl From<&v1::MediaPath> for MediaPath {
    fn from(p: &v1::MediaPath) -> Self {
        Self {
            local: p.local.clone(),
            remote: p.remote.clone(),
            protocol: p.protocol.clone(),
            relay_protocol: non_empty(&p.relay_protocol),
        }
    }
}

impl From<&v1::Session> for Session {
    fn from(s: &v1::Session) -> Self {
        let details = s.details.iter().map(|d| (d.about.clone(), d.text.clone()));
        Self {
            protocol: s.protocol.clone(),
            security: s.security.clone(),
            insecure: s.insecure,
            codec: non_empty(&s.codec),
            peer: non_empty(&s.peer),
            path: s.path.as_ref().map(MediaPath::from),
            details: details.collect(),
        }
    }
}

/// What a frame's capture time was taken from.
#[derive(Debug, Serialize)]
struct FrameClock {
    source: String,
    error_us: Option<u64>,
    /// Negative where the camera's clock is behind.
    camera_ahead_ms: Option<i64>,
}

impl From<&v1::FrameClock> for FrameClock {
    fn from(c: &v1::FrameClock) -> Self {
        Self {
            source: c.source.clone(),
            error_us: text::to_duration(c.error.as_ref()).map(|d| d.as_micros() as u64),
            camera_ahead_ms: c.camera_ahead.as_ref().map(text::signed_millis),
        }
    }
}

/// A stream's status.
#[derive(Debug, Serialize)]
#[allow(clippy::struct_field_names, reason = "the names of the contract")]
pub(crate) struct Stream {
    stream: String,
    state: String,
    wanted: bool,
    config: Option<Config>,
    fault: Option<Fault>,
    attempt: u32,
    next_attempt_in_ms: Option<u64>,
    restarts: u64,
    format: Option<Format>,
    frames: Option<Counters>,
    subscribers: Vec<Subscriber>,
    chain: Vec<String>,
    software: bool,
    plan: Option<Plan>,
    session: Option<Session>,
    clock: Option<FrameClock>,
    bus_socket: String,
    streaming_since: Option<String>,
}

impl From<&v1::StreamStatus> for Stream {
    fn from(s: &v1::StreamStatus) -> Self {
        Self {
            stream: s.stream.clone(),
            state: text::state(s.state),
            wanted: s.wanted,
            config: s.config.as_ref().map(Config::from),
            fault: s.fault.as_ref().map(Fault::from),
            attempt: s.attempt,
            next_attempt_in_ms: millis(s.next_attempt_in.as_ref()),
            restarts: s.restarts,
            format: s.format.as_ref().map(Format::from),
            frames: s.frames.as_ref().map(Counters::from),
            subscribers: s.subscribers.iter().map(Subscriber::from).collect(),
            chain: s.chain.clone(),
            software: s.software,
            plan: s.plan.as_ref().map(Plan::from),
            session: s.session.as_ref().map(Session::from),
            clock: s.clock.as_ref().map(FrameClock::from),
            bus_socket: s.bus_socket.clone(),
            streaming_since: time(s.streaming_since.as_ref()),
        }
    }
}

#[derive(Debug, Serialize)]
struct Service {
    version: String,
    build: String,
    started_at: Option<String>,
    frame_dir: String,
    state_saved: bool,
    state_problem: Option<String>,
    hotplug: String,
    hotplug_detail: Option<String>,
    stray_mappings: u64,
    platform: Option<Platform>,
}

impl From<&v1::ServiceStatus> for Service {
    fn from(s: &v1::ServiceStatus) -> Self {
        Self {
            version: s.version.clone(),
            build: s.build.clone(),
            started_at: time(s.started_at.as_ref()),
            frame_dir: s.frame_dir.clone(),
            state_saved: s.state_saved,
            state_problem: non_empty(&s.state_problem),
            hotplug: s.hotplug.clone(),
            hotplug_detail: non_empty(&s.hotplug_detail),
            stray_mappings: s.stray_mappings,
            platform: s.platform.as_ref().map(Platform::from),
        }
    }
}

/// Answer of `platform`.
#[derive(Debug, Serialize)]
pub(crate) struct Platform {
    family: String,
    ground: String,
    soc: Option<String>,
    model: Option<String>,
    compatible: Vec<String>,
    csi_backend: Option<String>,
    csi_element: Option<String>,
    overridden_family: Option<String>,
    overridden_ground: Option<String>,
    refused: Vec<Refused>,
    problems: Vec<PlatformProblem>,
    /// Files of profiles that hold on this machine.
    profiles: Vec<String>,
    soc_family: Option<String>,
    soc_id: Option<String>,
    elements: Vec<CameraElement>,
    camera_service: String,
    media_devices: Vec<MediaDevice>,
}

#[derive(Debug, Serialize)]
struct CameraElement {
    name: String,
    usable: bool,
    unusable: Option<String>,
}

#[derive(Debug, Serialize)]
struct MediaDevice {
    node: String,
    model: Option<String>,
}

#[derive(Debug, Serialize)]
struct Refused {
    backend: String,
    why: String,
}

#[derive(Debug, Serialize)]
struct PlatformProblem {
    message: String,
    hint: String,
}

impl From<&v1::Platform> for Platform {
    fn from(p: &v1::Platform) -> Self {
        let refused = |r: &v1::RefusedBackend| Refused {
            backend: r.backend.clone(),
            why: r.why.clone(),
        };
        let problem = |p: &v1::PlatformProblem| PlatformProblem {
            message: p.message.clone(),
            hint: p.hint.clone(),
        };
        let element = |e: &v1::CameraElement| CameraElement {
            name: e.name.clone(),
            usable: e.usable,
            unusable: non_empty(&e.unusable),
        };
        let media = |m: &v1::MediaDevice| MediaDevice {
            node: m.node.clone(),
            model: non_empty(&m.model),
        };
        Self {
            family: p.family.clone(),
            ground: p.ground.clone(),
            soc: non_empty(&p.soc),
            model: non_empty(&p.model),
            compatible: p.compatible.clone(),
            csi_backend: non_empty(&p.csi_backend),
            csi_element: non_empty(&p.csi_element),
            overridden_family: non_empty(&p.overridden_family),
            overridden_ground: non_empty(&p.overridden_ground),
            refused: p.refused.iter().map(refused).collect(),
            problems: p.problems.iter().map(problem).collect(),
            profiles: p.profiles.clone(),
            soc_family: non_empty(&p.soc_family),
            soc_id: non_empty(&p.soc_id),
            elements: p.elements.iter().map(element).collect(),
            camera_service: p.camera_service.clone(),
            media_devices: p.media_devices.iter().map(media).collect(),
        }
    }
}

/// Answer of `status`.
#[derive(Debug, Serialize)]
pub(crate) struct Status {
    service: Option<Service>,
    streams: Vec<Stream>,
}

impl From<&v1::GetStatusResponse> for Status {
    fn from(r: &v1::GetStatusResponse) -> Self {
        Self {
            service: r.service.as_ref().map(Service::from),
            streams: r.streams.iter().map(Stream::from).collect(),
        }
    }
}

/// One line of `watch`.
#[derive(Debug, Serialize)]
pub(crate) struct Event {
    at: Option<String>,
    #[serde(flatten)]
    kind: EventKind,
}

#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum EventKind {
    Snapshot(Box<Stream>),
    StateChanged {
        stream: String,
        from: String,
        to: String,
        fault: Option<Fault>,
    },
    DeviceAdded(Device),
    DeviceRemoved {
        id: String,
    },
    Drops {
        stream: String,
        subscriber: u64,
        name: String,
        recalled: u64,
        skipped: u64,
    },
    Lagged {
        lost: u64,
    },
    Violation {
        stream: Option<String>,
        kind: String,
        count: u64,
        detail: String,
    },
    /// An event of a newer service.
    Unknown,
}

impl From<&v1::Event> for Event {
    fn from(e: &v1::Event) -> Self {
        Self {
            at: time(e.at.as_ref()),
            kind: e.kind.as_ref().map_or(EventKind::Unknown, EventKind::from),
        }
    }
}

impl From<&v1::event::Kind> for EventKind {
    fn from(kind: &v1::event::Kind) -> Self {
        use v1::event::Kind;
        match kind {
            Kind::Snapshot(s) => Self::Snapshot(Box::new(Stream::from(s.as_ref()))),
            Kind::StateChanged(c) => Self::StateChanged {
                stream: c.stream.clone(),
                from: text::state(c.from),
                to: text::state(c.to),
                fault: c.fault.as_ref().map(Fault::from),
            },
            Kind::DeviceAdded(d) => Self::DeviceAdded(Device::from(d)),
            Kind::DeviceRemoved(d) => Self::DeviceRemoved { id: d.id.clone() },
            Kind::Drops(d) => Self::Drops {
                stream: d.stream.clone(),
                subscriber: d.subscriber,
                name: d.name.clone(),
                recalled: d.recalled,
                skipped: d.skipped,
            },
            Kind::Lagged(l) => Self::Lagged { lost: l.lost },
            Kind::Violation(v) => Self::Violation {
                stream: non_empty(&v.stream),
                kind: text::enum_name(v.kind().as_str_name(), "VIOLATION_KIND_"),
                count: v.count,
                detail: v.detail.clone(),
            },
        }
    }
}
