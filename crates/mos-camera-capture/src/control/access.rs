//! What the service may open: the kernel is asked, and no driver is.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Component, Path};
use std::sync::Arc;
use std::time::Duration;

use mos_camera_api::v1;
use mos_camera_backends::qmmf::service;
use mos_camera_core::platform::{CAMERA_SERVICE, CameraService};
use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use tokio::sync::Mutex;

use super::fail::{BadField, Stuck};

/// A machine has tens of nodes.
const MOST: usize = 1024;
/// `PATH_MAX`, which the kernel takes no more than anyway.
const LONGEST: usize = 4096;
/// The folders of nodes and sockets.
const FOLDERS: [&str; 2] = ["/dev", "/run"];
/// Longest wait for the file system: what is mounted below these folders may be served by somebody who does not answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The paths, if they are ones that may be asked for.
///
/// Elsewhere than in the folders of nodes and sockets it is nobody's business what the service can read.
pub fn paths(request: v1::CheckAccessRequest) -> Result<Vec<String>, BadField> {
    let bad = |reason, message| BadField {
        field: "paths",
        reason,
        message,
    };
    let paths = request.paths;
    if paths.len() > MOST {
        let message = format!(
            "{} are too many: ask for at most {MOST} at a time",
            paths.len()
        );
        return Err(bad("TOO_MANY", message));
    }
    // By their index: what a caller sends is not for logs and terminals, and may be as long as a message.
    for (index, path) in paths.iter().enumerate() {
        let why = if path.len() > LONGEST {
            format!("has {} bytes, and at most {LONGEST} are taken", path.len())
        } else if !is_of_nodes(Path::new(path)) {
            "is no plain path below /dev or /run".to_owned()
        } else {
            continue;
        };
        let message = format!("the path at index {index} {why}");
        return Err(bad("INVALID_PATH", message));
    }
    Ok(paths)
}

fn is_of_nodes(path: &Path) -> bool {
    let plain = !path.components().any(|part| part == Component::ParentDir);
    plain && FOLDERS.iter().any(|folder| path.starts_with(folder))
}

/// What the kernel says of each, if it says so in time; `turn` is everybody's who asks.
pub async fn check(
    turn: &Arc<Mutex<()>>,
    paths: Vec<String>,
) -> Result<v1::CheckAccessResponse, Stuck> {
    in_time(turn, PATIENCE, move || look(paths)).await
}

/// Looks for as long as `patience` lasts. A look that hangs has one thread, however often it is asked for.
async fn in_time<T: Send + 'static>(
    turn: &Arc<Mutex<()>>,
    patience: Duration,
    look: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Stuck> {
    let looking = async {
        let turn = Arc::clone(turn).lock_owned().await;
        let task = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            look()
        });
        task.await
    };
    match tokio::time::timeout(patience, looking).await {
        Ok(Ok(seen)) => Ok(seen),
        Ok(Err(error)) => Err(Stuck::BrokeOff(error)),
        Err(_) => Err(Stuck::Hangs),
    }
}

/// May block on the file system.
fn look(paths: Vec<String>) -> v1::CheckAccessResponse {
    let nodes = paths.into_iter().map(|path| v1::NodeAccess {
        access: access(Path::new(&path)).into(),
        path,
    });
    let own = rustix::process::getgid();
    let others = rustix::process::getgroups().unwrap_or_else(|error| {
        tracing::warn!(%error, "the service's groups can't be listed");
        Vec::new()
    });
    let others = others.into_iter().filter(|gid| *gid != own);
    v1::CheckAccessResponse {
        uid: rustix::process::getuid().as_raw(),
        gids: std::iter::once(own)
            .chain(others)
            .map(rustix::process::Gid::as_raw)
            .collect(),
        nodes: nodes.collect(),
    }
}

