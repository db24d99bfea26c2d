//! What the service says of nodes that it may or may not use. Needs root, to run the service as somebody else; says so where it is not.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use mos_camera_api::v1::{Access, CheckAccessRequest, NodeAccess};
use tonic::Code;

use crate::harness::{Home, Service};
use crate::qmmf_camera::{MOUNT, can_mount};

/// A user and groups of no name.
const SOMEBODY: u32 = 64331;
const GROUP: u32 = 64332;
const ANOTHER: u32 = 64333;

/// The service as a user that is in [`GROUP`]; `before` is what becomes the program that changes the user.
fn start(before: &[&str]) -> Service {
    let home = Home::new("[cameras.front]\ntest = {}\n[onvif]\ndiscovery = false\n");
    chown(home.path(), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
    let plain = home.command();
    let mut words = before.iter().chain(&["setpriv"]);
    let mut command = Command::new(words.next().unwrap());
    command
        .args(words)
        .args(["--reuid", &SOMEBODY.to_string()])
        .args(["--regid", &SOMEBODY.to_string()])
        .args(["--groups", &GROUP.to_string()])
        .arg(plain.get_program())
        .args(plain.get_args())
        .env_remove("NOTIFY_SOCKET")
        .env_remove("WATCHDOG_USEC")
        .env("GST_REGISTRY", home.path().join("registry.bin"));
    home.start_as(command)
}

/// The kernel judges sockets as it does nodes, by owner, group and mode; and making nodes is not given to every container.
#[tokio::test]
async fn nodes_are_judged_as_the_service_s_user() {
    if !rustix::process::geteuid().is_root() {
        mos_testkit::skip::skip("service nodes", "only root can be somebody else").unwrap();
        return;
    }
    let folder = tempfile::tempdir_in("/run").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = |name: &str| folder.path().join(name);
    let sockets = [
        ("everybody", 0, 0o666),
        ("group", GROUP, 0o660),
        ("read-only", GROUP, 0o640),
        ("another", ANOTHER, 0o660),
        ("nobody", 0, 0o700),
    ];
    let _listeners = sockets.map(|(name, group, mode)| {
        let node = path(name);
        let listener = UnixListener::bind(&node).unwrap();
        chown(&node, Some(0), Some(group)).unwrap();
        fs::set_permissions(&node, fs::Permissions::from_mode(mode)).unwrap();
        listener
    });
    fs::write(path("file"), "").unwrap();
    // The service may not search it: neither may it be learned what is in there.
    let secrets = tempfile::tempdir().unwrap();
    fs::set_permissions(secrets.path(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(secrets.path().join("door"), "").unwrap();
    symlink(secrets.path(), path("link")).unwrap();

    let service = start(&[]);
    let expected = [
        ("everybody", Access::Usable),
        ("group", Access::Usable),
        ("read-only", Access::Denied),
        ("another", Access::Denied),
        ("nobody", Access::Denied),
        ("file", Access::Gone),
        ("link/door", Access::Unspecified),
        ("link/window", Access::Unspecified),
        ("missing", Access::Gone),
    ];
    let paths = expected.map(|(name, _)| path(name).to_str().unwrap().to_owned());
    let mut inspect = service.inspect().await;
    let request = CheckAccessRequest {
        paths: paths.to_vec(),
    };
    let answer = inspect.check_access(request).await.unwrap().into_inner();
    assert_eq!((answer.uid, answer.gids), (SOMEBODY, vec![SOMEBODY, GROUP]));
    let seen: Vec<_> = answer.nodes.iter().map(NodeAccess::access).collect();
    assert_eq!(seen, expected.map(|(_, access)| access));

    let request = CheckAccessRequest {
        paths: vec!["/etc/shadow".to_owned()],
    };
    let refused = inspect.check_access(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
}

/// Whoever may use its socket and not its folder is refused by the camera service's client.
#[tokio::test]
async fn the_camera_service_takes_its_folder_too() {
    if !can_mount("nodes::the_camera_service_takes_its_folder_too") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    let socket = folder.path().join("le_cam_socket");
    let _camera_service = UnixListener::bind(&socket).unwrap();
    let mounted = folder.path().to_str().unwrap();
    let service = start(&["unshare", "--mount", "sh", "-euc", MOUNT, "sh", mounted]);
    let mut inspect = service.inspect().await;
    for (of_folder, of_socket, expected) in [
        (0o755, 0o666, Access::Denied),
        (0o777, 0o600, Access::Denied),
        // To connect takes the right to write alone.
        (0o777, 0o622, Access::Usable),
    ] {
        mode(folder.path(), of_folder).unwrap();
        mode(&socket, of_socket).unwrap();
        let request = CheckAccessRequest {
            paths: vec!["/run/cam_server/le_cam_socket".to_owned()],
        };
        let answer = inspect.check_access(request).await.unwrap().into_inner();
        assert_eq!(
            answer.nodes[0].access(),
            expected,
            "{of_folder:o} {of_socket:o}"
        );
    }
}
