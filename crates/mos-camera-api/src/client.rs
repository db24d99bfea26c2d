//! Reaching the service through its Unix socket.

use std::io;
use std::path::{Path, PathBuf};

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use crate::v1::capture_control_service_client::CaptureControlServiceClient;
use crate::v1::capture_event_service_client::CaptureEventServiceClient;
use crate::v1::capture_inspect_service_client::CaptureInspectServiceClient;
use crate::v1::capture_source_service_client::CaptureSourceServiceClient;

/// Environment variable that names the control socket.
pub const SOCKET_VAR: &str = "MOS_CONTROL_SOCKET";

/// The control socket of a service that was installed for the whole machine.
pub const SYSTEM_SOCKET: &str = "/run/mos-camera/control.sock";

/// A connected client of the control service.
pub type ControlClient = CaptureControlServiceClient<Channel>;

/// A connected client of the event service.
pub type EventClient = CaptureEventServiceClient<Channel>;

/// A connected client of the inspection service.
pub type InspectClient = CaptureInspectServiceClient<Channel>;

/// A connected client of the source service.
pub type SourceClient = CaptureSourceServiceClient<Channel>;

/// Why the service can't be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nothing is at the path.
    #[error("no control socket at {}: is the service running? Start `mos-camera-capture`, or name its socket with --socket or ${SOCKET_VAR}", path.display())]
    NotFound {
        /// The socket.
        path: PathBuf,
    },
    /// A socket is there, but nobody listens: a service died and left it.
    #[error("nobody listens on {}: the service that made this socket is gone. Start `mos-camera-capture`; it replaces the socket", path.display())]
    Refused {
        /// The socket.
        path: PathBuf,
    },
    /// The caller may not open the socket.
    #[error("no permission to open {}: {}", path.display(), access_hint(*gid))]
    Permission {
        /// The socket.
        path: PathBuf,
        /// The group that owns the socket, where the caller may see it.
        gid: Option<u32>,
    },
    /// The path is too long for a Unix socket, or is no socket at all.
    #[error("{} can't be opened as the control socket: {source}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The socket was opened, but what answers does not speak gRPC.
    #[error("{} was opened, but what listens there does not speak gRPC: {}", path.display(), innermost(source))]
    Protocol {
        /// The socket.
        path: PathBuf,
        /// What went wrong.
        source: tonic::transport::Error,
    },
}

/// The cause that says what really happened: tonic's own errors all read `transport error`.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

fn access_hint(gid: Option<u32>) -> String {
    match gid {
        Some(gid) => format!(
            "it belongs to the group with id {gid} (`getent group {gid}`); join it with `sudo usermod -aG <group> $USER` and log in again"
        ),
        None => "its folder is closed to you; ask for membership in the service's group, or run this as the service's user".to_owned(),
    }
}

/// The control socket that a caller means who names none.
///
/// `$MOS_CONTROL_SOCKET`; else [`SYSTEM_SOCKET`] for root, or where it is there; else
/// `$XDG_RUNTIME_DIR/mos-camera/control.sock`, the socket of a service that this user started; else [`SYSTEM_SOCKET`].
pub fn default_socket() -> PathBuf {
    let var = |name| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    choose_socket(
        var(SOCKET_VAR),
        is_root(),
        Path::new(SYSTEM_SOCKET).exists(),
        var("XDG_RUNTIME_DIR"),
    )
}

fn choose_socket(
    named: Option<PathBuf>,
    root: bool,
    system_present: bool,
    runtime_dir: Option<PathBuf>,
) -> PathBuf {
    match (named, runtime_dir) {
        (Some(path), _) => path,
        (None, Some(dir)) if !root && !system_present => dir.join("mos-camera/control.sock"),
        _ => SYSTEM_SOCKET.into(),
    }
}

/// Whether the effective user is root: the owner of `/proc/self` is the process's effective user (proc(5)).
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

