//! The binary: command line, signals, exit code. Everything else is in the library.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use mos_frame::Access;
use mos_unixfd::{DmabufCaps, Endpoint, Options};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing_subscriber::EnvFilter;

/// Serves a stream of the frame bus to GStreamer's unixfdsrc elements.
///
/// Ends with code 0 on SIGINT or SIGTERM, 1 if it can't serve, 2 on wrong usage. `RUST_LOG` chooses what is logged (default info).
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Stream on the bus, or the path of its socket.
    stream: OsString,
    /// Socket to serve at, for unixfdsrc's socket-path.
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// Permissions of the socket, in octal.
    #[arg(long, value_name = "MODE", default_value = "660", value_parser = octal)]
    mode: u32,
    /// Group of the socket, whose members may connect.
    #[arg(long, value_name = "GID")]
    gid: Option<u32>,
    /// Users that may connect, besides this one and root.
    #[arg(long, value_name = "UID")]
    allow_uid: Vec<u32>,
    /// Groups whose members may connect.
    #[arg(long, value_name = "GID")]
    allow_gid: Vec<u32>,
    /// Most clients at once.
    #[arg(long, value_name = "COUNT", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1024))]
    max_clients: u32,
    /// Newest frames that the bus keeps on offer for each client.
    #[arg(long, value_name = "FRAMES", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    window: u32,
    /// Frames that a client may have at once: what its queues, encoder and sink keep.
    #[arg(long, value_name = "FRAMES", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    hold: u32,
    /// How long a client may have all its frames without giving one back, in seconds, before it is cut off.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    release_timeout: Duration,
    /// How long clients wait for a producer that is away, in seconds, before they are told that the stream ended.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    linger: Duration,
    /// From capture to display, in milliseconds; by default the time of one frame.
    #[arg(long, value_name = "MS")]
    latency_ms: Option<u32>,
    /// How dma-bufs are called in the caps.
    #[arg(long, value_enum, default_value_t = Caps::Drm)]
    dmabuf_caps: Caps,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Caps {
    /// memory:DMABuf with `DMA_DRM`, for elements that import dma-bufs
    Drm,
    /// plain NV12, also for elements that map frames
    Plain,
}

/// Longest wait for the stream's producer to say that it is there; nothing depends on it but a line in the log.
const LOOK: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let args = Args::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("mos-unixfd: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<(), Box<dyn std::error::Error>> {
    let (sender, signals) = mpsc::channel();
    ctrlc::set_handler(move || {
        // The main thread is gone only if the process ends already.
        let _ = sender.send(());
    })?;
    let options = args.options()?;
    raise_descriptor_limit();
    let (stream, socket) = (options.stream.clone(), options.socket.clone());
    let endpoint = Endpoint::bind(&options)?;
    tracing::info!(stream = %stream.display(), socket = %socket.display(), "serving");
    if let Err(error) = mos_frame::inspect(&stream, LOOK) {
        tracing::warn!(%error, "no frames now; clients that come wait for the stream");
    }
    signals.recv()?;
    let stats = endpoint.stats();
    drop(endpoint);
    let (accepted, refused, cut) = (stats.accepted, stats.refused, stats.cut);
    tracing::info!(accepted, refused, cut, "done");
    Ok(())
}

impl Args {
    fn options(self) -> Result<Options, String> {
        let stream = mos_frame::find_socket(&self.stream)
            .ok_or_else(|| format!("{} names no stream", self.stream.display()))?;
        let mut access = Access::default();
        access.uids.extend(self.allow_uid);
        access
            .gids
            .extend(self.allow_gid.into_iter().chain(self.gid));
        Ok(Options {
            mode: self.mode,
            gid: self.gid,
            access,
            max_clients: self.max_clients,
            window: self.window,
            hold: self.hold,
            release_timeout: self.release_timeout,
            linger: self.linger,
            latency: self.latency_ms.map(|ms| Duration::from_millis(ms.into())),
            dmabuf_caps: match self.dmabuf_caps {
                Caps::Drm => DmabufCaps::Drm,
                Caps::Plain => DmabufCaps::Plain,
            },
            ..Options::new(stream, self.socket)
        })
    }
}

/// Each client needs a descriptor for every buffer of the stream.
fn raise_descriptor_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit on open files stays as it is");
    }
}

fn octal(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("permissions are three octal digits".to_owned()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|why| why.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use mos_testkit::manual::Manual;

    use super::*;

    #[test]
    fn the_manual_page_is_fresh() {
        Manual::new(Args::command(), "1")
            .exit(0, "It was asked to end.")
            .exit(1, "It can't serve; the message says why.")
            .exit(2, "Wrong usage.")
            .file(
                "/run/mos-camera/frames",
                "Folder of the frame bus: a socket for each stream.",
            )
            .file(
                "/run/mos-unixfd/STREAM/socket",
                "Where the unit mos-unixfd@STREAM.service serves.",
            )
            .see_also("mos-camera-capture(8)")
            .see_also("mosctl(1)")
            .see_also("/usr/share/doc/mos-camera-capture/interoperation.md")
            .hold();
    }
}
