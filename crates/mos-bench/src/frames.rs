//! Tells of each frame of a stream, one JSON object a line, for benchmarks that compare frames with what their camera says.

use std::io::{self, Write as _};
use std::path::PathBuf;

use mos_frame::{RecvError, Subscriber, SubscriberOptions};
use serde::Serialize;

/// Arguments of `frames`.
#[derive(Debug, clap::Args)]
pub(crate) struct FramesArgs {
    /// The stream's socket
    socket: PathBuf,
    /// Read the counter that is burnt into the pictures
    #[arg(long)]
    counter: bool,
}

#[derive(Debug, Serialize)]
struct Line {
    session: u64,
    seq: u64,
    /// `CLOCK_MONOTONIC`.
    publish_ns: u64,
    /// `CLOCK_MONOTONIC`.
    capture_ns: u64,
    wall_ns: Option<u64>,
    clock: &'static str,
    error_ns: u32,
    counter: Option<u32>,
}

/// Tells of frames until nobody reads any more.
pub(crate) fn run(args: &FramesArgs) -> Result<(), Box<dyn std::error::Error>> {
    let options = SubscriberOptions {
        name: "mos-bench".to_owned(),
        window: 8,
        ..SubscriberOptions::default()
    };
    let mut subscriber = Subscriber::await_stream(&args.socket, options)?;
    let mut out = io::stdout().lock();
    loop {
        let frame = match subscriber.next() {
            Ok(frame) => frame,
            Err(RecvError::Disconnected) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let meta = *frame.meta();
        let counter = if args.counter {
            gstmos::counter::read_frame(&frame)?
        } else {
            None
        };
        let line = Line {
            session: frame.session(),
            seq: frame.seq(),
            publish_ns: frame.publish_ns(),
            capture_ns: meta.capture_ns,
            wall_ns: meta.wall_ns,
            clock: meta.clock_source.name(),
            error_ns: meta.clock_error_ns,
            counter,
        };
        drop(frame);
        if writeln!(out, "{}", serde_json::to_string(&line)?)
            .and_then(|()| out.flush())
            .is_err()
        {
            return Ok(());
        }
    }
}
