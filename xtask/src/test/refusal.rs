//! What a production service can't do without the CPU it explains, and refuses when it is configured.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::error::Error;
use crate::exec::Running;

/// Longest wait for the service to answer.
const STARTUP: Duration = Duration::from_mins(1);
const TICK: Duration = Duration::from_millis(100);
/// Longest wait for it to end.
const STOP: Duration = Duration::from_secs(20);
/// `mosctl`'s code for what is not possible in this state.
const NOT_POSSIBLE: i32 = 6;

/// A network camera, of which it is known without asking it that it gives H.264. Nobody is at the address.
const CAMERAS: &str = "[cameras.door]\nstream = false\nrtsp.url = 'rtsp://127.0.0.1:9/none'\n";

/// Whether the programs in `folder` keep to it: no plan in software, and without a plan no configuration.
///
/// On a machine with a decoder in hardware the configuration is accepted.
pub(crate) fn holds(folder: &Path) -> Result<bool, Error> {
    let files = tempfile::tempdir().map_err(Error::io("cannot make a temporary folder"))?;
    let config = files.path().join("c.toml");
    fs::write(&config, CAMERAS).map_err(Error::path("write", &config))?;
    let socket = files.path().join("control.sock");
    let mut command = Command::new(folder.join("mos-camera-capture"));
    command
        .arg("--config")
        .arg(&config)
        .arg("--control-socket")
        .arg(&socket);
    command.arg("--frame-dir").arg(files.path().join("frames"));
    command
        .arg("--state-file")
        .arg(files.path().join("state.json"));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut service = Running::spawn("the production service", &mut command)?;
    let mosctl = |args: &[&str]| ask(&folder.join("mosctl"), &socket, args);
    let told = explained(&mosctl).and_then(|explained| {
        let configured = mosctl(&["configure", "door", "--device", "rtsp:door"])?;
        Ok(is_kept(&explained, &configured))
    });
    service.stop(Signal::TERM, STOP)?;
    told
}

fn ask(mosctl: &Path, socket: &Path, args: &[&str]) -> Result<Output, Error> {
    let mut command = Command::new(mosctl);
    command
        .args(args)
        .args(["--json", "--socket"])
        .arg(socket)
        .stdin(Stdio::null());
    command.output().map_err(|source| Error::Spawn {
        program: mosctl.display().to_string(),
        source,
    })
}

/// What `mosctl explain` prints, once the service answers.
fn explained(mosctl: &dyn Fn(&[&str]) -> Result<Output, Error>) -> Result<Value, Error> {
    let end = Instant::now() + STARTUP;
    loop {
        let output = mosctl(&["explain", "rtsp:door"])?;
        if let Ok(explained) = serde_json::from_slice(&output.stdout) {
            return Ok(explained);
        }
        if Instant::now() > end {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Error::Unexpected {
                what: "mosctl explain".to_owned(),
                why,
            });
        }
        std::thread::sleep(TICK);
    }
}

fn is_kept(explained: &Value, configured: &Output) -> bool {
    let (plan, code) = (&explained["plan"], configured.status.code());
    let errors = String::from_utf8_lossy(&configured.stderr);
    let refused = explained["problem"]["reason"]
        .as_str()
        .is_some_and(|reason| errors.contains(reason));
    explained["build"] == "production"
        && if plan.is_null() {
            code == Some(NOT_POSSIBLE) && refused
        } else {
            plan["software"] == false && plan["cpu_copies"] == 0 && code == Some(0)
        }
}
