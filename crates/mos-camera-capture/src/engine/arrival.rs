//! Something that is to appear in the file system, by inotify(7).

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;

/// A watch on a path, or on the nearest folder above it that there is, for the others have to be made first.
#[derive(Debug)]
pub(super) struct Watch {
    path: PathBuf,
    events: AsyncFd<OwnedFd>,
}

impl Watch {
    /// Begins to watch: what happens from now on is told.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe, for types whose descriptor may change; an OwnedFd's does not"
        )]
        let events = AsyncFd::new(fd)?;
        let watch = Self {
            path: path.to_owned(),
            events,
        };
        watch.follow()?;
        Ok(watch)
    }

    /// Waits until something changed at the path, or near it.
    pub(super) async fn changed(&mut self) -> io::Result<()> {
        loop {
            let mut ready = self.events.readable().await?;
            match ready.try_io(|fd| drain(fd.get_ref())) {
                Ok(done) => {
                    done?;
                    break;
                }
                Err(_would_block) => {}
            }
        }
        self.follow()
    }

    /// Watches the nearest folder that there is now and that may be watched. That it goes is told, too (`IN_IGNORED`).
    fn follow(&self) -> io::Result<()> {
        let events = WatchFlags::CREATE
            | WatchFlags::ATTRIB
            | WatchFlags::MOVED_TO
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        let nearest = || {
            let mut last = Errno::NOENT;
            for folder in self.path.ancestors().skip(1) {
                last = match inotify::add_watch(self.events.get_ref(), folder, events) {
                    Ok(_) => return Ok(()),
                    // The one above tells when it is made or opened to us. Another reason, as too many watches, is none to look there.
                    Err(error @ (Errno::NOENT | Errno::NOTDIR | Errno::ACCESS)) => error,
                    Err(error) => return Err(self.unwatched(folder, error)),
                };
            }
            Err(self.unwatched(&self.path, last))
        };
        // Twice: one that was made between a failure and the watch above it was not told of.
        nearest().and_then(|()| nearest())
    }

    fn unwatched(&self, folder: &Path, error: Errno) -> io::Error {
        let error = io::Error::from(error);
        io::Error::new(
            error.kind(),
            format!(
                "{} can't be watched for {}: {error}",
                folder.display(),
                self.path.display()
            ),
        )
    }
}

/// Reads all events that are there. What they say does not matter.
fn drain(fd: &OwnedFd) -> io::Result<()> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = Reader::new(fd, &mut buffer);
    let mut read_any = false;
    loop {
        match reader.next() {
            Ok(_) => read_any = true,
            Err(Errno::WOULDBLOCK) if read_any => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_mins(1);

    /// Each step is noticed, also those that make what has to be watched next.
    #[tokio::test]
    async fn a_path_is_noticed_folder_by_folder() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("cam_server");
        let socket = folder.join("inner/le_cam_socket");
        let mut watch = Watch::new(&socket).unwrap();
        let steps: [&dyn Fn(); 5] = [
            &|| fs::create_dir(&folder).unwrap(),
            &|| fs::create_dir(folder.join("inner")).unwrap(),
            &|| fs::write(&socket, b"").unwrap(),
            &|| fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).unwrap(),
            &|| {
                // The folder is made anew, as systemd does with that of a service that is restarted.
                fs::remove_dir_all(&folder).unwrap();
                fs::create_dir_all(folder.join("inner")).unwrap();
            },
        ];
        for (number, step) in steps.iter().enumerate() {
            step();
            let changed = tokio::time::timeout(PATIENCE, watch.changed()).await;
            changed.unwrap_or_else(|_| panic!("step {number}")).unwrap();
        }
        fs::write(&socket, b"").unwrap();
        let changed = tokio::time::timeout(PATIENCE, watch.changed()).await;
        changed.expect("the new folder").unwrap();
    }

    /// A folder that is there and can't be watched, here for a link that leads to itself: whoever waits would wait for ever.
    #[tokio::test]
    async fn what_can_t_be_watched_is_told() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("cam_server");
        let mut watch = Watch::new(&folder.join("le_cam_socket")).unwrap();
        std::os::unix::fs::symlink(&folder, &folder).unwrap();
        let changed = tokio::time::timeout(PATIENCE, watch.changed()).await;
        let error = changed.expect("the link is told of").unwrap_err();
        assert!(error.to_string().contains("cam_server can't"), "{error}");
        assert!(Watch::new(&folder.join("le_cam_socket")).is_err());
    }
}
