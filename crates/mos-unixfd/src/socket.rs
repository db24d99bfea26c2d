//! The endpoint's `SOCK_STREAM` sockets. Nothing here waits.

use std::fs::{self, File};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use mos_frame::Layout;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType,
};

/// Bytes that are read from a client at once.
const CHUNK: usize = 4096;

/// Why nobody can be served at a path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another endpoint lives there.
    #[error("{}: another process serves this socket; stop it or choose another path", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something is there that is no socket.
    #[error("{}: is no socket, so it is not replaced; choose another path", path.display())]
    NotASocket {
        /// What is there.
        path: PathBuf,
    },
    /// What the endpoint may send could use up the descriptors of its user.
    #[error(
        "{clients} clients with {hold} frames each can have {needed} descriptors in flight, but the limit on open files is {limit}; \
         lower the number of clients or their hold, or raise the limit (LimitNOFILE, ulimit -n)"
    )]
    TooManyDescriptors {
        /// Most clients.
        clients: u32,
        /// Most frames of each.
        hold: u32,
        /// Descriptors that need room.
        needed: u64,
        /// `RLIMIT_NOFILE`.
        limit: u64,
    },
    /// The kernel refused.
    #[error("{}: the socket can't be made: {source}; check the folder and its permissions", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// A socket that clients connect to; its file goes with it.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: OwnedFd,
    path: PathBuf,
    // The kernel drops the lock with the process, however that ends, so a lock means a live endpoint.
    _lock: File,
}

impl Listener {
    /// Listens at `path`, replacing what a dead endpoint left. The socket appears by rename, with its permissions set, so
    /// that no client meets it half made.
    pub(crate) fn bind(path: &Path, mode: u32, gid: Option<u32>) -> Result<Self, BindError> {
        let failed = |source: io::Error| BindError::Io {
            path: path.to_owned(),
            source,
        };
        let lock = lock(path, mode).map_err(failed)?.ok_or(BindError::InUse {
            path: path.to_owned(),
        })?;
        if is_something_else(path) {
            return Err(BindError::NotASocket {
                path: path.to_owned(),
            });
        }
        let socket = listen(path, mode, gid).map_err(failed)?;
        Ok(Self {
            socket,
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// The next client, or `None` if none waits.
    pub(crate) fn accept(&self) -> io::Result<Option<OwnedFd>> {
        match rustix::net::accept_with(&self.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok(socket) => Ok(Some(socket)),
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // The lock file stays: removing it would let two endpoints lock two files of one name.
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "the socket could not be removed");
        }
    }
}

/// Whether a file is there that serving would destroy.
fn is_something_else(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|there| !there.file_type().is_socket())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// `None` if another process has the lock.
fn lock(path: &Path, mode: u32) -> io::Result<Option<File>> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(mode)
        .open(beside(path, ".lock"))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn listen(path: &Path, mode: u32, gid: Option<u32>) -> io::Result<OwnedFd> {
    let fresh = beside(path, ".new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(&fresh)?)?;
    // Nobody can connect before it listens, so nobody slips in before the permissions are set.
    fs::set_permissions(&fresh, fs::Permissions::from_mode(mode))?;
    if let Some(gid) = gid {
        chown(&fresh, None, Some(gid))?;
    }
    rustix::net::listen(&socket, 16)?;
    fs::rename(&fresh, path)?;
    Ok(socket)
}

/// Has the kernel keep no more for a client than it may have: `hold` frames, each with a new format before it, and the end.
/// One that gives frames back which it never read would else have far more descriptors in flight.
pub(crate) fn limit_queue(socket: BorrowedFd<'_>, hold: u32) -> io::Result<()> {
    /// What the kernel counts for a command: its bytes, and some for itself.
    const COMMAND: usize = 1280;
    let bytes = (2 * hold as usize + 2) * COMMAND;
    // The kernel doubles it (socket(7)).
    Ok(rustix::net::sockopt::set_socket_send_buffer_size(
        socket,
        bytes / 2,
    )?)
}

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    Done,
    /// The client's queue is full, or took only a part, after which the stream can't go on.
    Full,
    /// The kernel is short of memory, or holds too many unread descriptors of this user. Nothing was sent.
    Short,
    /// The client is gone.
    Gone,
}

/// Sends a command whole, with its descriptors, or not at all.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    command: &[u8],
    fds: &[BorrowedFd<'_>],
) -> io::Result<Sent> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(Layout::MAX_PLANES))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a frame has more descriptors than planes",
        ));
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    loop {
        return match rustix::net::sendmsg(socket, &[IoSlice::new(command)], &mut control, flags) {
            Ok(sent) if sent == command.len() => Ok(Sent::Done),
            Ok(_) | Err(Errno::AGAIN) => Ok(Sent::Full),
            Err(Errno::INTR) => continue,
            Err(Errno::TOOMANYREFS | Errno::NOBUFS | Errno::NOMEM) => Ok(Sent::Short),
            Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => Ok(Sent::Gone),
            Err(error) => Err(error.into()),
        };
    }
}

/// What a client sent.
#[derive(Debug)]
pub(crate) enum Received {
    Bytes(Vec<u8>),
    Nothing,
    Gone,
}

/// Reads what is there, at most a few kilobytes. Descriptors that come along are closed by the kernel: there is no room for
/// them in the call.
pub(crate) fn receive(socket: BorrowedFd<'_>) -> io::Result<Received> {
    let mut bytes = vec![0; CHUNK];
    match rustix::io::read(socket, &mut bytes) {
        Ok(0) | Err(Errno::CONNRESET) => Ok(Received::Gone),
        Ok(read) => {
            bytes.truncate(read);
            Ok(Received::Bytes(bytes))
        }
        Err(Errno::AGAIN | Errno::INTR) => Ok(Received::Nothing),
        Err(error) => Err(error.into()),
    }
}

/// A flag that many threads can wait for, and that stays set.
#[derive(Debug)]
pub(crate) struct Stop(OwnedFd);

impl Stop {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(eventfd(
            0,
            EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK,
        )?))
    }

    pub(crate) fn set(&self) {
        // A counter that is full is set as well, and nothing else can fail here.
        if let Err(error) = rustix::io::write(&self.0, &1_u64.to_ne_bytes()) {
            tracing::debug!(%error, "the stop was set before");
        }
    }
}

impl AsFd for Stop {
    /// Readable once it is set.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_full_queue_is_told_from_a_dead_client() {
        let (here, there) = UnixStream::pair().unwrap();
        here.set_nonblocking(true).unwrap();
        let full = (0..100_000).find_map(|_| {
            let sent = send(here.as_fd(), &[0; 200], &[]).unwrap();
            (sent != Sent::Done).then_some(sent)
        });
        assert_eq!(full, Some(Sent::Full));
        drop(there);
        assert_eq!(send(here.as_fd(), &[0; 200], &[]).unwrap(), Sent::Gone);
    }

    #[test]
    fn the_socket_has_its_permissions_and_one_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("front.unixfd");
        let first = Listener::bind(&path, 0o640, None).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert!(matches!(
            Listener::bind(&path, 0o640, None),
            Err(BindError::InUse { .. })
        ));
        UnixStream::connect(&path).unwrap();
        drop(first);
        assert!(!path.exists());
        // What a killed endpoint leaves is no obstacle.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        Listener::bind(&path, 0o640, None).unwrap();
    }

    #[test]
    fn a_file_that_is_no_socket_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("picture.png");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(
            Listener::bind(&path, 0o640, None),
            Err(BindError::NotASocket { .. })
        ));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }
}
