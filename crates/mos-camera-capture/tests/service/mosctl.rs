//! The project's own command line, `mosctl`, as a program against the service as a program: what one prints is what the
//! other did.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use mos_camera_api::v1::State;
use mos_camera_core::platform::CAMERA_SERVICE;
use mos_testkit::{Events, paths, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::bystander::Bystander;
use crate::harness::{Home, PATIENCE, Service, TWO_CAMERAS};

/// A camera without a stream, and one that must not notice what is done to the first.
const UNCONFIGURED: &str =
    "[cameras.subject]\nstream = false\ntest = {}\n[cameras.other]\ntest = {}\n";

/// `mosctl` of this build, which lies beside the service: `cargo test` of the workspace makes both.
fn binary() -> PathBuf {
    let path = crate::harness::binary().with_file_name("mosctl");
    assert!(
        path.is_file(),
        "no {}: run the tests by `./x test`, which builds it, or `cargo build -p mosctl` first, with the profile of the tests",
        path.display()
    );
    path
}

/// `mosctl ARGS --json` for this service.
fn mosctl(service: &Service, args: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command
        .args(args)
        .arg("--json")
        .arg("--socket")
        .arg(service.home.control_socket())
        .arg("--frame-dir")
        .arg(service.home.frame_dir())
        .stdin(Stdio::null());
    command
}

/// The last object that it prints; it has to succeed.
pub(crate) fn done(service: &Service, args: &[&str]) -> Value {
    let output = mosctl(service, args).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "mosctl {args:?}: {said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_str(said.lines().last().unwrap()).unwrap()
}

/// The error that it ends with; it has to exit with this code, and name this reason of the service.
fn failed(service: &Service, args: &[&str], exit: i32, reason: &str) -> Value {
    let output = mosctl(service, args).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(exit), "mosctl {args:?}: {said}");
    let error = serde_json::from_str::<Value>(&said).unwrap()["error"].take();
    assert_eq!(
        (&error["exit"], &error["reason"]),
        (&exit.into(), &reason.into()),
        "{said}"
    );
    error
}

fn configure(size: &str) -> [&str; 6] {
    let device = "test:subject";
    ["configure", "subject", "--device", device, "--size", size]
}

