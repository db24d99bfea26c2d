//! The command line: what can be asked, and the help that explains it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use mos_camera_core::{DeviceId, Framerate, StreamName};

use crate::args;
use crate::exit::Exit;

/// Control the camera capture service, and look at the frames that it publishes.
#[derive(Debug, Parser)]
#[command(name = "mosctl", version, after_help = after_help(), max_term_width = 100, long_about = LONG_ABOUT)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const LONG_ABOUT: &str = "\
Control the camera capture service, and look at the frames that it publishes.

A *device* is a camera, known by a stable id such as `usb:046d:0825:4F2A11`. A *stream* is what you make of it: a name and a \
configuration. Once a stream is started the service keeps it running, through unplugging and restarts, until you stop it. Its \
frames are on the frame bus under the stream's name.

A first session:
  mosctl devices                                  which cameras are there?
  mosctl explain test:front                       what will its frames cost, and why?
  mosctl configure front --device test:front      make a stream of one
  mosctl start front                              run it
  mosctl status front                             how is it doing?
  mosctl frames front --seconds 5                 receive its frames and measure them
  mosctl stop front                               stop it; its configuration stays";

fn after_help() -> String {
    let codes: Vec<String> = Exit::TABLE
        .iter()
        .map(|(code, meaning)| format!("  {code}  {meaning}"))
        .collect();
    format!("Exit codes:\n{}", codes.join("\n"))
}

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Print results as JSON, one object per line, and errors as JSON on standard error
    #[arg(long, global = true, help_heading = "Options of every command")]
    pub(crate) json: bool,
    /// Control socket of the service [default: /run/mos-camera/control.sock, or the one under `$XDG_RUNTIME_DIR`]
    #[arg(long, global = true, value_name = "PATH", env = mos_camera_api::client::SOCKET_VAR, hide_env_values = true, help_heading = "Options of every command")]
    pub(crate) socket: Option<PathBuf>,
    /// Folder of the frame bus's sockets [default: /run/mos-camera/frames, or the one under `$XDG_RUNTIME_DIR`]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "MOS_FRAME_DIR",
        hide_env_values = true,
        help_heading = "Options of every command"
    )]
    pub(crate) frame_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the cameras that are there, with what they offer
    Devices,
    /// Explain how a camera's pictures become NV12 here, what each frame costs, and why not otherwise
    Explain(Explain),
    /// Add a network camera, whose stream starts at once
    Add(Add),
    /// Remove a camera that was added, with its stream
    Remove(OneCamera),
    /// Make a stream of a camera, or change the configuration of one
    Configure(Configure),
    /// Run a stream, now and after every restart, until it is stopped
    Start(OneStream),
    /// Stop a stream and close its camera; the configuration stays
    Stop(OneStream),
    /// Show how the service and its streams are doing
    Status(SomeStreams),
    /// Show what machine the service runs on, what drives the cameras that are wired to its chip, and why
    Platform,
    /// Examine machine, service and cameras: what looks wrong, what to do, and what to send to who is asked for help
    Doctor(Examine),
    /// Clear a stream's fault, reset its camera where that is possible, and rebuild its pipeline
    Reset(OneStream),
    /// Print what happens, as it happens, until Ctrl-C
    Watch(SomeStreams),
    /// Receive a stream's frames and measure them, until Ctrl-C
    Frames(Frames),
    /// Show what the frame bus does, stream by stream, until Ctrl-C; `mosctl bus doctor` explains it
    Bus(Bus),
    /// Save a picture of a stream as PNG (development builds only)
    Snapshot(Snapshot),
    /// Print a completion script for a shell
    Completions(Completions),
}

#[derive(Debug, Args)]
pub(crate) struct OneStream {
    /// Name of the stream
    pub(crate) stream: StreamName,
}

