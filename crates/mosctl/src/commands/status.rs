//! `mosctl status`.

use std::time::Duration;

use mos_camera_api::v1::{
    Fault, FrameClock, GetStatusRequest, GetStatusResponse, MediaPath, ServiceStatus, Session,
    StreamStatus, Subscriber,
};
use mos_camera_core::StreamName;

use super::{answer, names};
use crate::cli::Global;
use crate::exit::Result;
use crate::output::Out;
use crate::table::{Align, Table};
use crate::{text, view};

pub(super) async fn run(global: &Global, streams: &[StreamName], out: &Out) -> Result<()> {
    let request = GetStatusRequest {
        streams: names(streams),
    };
    let status = answer(global.control().await?.get_status(request)).await?;
    out.result(&view::Status::from(&status), |_| {
        render(&status, !streams.is_empty())
    })
}

fn render(status: &GetStatusResponse, detailed: bool) -> String {
    let mut text = String::new();
    if let (Some(service), false) = (&status.service, detailed) {
        text.push_str(&service_line(service));
    }
    if status.streams.is_empty() {
        return text + "No streams. Make one with `mosctl configure STREAM --device ID`.\n";
    }
    text.push_str(&table(&status.streams));
    status
        .streams
        .iter()
        .filter(|s| !s.state_is_fine())
        .filter_map(fault_line)
        .for_each(|line| text.push_str(&line));
    status
        .streams
        .iter()
        .filter_map(violations_line)
        .for_each(|line| text.push_str(&line));
    status
        .streams
        .iter()
        .filter_map(insecurity_line)
        .for_each(|line| text.push_str(&line));
    if detailed {
        status
            .streams
            .iter()
            .for_each(|s| text.push_str(&details(s)));
    }
    text
}

fn service_line(service: &ServiceStatus) -> String {
    let mut line = format!(
        "mos-camera-capture {} ({} build), frames in {}\n",
        service.version, service.build, service.frame_dir
    );
    if let Some(platform) = &service.platform
        && !platform.overridden_family.is_empty()
    {
        line.push_str(&format!(
            "The configuration says that this machine is {}; by itself it would be {}: {}\n",
            platform.family, platform.overridden_family, platform.overridden_ground
        ));
    }
    if !service.state_saved {
        line.push_str(&format!(
            "The last change could not be saved and would not survive a restart: {}\n",
            service.state_problem
        ));
    }
    match service.hotplug.as_str() {
        "inotify" => line.push_str(&format!(
            "Cameras that are plugged in are noticed by inotify: {}\n",
            service.hotplug_detail
        )),
        "off" => line.push_str(&format!(
            "Cameras that are plugged in are noticed only when devices are listed: {}\n",
            service.hotplug_detail
        )),
        _ => {}
    }
    if service.stray_mappings > 0 {
        line.push_str(&format!(
            "The service has mapped dma-bufs that are no stream's: {} so far (its log names them)\n",
            service.stray_mappings
        ));
    }
    line.push('\n');
    line
}

fn table(streams: &[StreamStatus]) -> String {
    let mut table = Table::new(&[
        ("STREAM", Align::Left),
        ("STATE", Align::Left),
        ("WANTED", Align::Left),
        ("SIZE", Align::Left),
        ("FPS", Align::Right),
        ("FRAMES", Align::Right),
        ("LAST", Align::Right),
        ("SUBS", Align::Right),
        ("DROPS", Align::Right),
        ("DEVICE", Align::Left),
    ]);
    for s in streams {
        table.row(row(s));
    }
    table.render()
}

fn row(s: &StreamStatus) -> Vec<String> {
    let frames = s.frames.unwrap_or_default();
    let fps = if s.state_is_fine() {
        format!("{:.1}", frames.fps)
    } else {
        text::NONE.to_owned()
    };
    let drops: u64 = s.subscribers.iter().map(dropped).sum();
    vec![
        s.stream.clone(),
        text::state(s.state),
        if s.wanted { "yes" } else { "no" }.to_owned(),
        text::size(s.format.as_ref().and_then(|f| f.size.as_ref())),
        fps,
        frames.published.to_string(),
        text::proto_duration(frames.last_frame_age.as_ref()),
        s.subscribers.len().to_string(),
        drops.to_string(),
        s.config
            .as_ref()
            .map_or_else(|| text::NONE.to_owned(), |c| c.device.clone()),
    ]
}