/// Of nodes and sockets only: whoever may make a link in one of the folders must not learn by it what there is elsewhere, or what
/// the service may read there.
fn access(path: &Path) -> v1::Access {
    // It takes more than this socket, and the platform must not be decided by another answer.
    if path == Path::new(CAMERA_SERVICE) {
        return of_camera_service(service::look(Path::new("/")));
    }
    let node = match within(path) {
        Ok(node) => node,
        Err(error) => return not_reached(error),
    };
    match rustix::fs::fstat(&node).map(|about| FileType::from_raw_mode(about.st_mode)) {
        Ok(FileType::CharacterDevice | FileType::BlockDevice | FileType::Socket) => {}
        Ok(_) => return v1::Access::Gone,
        Err(_) => return v1::Access::Unspecified,
    }
    // By the descriptor, so that it is the same node as above.
    let node = format!("/proc/self/fd/{}", node.as_raw_fd());
    let rights = Access::READ_OK | Access::WRITE_OK;
    of(rustix::fs::accessat(CWD, node, rights, AtFlags::EACCESS))
}

const fn of_camera_service(service: CameraService) -> v1::Access {
    match service {
        CameraService::Listens => v1::Access::Usable,
        CameraService::Denied => v1::Access::Denied,
        CameraService::Absent => v1::Access::Gone,
    }
}

/// The node at a path that no link leads out of its folder, not opened (`O_PATH`: no driver is told).
///
/// A link that does is refused before it is looked where it leads to, so the answer is the same whatever is there.
fn within(path: &Path) -> rustix::io::Result<OwnedFd> {
    let in_folder = |folder| Some((folder, path.strip_prefix(folder).ok()?));
    let (folder, rest) = FOLDERS
        .into_iter()
        .find_map(in_folder)
        .ok_or(Errno::NOENT)?;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let folder = rustix::fs::open(folder, flags | OFlags::DIRECTORY, Mode::empty())?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(folder, rest, flags, Mode::empty(), resolve)
}

/// Why there is no node to ask about, of openat2(2).
const fn not_reached(error: Errno) -> v1::Access {
    match error {
        Errno::ACCESS => v1::Access::Denied,
        Errno::NOENT | Errno::NOTDIR => v1::Access::Gone,
        // `EXDEV` of a link that leads out, and what a kernel or a filter says that does not know the call.
        _ => v1::Access::Unspecified,
    }
}