/// Connects to the control service.
pub async fn connect(path: &Path) -> Result<ControlClient, ConnectError> {
    channel(path).await.map(ControlClient::new)
}

/// Connects to the event service, which listens on the same socket.
pub async fn connect_events(path: &Path) -> Result<EventClient, ConnectError> {
    channel(path).await.map(EventClient::new)
}

/// Connects to the inspection service, which listens on the same socket.
pub async fn connect_inspect(path: &Path) -> Result<InspectClient, ConnectError> {
    channel(path).await.map(InspectClient::new)
}

/// Connects to the source service, which listens on the same socket.
pub async fn connect_sources(path: &Path) -> Result<SourceClient, ConnectError> {
    channel(path).await.map(SourceClient::new)
}

/// Connects a gRPC channel for any service on the socket, such as health or reflection.
///
/// The channel opens the socket anew when the service came back after a restart.
pub async fn channel(path: &Path) -> Result<Channel, ConnectError> {
    // Opened once by hand: tonic hides the cause of a failed connect.
    let first = UnixStream::connect(path)
        .await
        .map_err(|source| explain(path, source))?;
    let mut first = Some(first);
    let socket = path.to_owned();
    let connector = service_fn(move |_: Uri| {
        let (ready, socket) = (first.take(), socket.clone());
        async move {
            let stream = match ready {
                Some(stream) => stream,
                None => UnixStream::connect(socket).await?,
            };
            io::Result::Ok(TokioIo::new(stream))
        }
    });
    // The address is never resolved: it only fills the `:authority` header.
    Endpoint::from_static("http://localhost")
        .connect_with_connector(connector)
        .await
        .map_err(|source| ConnectError::Protocol {
            path: path.to_owned(),
            source,
        })
}

fn explain(path: &Path, source: io::Error) -> ConnectError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => ConnectError::NotFound { path },
        // connect(2) answers ECONNREFUSED for any file that is no socket.
        io::ErrorKind::ConnectionRefused if !is_socket(&path) => {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "it is not a socket");
            ConnectError::Io { path, source }
        }
        io::ErrorKind::ConnectionRefused => ConnectError::Refused { path },
        io::ErrorKind::PermissionDenied => ConnectError::Permission {
            gid: group_of(&path),
            path,
        },
        _ => ConnectError::Io { path, source },
    }
}

fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    std::fs::metadata(path).is_ok_and(|m| m.file_type().is_socket())
}

fn group_of(path: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).ok().map(|m| m.gid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_chosen_in_the_documented_order() {
        let (mine, run) = (
            Some(PathBuf::from("/a/b.sock")),
            Some(PathBuf::from("/run/user/7")),
        );
        let user = PathBuf::from("/run/user/7/mos-camera/control.sock");
        let system = PathBuf::from(SYSTEM_SOCKET);
        for (named, root, present, runtime, expected) in [
            (mine.clone(), true, true, run.clone(), mine.clone().unwrap()),
            (mine.clone(), false, false, None, mine.unwrap()),
            (None, true, false, run.clone(), system.clone()),
            (None, false, true, run.clone(), system.clone()),
            (None, false, false, run, user),
            (None, false, false, None, system),
        ] {
            assert_eq!(choose_socket(named, root, present, runtime), expected);
        }
    }

    #[test]
    fn a_closed_socket_names_the_group_that_may_open_it() {
        use std::os::unix::fs::MetadataExt as _;
        let file = tempfile::NamedTempFile::new().unwrap();
        let gid = file.as_file().metadata().unwrap().gid();
        let denied = |path| explain(path, io::ErrorKind::PermissionDenied.into()).to_string();
        let text = denied(file.path());
        assert!(
            text.contains(&format!("getent group {gid}")) && text.contains("usermod"),
            "{text}"
        );
        let text = denied(Path::new("/nowhere/control.sock"));
        assert!(text.contains("its folder is closed to you"), "{text}");
    }
}