const fn dropped(s: &Subscriber) -> u64 {
    s.recalled + s.skipped
}

/// Whether frames flow.
trait Fine {
    fn state_is_fine(&self) -> bool;
}

impl Fine for StreamStatus {
    fn state_is_fine(&self) -> bool {
        self.state == i32::from(mos_camera_api::v1::State::Streaming)
    }
}

fn fault_line(s: &StreamStatus) -> Option<String> {
    let Some(fault) = &s.fault else {
        return absence(s);
    };
    let mut line = format!("\n{}: {}", s.stream, fault_text(fault));
    if let Some(next) = text::to_duration(s.next_attempt_in.as_ref()) {
        line.push_str(&format!(
            "; attempt {} failed, next in {}",
            s.attempt,
            text::duration(next)
        ));
    }
    line.push('\n');
    Some(line)
}

/// Breaches of the contract are never fine, whatever the stream does now.
fn violations_line(s: &StreamStatus) -> Option<String> {
    let frames = s.frames.as_ref()?;
    let kinds = text::violations(&frames.violations_by_kind.unwrap_or_default());
    (frames.violations > 0).then(|| {
        let count = text::count(frames.violations, "violation");
        format!("\n{}: {count} of the contract: {kinds}\n", s.stream)
    })
}

/// A session with a camera that may be anybody is told always.
fn insecurity_line(s: &StreamStatus) -> Option<String> {
    let session = s.session.as_ref().filter(|session| session.insecure)?;
    Some(format!("\n{}: {}\n", s.stream, session.security))
}

/// A camera that never was there has no fault yet; say what is waited for.
fn absence(s: &StreamStatus) -> Option<String> {
    let device = &s.config.as_ref()?.device;
    let absent = s.state == i32::from(mos_camera_api::v1::State::Absent);
    absent.then(|| {
        let then = if s.wanted { "; it streams by itself once it is" } else { "" };
        format!("\n{}: {device} is not there (plug it in, or check the path in the configuration{then})\n", s.stream)
    })
}

/// The message with the hint behind it.
pub(super) fn fault_text(fault: &Fault) -> String {
    if fault.hint.is_empty() {
        fault.message.clone()
    } else {
        format!("{} ({})", fault.message, fault.hint)
    }
}

fn details(s: &StreamStatus) -> String {
    let mut text = format!("\n{}\n", s.stream);
    let mut line = |label: &str, value: String| {
        if !value.is_empty() {
            text.push_str(&format!("  {label:<12} {value}\n"));
        }
    };
    line(
        "configured",
        s.config.as_ref().map_or_else(String::new, text::config),
    );
    line("format", format_text(s));
    line(
        "since",
        s.streaming_since
            .map_or_else(String::new, |t| t.to_string()),
    );
    line("restarts", s.restarts.to_string());
    line("elements", s.chain.join(" ! "));
    line(
        "plan",
        s.plan
            .as_ref()
            .map_or_else(String::new, |plan| plan.text.clone()),
    );
    line(
        "per frame",
        s.plan.as_ref().map_or_else(String::new, text::copies),
    );
    line(
        "path",
        if s.software && s.plan.is_none() {
            "the CPU decodes or converts (development fallback)".into()
        } else {
            String::new()
        },
    );
    line("frames", counters(s));
    line("clock", s.clock.as_ref().map_or_else(String::new, clock));
    for (label, value) in s.session.iter().flat_map(session) {
        line(label, value);
    }
    line("bus socket", s.bus_socket.clone());
    line(
        "last fault",
        if s.state_is_fine() {
            s.fault.as_ref().map_or_else(String::new, fault_text)
        } else {
            String::new()
        },
    );
    text + &subscribers(&s.subscribers)
}

