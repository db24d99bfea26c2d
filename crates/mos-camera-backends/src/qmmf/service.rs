//! The socket of the camera service.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use mos_camera_core::platform::{CAMERA_SERVICE, CameraService};
use rustix::fs::{Access, AtFlags, CWD};

/// Where it is below `root`.
pub fn socket(root: &Path) -> PathBuf {
    root.join(CAMERA_SERVICE.trim_start_matches('/'))
}

/// What there is of the service on the machine whose files are below `root`.
///
/// To connect takes the right to write to the socket (unix(7)). The client makes a socket of its own beside it, too, so it needs that
/// of the folder (`RecorderServiceCallbackStub::Init` in `qualcomm/camera-service`).
pub fn look(root: &Path) -> CameraService {
    let socket = socket(root);
    let folder = socket.parent().unwrap_or(root);
    judge(
        &fs::metadata(&socket).map(|about| about.file_type().is_socket()),
        || may_write(&socket) && may_write(folder),
    )
}

fn may_write(path: &Path) -> bool {
    rustix::fs::accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS).is_ok()
}

fn judge(is_socket: &io::Result<bool>, may_use: impl FnOnce() -> bool) -> CameraService {
    match is_socket {
        Ok(true) if may_use() => CameraService::Listens,
        Ok(true) => CameraService::Denied,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => CameraService::Denied,
        Ok(false) | Err(_) => CameraService::Absent,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_service_that_is_not_there_is_told_from_one_that_may_not_be_used() {
        use CameraService::{Absent, Denied, Listens};
        let failed = |kind: io::ErrorKind| Err(io::Error::from(kind));
        for (socket, usable, expected) in [
            (Ok(true), true, Listens),
            (Ok(true), false, Denied),
            (Ok(false), true, Absent),
            (failed(io::ErrorKind::NotFound), true, Absent),
            (failed(io::ErrorKind::NotADirectory), true, Absent),
            (failed(io::ErrorKind::PermissionDenied), true, Denied),
        ] {
            assert_eq!(judge(&socket, || usable), expected, "{socket:?} {usable}");
        }
    }

    #[test]
    fn its_socket_is_looked_for_where_it_makes_it() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(look(root.path()), CameraService::Absent);
        let path = root.path().join("run/cam_server/le_cam_socket");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, b"no socket").unwrap();
        assert_eq!(look(root.path()), CameraService::Absent);
        fs::remove_file(&path).unwrap();
        let _service = UnixListener::bind(&path).unwrap();
        assert_eq!(look(root.path()), CameraService::Listens);
    }
}
