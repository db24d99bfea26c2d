//! Video nodes of `/dev`, by inotify(7).

use std::ffi::{CStr, OsStr};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use tokio::io::unix::AsyncFd;

/// What happened to video nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Seen {
    /// One came or went.
    pub(super) nodes: bool,
    /// One got another owner or mode.
    pub(super) permissions: bool,
    /// One went, or came and may be opened by this process already: there is nothing to wait for.
    pub(super) at_once: bool,
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
                seen = seen.and(event.events(), event.file_name(), may_open);
            }
            Err(rustix::io::Errno::WOULDBLOCK) if read_any => return Ok(seen),
            Err(error) => return Err(error.into()),
        }
    }
}

impl Seen {
    /// With one event more. One without a name says that events were lost (`IN_Q_OVERFLOW`): anything may have happened.
    fn and(self, event: ReadFlags, name: Option<&CStr>, may_open: impl Fn(&CStr) -> bool) -> Self {
        let ours = name.is_none_or(|name| name.to_bytes().starts_with(b"video"));
        let permissions = event.contains(ReadFlags::ATTRIB);
        let nodes = ours && !permissions;
        let came = event.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
        let usable = !came || name.is_none_or(may_open);
        Self {
            nodes: self.nodes || nodes,
            permissions: self.permissions || (ours && permissions),
            at_once: self.at_once || (nodes && usable),
        }
    }
}

fn may_open(name: &CStr) -> bool {
    use rustix::fs::Access;
    let node = Path::new("/dev").join(OsStr::from_bytes(name.to_bytes()));
    rustix::fs::access(node, Access::READ_OK | Access::WRITE_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_video_nodes_count_unless_events_were_lost() {
        let seen = |nodes, permissions, at_once| Seen {
            nodes,
            permissions,
            at_once,
        };
        for (event, name, openable, expected) in [
            (
                ReadFlags::CREATE,
                Some(c"video0"),
                true,
                seen(true, false, true),
            ),
            (
                ReadFlags::CREATE,
                Some(c"video0"),
                false,
                seen(true, false, false),
            ),
            (
                ReadFlags::DELETE,
                Some(c"video12"),
                false,
                seen(true, false, true),
            ),
            (
                ReadFlags::ATTRIB,
                Some(c"video0"),
                true,
                seen(false, true, false),
            ),
            (
                ReadFlags::CREATE,
                Some(c"media0"),
                true,
                seen(false, false, false),
            ),
            (
                ReadFlags::ATTRIB,
                Some(c"null"),
                true,
                seen(false, false, false),
            ),
            (
                ReadFlags::QUEUE_OVERFLOW,
                None,
                false,
                seen(true, false, true),
            ),
        ] {
            assert_eq!(
                Seen::default().and(event, name, |_| openable),
                expected,
                "{event:?}"
            );
        }
    }
}