fn clock(clock: &FrameClock) -> String {
    let error = text::to_duration(clock.error.as_ref())
        .map(|error| format!(", to {}", text::fine_duration(error)));
    let camera = clock.camera_ahead.as_ref().map(text::signed_millis);
    let camera = camera.map(|ms| {
        let side = if ms < 0 { "behind" } else { "ahead of" };
        let apart = Duration::from_millis(ms.unsigned_abs());
        format!(
            "; the camera's is {} {side} this machine's",
            text::duration(apart)
        )
    });
    let parts = [error, camera].map(Option::unwrap_or_default);
    format!("{}{}", clock.source, parts.concat())
}

/// What there is to tell of a session, with labels.
fn session(session: &Session) -> Vec<(&str, String)> {
    let Session {
        protocol,
        security,
        codec,
        peer,
        details,
        path,
        ..
    } = session;
    let with = |word, text: &str| match text {
        "" => String::new(),
        text => format!("{word}{text}"),
    };
    let session = format!("{protocol}{}{}", with(" with ", peer), with(", ", codec));
    let mut lines = vec![("session", session), ("security", security.clone())];
    lines.extend(path.as_ref().map(|path| ("media path", media_path(path))));
    lines.extend(
        details
            .iter()
            .map(|detail| (detail.about.as_str(), detail.text.clone())),
    );
    lines
}

fn media_path(path: &MediaPath) -> String {
    let MediaPath {
        local,
        remote,
        protocol,
        relay_protocol,
    } = path;
    let relay = match relay_protocol.as_str() {
        "" => String::new(),
        by => format!(", the relay by {by}"),
    };
    format!("{local} to {remote} over {protocol}{relay}")
}

fn format_text(s: &StreamStatus) -> String {
    let Some(f) = &s.format else {
        return String::new();
    };
    let memory = text::enum_name(f.memory().as_str_name(), "MEMORY_");
    let (size, rate) = (
        text::size(f.size.as_ref()),
        text::framerate(f.framerate.as_ref()),
    );
    format!(
        "{} {size} at {rate} fps in {memory}, epoch {}",
        f.format, f.epoch
    )
}

fn counters(s: &StreamStatus) -> String {
    let f = s.frames.unwrap_or_default();
    let delay = f.delay.as_ref().map_or_else(String::new, |delay| {
        format!(
            ", published {} after capture or arrival",
            text::proto_duration(Some(delay))
        )
    });
    format!(
        "{} published, {} copied, {}, {} broken, {} late{delay}",
        f.published,
        f.copied,
        text::count(f.violations, "violation"),
        f.corrupt,
        f.late
    )
}

