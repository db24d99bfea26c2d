//! The body of a process that receives a stream by the bus's own library: what stands against the peers' source elements.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use clap::Args;
use mos_frame::{Subscriber, SubscriberOptions};

use super::console::{Console, Meter};
use crate::contender::Error;

#[derive(Debug, Args)]
pub(super) struct SubscriberArgs {
    /// The stream's socket
    socket: PathBuf,
}

/// Receives until standard input ends.
pub(super) fn run(args: &SubscriberArgs) -> Result<(), Error> {
    let options = SubscriberOptions {
        name: "bench".to_owned(),
        window: 2,
        hold: 1,
        reconnect: false,
        timeout: Duration::from_secs(5),
    };
    let subscriber = Subscriber::connect(&args.socket, options)?;
    let (console, meter) = Console::new();
    let counter = meter.clone();
    thread::spawn(move || receive(subscriber, &counter));
    console.serve(&meter)
}

fn receive(mut subscriber: Subscriber, meter: &Meter) {
    loop {
        match subscriber.next() {
            Ok(_frame) => meter.frame(),
            Err(why) => return meter.failed(&why),
        }
    }
}
