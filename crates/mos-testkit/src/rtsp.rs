//! An RTSP camera in a process of its own: `tests/peers/rtsp_server.py`, which is gst-rtsp-server.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde::Deserialize;

use crate::certificates::CertificateFiles;
use crate::paths;

/// Debian's interpreter: it has the `GObject` bindings, which another one that is first in `PATH` may not have.
pub const PYTHON: &str = "/usr/bin/python3";

/// How clients have to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// RFC 7617.
    Basic,
    /// RFC 7616.
    Digest,
}

impl Auth {
    const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Basic => "basic",
            Self::Digest => "digest",
        }
    }
}

/// What the camera sends as video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Codec {
    /// H.264, baseline profile.
    #[default]
    H264,
    /// H.265, main profile.
    H265,
    /// Motion JPEG.
    Jpeg,
    /// No video at all; needs [`RtspServerOptions::audio`].
    None,
}

impl Codec {
    const fn name(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::H265 => "h265",
            Self::Jpeg => "jpeg",
            Self::None => "none",
        }
    }
}

/// What carries media; the camera refuses the other with 461.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocols {
    /// Interleaved only.
    Tcp,
    /// UDP only.
    Udp,
}

/// What to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "switches of a program")]
pub struct RtspServerOptions {
    /// TCP port on loopback; 0 lets the system choose.
    pub port: u16,
    /// Number of cameras, mounted at `/cam0`, `/cam1`, ...
    pub count: u32,
    /// Frame width and height in pixels, both even.
    pub size: (u32, u32),
    /// Frames per second.
    pub fps: u32,
    /// Frames from one IDR to the next.
    pub key_int: u32,
    /// Ends every session after so many frames.
    pub frames: Option<u32>,
    /// The video codec.
    pub codec: Codec,
    /// Further video tracks: the n-th has 1/n of the size.
    pub more_tracks: Vec<Codec>,
    /// Refuses other ways to carry media.
    pub protocols: Option<Protocols>,
    /// Speaks TLS with this certificate.
    pub tls: Option<CertificateFiles>,
    /// Seconds after which a session ends that is not kept alive.
    pub session_timeout: Option<u32>,
    /// Whether there is an audio stream (PCMA) beside it.
    pub audio: bool,
    /// How clients have to log in.
    pub auth: Auth,
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
    /// Burns a frame counter into the picture, readable by `gstmos::counter`.
    pub counter: bool,
    /// The size that [`RtspServer::resize`] switches to.
    pub resize_to: Option<(u32, u32)>,
    /// Notes when each frame was captured; see [`RtspServer::time_of`].
    pub times: bool,
    /// One pipeline for all sessions of a mount: who joins gets what is sent just then, with its key frames when they come.
    pub shared: bool,
    /// The picture: `ball`, or `smpte`, which costs a sixth.
    pub pattern: &'static str,
    /// kbit/s.
    pub bitrate: u32,
    /// The plugin that has the counter; the one beside this program if absent.
    pub plugin: Option<PathBuf>,
    /// The RTP timestamps are those of an NTP clock, and the SDP says so (RFC 7273).
    pub ntp_clock: bool,
}

impl Default for RtspServerOptions {
    fn default() -> Self {
        Self {
            port: 0,
            count: 1,
            size: (640, 480),
            fps: 30,
            key_int: 15,
            frames: None,
            codec: Codec::H264,
            more_tracks: Vec::new(),
            protocols: None,
            tls: None,
            session_timeout: None,
            audio: false,
            auth: Auth::None,
            user: "camera".to_owned(),
            password: "opensesame".to_owned(),
            counter: false,
            resize_to: None,
            times: false,
            shared: false,
            pattern: "ball",
            bitrate: 2048,
            plugin: None,
            ntp_clock: false,
        }
    }
}

impl RtspServerOptions {
    fn command(&self) -> io::Result<Command> {
        let mut command = Command::new(PYTHON);
        let tracks = std::iter::once(&self.codec).chain(&self.more_tracks);
        let tracks: Vec<_> = tracks.map(|codec| codec.name()).collect();
        let size = |(width, height): (u32, u32)| format!("{width}x{height}");
        command
            .arg(paths::peer("rtsp_server.py"))
            .arg(format!("--port={}", self.port))
            .arg(format!("--count={}", self.count))
            .arg(format!("--size={}", size(self.size)))
            .arg(format!("--fps={}", self.fps))
            .arg(format!("--key-int={}", self.key_int))
            .arg(format!("--codec={}", tracks.join(",")))
            .arg(format!("--pattern={}", self.pattern))
            .arg(format!("--bitrate={}", self.bitrate))
            .arg(format!("--auth={}", self.auth.name()))
            .arg(format!("--user={}", self.user))
            // Not on the command line, which every user of the machine can read.
            .env("RTSP_PASSWORD", &self.password);
        command.args(self.frames.map(|frames| format!("--frames={frames}")));
        command.args(self.protocols.map(|protocols| match protocols {
            Protocols::Tcp => "--protocols=tcp",
            Protocols::Udp => "--protocols=udp",
        }));
        if let Some(tls) = &self.tls {
            command.arg("--certificate").arg(&tls.certificate);
            command.arg("--key").arg(&tls.key);
        }
        let timeout = self.session_timeout;
        command.args(timeout.map(|seconds| format!("--session-timeout={seconds}")));
        command.args(self.audio.then_some("--audio"));
        command.args(self.resize_to.map(|to| format!("--resize-to={}", size(to))));
        command.args(self.times.then_some("--times"));
        command.args(self.shared.then_some("--shared"));
        command.args(self.ntp_clock.then_some("--clock=ntp"));
        if self.counter {
            let plugin = self.plugin.clone().map_or_else(paths::plugin, Ok)?;
            command.arg("--counter").arg("--plugin").arg(plugin);
        }
        Ok(command)
    }
}

