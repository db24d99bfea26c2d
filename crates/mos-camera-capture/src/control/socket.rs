//! The listening socket of the control service.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

use super::lock::{LockError, PathLock};

/// Who may reach a socket as far as the file system decides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketAccess {
    /// Permission bits.
    pub mode: u32,
    /// Group that the socket, and a folder that is made for it, are given to.
    pub gid: Option<u32>,
}

/// The control socket, listening; removed when this is dropped.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    _lock: PathLock,
}

/// The control socket can't be had.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// A service runs there, or the lock can't be taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Somebody else listens on the path.
    #[error("another program listens on {}; stop it, or name another `control_socket`", path.display())]
    Foreign {
        /// The socket.
        path: PathBuf,
    },
    /// Something that is no socket is in the way.
    #[error("{} is there and is no socket; it is left alone: remove it, or name another `control_socket`", path.display())]
    NoSocket {
        /// The path.
        path: PathBuf,
    },
    /// The folder can't be made.
    #[error("can't make the folder {}: {source}; name another `control_socket`, or make it for the service's user", path.display())]
    Dir {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The socket can't be made.
    #[error("can't make the control socket {}: {source}", path.display())]
    Bind {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl ControlSocket {
    /// Listens on `path`. Refuses while another service lives there, and replaces what a dead one left.
    pub fn bind(path: &Path, access: SocketAccess) -> Result<Self, SocketError> {
        if let Some(dir) = path.parent() {
            make_dir(dir, access.gid).map_err(|source| SocketError::Dir {
                path: dir.to_owned(),
                source,
            })?;
        }
        let lock = PathLock::take(path)?;
        check_free(path)?;
        let listener = listen(path, access).map_err(|source| SocketError::Bind {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// The next connection.
    pub async fn accept(&self) -> io::Result<tokio::net::UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(socket = %self.path.display(), %error, "the control socket could not be removed");
        }
    }
}

/// Makes a folder (0750, of group `gid`) unless it is there; one that is there is left as it is.
pub fn make_dir(dir: &Path, gid: Option<u32>) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o750)
        .create(dir)?;
    std::os::unix::fs::chown(dir, None, gid)
}

/// Whether the path can be taken: the lock says that no other service lives, but not that nobody else listens.
fn check_free(path: &Path) -> Result<(), SocketError> {
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(SocketError::Bind {
            path: path.to_owned(),
            source,
        }),
        Ok(meta) if !meta.file_type().is_socket() => Err(SocketError::NoSocket {
            path: path.to_owned(),
        }),
        Ok(_) if UnixStream::connect(path).is_ok() => Err(SocketError::Foreign {
            path: path.to_owned(),
        }),
        Ok(_) => Ok(()),
    }
}

/// Binds beside the path and moves the socket there: it is never reachable with other permissions than its own.
fn listen(path: &Path, access: SocketAccess) -> io::Result<UnixListener> {
    let mut tmp = path.to_owned().into_os_string();
    tmp.push(".new");
    let tmp = PathBuf::from(tmp);
    remove_if_there(&tmp)?;
    let listener = UnixListener::bind(&tmp)?;
    fs::set_permissions(&tmp, fs::Permissions::from_mode(access.mode))?;
    std::os::unix::fs::chown(&tmp, None, access.gid)?;
    fs::rename(&tmp, path)?;
    Ok(listener)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCESS: SocketAccess = SocketAccess {
        mode: 0o660,
        gid: None,
    };

    #[tokio::test]
    async fn the_socket_and_its_folder_have_their_modes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/control.sock");
        let socket = ControlSocket::bind(&path, ACCESS).unwrap();
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o660, 0o750));
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_live_service_is_refused_and_a_dead_ones_socket_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let socket = ControlSocket::bind(&path, ACCESS).expect("a stale socket is replaced");
        assert!(matches!(
            ControlSocket::bind(&path, ACCESS),
            Err(SocketError::Lock(LockError::Held { .. }))
        ));
        UnixStream::connect(socket.path()).expect("the first still listens");
    }

    #[tokio::test]
    async fn what_is_not_ours_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (foreign, file) = (dir.path().join("foreign.sock"), dir.path().join("file"));
        let listener = std::os::unix::net::UnixListener::bind(&foreign).unwrap();
        assert!(matches!(
            ControlSocket::bind(&foreign, ACCESS),
            Err(SocketError::Foreign { .. })
        ));
        drop(listener);
        fs::write(&file, "kept").unwrap();
        assert!(matches!(
            ControlSocket::bind(&file, ACCESS),
            Err(SocketError::NoSocket { .. })
        ));
        assert_eq!(fs::read(&file).unwrap(), b"kept");
    }
}
