//! Every command against a gRPC server on a Unix socket: what it asks, what it prints, how it exits.
//!
//! The server answers by script, so that each answer can be had at will, those too that a healthy service does not give.
//! Its reasons are the service's words (`control/fail.rs` there). `mosctl` against the real service is a test of the
//! service: `tests/service/mosctl.rs` of `mos-camera-capture`.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod common;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use common::{Running, json_error, json_lines, run, stderr, stdout};
use mos_camera_api::status_with_detail;
use mos_camera_api::v1::capture_control_service_server::{
    CaptureControlService, CaptureControlServiceServer,
};
use mos_camera_api::v1::capture_event_service_server::{
    CaptureEventService, CaptureEventServiceServer,
};
use mos_camera_api::v1::capture_inspect_service_server::{
    CaptureInspectService, CaptureInspectServiceServer,
};
use mos_camera_api::v1::{
    Capability, CaptureFormat, CheckAccessRequest, CheckAccessResponse, ConfigureStreamRequest,
    ConfigureStreamResponse, Device, ErrorDetail, Event, ExplainDeviceRequest,
    ExplainDeviceResponse, FrameMemory, Framerate, GetStatusRequest, GetStatusResponse, Health,
    Lagged, ListDevicesRequest, ListDevicesResponse, NormalisePlan, OnViolation, PlanProblem,
    RecordRegistryRequest, RecordRegistryResponse, RejectedPlan, ResetCaptureRequest,
    ResetCaptureResponse, ServiceStatus, Size, StartCaptureRequest, StartCaptureResponse, State,
    StateChanged, StopCaptureRequest, StopCaptureResponse, StreamConfig, StreamStatus, Transport,
    WatchEventsRequest, event,
};
use rustix::process::Signal;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::{Code, Request, Response, Status};

type Answer<T> = Result<Response<T>, Status>;
type Watcher = mpsc::Sender<Result<Event, Status>>;

/// Answers by the stream's name: an error of that name, or what goes well.
#[derive(Debug, Clone, Default)]
struct Script {
    configured: Arc<Mutex<Option<ConfigureStreamRequest>>>,
    /// Held open so that the events don't end; dropped to end them.
    watcher: Arc<Mutex<Option<Watcher>>>,
}

fn by_name(stream: &str) -> Result<(), Status> {
    let hint = "do this".to_owned();
    let detail = |reason: &str| ErrorDetail {
        reason: reason.into(),
        hint: hint.clone(),
        ..ErrorDetail::default()
    };
    match stream {
        "missing" => Err(status_with_detail(
            Code::NotFound,
            "no stream `missing`",
            detail("UNKNOWN_STREAM"),
        )),
        "idle" => Err(status_with_detail(
            Code::FailedPrecondition,
            "`idle` is not configured",
            detail("NOT_CONFIGURED"),
        )),
        "full" => Err(status_with_detail(
            Code::ResourceExhausted,
            "disk full",
            detail("NOT_SAVED"),
        )),
        "secret" => Err(Status::permission_denied("uid 7 may not do that")),
        "broken" => Err(Status::internal("a bug")),
        _ => Ok(()),
    }
}

fn camera() -> Capability {
    Capability {
        format: "NV12".into(),
        sizes: vec![Size {
            width: 640,
            height: 480,
        }],
        framerates: vec![Framerate {
            numerator: 30,
            denominator: 1,
        }],
        ..Capability::default()
    }
}

fn status_of(stream: &str) -> StreamStatus {
    StreamStatus {
        stream: stream.into(),
        state: State::Streaming.into(),
        wanted: true,
        ..StreamStatus::default()
    }
}

#[tonic::async_trait]
impl CaptureControlService for Script {
    async fn list_devices(&self, _: Request<ListDevicesRequest>) -> Answer<ListDevicesResponse> {
        let device = Device {
            id: "test:front".into(),
            transport: Transport::Test.into(),
            health: Health::Ready.into(),
            capabilities: vec![camera()],
            ..Device::default()
        };
        Ok(Response::new(ListDevicesResponse {
            devices: vec![device],
            problems: vec![],
        }))
    }

