//! Video nodes of `/dev`, by inotify(7).

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use tokio::io::unix::AsyncFd;

/// What happened to video nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Seen {
    /// One came or went.
    pub(super) nodes: bool,
    /// One got another owner or mode.
    pub(super) permissions: bool,
}

/// A watch on `/dev`.
#[derive(Debug)]
pub(super) struct Watch(AsyncFd<OwnedFd>);

/// Begins to watch.
pub(super) fn start() -> io::Result<Watch> {
    let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let events = WatchFlags::CREATE
        | WatchFlags::DELETE
        | WatchFlags::ATTRIB
        | WatchFlags::MOVED_FROM
        | WatchFlags::MOVED_TO;
    inotify::add_watch(&fd, "/dev", events)?;
    #[expect(
        deprecated,
        reason = "its successor is unsafe, for types whose descriptor may change; an OwnedFd's does not"
    )]
    let fd = AsyncFd::new(fd)?;
    Ok(Watch(fd))
}

impl Watch {
    /// Waits for events; what they say of video nodes, which may be nothing.
    pub(super) async fn next(&mut self) -> io::Result<Seen> {
        loop {
            let mut ready = self.0.readable().await?;
            match ready.try_io(|fd| drain(fd.get_ref())) {
                Ok(seen) => return seen,
                Err(_would_block) => {}
            }
        }
    }
}

/// Reads all events that are there.
fn drain(fd: &OwnedFd) -> io::Result<Seen> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = Reader::new(fd, &mut buffer);
    let mut seen = Seen::default();
    let mut read_any = false;
    loop {
        match reader.next() {
            Ok(event) => {
                read_any = true;
                seen = seen.and(event.events(), event.file_name());
            }
            Err(rustix::io::Errno::WOULDBLOCK) if read_any => return Ok(seen),
            Err(error) => return Err(error.into()),
        }
    }
}

impl Seen {
    /// With one event more. One without a name says that events were lost (`IN_Q_OVERFLOW`): anything may have happened.
    fn and(self, event: ReadFlags, name: Option<&CStr>) -> Self {
        let ours = name.is_none_or(|name| name.to_bytes().starts_with(b"video"));
        let permissions = event.contains(ReadFlags::ATTRIB);
        Self {
            nodes: self.nodes || (ours && !permissions),
            permissions: self.permissions || (ours && permissions),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_video_nodes_count_unless_events_were_lost() {
        let seen = |nodes, permissions| Seen { nodes, permissions };
        for (event, name, expected) in [
            (ReadFlags::CREATE, Some(c"video0"), seen(true, false)),
            (ReadFlags::DELETE, Some(c"video12"), seen(true, false)),
            (ReadFlags::ATTRIB, Some(c"video0"), seen(false, true)),
            (ReadFlags::CREATE, Some(c"media0"), seen(false, false)),
            (ReadFlags::ATTRIB, Some(c"null"), seen(false, false)),
            (ReadFlags::QUEUE_OVERFLOW, None, seen(true, false)),
        ] {
            assert_eq!(Seen::default().and(event, name), expected, "{event:?}");
        }
    }
}