#[derive(Debug, Args)]
pub(crate) struct SomeStreams {
    /// Names of streams; all of them if none is given
    #[arg(value_name = "STREAM")]
    pub(crate) streams: Vec<StreamName>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The plan has what is asked of the camera, the elements behind it, and what the frames live in. A copy is counted each time that the \
pixels of a frame are written again after the camera or the decoder wrote them first: by a conversion, a scaling, or a plain copy. \
Below it is everything else that was considered, with the reason against it. Nothing is started or saved, and that there is no way \
is an answer too (exit code 0; with --json `plan` is null and `problem` says why).

Examples:
  mosctl explain test:front
  mosctl explain usb:046d:0825:4F2A11 --size 1280x720 --framerate 30")]
pub(crate) struct Explain {
    /// Id of the camera, as `mosctl devices` lists it
    #[arg(value_name = "DEVICE")]
    pub(crate) device: DeviceId,
    /// Frame size in pixels, both even [default: the planner's choice]
    #[arg(long, value_name = "WxH", value_parser = args::size)]
    pub(crate) size: Option<(u32, u32)>,
    /// Frames per second, as 30 or 30000/1001 [default: the planner's choice]
    #[arg(long, value_name = "RATE")]
    pub(crate) framerate: Option<Framerate>,
    /// Subscribers that there have to be buffers for, 1 to 64 [default: as many as there are buffers for without a copy]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) max_subscribers: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct Examine {
    /// Write what GStreamer has on this machine into this file instead, to send to who writes a board's profile
    #[arg(long, value_name = "FILE")]
    pub(crate) record_registry: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct OneCamera {
    /// Name that the camera was added by
    #[arg(value_name = "NAME")]
    pub(crate) camera: StreamName,
}

#[derive(Debug, Args)]
#[command(
    group = clap::ArgGroup::new("transport").required(true),
    after_help = "\
The service saves the camera before it answers: it is there after a restart too. Its stream has the camera's name. Adding it again with other \
values replaces them. A password or token is never given here: put it into a file of the service's `secret_dir` \
(/etc/mos-camera/secrets), or make it a credential of its systemd unit, and name that by --secret.

Examples:
  mosctl add door --rtsp rtsp://192.0.2.10/stream1 --user viewer --secret door
  mosctl add gate --rtsp rtsps://192.0.2.11/live --set tls_ca_file=/etc/mos-camera/site.pem --set latency_ms=0
  mosctl add yard --onvif 192.0.2.12 --user viewer --secret yard
  mosctl add lobby --whep https://media.example.com/whep/lobby --secret lobby-token"
)]
pub(crate) struct Add {
    /// Name of the camera and of its stream: letters, digits, `_`, `-` and `.`
    #[arg(value_name = "NAME")]
    pub(crate) camera: StreamName,
    /// RTSP camera at this URL (rtsp:// or rtsps://), without user and password
    #[arg(long, value_name = "URL", group = "transport")]
    pub(crate) rtsp: Option<String>,
    /// ONVIF camera at this host or host:port, or the URL of its device service
    #[arg(long, value_name = "ADDRESS", group = "transport")]
    pub(crate) onvif: Option<String>,
    /// WebRTC stream at this WHEP endpoint
    #[arg(long, value_name = "URL", group = "transport")]
    pub(crate) whep: Option<String>,
    /// User to log in as
    #[arg(long, value_name = "USER", conflicts_with = "whep")]
    pub(crate) user: Option<String>,
    /// Name of the password or token among the service's secrets
    #[arg(long, value_name = "NAME")]
    pub(crate) secret: Option<String>,
    /// Any other key of the transport's table in docs/configuration.md; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = args::setting)]
    pub(crate) settings: Vec<(String, toml::Value)>,
    /// Don't start its stream
    #[arg(long)]
    pub(crate) no_start: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The service saves the configuration before it answers. Saying the same thing again changes nothing; a real change rebuilds the stream's \
pipeline if it runs, and its subscribers stay connected. Controls are set on the running camera, and --on-violation is taken over, without an interruption. What is not given \
goes back to its default; controls that are not given stay as they are.

Examples:
  mosctl configure front --device test:front
  mosctl configure dock --device usb:046d:0825:4F2A11 --size 1280x720 --framerate 30
  mosctl configure dock --device usb:046d:0825:4F2A11 --control exposure_auto=1 --control exposure_absolute=120
  mosctl configure door --device rtsp:door --first-frame-timeout 1m")]
pub(crate) struct Configure {
    /// Name of the stream: letters, digits, `_`, `-` and `.`
    pub(crate) stream: StreamName,
    /// Id of the camera, as `mosctl devices` lists it
    #[arg(long, value_name = "ID")]
    pub(crate) device: DeviceId,
    /// Frame size in pixels, both even [default: the device's choice]
    #[arg(long, value_name = "WxH", value_parser = args::size)]
    pub(crate) size: Option<(u32, u32)>,
    /// Frames per second, as 30 or 30000/1001 [default: the device's choice]
    #[arg(long, value_name = "RATE")]
    pub(crate) framerate: Option<Framerate>,
    /// Longest wait for the first frame, as 45s or 2m [default: 45s]
    #[arg(long, value_name = "TIME", value_parser = args::duration)]
    pub(crate) first_frame_timeout: Option<Duration>,
    /// Longest gap between frames after that [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = args::duration)]
    pub(crate) steady_timeout: Option<Duration>,
    /// Subscribers that the stream has buffers for, 1 to 64 [default: 8, or as many as a camera with few buffers of its own serves]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) max_subscribers: Option<u32>,
    /// What to do when something in the service maps the stream's frames [default: report]
    #[arg(long, value_name = "WHAT")]
    pub(crate) on_violation: Option<OnViolation>,
    /// Profile of a network camera, as `mosctl devices` lists them, by token or name [default: the best that fits]
    #[arg(long, value_name = "PROFILE")]
    pub(crate) profile: Option<String>,
    /// Set the camera's encoder to size and framerate where no profile gives them; the camera keeps that
    #[arg(long)]
    pub(crate) set_encoder: bool,
    /// Camera control to set, as `mosctl devices` lists them; may be given several times
    #[arg(long = "control", value_name = "NAME=VALUE", value_parser = args::control)]
    pub(crate) controls: Vec<(String, i64)>,
}

/// What a stream does when the CPU reached for its pixels.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum OnViolation {
    /// Count and tell it; the stream goes on
    Report,
    /// End the stream as failed, until it is reset or started
    Stop,
}

