//! `mosctl`, and the parts of its JSON that are looked at here.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::exec::capture;

/// Calls `mosctl` for one service.
#[derive(Clone, Debug)]
pub(crate) struct Ctl {
    program: PathBuf,
    folder: PathBuf,
}

/// Answer of `devices`.
#[derive(Debug, Deserialize)]
pub(crate) struct Devices {
    /// The cameras that are there.
    pub(crate) devices: Vec<Device>,
}

/// A camera.
#[derive(Debug, Deserialize)]
pub(crate) struct Device {
    /// Stable id.
    pub(crate) id: String,
    /// How it is attached.
    pub(crate) transport: String,
    /// Its node today.
    pub(crate) location: String,
    /// Whether it can be used now.
    pub(crate) health: String,
    /// The stream that it feeds.
    pub(crate) stream: Option<String>,
}

/// Answer of `status`.
#[derive(Debug, Deserialize)]
pub(crate) struct Status {
    /// All streams.
    pub(crate) streams: Vec<Stream>,
}

/// How a stream does.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Stream {
    /// Its name, which its subscribers know it by.
    #[serde(rename = "stream")]
    pub(crate) name: String,
    /// The state that is.
    pub(crate) state: String,
    /// Why it does not stream.
    pub(crate) fault: Option<Fault>,
    /// Counters, once there is a pipeline.
    pub(crate) frames: Option<Frames>,
}

/// What went wrong.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Fault {
    /// What happened.
    pub(crate) message: String,
    /// What to do.
    pub(crate) hint: String,
}

/// Frame counters of a stream.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Frames {
    /// Since the service started.
    pub(crate) published: u64,
    /// With pixels copied.
    pub(crate) copied: u64,
    /// Over the last two seconds.
    pub(crate) fps: f64,
}

impl Stream {
    /// Whether frames arrive.
    pub(crate) fn streams(&self) -> bool {
        self.state == "streaming"
    }

    /// State and reason in one line.
    pub(crate) fn reason(&self) -> String {
        match &self.fault {
            Some(fault) => format!("{}: {}; {}", self.state, fault.message, fault.hint),
            None => self.state.clone(),
        }
    }
}

impl Ctl {
    /// For the service whose files are in `folder`.
    pub(crate) fn new(program: PathBuf, folder: &Path) -> Self {
        Self {
            program,
            folder: folder.to_owned(),
        }
    }

    /// `mosctl ARGS` for this service.
    pub(crate) fn command<S: AsRef<str>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("--socket")
            .arg(self.folder.join("control.sock"));
        command.arg("--frame-dir").arg(self.folder.join("frames"));
        command.args(args.iter().map(AsRef::as_ref));
        command
    }

    /// Socket of a stream, for subscribers that are not `mosctl`.
    pub(crate) fn stream_socket(&self, stream: &str) -> PathBuf {
        self.folder.join("frames").join(format!("{stream}.sock"))
    }

    /// Runs it and answers what it printed.
    pub(crate) fn run<S: AsRef<str>>(&self, args: &[S]) -> Result<String, Error> {
        let words: Vec<_> = args.iter().map(AsRef::as_ref).collect();
        capture(
            &format!("mosctl {}", words.join(" ")),
            &mut self.command(args),
        )
    }

    fn json<T: DeserializeOwned>(&self, args: &[&str]) -> Result<T, Error> {
        let text = self.run(args)?;
        let unexpected = |why: serde_json::Error| Error::Unexpected {
            what: format!("mosctl {}", args[0]),
            why: why.to_string(),
        };
        serde_json::from_str(&text).map_err(unexpected)
    }

    /// The cameras that are there.
    pub(crate) fn devices(&self) -> Result<Vec<Device>, Error> {
        Ok(self.json::<Devices>(&["devices", "--json"])?.devices)
    }

    /// How the streams do.
    pub(crate) fn status(&self) -> Result<Vec<Stream>, Error> {
        Ok(self.json::<Status>(&["status", "--json"])?.streams)
    }
}