/// The kernel's words, of faccessat2(2). That a control group's device policy answers EPERM and is asked by it, too, is said by
/// no manual, only by `inode_permission()` in the kernel's `fs/namei.c`.
const fn of(answer: rustix::io::Result<()>) -> v1::Access {
    match answer {
        Ok(()) => v1::Access::Usable,
        Err(Errno::ACCESS) => v1::Access::Denied,
        Err(Errno::PERM) => v1::Access::Forbidden,
        Err(Errno::NOENT | Errno::NOTDIR) => v1::Access::Gone,
        Err(_) => v1::Access::Unspecified,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn asked(paths: &[&str]) -> Result<Vec<String>, &'static str> {
        let paths = paths.iter().map(|&path| path.to_owned()).collect();
        super::paths(v1::CheckAccessRequest { paths }).map_err(|bad| bad.reason)
    }

    #[test]
    fn only_nodes_and_sockets_are_asked_for() {
        assert_eq!(asked(&[]), Ok(vec![]));
        let fine = [
            "/dev/video0",
            "/dev/dma_heap/linux,cma",
            "/run/cam_server/x",
        ];
        assert_eq!(asked(&fine), Ok(fine.map(str::to_owned).to_vec()));
        for path in [
            "",
            "dev/video0",
            "/etc/shadow",
            "/dev/../etc/shadow",
            "/device",
        ] {
            assert_eq!(asked(&["/dev/video0", path]), Err("INVALID_PATH"), "{path}");
        }
        let long = |bytes| format!("/dev/{}", "a".repeat(bytes - "/dev/".len()));
        let long = |bytes| asked(&["/dev/null", &long(bytes)]).map(|paths| paths.len());
        assert_eq!(long(LONGEST), Ok(2));
        assert_eq!(long(LONGEST + 1), Err("INVALID_PATH"));
        let many = |count| asked(&vec!["/dev/null"; count]).map(|paths| paths.len());
        assert_eq!(many(MOST), Ok(MOST));
        assert_eq!(many(MOST + 1), Err("TOO_MANY"));
    }

    #[test]
    fn a_path_that_is_refused_is_named_by_its_index() {
        for path in ["/etc/shadow".to_owned(), "/dev/shadow".repeat(LONGEST)] {
            let paths = vec!["/dev/null".to_owned(), path];
            let refused = super::paths(v1::CheckAccessRequest { paths }).unwrap_err();
            let says = refused.to_string();
            assert!(says.contains("at index 1"), "{says}");
            assert!(!says.contains("shadow"), "{says}");
        }
    }

    #[test]
    fn the_kernel_s_words_are_told_apart() {
        for (answer, expected) in [
            (Ok(()), v1::Access::Usable),
            (Err(Errno::ACCESS), v1::Access::Denied),
            (Err(Errno::PERM), v1::Access::Forbidden),
            (Err(Errno::NOENT), v1::Access::Gone),
            (Err(Errno::IO), v1::Access::Unspecified),
        ] {
            assert_eq!(of(answer), expected, "{answer:?}");
        }
    }

    #[test]
    fn nodes_are_answered_in_their_order() {
        let answer = look(vec!["/dev/no-such-node".to_owned(), "/dev/null".to_owned()]);
        let seen: Vec<_> = answer.nodes.iter().map(v1::NodeAccess::access).collect();
        assert_eq!(seen, [v1::Access::Gone, v1::Access::Usable]);
        assert_eq!(answer.uid, rustix::process::getuid().as_raw());
        assert_eq!(answer.gids[0], rustix::process::getgid().as_raw());
    }

    #[test]
    fn a_link_tells_nothing_of_what_is_elsewhere() {
        let elsewhere = tempfile::tempdir().unwrap();
        let _listener = UnixListener::bind(elsewhere.path().join("socket")).unwrap();
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let link = |name: &str, to: &Path| {
            symlink(to, folder.path().join(name)).unwrap();
            access(&folder.path().join(name))
        };
        let socket = elsewhere.path().join("socket");
        let up: std::path::PathBuf = "../".repeat(16).into();
        for (name, to) in [
            ("there", socket.clone()),
            ("not-there", elsewhere.path().join("nothing")),
            ("relative", up.join(socket.strip_prefix("/").unwrap())),
            ("other-folder", "/run".into()),
        ] {
            assert_eq!(link(name, &to), v1::Access::Unspecified, "{name}");
        }
        link("folder", elsewhere.path());
        for below in ["folder/socket", "folder/nothing"] {
            let answer = access(&folder.path().join(below));
            assert_eq!(answer, v1::Access::Unspecified, "{below}");
        }
        // As udev's are, of `/dev/v4l/by-id`.
        let beside = link("beside", Path::new("../../null"));
        assert_eq!(beside, v1::Access::Usable);
        let opened = fs::File::open("/dev/null").unwrap();
        let number = format!("/dev/fd/{}", opened.as_raw_fd());
        assert_eq!(access(Path::new(&number)), v1::Access::Unspecified);
    }

    #[test]
    fn only_devices_and_sockets_are_answered_for() {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let _listener = UnixListener::bind(folder.path().join("socket")).unwrap();
        for (name, expected) in [
            ("", v1::Access::Gone),
            ("file", v1::Access::Gone),
            ("file/below", v1::Access::Gone),
            ("socket", v1::Access::Usable),
        ] {
            assert_eq!(access(&folder.path().join(name)), expected, "{name}");
        }
        for folder in FOLDERS {
            assert_eq!(access(Path::new(folder)), v1::Access::Gone, "{folder}");
        }
    }

    #[tokio::test]
    async fn a_look_that_hangs_has_one_thread() {
        let turn = Arc::default();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let hangs = in_time(&turn, Duration::ZERO, move || released.recv());
        assert!(matches!(hangs.await, Err(Stuck::Hangs)));
        let (ran, runs) = std::sync::mpsc::channel();
        let waits = in_time(&turn, Duration::ZERO, move || ran.send(()));
        assert!(matches!(waits.await, Err(Stuck::Hangs)));
        release.send(()).unwrap();
        assert!(matches!(in_time(&turn, PATIENCE, || 1).await, Ok(1)));
        // Dropped without having run: nobody was there any more to tell.
        assert!(runs.recv().is_err());
    }
}
