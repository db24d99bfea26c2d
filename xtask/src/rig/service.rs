//! A capture service of our own, in a private folder, behind a handle.

use std::fs;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use super::config::{self, Camera};
use super::ctl::Ctl;
use crate::cargo::{self, Profile};
use crate::error::Error;
use crate::exec::{Running, create, describe, read_lossy, tail};
use crate::paths;
use crate::signals;

/// The service's program.
pub(crate) const PROGRAM: &str = "mos-camera-capture";
const STARTUP: Duration = Duration::from_mins(1);
const TICK: Duration = Duration::from_millis(200);
/// The service gives its pipelines 10 s to come down.
const STOP: Duration = Duration::from_secs(20);

/// A running service. Dropping it stops the service and removes its folder, in this order.
#[derive(Debug)]
pub(crate) struct Service {
    running: Running,
    profile: Profile,
    folder: TempDir,
    log: PathBuf,
    /// Stays open for what the service notifies later.
    notify: UnixDatagram,
}

/// A private folder for a service, its sockets and its secrets; short, as socket paths hold 107 bytes.
pub(crate) fn folder() -> Result<TempDir, Error> {
    tempfile::Builder::new()
        .prefix("mos-")
        .tempdir()
        .map_err(Error::io("cannot make a temporary folder"))
}

impl Service {
    /// Starts one with `cameras` and waits until it says that it is ready. Its log goes to the artifacts.
    pub(crate) fn start(
        profile: Profile,
        folder: TempDir,
        cameras: &[Camera],
        log: &str,
    ) -> Result<Self, Error> {
        let text = config::file(folder.path(), cameras);
        let command = Command::new(cargo::program(profile, PROGRAM));
        Self::launch(profile, folder, &text, command, log)
    }

    /// Starts one with the configuration file `text`, by a `command` that ends with the service's program.
    pub(crate) fn launch(
        profile: Profile,
        folder: TempDir,
        text: &str,
        mut command: Command,
        log: &str,
    ) -> Result<Self, Error> {
        let file = folder.path().join("mos-camera.toml");
        fs::write(&file, text).map_err(Error::path("write", &file))?;
        fs::create_dir(folder.path().join("state"))
            .map_err(Error::path("create", folder.path().join("state")))?;
        let notify = folder.path().join("notify");
        let socket = UnixDatagram::bind(&notify).map_err(Error::path("bind", &notify))?;
        let log = paths::artifacts().join(log);
        let output = create(&log)?;
        let errors = output.try_clone().map_err(Error::path("write", &log))?;

        command
            .arg("--config")
            .arg(&file)
            .env("NOTIFY_SOCKET", &notify);
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let mut service = Self {
            running: Running::spawn("the capture service", &mut command)?,
            profile,
            folder,
            log,
            notify: socket,
        };
        service.wait_ready()?;
        Ok(service)
    }

    /// Its readiness notification is the event; looking up now and then is for its early end and for Ctrl-C.
    fn wait_ready(&mut self) -> Result<(), Error> {
        self.notify
            .set_read_timeout(Some(TICK))
            .map_err(Error::io("cannot set a time-out"))?;
        let (started, mut message) = (Instant::now(), [0; 4096]);
        loop {
            match self.notify.recv(&mut message) {
                Ok(length)
                    if message[..length]
                        .split(|byte| *byte == b'\n')
                        .any(|line| line == b"READY=1") =>
                {
                    return Ok(());
                }
                Ok(_) => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) => {}
                Err(error) => return Err(Error::io("cannot hear from the service")(error)),
            }
            signals::check()?;
            if let Some(status) = self.running.wait_timeout(Duration::ZERO)? {
                return Err(self.failure(&describe(status)));
            }
            if started.elapsed() > STARTUP {
                return Err(self.failure("it did not become ready within a minute"));
            }
        }
    }

    fn failure(&self, how: &str) -> Error {
        let log = read_lossy(&self.log).unwrap_or_default();
        Error::Failed {
            what: "the capture service".to_owned(),
            how: how.to_owned(),
            tail: tail(&log, 30),
        }
    }

    /// Fails if the service ended by itself.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        match self.running.wait_timeout(Duration::ZERO)? {
            Some(status) => Err(self.failure(&describe(status))),
            None => Ok(()),
        }
    }

    /// The command line for this service.
    pub(crate) fn ctl(&self) -> Ctl {
        Ctl::new(cargo::program(self.profile, "mosctl"), self.path())
    }

    /// Has it read its configuration file again.
    pub(crate) fn reload(&mut self) -> Result<(), Error> {
        self.running.signal(Signal::HUP)
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// Its private folder.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Stops it as systemd would; it has to end well.
    pub(crate) fn stop(mut self) -> Result<(), Error> {
        let status = self.running.stop(Signal::TERM, STOP)?;
        if status.success() {
            Ok(())
        } else {
            Err(self.failure(&format!(
                "asked to stop, it ended with {}",
                describe(status)
            )))
        }
    }
}