#[derive(Debug, Args)]
#[command(after_help = "\
What is measured, for every frame that arrives:
  age     from the capture of the frame to its arrival here (p50 and p99)
  bus     from its publishing to its arrival here: the share that the frame bus has in the age
  drops   frames that were published but not received, because this subscriber was too slow
  gaps    how often that happened: one gap may be many drops

With --json there is one object a second with `\"type\":\"interval\"`, and a last one with `\"type\":\"total\"`.

Examples:
  mosctl frames front
  mosctl frames front --seconds 10 --json
  mosctl frames front --work-ms 200 --name slow     a consumer that is deliberately too slow")]
pub(crate) struct Frames {
    /// Name of the stream
    pub(crate) stream: StreamName,
    /// Newest frames that are kept for this subscriber; older ones are taken back
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) window: u32,
    /// Frames that this subscriber may hold at once; with 0 a frame may be taken back while it is looked at
    #[arg(long, value_name = "H", default_value_t = 1, value_parser = clap::value_parser!(u32).range(..=64))]
    pub(crate) hold: u32,
    /// Always take the newest frame, skipping older ones; what is skipped counts as dropped
    #[arg(long)]
    pub(crate) latest: bool,
    /// End after this many seconds
    #[arg(long, value_name = "S", value_parser = positive_seconds)]
    pub(crate) seconds: Option<Duration>,
    /// End after this many frames
    #[arg(long, value_name = "C", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Hold each frame for so long before taking the next, like a consumer that computes on it
    #[arg(long, value_name = "M", default_value_t = 0)]
    pub(crate) work_ms: u64,
    /// Longest wait for the stream to be published: one that was just started takes a moment
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = args::duration)]
    pub(crate) wait: Duration,
    /// Name that the status shows for this subscriber
    #[arg(long, value_name = "NAME", default_value = "mosctl")]
    pub(crate) name: String,
}

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
The producers are asked themselves, by the sockets in the bus's folder; the service need not run. What the columns say, since the \
subscriber came:
  N/H       its window and its hold
  FPS       frames that it took per second, in the last interval
  OFFERED   frames put on offer to it
  CLAIMED   frames that it took
  RECALLED  frames taken back because it was too slow for them
  SKIPPED   frames it was never offered, because a buffer could not be announced to it
  REVOKED   frames taken away while it held them (a hold of 0 only)
  HELD      frames that it holds now, and the most it ever held
  OLDEST    age of its oldest lease
  FULL      times it could not be woken because it does not read its socket