fn subscribers(subscribers: &[Subscriber]) -> String {
    if subscribers.is_empty() {
        return "  no subscribers\n".to_owned();
    }
    let mut table = Table::new(&[
        ("  SUBSCRIBER", Align::Left),
        ("PID", Align::Right),
        ("WINDOW", Align::Right),
        ("HOLD", Align::Right),
        ("OFFERED", Align::Right),
        ("CLAIMED", Align::Right),
        ("DROPPED", Align::Right),
        ("HELD", Align::Right),
    ]);
    for s in subscribers {
        let figures = [
            u64::from(s.window),
            s.hold.into(),
            s.offered,
            s.claimed,
            dropped(s),
            s.held.into(),
        ];
        let mut cells = vec![format!("  {}", s.name), s.pid.to_string()];
        cells.extend(figures.iter().map(u64::to_string));
        table.row(cells);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use mos_camera_api::v1::{
        FrameClock, FrameCounters, Framerate, Memory, NormalisePlan, Platform, SessionDetail, Size,
        State, StreamConfig, VideoFormat, Violations,
    };

    use super::*;
    use crate::table::WIDTH;

    fn ms(millis: i32) -> prost_types::Duration {
        prost_types::Duration {
            seconds: 0,
            nanos: millis * 1_000_000,
        }
    }

    fn streaming() -> StreamStatus {
        let subscriber = Subscriber {
            name: "slow".into(),
            pid: 4242,
            window: 2,
            hold: 1,
            offered: 100,
            claimed: 80,
            recalled: 19,
            skipped: 1,
            held: 1,
            ..Subscriber::default()
        };
        StreamStatus {
            stream: "front".into(),
            state: State::Streaming.into(),
            wanted: true,
            config: Some(StreamConfig {
                device: "test:front".into(),
                max_subscribers: 8,
                ..StreamConfig::default()
            }),
            format: Some(VideoFormat {
                format: "NV12".into(),
                size: Some(Size {
                    width: 640,
                    height: 480,
                }),
                framerate: Some(Framerate {
                    numerator: 30,
                    denominator: 1,
                }),
                memory: Memory::Memfd.into(),
                epoch: 1,
            }),
            frames: Some(FrameCounters {
                published: 100,
                corrupt: 3,
                late: 2,
                delay: Some(ms(41)),
                fps: 29.97,
                last_frame_age: Some(ms(12)),
                ..FrameCounters::default()
            }),
            subscribers: vec![subscriber],
            software: true,
            plan: Some(NormalisePlan {
                software: true,
                text: "NV12 640x480 at 30 fps -> NV12 in memfds".into(),
                ..NormalisePlan::default()
            }),
            chain: vec!["videotestsrc".into(), "mosframesink".into()],
            bus_socket: "/run/x/front.sock".into(),
            clock: Some(FrameClock {
                source: "ntp-relative".into(),
                error: Some(prost_types::Duration {
                    seconds: 0,
                    nanos: 1_250_000,
                }),
                camera_ahead: Some(prost_types::Duration {
                    seconds: -3,
                    nanos: -500_000_000,
                }),
            }),
            session: Some(Session {
                protocol: "RTSP over TCP".into(),
                security: "plain".into(),
                codec: "H.264".into(),
                peer: "10.0.0.7:554".into(),
                details: vec![SessionDetail {
                    about: "track".into(),
                    text: "0 of 2".into(),
                }],
                path: Some(MediaPath {
                    local: "relay".into(),
                    remote: "host".into(),
                    protocol: "UDP".into(),
                    relay_protocol: "tcp".into(),
                }),
                ..Session::default()
            }),
            ..StreamStatus::default()
        }
    }

    fn waiting() -> StreamStatus {
        StreamStatus {
            stream: "door".into(),
            state: State::Backoff.into(),
            wanted: true,
            fault: Some(Fault {
                message: "no answer from cam:554".into(),
                hint: "check its power".into(),
                ..Fault::default()
            }),
            attempt: 4,
            next_attempt_in: Some(ms(700)),
            config: Some(StreamConfig {
                device: "rtsp:door".into(),
                ..StreamConfig::default()
            }),
            ..StreamStatus::default()
        }
    }

    #[test]
    fn the_overview_shows_every_stream_and_why_one_does_not_stream() {
        let service = ServiceStatus {
            version: "0.1.0".into(),
            build: "development".into(),
            frame_dir: "/run/x".into(),
            state_saved: true,
            ..ServiceStatus::default()
        };
        let status = GetStatusResponse {
            service: Some(service),
            streams: vec![waiting(), streaming()],
        };
        assert_eq!(
            render(&status, false),
            "\
mos-camera-capture 0.1.0 (development build), frames in /run/x

STREAM  STATE      WANTED  SIZE      FPS  FRAMES   LAST  SUBS  DROPS  DEVICE
door    backoff    yes     -           -       0      -     0      0  rtsp:door
front   streaming  yes     640x480  30.0     100  12 ms     1     20  test:front

door: no answer from cam:554 (check its power); attempt 4 failed, next in 700 ms
"
        );
    }

    #[test]
    fn a_named_stream_is_shown_in_detail() {
        let text = render(
            &GetStatusResponse {
                service: None,
                streams: vec![streaming()],
            },
            true,
        );
        for part in [
            "  format       NV12 640x480 at 30 fps in memfd, epoch 1\n",
            "  elements     videotestsrc ! mosframesink\n",
            "  bus socket   /run/x/front.sock\n",
            "  frames       100 published, 0 copied, 0 violations, 3 broken, 2 late, published 41 ms after capture or arrival\n",
            "  session      RTSP over TCP with 10.0.0.7:554, H.264\n",
            "  clock        ntp-relative, to 1250 µs; the camera's is 3.5 s behind this machine's\n",
            "  security     plain\n",
            "  track        0 of 2\n",
            "  media path   relay to host over UDP, the relay by tcp\n",
            "  plan         NV12 640x480 at 30 fps -> NV12 in memfds\n",
            "  per frame    no copy, software (development build only)\n",
            "  SUBSCRIBER   PID  WINDOW  HOLD  OFFERED  CLAIMED  DROPPED  HELD\n",
            "  slow        4242       2     1      100       80       20     1\n",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }

    #[test]
    fn violations_are_told_also_of_a_stream_that_streams() {
        let mut broken = streaming();
        broken.frames = Some(FrameCounters {
            violations: 3,
            violations_by_kind: Some(Violations {
                refused_maps: 2,
                mapped_dmabufs: 1,
                ..Violations::default()
            }),
            ..FrameCounters::default()
        });
        let service = ServiceStatus {
            state_saved: true,
            stray_mappings: 7,
            ..ServiceStatus::default()
        };
        let text = render(
            &GetStatusResponse {
                service: Some(service),
                streams: vec![broken],
            },
            false,
        );
        for part in [
            "\nfront: 3 violations of the contract: 2 maps refused, 1 mapped dma-buf found\n",
            "mapped dma-bufs that are no stream's: 7 so far",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert_eq!(violations_line(&streaming()), None);
    }

    #[test]
    fn an_insecure_session_is_told_also_in_the_overview() {
        let mut status = GetStatusResponse {
            service: None,
            streams: vec![streaming()],
        };
        assert!(!render(&status, false).contains("INSECURE"));
        let session = status.streams[0].session.as_mut().unwrap();
        (session.insecure, session.security) = (true, "INSECURE: certificate not checked".into());
        assert!(render(&status, false).contains("\nfront: INSECURE: certificate not checked\n"));
    }

    #[test]
    fn the_table_fits_with_long_names() {
        let long = StreamStatus {
            stream: "x".repeat(64),
            ..streaming()
        };
        let status = GetStatusResponse {
            service: None,
            streams: vec![long],
        };
        let widest = table(&status.streams)
            .lines()
            .map(|l| l.chars().count())
            .max();
        assert!(widest <= Some(WIDTH), "{widest:?}");
    }

    #[test]
    fn a_camera_that_is_not_there_is_told() {
        let mut absent = waiting();
        (absent.state, absent.fault) = (State::Absent.into(), None);
        let line = fault_line(&absent).unwrap();
        assert!(
            line.contains("rtsp:door is not there") && line.contains("by itself"),
            "{line}"
        );
        absent.wanted = false;
        assert!(!fault_line(&absent).unwrap().contains("by itself"));
    }

    #[test]
    fn a_platform_that_the_configuration_names_is_told() {
        let overview = |platform| {
            let service = ServiceStatus {
                state_saved: true,
                platform: Some(platform),
                ..ServiceStatus::default()
            };
            let status = GetStatusResponse {
                service: Some(service),
                streams: vec![streaming()],
            };
            render(&status, false)
        };
        let found = Platform {
            family: "qcs".into(),
            ..Platform::default()
        };
        assert!(!overview(found.clone()).contains("this machine"));
        let text = overview(Platform {
            overridden_family: "imx8mp".into(),
            overridden_ground: "the device tree says fsl,imx8mp".into(),
            ..found
        });
        let line = "\nThe configuration says that this machine is qcs; by itself it would be imx8mp: the device tree says fsl,imx8mp\n";
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn a_state_that_was_not_saved_is_told() {
        let service = ServiceStatus {
            state_problem: "disk full".into(),
            ..ServiceStatus::default()
        };
        let text = render(
            &GetStatusResponse {
                service: Some(service),
                streams: vec![],
            },
            false,
        );
        assert!(
            text.contains("would not survive a restart: disk full") && text.contains("No streams."),
            "{text}"
        );
    }
}
