//! The service's socket, in a program that loaded the plugin: whoever listens there is the service, and may say by lines what
//! happens to its cameras. So a test plays the service from outside of the program.
//!
//! The real client connects there, too (`RecorderServiceProxy::Connect`), and knows by the end of a connection that the service died
//! (`RecorderServiceCallbackStub::ThreadLoop`). What is said over it is not the real protocol.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::service::service;

/// Where the service listens (`RecorderService::SetupSocket`).
const SOCKET: &str = "/run/cam_server/le_cam_socket";

static FOLLOWS: AtomicBool = AtomicBool::new(false);
static LINK: Mutex<Option<UnixStream>> = Mutex::new(None);

fn link() -> MutexGuard<'static, Option<UnixStream>> {
    LINK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on the service lives as long as a connection to its socket.
pub(crate) fn follow() {
    FOLLOWS.store(true, Ordering::SeqCst);
}

/// Whether there is a service to connect to. Connects to it if nobody of this process is.
pub(crate) fn stands() -> bool {
    if !FOLLOWS.load(Ordering::SeqCst) {
        return true;
    }
    let mut link = link();
    if link.is_some() {
        return true;
    }
    let Ok(stream) = UnixStream::connect(SOCKET) else {
        return false;
    };
    let Ok(own) = stream.try_clone() else {
        return false;
    };
    let listener = std::thread::Builder::new()
        .name("qmmf-standin".to_owned())
        .spawn(move || listen(stream));
    if listener.is_err() {
        return false;
    }
    service().revive();
    *link = Some(own);
    true
}

/// Tells the other side what was done that is not allowed, which it can't see otherwise.
pub(crate) fn report(what: &str) {
    if let Some(mut stream) = link().as_ref() {
        // It may be dead by now.
        let _unheard = writeln!(stream, "{what}");
    }
}

/// Does what the other side says, until it is gone.
fn listen(stream: UnixStream) {
    let mut unheard = false;
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        match line
            .split_once(' ')
            .map(|(what, camera)| (what, camera.parse()))
        {
            None if line == "unheard" => unheard = true,
            Some(("freeze", Ok(camera))) => service().freeze_frames(camera),
            Some(("break", Ok(camera))) => service().camera_error(camera),
            Some(("pull", Ok(camera))) => service().plug(camera, false),
            Some(("plug", Ok(camera))) => service().plug(camera, true),
            Some(("spoil", Ok(camera))) => service().spoil(camera, 5),
            _ => service().violated(format!("{line}: nothing that can be played")),
        }
    }
    // In this order: a new connection stands for a new life.
    if unheard {
        service().die_unheard();
    } else {
        service().die();
    }
    *link() = None;
}