With --json there is one object a stream and interval; times are nanoseconds, counters start with the subscription.

Examples:
  mosctl bus
  mosctl bus front --once --json
  mosctl bus doctor            who holds what, who is slow, why a subscription was refused, and what to do"
)]
pub(crate) struct Bus {
    #[command(subcommand)]
    pub(crate) command: Option<BusCommand>,
    #[command(flatten)]
    pub(crate) streams: SomeStreams,
    /// Time between two looks
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = args::duration)]
    pub(crate) interval: Duration,
    /// Look once and end
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BusCommand {
    /// Explain who holds which frame, who is too slow, why subscriptions were refused, and what to do about it
    Doctor(Doctor),
}

#[derive(Debug, Args)]
#[command(after_help = "\
It watches for a moment, since a slow subscriber shows only over time. It ends with 0 whatever it finds; with --json there is one \
object a stream, whose findings have a level of `problem`, `warning` or `note`.")]
pub(crate) struct Doctor {
    #[command(flatten)]
    pub(crate) streams: SomeStreams,
    /// How long to watch
    #[arg(long = "for", value_name = "TIME", default_value = "2s", value_parser = args::duration)]
    pub(crate) watch: Duration,
}

fn positive_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "expected seconds, for example 10".to_owned())?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|d| !d.is_zero())
        .ok_or_else(|| "expected more than 0 seconds".to_owned())
}

#[derive(Debug, Args)]
#[command(after_help = "\
Reading pixels with the CPU is what a production build must not be able to do: there this command ends with exit code 9.

Examples:
  mosctl snapshot front front.png
  mosctl snapshot --sheet front rear door cameras.png     one picture of all, in rows and columns")]
pub(crate) struct Snapshot {
    /// Name of the stream; several with --sheet
    #[arg(value_name = "STREAM", required = true, num_args = 1..)]
    pub(crate) streams: Vec<StreamName>,
    /// The picture to write; an existing file is replaced
    #[arg(value_name = "FILE.png", required = true)]
    pub(crate) file: PathBuf,
    /// Put several streams into one picture, each with its name; one that gives no frame gets a grey tile
    #[arg(long)]
    pub(crate) sheet: bool,
    /// Columns of the sheet [default: as many as rows]
    #[arg(long, value_name = "N", requires = "sheet", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) columns: Option<u32>,
    /// Size of a tile of the sheet in pixels
    #[arg(long, value_name = "WxH", requires = "sheet", default_value = "480x360", value_parser = args::size)]
    pub(crate) tile: (u32, u32),
    /// Longest wait for a stream's frame, also while the stream is not published yet
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = args::duration)]
    pub(crate) wait: Duration,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mosctl completions bash > ~/.local/share/bash-completion/completions/mosctl
  mosctl completions fish > ~/.config/fish/completions/mosctl.fish")]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: Shell,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use mos_testkit::manual::Manual;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_manual_page_is_fresh() {
        let manual = Exit::TABLE.iter().fold(
            Manual::new(Cli::command(), "1"),
            |manual, (code, meaning)| manual.exit(*code, meaning),
        );
        manual
            .file("/run/mos-camera/control.sock", "Socket of the service.")
            .file(
                "/run/mos-camera/frames",
                "Folder of the frame bus: a socket for each stream.",
            )
            .see_also("mos-camera-capture(8)")
            .see_also("mos-unixfd(1)")
            .hold();
    }

    #[test]
    fn the_last_name_of_a_snapshot_is_the_file() {
        let Command::Snapshot(snapshot) =
            Cli::parse_from(["mosctl", "snapshot", "--sheet", "a", "b", "c.png"]).command
        else {
            panic!("not a snapshot");
        };
        let names: Vec<&str> = snapshot.streams.iter().map(StreamName::as_str).collect();
        assert_eq!(
            (names, snapshot.file),
            (vec!["a", "b"], PathBuf::from("c.png"))
        );
    }
}
