//! Device nodes that come and go, as the kernel tells.
//!
//! devtmpfs makes and removes the nodes of `/dev` itself, so inotify(7) on that folder is an event source that needs no
//! udev. Nodes get their permissions after they were made, hence the attribute events.

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::Weak;

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use tokio::io::unix::AsyncFd;

use super::Shared;

/// Looks for devices whenever a video node comes, goes or changes its permissions, until the engine is gone.
pub(super) fn watch(engine: Weak<Shared>) {
    tokio::spawn(async move {
        if let Err(error) = run(engine).await {
            tracing::warn!(%error, "/dev can't be watched: cameras that are plugged in later are found when the devices are listed");
        }
    });
}

async fn run(engine: Weak<Shared>) -> io::Result<()> {
    #[expect(
        deprecated,
        reason = "its successor is unsafe, for types whose descriptor may change; an OwnedFd's does not"
    )]
    let fd = AsyncFd::new(open()?)?;
    loop {
        let mut ready = fd.readable().await?;
        let concerns_us = ready
            .try_io(|fd| drain(fd.get_ref()))
            .unwrap_or(Ok(false))?;
        let Some(engine) = engine.upgrade() else {
            return Ok(());
        };
        if concerns_us {
            engine.refresh_devices().await;
        }
    }
}

fn open() -> io::Result<OwnedFd> {
    let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let events = WatchFlags::CREATE
        | WatchFlags::DELETE
        | WatchFlags::ATTRIB
        | WatchFlags::MOVED_FROM
        | WatchFlags::MOVED_TO;
    inotify::add_watch(&fd, "/dev", events)?;
    Ok(fd)
}

/// Reads all events; true if one of them is about a video node.
fn drain(fd: &OwnedFd) -> io::Result<bool> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = Reader::new(fd, &mut buffer);
    let mut concerns_us = false;
    let mut read_any = false;
    loop {
        match reader.next() {
            Ok(event) => {
                read_any = true;
                concerns_us |= event.file_name().is_none_or(is_video_node);
            }
            Err(rustix::io::Errno::WOULDBLOCK) if read_any => return Ok(concerns_us),
            Err(error) => return Err(error.into()),
        }
    }
}

fn is_video_node(name: &CStr) -> bool {
    name.to_bytes().starts_with(b"video")
}
