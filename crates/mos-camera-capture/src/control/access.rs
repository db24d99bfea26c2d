//! What the service may open: the kernel is asked, and nothing is opened.

use std::path::{Component, Path};

use mos_camera_api::v1;
use rustix::fs::Access;
use rustix::io::Errno;

use super::fail::BadField;

/// A machine has tens of nodes.
const MOST: usize = 1024;

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
    match paths.iter().find(|path| !is_of_nodes(Path::new(path))) {
        Some(path) => Err(bad(
            "INVALID_PATH",
            format!("`{path}` is no plain path below /dev or /run"),
        )),
        None => Ok(paths),
    }
}

fn is_of_nodes(path: &Path) -> bool {
    let plain = !path.components().any(|part| part == Component::ParentDir);
    plain && (path.starts_with("/dev") || path.starts_with("/run"))
}

/// What the kernel says of each. May block on the file system.
pub fn check(paths: Vec<String>) -> v1::CheckAccessResponse {
    let nodes = paths.into_iter().map(|path| {
        let access = of(rustix::fs::access(
            &path,
            Access::READ_OK | Access::WRITE_OK,
        ));
        v1::NodeAccess {
            path,
            access: access.into(),
        }
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

/// The kernel's words, of access(2). That a control group's device policy answers EPERM and is asked by access(2), too, is said by
/// no manual, only by `inode_permission()` in the kernel's `fs/namei.c`.
fn of(answer: rustix::io::Result<()>) -> v1::Access {
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
        let many = |count| asked(&vec!["/dev/null"; count]).map(|paths| paths.len());
        assert_eq!(many(MOST), Ok(MOST));
        assert_eq!(many(MOST + 1), Err("TOO_MANY"));
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
        let answer = check(vec!["/dev/no-such-node".to_owned(), "/dev/null".to_owned()]);
        let seen: Vec<_> = answer.nodes.iter().map(v1::NodeAccess::access).collect();
        assert_eq!(seen, [v1::Access::Gone, v1::Access::Usable]);
        assert_eq!(answer.uid, rustix::process::getuid().as_raw());
        assert_eq!(answer.gids[0], rustix::process::getgid().as_raw());
    }
}