    async fn configure_stream(
        &self,
        request: Request<ConfigureStreamRequest>,
    ) -> Answer<ConfigureStreamResponse> {
        let request = request.into_inner();
        let config = request.config.clone().unwrap();
        if config.size
            == Some(Size {
                width: 800,
                height: 600,
            })
        {
            let detail = ErrorDetail {
                reason: "UNSUPPORTED_SIZE".into(),
                field: "config.size".into(),
                supported: vec![camera()],
                ..ErrorDetail::default()
            };
            return Err(status_with_detail(
                Code::InvalidArgument,
                "no 800x600",
                detail,
            ));
        }
        *self.configured.lock().unwrap() = Some(request);
        Ok(Response::new(ConfigureStreamResponse {
            config: Some(config),
            unchanged: false,
        }))
    }

    async fn start_capture(
        &self,
        request: Request<StartCaptureRequest>,
    ) -> Answer<StartCaptureResponse> {
        by_name(&request.get_ref().stream)?;
        Ok(Response::new(StartCaptureResponse {
            already_started: request.get_ref().stream == "running",
        }))
    }

    async fn stop_capture(
        &self,
        request: Request<StopCaptureRequest>,
    ) -> Answer<StopCaptureResponse> {
        by_name(&request.get_ref().stream)?;
        Ok(Response::new(StopCaptureResponse {
            already_stopped: request.get_ref().stream == "stopped",
        }))
    }

    async fn get_status(&self, request: Request<GetStatusRequest>) -> Answer<GetStatusResponse> {
        let names = request.into_inner().streams;
        names.iter().try_for_each(|name| by_name(name))?;
        let streams = if names.is_empty() {
            vec!["front".to_owned()]
        } else {
            names
        };
        let streams = streams.iter().map(|name| status_of(name)).collect();
        Ok(Response::new(GetStatusResponse {
            service: Some(ServiceStatus::default()),
            streams,
        }))
    }

    async fn reset_capture(
        &self,
        request: Request<ResetCaptureRequest>,
    ) -> Answer<ResetCaptureResponse> {
        by_name(&request.get_ref().stream)?;
        Ok(Response::new(ResetCaptureResponse {}))
    }
}

#[tonic::async_trait]
impl CaptureEventService for Script {
    type WatchEventsStream = ReceiverStream<Result<Event, Status>>;

    async fn watch_events(
        &self,
        _: Request<WatchEventsRequest>,
    ) -> Answer<Self::WatchEventsStream> {
        let (sender, receiver) = mpsc::channel(4);
        let event = |kind| {
            Ok(Event {
                at: None,
                kind: Some(kind),
            })
        };
        let change = StateChanged {
            stream: "front".into(),
            from: State::Streaming.into(),
            to: State::Stalled.into(),
            fault: None,
        };
        sender
            .send(event(event::Kind::Snapshot(Box::new(status_of("front")))))
            .await
            .unwrap();
        sender
            .send(event(event::Kind::StateChanged(change)))
            .await
            .unwrap();
        *self.watcher.lock().unwrap() = Some(sender);
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

#[tonic::async_trait]
impl CaptureInspectService for Script {
    /// No way for `test:closed`, none such for `test:missing`; the others are asked for just what the wish says.
    async fn explain_device(
        &self,
        request: Request<ExplainDeviceRequest>,
    ) -> Answer<ExplainDeviceResponse> {
        let ExplainDeviceRequest {
            device,
            size,
            framerate,
            max_subscribers,
        } = request.into_inner();
        let capture = CaptureFormat {
            format: "NV12".into(),
            size,
            framerate,
            ..CaptureFormat::default()
        };
        let mut explained = ExplainDeviceResponse {
            device,
            build: "development".into(),
            ..ExplainDeviceResponse::default()
        };
        match explained.device.as_str() {
            "test:missing" => {
                let detail = ErrorDetail {
                    reason: "UNKNOWN_DEVICE".into(),
                    ..ErrorDetail::default()
                };
                return Err(status_with_detail(Code::NotFound, "no such device", detail));
            }
            "test:closed" => {
                let (reason, message) = ("NEEDS_CPU".into(), "only the CPU could".into());
                explained.problem = Some(PlanProblem {
                    reason,
                    message,
                    hint: "use hardware".into(),
                });
            }
            _ => {
                explained.plan = Some(NormalisePlan {
                    capture: Some(capture.clone()),
                    elements: vec!["vapostproc".into()],
                    memory: FrameMemory::DmaHeap.into(),
                    hardware_copies: 1,
                    text: "NV12 -> NV12 in dma-heap dma-bufs".into(),
                    rule: "copy-va".into(),
                    why: "it has to".into(),
                    origin: "/etc/board.toml".into(),
                    traps: vec!["vapostproc: slow".into()],
                    limit: match max_subscribers {
                        0 => String::new(),
                        wanted => format!("{wanted} are wanted"),
                    },
                    ..NormalisePlan::default()
                });
            }
        }
        let (reason, message) = ("COSTLIER".into(), "it costs more".into());
        explained.rejected = vec![RejectedPlan {
            capture: Some(capture),
            reason,
            message,
            ..RejectedPlan::default()
        }];
        Ok(Response::new(explained))
    }

    async fn record_registry(
        &self,
        _: Request<RecordRegistryRequest>,
    ) -> Answer<RecordRegistryResponse> {
        Ok(Response::new(RecordRegistryResponse {
            registry: "gstreamer 1.22.0\nelement vpudec\n".into(),
        }))
    }

    async fn check_access(&self, _: Request<CheckAccessRequest>) -> Answer<CheckAccessResponse> {
        Err(Status::unimplemented("an older service"))
    }
}

/// A running server; it ends when this is dropped.
struct Service {
    script: Script,
    socket: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _dir: tempfile::TempDir,
}

impl Service {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("control.sock");
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (stop, stopped) = oneshot::channel();
        let script = Script::default();
        let thread = std::thread::spawn({
            let script = script.clone();
            move || serve(listener, script, stopped)
        });
        Self {
            script,
            socket,
            stop: Some(stop),
            thread: Some(thread),
            _dir: dir,
        }
    }

    fn args<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        [args, &["--socket", self.socket.to_str().unwrap()]].concat()
    }