#[tokio::test]
async fn a_stream_is_made_run_looked_at_and_stopped() {
    let service = Service::start(UNCONFIGURED);
    let other = Bystander::watch(&service).await;
    let devices = done(&service, &["devices"]);
    let mut ids: Vec<_> = devices["devices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|device| device["id"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, ["test:other", "test:subject"]);

    let configured = done(&service, &configure("320x240"));
    assert_eq!(configured["config"]["size"]["width"], 320, "{configured}");
    let started = done(&service, &["start", "subject"]);
    assert_eq!(
        (&started["done"], &started["already"]),
        (&"started".into(), &false.into())
    );
    service.wait_state("subject", State::Streaming).await;
    let status = done(&service, &["status", "subject"]);
    let streams = status["streams"].as_array().unwrap();
    assert_eq!(streams.len(), 1, "{status}");
    assert_eq!(
        (&streams[0]["stream"], &streams[0]["state"]),
        (&"subject".into(), &"streaming".into())
    );

    let total = done(&service, &["frames", "subject", "--count", "10"]);
    assert_eq!(
        (&total["type"], &total["stream"], &total["frames"]),
        (&"total".into(), &"subject".into(), &10.into())
    );
    assert!(total["age_p50_us"].is_u64(), "{total}");
    assert_eq!(picture_size(&service), (320, 240));

    let stopped = done(&service, &["stop", "subject"]);
    assert_eq!(stopped["done"], "stopped");
    service.wait_state("subject", State::Configured).await;
    other.did_not_notice();
}

/// The report's findings of one level.
fn findings(report: &Value, level: &str) -> Vec<String> {
    let all = report["findings"].as_array().unwrap();
    all.iter()
        .filter(|finding| finding["level"] == level)
        .map(|finding| finding["what"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_doctor_s_report_has_what_is_wrong_and_what_it_rests_on() {
    let home = crate::harness::Home::new(UNCONFIGURED);
    let service = home.start();
    let report = done(&service, &["doctor"]);
    assert_eq!(findings(&report, "problem"), [""; 0], "{report}");
    let notes = findings(&report, "note");
    assert!(
        notes.contains(&"this is a development build".to_owned()),
        "{notes:?}"
    );
    assert_eq!(report["devices"]["devices"].as_array().unwrap().len(), 2);
    let plans = report["plans"].as_array().unwrap();
    assert_eq!(plans.len(), 2, "{report}");
    assert!(
        plans.iter().all(|plan| plan["plan"].is_object()),
        "{report}"
    );
    assert!(report["service"]["service"]["platform"]["family"].is_string());
    assert!(!report["machine"]["kernel"].as_str().unwrap().is_empty());
    let registry: mos_camera_core::plan::Registry =
        report["registry"].as_str().unwrap().parse().unwrap();
    assert!(!registry.gstreamer.is_empty() && !registry.machine.elements.is_empty());
    let access = &report["access"];
    assert_eq!(
        access["uid"],
        rustix::process::getuid().as_raw(),
        "{access}"
    );
    // Of all nodes, and of the camera service's socket, which the caller may not be able to see.
    let nodes = report["machine"]["nodes"].as_array().unwrap();
    let nodes = nodes.iter().map(|node| node["path"].as_str().unwrap());
    let expected: BTreeSet<_> = nodes.chain([CAMERA_SERVICE]).collect();
    let asked = access["nodes"].as_object().unwrap();
    let asked: BTreeSet<_> = asked.keys().map(String::as_str).collect();
    assert_eq!(asked, expected, "{report}");

    // A camera that is not there is the first finding.
    service
        .home
        .configure("[cameras.gate]\nv4l2.path = '/dev/no-such-node'\n");
    service.signal(Signal::HUP);
    service.wait_state("gate", State::Absent).await;
    let report = done(&service, &["doctor"]);
    let problems = findings(&report, "problem");
    assert!(
        problems
            .iter()
            .any(|problem| problem.contains("stream gate is absent")),
        "{report}"
    );
}

#[tokio::test]
async fn the_platform_has_the_fields_that_print_platform_has() {
    // On a board of Qualcomm's without its camera service there is something in every list but that of media devices, which
    // is this machine's.
    let home = Home::new(&format!("[service]\nplatform = \"qcs\"\n{UNCONFIGURED}"));
    let plugins = tempfile::tempdir().unwrap();
    let library = plugins.path().join("libgstqmmfstandin.so");
    fs::copy(paths::qmmf_standin().unwrap(), library).unwrap();
    let command = |home: &Home| {
        let mut command = home.command();
        command
            .env("GST_PLUGIN_PATH", plugins.path())
            .env("GST_REGISTRY", plugins.path().join("registry.bin"));
        command
    };
    let started = command(&home);
    let service = home.start_as(started);
    let told = done(&service, &["platform"]);
    let printed = command(&service.home).arg("--print-platform").output();
    let mut printed: Value = serde_json::from_slice(&printed.unwrap().stdout).unwrap();
    let printed = printed.as_object_mut().unwrap();
    printed.remove("sysroot").expect("what only the other has");
    let mut told = told.as_object().unwrap().clone();
    told.remove("profiles").expect("what only this one has");
    assert_eq!(&told, printed);
    for list in ["refused", "problems", "elements"] {
        assert_ne!(told[list], Value::Array(vec![]), "{list} is not compared");
    }
}

/// Takes a picture of the stream `subject` and reads its size from its header (PNG, third edition, 11.2.1).
fn picture_size(service: &Service) -> (u32, u32) {
    let file = service.home.path().join("subject.png");
    done(service, &["snapshot", "subject", file.to_str().unwrap()]);
    let png = fs::read(file).unwrap();
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

#[tokio::test]
async fn what_the_service_refuses_has_its_exit_code() {
    let service = Service::start(UNCONFIGURED);
    let other = Bystander::watch(&service).await;
    let idle = failed(&service, &["start", "subject"], 6, "NOT_CONFIGURED");
    assert_eq!(idle["hint"], "configure the stream first");
    for command in ["start", "stop", "reset", "status"] {
        let unknown = failed(&service, &[command, "nowhere"], 4, "UNKNOWN_STREAM");
        assert!(!unknown["hint"].as_str().unwrap().is_empty(), "{unknown}");
    }
    let size = failed(&service, &configure("16384x16384"), 5, "UNSUPPORTED_SIZE");
    assert_eq!(size["field"], "config.size");
    assert!(!size["supported"].as_array().unwrap().is_empty(), "{size}");
    assert_eq!(service.status("subject").await.state(), State::Idle);
    other.did_not_notice();
}

/// A running `mosctl watch`; killed on drop.
#[derive(Debug)]
struct Watch {
    child: Child,
    lines: Events<Value>,
}

impl Watch {
    fn new(service: &Service) -> Self {
        let mut child = mosctl(service, &["watch", "subject"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = Events::new();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).unwrap()).is_err() {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    /// The next event, whatever it is.
    fn next(&self) -> Value {
        let any = |event: &Value| Some(event.clone());
        self.lines.wait_for("an event", PATIENCE, any).unwrap()
    }

    /// Waits until the stream has come into a state.
    fn state(&self, state: &str) {
        let wanted = |event: &Value| {
            (event["event"] == "state_changed" && event["to"] == state).then_some(())
        };
        self.lines.wait_for(state, PATIENCE, wanted).unwrap();
    }

    /// Ends it as Ctrl-C does.
    fn interrupt(&mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        let ended = || self.child.try_wait().unwrap();
        wait_until("the end of mosctl", PATIENCE, ended)
            .unwrap()
            .code()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[tokio::test]
async fn watch_begins_with_how_things_are_and_then_tells_every_change() {
    let service = Service::start(TWO_CAMERAS);
    let other = Bystander::watch(&service).await;
    service.wait_state("subject", State::Streaming).await;
    let mut watch = Watch::new(&service);
    let first = watch.next();
    assert_eq!(
        (&first["event"], &first["stream"], &first["state"]),
        (&"snapshot".into(), &"subject".into(), &"streaming".into()),
        "{first}"
    );
    let reset = done(&service, &["reset", "subject"]);
    assert_eq!(reset["done"], "reset");
    for state in ["starting", "streaming"] {
        watch.state(state);
    }
    done(&service, &["stop", "subject"]);
    for state in ["stopping", "configured"] {
        watch.state(state);
    }
    assert_eq!(watch.interrupt(), Some(0));
    other.did_not_notice();
}
