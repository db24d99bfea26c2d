//! What each command does.

mod add;
mod bus;
mod completions;
mod configure;
mod control;
mod devices;
mod doctor;
mod explain;
mod frames;
mod platform;
mod snapshot;
mod status;
mod subscribe;
mod watch;

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use mos_camera_api::client::{self, ControlClient, InspectClient, SourceClient};
use mos_camera_core::StreamName;
use tonic::{Response, Status};

use crate::cli::{Cli, Command, Global};
use crate::exit::{Exit, Failure, Result};
use crate::output::Out;

/// Longest wait for an answer: stopping a pipeline alone may take 10 s.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// Runs the command that was asked for.
pub(crate) fn run(cli: Cli, out: &Out) -> Result<()> {
    // The two that need neither the service nor the bus come first.
    let command = match cli.command {
        Command::Completions(args) => return completions::run(&args, out),
        Command::Snapshot(args) => return snapshot::run(&cli.global, &args, out),
        command => command,
    };
    runtime()?.block_on(run_async(&cli.global, command, out))
}

/// One thread is enough: a command waits for one thing at a time.
fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new(Exit::Other, format!("can't set up the event loop: {e}"), ""))
}

async fn run_async(global: &Global, command: Command, out: &Out) -> Result<()> {
    match command {
        Command::Devices => devices::run(global, out).await,
        Command::Explain(args) => explain::run(global, &args, out).await,
        Command::Add(args) => add::add(global, args, out).await,
        Command::Remove(args) => add::remove(global, &args.camera, out).await,
        Command::Configure(args) => configure::run(global, args, out).await,
        Command::Start(args) => control::start(global, &args.stream, out).await,
        Command::Stop(args) => control::stop(global, &args.stream, out).await,
        Command::Doctor(args) => doctor::run(global, &args, out).await,
        Command::Platform => platform::run(global, out).await,
        Command::Reset(args) => control::reset(global, &args.stream, out).await,
        Command::Status(args) => status::run(global, &args.streams, out).await,
        Command::Watch(args) => watch::run(global, &args.streams, out).await,
        Command::Frames(args) => frames::run(global, &args, out).await,
        Command::Bus(args) => bus::run(global, &args, out).await,
        Command::Completions(args) => completions::run(&args, out),
        Command::Snapshot(args) => snapshot::run(global, &args, out),
    }
}

impl Global {
    /// The control socket that is meant.
    fn socket(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(client::default_socket)
    }

    /// The folder of the bus's sockets.
    fn bus_dir(&self) -> PathBuf {
        self.frame_dir
            .clone()
            .unwrap_or_else(mos_frame::default_dir)
    }

    /// The bus socket of a stream.
    fn bus_socket(&self, stream: &StreamName) -> PathBuf {
        mos_frame::socket_path(&self.bus_dir(), stream.as_str())
    }

    async fn inspect(&self) -> Result<InspectClient> {
        let socket = self.socket();
        Ok(within("connecting", client::connect_inspect(&socket)).await??)
    }

    async fn sources(&self) -> Result<SourceClient> {
        let socket = self.socket();
        Ok(within("connecting", client::connect_sources(&socket)).await??)
    }

    async fn control(&self) -> Result<ControlClient> {
        let socket = self.socket();
        Ok(within("connecting", client::connect(&socket)).await??)
    }
}

/// Awaits the answer of a call.
async fn answer<T>(
    call: impl Future<Output = std::result::Result<Response<T>, Status>>,
) -> Result<T> {
    Ok(within("waiting for the answer", call).await??.into_inner())
}

async fn within<F: Future>(doing: &str, what: F) -> Result<F::Output> {
    tokio::time::timeout(CALL_TIMEOUT, what).await.map_err(|_| {
        let message = format!(
            "the service took longer than {} s while {doing}",
            CALL_TIMEOUT.as_secs()
        );
        Failure::new(
            Exit::Unavailable,
            message,
            "look at the service's log; it may hang on a device",
        )
    })
}

fn names(streams: &[StreamName]) -> Vec<String> {
    streams.iter().map(StreamName::to_string).collect()
}
