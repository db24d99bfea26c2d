//! Every launch line of docs/bindings/gstreamer.md does what the document says.
#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use common::{DEADLINE, next};
use mos_frame::{Subscriber, SubscriberOptions};
use mos_testkit::{TempBus, wait_until};
use rustix::process::{Pid, Signal, kill_process};

/// Lines of the document, with what is said of them.
#[derive(Debug, Default)]
struct Lines {
    publish: Vec<String>,
    receive: Vec<String>,
    /// Each with what it has to say.
    fails: Vec<(String, String)>,
}

fn document() -> Lines {
    let path = mos_testkit::paths::root().join("docs/bindings/gstreamer.md");
    let text = fs::read_to_string(path).unwrap();
    let mut lines = Lines::default();
    let mut fence: Option<(String, String)> = None;
    for line in text.lines() {
        match (&mut fence, line.strip_prefix("```")) {
            (None, Some(kind)) => fence = Some((kind.to_owned(), String::new())),
            (Some((_, body)), None) => {
                body.push_str(line);
                body.push('\n');
            }
            (Some(_), Some(_)) => lines.add(fence.take().unwrap()),
            (None, None) => {}
        }
    }
    lines
}

impl Lines {
    fn add(&mut self, (kind, body): (String, String)) {
        let body = body.trim().to_owned();
        match kind.as_str() {
            "sh publish" => self.publish.push(body),
            "sh receive" => self.receive.push(body),
            "sh fails" => self.fails.push((body, String::new())),
            "text" => self.fails.last_mut().unwrap().1 = body,
            _ => assert!(
                !body.contains("gst-launch-1.0"),
                "a line that nothing runs: {body}"
            ),
        }
    }
}

/// A folder with the plugin, the streams and what the lines write.
struct Place(TempBus);

impl Place {
    fn new() -> Self {
        let bus = TempBus::new().unwrap();
        let plugins = bus.dir().join("plugins");
        fs::create_dir(&plugins).unwrap();
        let plugin = mos_testkit::paths::plugin().unwrap();
        std::os::unix::fs::symlink(plugin, plugins.join("libgstmos.so")).unwrap();
        Self(bus)
    }

    fn run(&self, line: &str) -> Running {
        let line = line.replace("autovideosink", "fakevideosink");
        let log = self.0.dir().join("log");
        let output = fs::File::create(&log).unwrap();
        let process = Command::new("sh")
            .arg("-c")
            .arg(format!("exec {line}"))
            .current_dir(self.0.dir())
            .env("GST_PLUGIN_PATH", self.0.dir().join("plugins"))
            .env("GST_REGISTRY", self.0.dir().join("registry"))
            .env("MOS_FRAME_DIR", self.0.dir())
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        Running { line, process, log }
    }

    fn subscribe(&self) -> Subscriber {
        let options = SubscriberOptions {
            timeout: DEADLINE,
            ..SubscriberOptions::default()
        };
        Subscriber::await_stream(&self.0.socket("front"), options).unwrap()
    }
}

/// A line that runs; killed if the test fails before its end.
struct Running {
    line: String,
    process: Child,
    log: PathBuf,
}

impl Running {
    /// Its end and all it said.
    fn wait(&mut self) -> (bool, String) {
        let ended = wait_until(&self.line, DEADLINE, || self.process.try_wait().unwrap());
        let said = fs::read_to_string(&self.log).unwrap();
        (
            ended
                .unwrap_or_else(|late| panic!("{late}: {said}"))
                .success(),
            said,
        )
    }

    /// Ends it as Ctrl-C would.
    fn interrupt(&mut self) -> (bool, String) {
        kill_process(Pid::from_child(&self.process), Signal::INT).unwrap();
        self.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn producers_publish() {
    let lines = document().publish;
    assert!(lines.len() >= 3, "{lines:?}");
    for line in lines {
        let place = Place::new();
        let mut running = place.run(&line);
        let mut subscriber = place.subscribe();
        let first = next(&mut subscriber).seq();
        assert!(next(&mut subscriber).seq() > first);
        let (ok, said) = running.interrupt();
        assert!(ok, "{line}: {said}");
    }
}

#[test]
fn consumers_receive() {
    let lines = document();
    assert!(lines.receive.len() >= 4, "{lines:?}");
    let place = Place::new();
    let _producer = place.run(&lines.publish[0]);
    let _ready = next(&mut place.subscribe());
    for line in lines.receive {
        let mut running = place.run(&line);
        let (ok, said) = if line.contains("num-buffers") {
            running.wait()
        } else {
            wait_until(&line, DEADLINE, || {
                fs::read_to_string(&running.log)
                    .unwrap()
                    .contains("Redistribute latency")
                    .then_some(())
            })
            .unwrap();
            running.interrupt()
        };
        assert!(ok, "{line}: {said}");
        assert!(
            !said.contains("ERROR") && !said.contains("WARNING"),
            "{line}: {said}"
        );
    }
    let written = |name: &str| fs::metadata(place.0.dir().join(name)).unwrap().len();
    assert!(written("front-19.jpg") > 1000 && written("front.avi") > 10_000);
}

#[test]
fn what_fails_says_why() {
    let lines = document();
    assert!(lines.fails.len() >= 5, "{lines:?}");
    let place = Place::new();
    let _producer = place.run(&lines.publish[0]);
    let _ready = next(&mut place.subscribe());
    for (line, reason) in lines.fails {
        let (ok, said) = place.run(&line).wait();
        assert!(
            !ok && !reason.is_empty() && said.contains(&reason),
            "{line}: {said}"
        );
    }
}
