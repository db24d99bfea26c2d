//! Callers who may not use the service. Needs root, to be somebody else; says so where it is not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use mos_camera_api::v1::GetStatusRequest;

use crate::bystander::Bystander;
use crate::harness::{Home, Service, TWO_CAMERAS, end_of};

/// `nobody` on Debian, and a user and a group of no name.
const NOBODY: u32 = 65534;
const SOMEBODY: u32 = 64321;
const GROUP: u32 = 64322;

fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        mos_testkit::skip::skip(test, "only root can be somebody else").unwrap();
    }
    root
}

/// A service whose socket everybody may open, so that only its own list decides.
fn open_service(extra: &str) -> Service {
    let home = Home::new(&format!(
        "[service]\nsocket_mode = \"0666\"\n{extra}\n{TWO_CAMERAS}"
    ));
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let service = home.start();
    let run = service.home.control_socket().parent().unwrap().to_owned();
    fs::set_permissions(run, fs::Permissions::from_mode(0o755)).unwrap();
    service
}

/// Names the control socket to [`as_another_user`].
const SOCKET: &str = "MOS_TEST_ASK";

/// Runs [`as_another_user`] as another user: whether it was answered, and what it said.
fn ask_as(service: &Service, uid: u32, groups: &str) -> (bool, String) {
    let output = Command::new("setpriv")
        .arg(format!("--reuid={uid}"))
        .arg(format!("--regid={uid}"))
        .arg(groups)
        .arg(this_test_for_everybody(service))
        .args([
            "--exact",
            "no_permission::as_another_user",
            "--ignored",
            "--nocapture",
        ])
        .env(SOCKET, service.home.control_socket())
        .output()
        .expect("setpriv (package util-linux) runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("asking"), "the client ran: {said}");
    (output.status.success(), said)
}

/// A copy that other users can reach; where it was built they may not.
fn this_test_for_everybody(service: &Service) -> PathBuf {
    let copy = service.home.path().join("test");
    if !copy.exists() {
        fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    }
    copy
}

#[tokio::test]
#[ignore = "run by the tests below, as another user"]
async fn as_another_user() {
    let socket = std::env::var_os(SOCKET).expect("the control socket");
    eprintln!("asking");
    let connected = mos_camera_api::client::connect(Path::new(&socket)).await;
    let mut control = connected.unwrap_or_else(|error| panic!("not connected: {error}"));
    let answer = control.get_status(GetStatusRequest::default()).await;
    answer.unwrap_or_else(|status| panic!("{:?}: {}", status.code(), status.message()));
}

#[tokio::test]
async fn those_on_the_list_are_answered_and_others_told_why_not() {
    if !is_root("no_permission::those_on_the_list_are_answered_and_others_told_why_not") {
        return;
    }
    let service = open_service(&format!(
        "allow_uids = [{SOMEBODY}]\nallow_gids = [{GROUP}]"
    ));
    let other = Bystander::watch(&service).await;
    let (answered, said) = ask_as(&service, NOBODY, "--clear-groups");
    assert!(
        !answered && said.contains("PermissionDenied") && said.contains("allow_uids"),
        "{said}"
    );
    let (answered, said) = ask_as(&service, SOMEBODY, "--clear-groups");
    assert!(answered, "by user: {said}");
    let (answered, said) = ask_as(&service, NOBODY, &format!("--groups={GROUP}"));
    assert!(answered, "by supplementary group: {said}");
    other.did_not_notice();
}

#[tokio::test]
async fn the_socket_itself_is_closed_to_others() {
    if !is_root("no_permission::the_socket_itself_is_closed_to_others") {
        return;
    }
    let service = Service::start(TWO_CAMERAS);
    let other = Bystander::watch(&service).await;
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let run = service.home.control_socket().parent().unwrap().to_owned();
    assert_eq!(
        (mode(service.home.control_socket()), mode(run)),
        (0o660, 0o750)
    );
    fs::set_permissions(service.home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (answered, said) = ask_as(&service, NOBODY, "--clear-groups");
    assert!(
        !answered && said.contains("no permission to open"),
        "{said}"
    );
    other.did_not_notice();
}

#[test]
fn a_service_that_may_not_make_its_socket_says_so() {
    if !is_root("no_permission::a_service_that_may_not_make_its_socket_says_so") {
        return;
    }
    let home = Home::new(TWO_CAMERAS);
    // Reachable, but nobody but root may write there.
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let binary = home.path().join("service");
    fs::copy(crate::harness::BINARY, &binary).unwrap();
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(binary);
    command
        .args(home.command().get_args())
        .uid(NOBODY)
        .gid(NOBODY);
    let (code, said) = end_of(&command.output().unwrap());
    assert_eq!(code, 77, "{said}");
    assert!(said.contains("control_socket"), "{said}");
}
