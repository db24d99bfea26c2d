//! A board with Qualcomm's camera service, of which the elements are played by the stand-in.

#![allow(dead_code, reason = "not every test binary uses all of it")]

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use gstqmmfstandin::{Borrowed, Build, service};
use mos_camera_backends::qmmf::Registry;
use mos_camera_backends::{Backend, QmmfBackend};
use mos_camera_core::{DeviceId, QmmfSource};

use crate::conformance::Subject;

/// Who kills the service must be alone with it.
static SERVICE: RwLock<()> = RwLock::new(());

/// Alone with the service.
pub(crate) fn alone() -> RwLockWriteGuard<'static, ()> {
    SERVICE.write().unwrap_or_else(PoisonError::into_inner)
}

/// Not while somebody is alone with the service.
pub(crate) fn among_others() -> RwLockReadGuard<'static, ()> {
    SERVICE.read().unwrap_or_else(PoisonError::into_inner)
}

/// Where the camera is wired to.
const LINK: &str = "i2c@1/max96712@29/link0";

/// A board with one camera. At its end nothing may have been done that the documentation does not allow.
pub(crate) struct Board {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) device: DeviceId,
    pub(crate) camera: Borrowed,
    root: tempfile::TempDir,
    listener: Option<UnixListener>,
}

impl Board {
    pub(crate) fn new(element: &'static str, build: Build) -> Self {
        mos_camera_backends::init().unwrap();
        gstqmmfstandin::register(build).unwrap();
        let root = tempfile::tempdir().unwrap();
        let registry = Arc::new(Registry::new(root.path(), Some(element)));
        let camera = service().borrow();
        let source = QmmfSource {
            camera: camera.camera(),
            link: Some(LINK.to_owned()),
        };
        let device = source.device("left");
        registry.configure(vec![("left".to_owned(), source)]);
        let mut board = Self {
            backend: Arc::new(QmmfBackend::gmsl(registry)),
            device,
            camera,
            root,
            listener: None,
        };
        board.listen(true);
        board
    }

    fn socket(&self) -> PathBuf {
        self.root.path().join("run/cam_server/le_cam_socket")
    }

    /// Whether the service's socket is there.
    pub(crate) fn listen(&mut self, on: bool) {
        let socket = self.socket();
        std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
        self.listener = on.then(|| UnixListener::bind(&socket).unwrap());
        if !on {
            std::fs::remove_file(socket).unwrap();
        }
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        let violations = service().take_violations();
        if !std::thread::panicking() {
            assert!(violations.is_empty(), "{violations:?}");
        }
    }
}

/// The suite's subjects: the element by both its names. Under the old one memory is not labelled as dma-buf memory.
pub(crate) fn subjects(build: Build) -> [Subject; 2] {
    // One for both: who asks again while somebody waits to be alone waits for ever.
    let guard = Rc::new(among_others());
    ["qticamsrc", "qtiqmmfsrc"].map(|element| {
        let board = Board::new(element, build);
        Subject {
            backend: Arc::clone(&board.backend),
            device: board.device.clone(),
            absent: "gmsl:i2c@1/max96712@29/link3".parse().unwrap(),
            size: (640, 480),
            // More than the chip gives.
            unsupported: (8194, 480),
            keep: Box::new((board, Rc::clone(&guard))),
        }
    })
}
