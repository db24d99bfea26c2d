//! udev's events of video nodes, by libudev. Its monitor is bound to a thread, so it has one.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::mpsc as sync_mpsc;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tokio::sync::mpsc;

/// What systemd-udevd and eudev listen on while they run.
const CONTROL: &str = "/run/udev/control";
const SUBSYSTEM: &str = "video4linux";

/// A watch on udev's events. Dropped, its thread ends.
#[derive(Debug)]
pub(super) struct Watch {
    events: mpsc::Receiver<Result<(), String>>,
    /// Its other end hangs up when this is dropped.
    _alive: OwnedFd,
}

/// Begins to listen; says why if that is of no use.
pub(super) fn start() -> Result<Watch, String> {
    if !Path::new(CONTROL).exists() {
        return Err("udev does not run here".to_owned());
    }
    let cannot = |what: &str, why: &dyn std::fmt::Display| format!("{what}: {why}");
    let (alive, hung_up) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map(|(read, write)| (write, read))
        .map_err(|error| cannot("no pipe for udev's thread", &error))?;
    // One place is enough: whoever looks for devices sees all that has changed.
    let (tell, events) = mpsc::channel(1);
    let (ready, is_ready) = sync_mpsc::channel();
    std::thread::Builder::new()
        .name("mos-udev".to_owned())
        .spawn(move || listen(&hung_up, &ready, &tell))
        .map_err(|error| cannot("no thread for udev", &error))?;
    match is_ready.recv() {
        Ok(Ok(())) => Ok(Watch {
            events,
            _alive: alive,
        }),
        Ok(Err(why)) => Err(why),
        Err(error) => Err(cannot("udev's thread has ended", &error)),
    }
}

impl Watch {
    /// Waits for an event.
    pub(super) async fn next(&mut self) -> Result<(), String> {
        self.events
            .recv()
            .await
            .unwrap_or_else(|| Err("their thread is gone".to_owned()))
    }
}

type Ready = sync_mpsc::Sender<Result<(), String>>;
type Tell = mpsc::Sender<Result<(), String>>;

fn listen(hung_up: &OwnedFd, ready: &Ready, tell: &Tell) {
    let monitor = udev::MonitorBuilder::new()
        .and_then(|monitor| monitor.match_subsystem(SUBSYSTEM))
        .and_then(udev::MonitorBuilder::listen);
    let monitor = match monitor {
        Ok(monitor) => monitor,
        Err(error) => {
            // Whoever started this thread waits for it.
            let _ = ready.send(Err(format!("libudev can't listen: {error}")));
            return;
        }
    };
    let _ = ready.send(Ok(()));
    loop {
        match await_event(&monitor, hung_up) {
            Ok(true) => {
                for event in monitor.iter() {
                    tracing::debug!(node = ?event.sysname(), action = ?event.event_type(), "udev");
                }
                // Full: a look is due anyway.
                let _ = tell.try_send(Ok(()));
            }
            Ok(false) => return,
            Err(error) => {
                let _ = tell.blocking_send(Err(error.to_string()));
                return;
            }
        }
    }
}

/// True when udev has an event, false when nobody wants to know any more.
fn await_event(monitor: &udev::MonitorSocket, hung_up: &OwnedFd) -> Result<bool, Errno> {
    loop {
        let mut both = [
            PollFd::from_borrowed_fd(monitor.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(hung_up.as_fd(), PollFlags::IN),
        ];
        match poll(&mut both, None) {
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        if !both[1].revents().is_empty() {
            return Ok(false);
        }
        if !both[0].revents().is_empty() {
            return Ok(true);
        }
    }
}