    fn run(&self, args: &[&str]) -> std::process::Output {
        run(&self.args(args))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn serve(
    listener: std::os::unix::net::UnixListener,
    script: Script,
    stopped: oneshot::Receiver<()>,
) {
    let listener = tokio::net::UnixListener::from_std(listener).unwrap();
    tonic::transport::Server::builder()
        .add_service(CaptureControlServiceServer::new(script.clone()))
        .add_service(CaptureInspectServiceServer::new(script.clone()))
        .add_service(CaptureEventServiceServer::new(script))
        .serve_with_incoming_shutdown(UnixListenerStream::new(listener), async {
            let _ = stopped.await;
        })
        .await
        .unwrap();
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.script.watcher.lock().unwrap().take());
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            assert!(
                thread.join().is_ok() || std::thread::panicking(),
                "the server failed"
            );
        }
    }
}

#[test]
fn devices_are_listed() {
    let service = Service::new();
    let text = stdout(&service.run(&["devices"]));
    assert!(
        text.contains("test:front") && text.contains("NV12 640x480 at 30 fps"),
        "{text}"
    );
    let json = &json_lines(&service.run(&["devices", "--json"]))[0];
    assert_eq!(json["devices"][0]["transport"], "test");
    assert_eq!(json["devices"][0]["capabilities"][0]["framerates"][0], "30");
}