/// A running server; it is killed on drop.
#[derive(Debug)]
pub struct RtspServer {
    child: Child,
    ready: Ready,
    times: Times,
    scheme: &'static str,
}

/// When a frame was captured, as the server has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct FrameTime {
    frame: u32,
    /// Nanoseconds since 1970 UTC.
    pub wall_ns: u64,
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub monotonic_ns: u64,
}

/// Of the newest session, by the number of the frame.
type Times = Arc<Mutex<HashMap<u32, FrameTime>>>;

/// The server's line once it can be reached.
#[derive(Debug, Deserialize)]
struct Ready {
    port: u16,
    mounts: Vec<String>,
}

impl RtspServer {
    /// A server for one camera without log-in.
    pub fn start_default() -> io::Result<Self> {
        Self::start(&RtspServerOptions::default())
    }

    /// Starts a server and waits until it can be reached.
    pub fn start(options: &RtspServerOptions) -> io::Result<Self> {
        let mut child = options
            .command()?
            // It ends when this pipe closes, so it does not outlive a test that was killed.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C in a terminal is for the program that started it, which may still want a last picture.
            .process_group(0)
            .spawn()?;
        let times = Times::default();
        match read_ready(&mut child, &times) {
            Ok(ready) => Ok(Self {
                child,
                ready,
                times,
                scheme: if options.tls.is_some() {
                    "rtsps"
                } else {
                    "rtsp"
                },
            }),
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(error)
            }
        }
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        self.ready.port
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The URL of camera `index`, without credentials.
    pub fn url(&self, index: usize) -> String {
        let mount = self
            .ready
            .mounts
            .get(index)
            .map_or("/no-such-camera", String::as_str);
        format!("{}://127.0.0.1:{}{mount}", self.scheme, self.port())
    }

    /// When the frame with this number was captured ([`RtspServerOptions::times`]); of several sessions, in the one that
    /// captured it last.
    pub fn time_of(&self, frame: u32) -> Option<FrameTime> {
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.get(&frame).copied()
    }

    /// Stops the whole server where it stands (SIGSTOP): its sockets stay open and go silent.
    pub fn freeze(&self) -> io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Switches to [`RtspServerOptions::resize_to`], in mid-stream.
    pub fn resize(&self) -> io::Result<()> {
        self.signal(Signal::USR1)
    }

    /// Kills the server (SIGKILL); it has no chance to say goodbye.
    pub fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("the server has no process id"))?;
        Ok(rustix::process::kill_process(pid, signal)?)
    }
}

impl Drop for RtspServer {
    fn drop(&mut self) {
        // Both fail only if the process is gone already, which is what is wanted.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// How long the server may take to come up; Python and GStreamer's registry are slow on a cold machine.
const STARTUP: Duration = Duration::from_mins(1);

fn read_ready(child: &mut Child, times: &Times) -> io::Result<Ready> {
    let stdout = child
        .stdout
        .take()
        .ok_or_else(|| io::Error::other("no standard output"))?;
    let stderr = child.stderr.take();
    let (sender, receiver) = std::sync::mpsc::channel();
    let times = Arc::clone(times);
    std::thread::spawn(move || {
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        let read = stdout.read_line(&mut line).map(|_| line);
        // The other end is gone only after the time-out, when nobody wants to know.
        let _late = sender.send(read);
        note_times(stdout, &times);
    });
    let line = receiver.recv_timeout(STARTUP).map_err(|_| {
        io::Error::new(io::ErrorKind::TimedOut, "the RTSP server did not come up")
    })??;
    if line.is_empty() {
        return Err(io::Error::other(format!(
            "the RTSP server ended: {}",
            last_words(stderr)
        )));
    }
    std::thread::spawn(move || drain(stderr));
    Ok(serde_json::from_str(&line)?)
}

/// Reads what the server prints about its frames, until it ends.
fn note_times(stdout: impl BufRead, times: &Times) {
    for line in stdout.lines().map_while(Result::ok) {
        if let Ok(time) = serde_json::from_str::<FrameTime>(&line) {
            let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
            times.insert(time.frame, time);
        }
    }
}

fn last_words(stderr: Option<ChildStderr>) -> String {
    let mut text = String::new();
    match stderr.map(|mut pipe| pipe.read_to_string(&mut text)) {
        Some(Err(error)) => format!("{text} ({error})"),
        _ => text,
    }
}

/// Reads on, so that the server never blocks on, or dies of, a full or broken pipe.
fn drain(stderr: Option<ChildStderr>) {
    if let Some(mut pipe) = stderr {
        // Only the test that is over minds, and it does not.
        let _ended = io::copy(&mut pipe, &mut io::sink());
    }
}
