//! Callers who may not use the service. Needs root, to be somebody else; says so where it is not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use mos_camera_api::v1::{GetStatusRequest, State};
use mos_frame::{Subscriber, SubscriberOptions};

use crate::bystander::Bystander;
use crate::harness::{Home, PATIENCE, Service, TWO_CAMERAS, end_of};

/// `nobody` on Debian, and a user and a group of no name.
const NOBODY: u32 = 65534;
const SOMEBODY: u32 = 64321;
const GROUP: u32 = 64322;
const SOCKET_GROUP: u32 = 64323;

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
    for dir in [run, service.home.frame_dir()] {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    }
    service
}

/// Names the control socket and a bus socket to [`as_another_user`].
const SOCKET: &str = "MOS_TEST_ASK";
const BUS: &str = "MOS_TEST_SUBSCRIBE";

/// What another user is told.
#[derive(Debug)]
struct Told {
    /// By the control service.
    answered: bool,
    /// By the frame bus: a frame came.
    subscribed: bool,
    /// In words.
    said: String,
}

/// Runs [`as_another_user`] as another user.
fn ask_as(service: &Service, uid: u32, groups: &str) -> Told {
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
        .env(BUS, service.home.bus_socket("subject"))
        .output()
        .expect("setpriv (package util-linux) runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("asked"), "{said}");
    Told {
        answered: said.contains("control: answered"),
        subscribed: said.contains("bus: a frame"),
        said,
    }
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
    let path = |name| PathBuf::from(std::env::var_os(name).expect("a socket is named"));
    eprintln!("control: {}", ask_control(&path(SOCKET)).await);
    eprintln!("bus: {}", ask_bus(&path(BUS)));
    eprintln!("asked");
}

async fn ask_control(socket: &Path) -> String {
    let mut control = match mos_camera_api::client::connect(socket).await {
        Ok(control) => control,
        Err(error) => return format!("not connected: {error}"),
    };
    match control.get_status(GetStatusRequest::default()).await {
        Ok(_) => "answered".to_owned(),
        Err(status) => format!("{:?}: {}", status.code(), status.message()),
    }
}

fn ask_bus(socket: &Path) -> String {
    let options = SubscriberOptions {
        reconnect: false,
        ..SubscriberOptions::default()
    };
    match Subscriber::connect(socket, options).map(|mut s| s.next_timeout(PATIENCE)) {
        Ok(Ok(Some(_))) => "a frame".to_owned(),
        Ok(other) => format!("connected, and then {:?}", other.err()),
        Err(error) => format!("not connected: {error}"),
    }
}

#[tokio::test]
async fn those_on_the_list_are_answered_and_others_told_why_not() {
    if !is_root("no_permission::those_on_the_list_are_answered_and_others_told_why_not") {
        return;
    }
    let service = open_service(&format!(
        "allow_uids = [{SOMEBODY}]\nallow_gids = [{GROUP}]\nsocket_gid = {SOCKET_GROUP}"
    ));
    let other = Bystander::watch(&service).await;
    service.wait_state("subject", State::Streaming).await;
    let stranger = ask_as(&service, NOBODY, "--clear-groups");
    assert!(!stranger.answered && !stranger.subscribed, "{stranger:?}");
    assert!(stranger.said.contains("PermissionDenied"), "{stranger:?}");
    assert!(stranger.said.contains("allow_uids"), "{stranger:?}");
    let by_user = ask_as(&service, SOMEBODY, "--clear-groups");
    assert!(by_user.answered && by_user.subscribed, "{by_user:?}");
    let by_group = ask_as(&service, NOBODY, &format!("--groups={GROUP}"));
    assert!(by_group.answered && by_group.subscribed, "{by_group:?}");
    let by_socket = ask_as(&service, NOBODY, &format!("--groups={SOCKET_GROUP}"));
    assert!(by_socket.answered && by_socket.subscribed, "{by_socket:?}");
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
    let stranger = ask_as(&service, NOBODY, "--clear-groups");
    assert!(!stranger.answered && !stranger.subscribed, "{stranger:?}");
    assert!(
        stranger.said.contains("no permission to open"),
        "{stranger:?}"
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
    fs::copy(crate::harness::binary(), &binary).unwrap();
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