#[test]
fn a_device_is_explained() {
    let service = Service::new();
    let args = [
        "explain",
        "test:front",
        "--size",
        "640x480",
        "--framerate",
        "30000/1001",
        "--max-subscribers",
        "5",
    ];
    let output = service.run(&args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    for part in [
        "test:front: NV12 -> NV12 in dma-heap dma-bufs\n",
        "  per frame: 1 copy by hardware\n",
        "  rule copy-va: it has to\n",
        "  said by: /etc/board.toml\n",
        "  known trap: vapostproc: slow\n",
        "  limit: 5 are wanted;",
        "rejected:\n  NV12 640x480: it costs more\n",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let json = &json_lines(&service.run(&[&args[..], &["--json"]].concat()))[0];
    let plan = &json["plan"];
    assert_eq!(plan["capture"]["framerate"], "30000/1001");
    assert_eq!(
        (&plan["memory"], &plan["hardware_copies"]),
        (&"dma_heap".into(), &1.into())
    );
    assert_eq!(
        (&plan["elements"][0], &json["problem"]),
        (&"vapostproc".into(), &serde_json::Value::Null)
    );
    assert_eq!(json["rejected"][0]["reason"], "COSTLIER");
}

#[test]
fn a_report_has_the_registry_and_says_what_it_lacks() {
    let service = Service::new();
    let output = service.run(&["doctor", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    let registry = "gstreamer 1.22.0\nelement vpudec\n";
    assert_eq!(report["registry"], registry, "{report}");
    assert_eq!(report["access"], serde_json::Value::Null, "{report}");
    let findings = report["findings"].as_array().unwrap().iter();
    let missing = "the service did not say which nodes it may use";
    let told = |finding: &serde_json::Value| finding["what"].as_str().unwrap().starts_with(missing);
    assert_eq!(findings.filter(|&finding| told(finding)).count(), 1);

    let output = service.run(&["doctor"]);
    let text = stdout(&output);
    assert!(text.contains("  gstreamer 1.22.0\n"), "{text}");
    assert!(text.contains("  others    1 decoders"), "{text}");
}

#[test]
fn a_registry_is_recorded_into_a_file() {
    let service = Service::new();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("board.txt");
    let record = |path: &std::path::Path| {
        service.run(&["doctor", "--record-registry", path.to_str().unwrap()])
    };
    let output = record(&path);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains(path.to_str().unwrap()));
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("# Recorded by `mosctl doctor"), "{text}");
    assert!(
        text.ends_with("gstreamer 1.22.0\nelement vpudec\n"),
        "{text}"
    );
    let registry: mos_camera_core::plan::Registry = text.parse().unwrap();
    assert!(registry.machine.elements.contains_key("vpudec"));
    let output = record(&dir.path().join("no/such/folder"));
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("can't write"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn that_there_is_no_way_is_an_answer() {
    let service = Service::new();
    let output = service.run(&["explain", "test:closed"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(
        stdout(&output).starts_with("only the CPU could\n  use hardware\n"),
        "{}",
        stdout(&output)
    );
    let json = &json_lines(&service.run(&["explain", "test:closed", "--json"]))[0];
    assert_eq!(json["problem"]["reason"], "NEEDS_CPU");
    assert!(json["plan"].is_null());
    let missing = service.run(&["explain", "test:missing", "--json"]);
    assert_eq!(missing.status.code(), Some(4));
    assert_eq!(json_error(&missing)["reason"], "UNKNOWN_DEVICE");
}

#[test]
fn a_configuration_arrives_as_it_was_typed() {
    let service = Service::new();
    let output = service.run(&[
        "configure",
        "front",
        "--device",
        "test:front",
        "--size",
        "640x480",
        "--framerate",
        "30000/1001",
        "--first-frame-timeout",
        "1m",
        "--steady-timeout",
        "250ms",
        "--max-subscribers",
        "3",
        "--on-violation",
        "stop",
        "--control",
        "gain=7",
        "--control",
        "hue=-3",
        "--profile",
        "main",
        "--set-encoder",
        "--json",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let duration = |seconds, nanos| Some(prost_types::Duration { seconds, nanos });
    let expected = StreamConfig {
        device: "test:front".into(),
        size: Some(Size {
            width: 640,
            height: 480,
        }),
        framerate: Some(Framerate {
            numerator: 30_000,
            denominator: 1001,
        }),
        first_frame_timeout: duration(60, 0),
        steady_timeout: duration(0, 250_000_000),
        max_subscribers: 3,
        controls: [("gain".to_owned(), 7), ("hue".to_owned(), -3)].into(),
        on_violation: OnViolation::Stop.into(),
        profile: "main".into(),
        set_encoder: true,
    };
    let got = service.script.configured.lock().unwrap().take().unwrap();
    assert_eq!((got.stream.as_str(), got.config), ("front", Some(expected)));
    assert_eq!(json_lines(&output)[0]["config"]["steady_timeout_ms"], 250);
}

#[test]
fn what_is_not_typed_is_left_to_the_service() {
    let service = Service::new();
    service.run(&["configure", "front", "--device", "test:front"]);
    let got = service.script.configured.lock().unwrap().take().unwrap();
    assert_eq!(
        got.config,
        Some(StreamConfig {
            device: "test:front".into(),
            ..StreamConfig::default()
        })
    );
}

#[test]
fn a_refused_value_lists_what_is_supported() {
    let service = Service::new();
    let args = [
        "configure",
        "front",
        "--device",
        "test:front",
        "--size",
        "800x600",
    ];
    let output = service.run(&args);
    assert_eq!(output.status.code(), Some(5));
    assert_eq!(
        stderr(&output),
        "mosctl: no 800x600\n  supported: NV12 640x480 at 30 fps\n"
    );
    let error = json_error(&service.run(&[&args[..], &["--json"]].concat()));
    assert_eq!(
        (&error["reason"], &error["field"]),
        (&"UNSUPPORTED_SIZE".into(), &"config.size".into())
    );
    assert_eq!(error["supported"][0]["sizes"][0]["width"], 640);
}

#[test]
fn start_stop_and_reset_tell_what_they_did() {
    let service = Service::new();
    for (args, text) in [
        (["start", "front"], "front started\n"),
        (["start", "running"], "running was already started\n"),
        (["stop", "front"], "front stopped\n"),
        (["stop", "stopped"], "stopped was already stopped\n"),
        (["reset", "front"], "front reset\n"),
    ] {
        let output = service.run(&args);
        assert_eq!(
            (output.status.code(), stdout(&output).as_str()),
            (Some(0), text)
        );
    }
    let json = &json_lines(&service.run(&["start", "running", "--json"]))[0];
    assert_eq!(
        (&json["done"], &json["already"]),
        (&"started".into(), &true.into())
    );
}

#[test]
fn each_error_has_its_exit_code_message_and_hint() {
    let service = Service::new();
    for (stream, code, word) in [
        ("missing", 4, "not_found"),
        ("idle", 6, "failed_precondition"),
        ("secret", 7, "permission"),
        ("full", 8, "unavailable"),
        ("broken", 1, "other"),
    ] {
        for command in ["start", "stop", "reset", "status"] {
            let output = service.run(&[command, stream, "--json"]);
            assert_eq!(output.status.code(), Some(code), "{command} {stream}");
            assert_eq!(json_error(&output)["code"], word);
        }
    }
    let text = stderr(&service.run(&["start", "missing"]));
    assert_eq!(text, "mosctl: no stream `missing`\n  what to do: do this\n");
}

#[test]
fn status_is_for_all_streams_or_for_those_named() {
    let service = Service::new();
    assert!(stdout(&service.run(&["status"])).contains("\nfront   streaming  yes"));
    let json = &json_lines(&service.run(&["status", "a", "b", "--json"]))[0];
    let names: Vec<&str> = json["streams"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|s| s["stream"].as_str())
        .collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn watch_prints_events_until_ctrl_c_and_then_a_summary() {
    let service = Service::new();
    let mut running = Running::new(&service.args(&["watch"]));
    assert_eq!(running.line(), "-  front is streaming\n");
    assert_eq!(running.line(), "-  front streaming -> stalled\n");
    let (code, rest) = running.end(Signal::INT);
    assert_eq!(
        (code, rest.as_slice()),
        (
            Some(0),
            &["Seen: 1 state change, 0 device events".to_owned()][..]
        )
    );
}

#[test]
fn a_service_that_ends_ends_the_watch_with_a_code() {
    let service = Service::new();
    let mut running = Running::new(&service.args(&["watch", "--json"]));
    running.json_until(|event| event["event"] == "state_changed");
    drop(service);
    assert_eq!(running.exit_code(), Some(8));
}

#[test]
fn a_watch_whose_reader_goes_away_ends_quietly() {
    let service = Service::new();
    let mut running = Running::new(&service.args(&["watch", "--json"]));
    running.json_until(|event| event["event"] == "snapshot");
    running.close_stdout();
    let watcher = service.script.watcher.lock().unwrap().clone();
    // The first line after the reader left is the one that can't be written.
    if let Some(watcher) = watcher {
        let lagged = event::Kind::Lagged(Lagged { lost: 1 });
        watcher
            .blocking_send(Ok(Event {
                at: None,
                kind: Some(lagged),
            }))
            .unwrap();
    }
    assert_eq!(running.exit_code(), Some(0));
}
