//! A board with Qualcomm's camera service, of which the elements are played by the stand-in.

#![allow(dead_code, reason = "not every test binary uses all of it")]

pub(crate) mod failures;

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
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
        prepare(build);
        let root = tempfile::tempdir().unwrap();
        let registry = Arc::new(Registry::new(root.path(), Some(element)));
        let camera = service().borrow();
        let source = QmmfSource {
            camera: camera.camera(),
            link: Some(LINK.to_owned()),
        };
        let device = source.device("left");
        registry.configure(vec![("left".to_owned(), source)]);
        Self::with(root, registry, device, camera)
    }

    /// A board with the cameras of a device tree alone ([`tree`]), of which `device` has to be the service's number `camera`.
    pub(crate) fn wired(
        element: &'static str,
        build: Build,
        lines: &str,
        (device, camera): (&str, u32),
    ) -> Self {
        prepare(build);
        let root = tempfile::tempdir().unwrap();
        tree(root.path(), lines);
        let registry = Arc::new(Registry::new(root.path(), Some(element)));
        let camera = service().borrow_this(camera);
        Self::with(root, registry, device.parse().unwrap(), camera)
    }

    fn with(
        root: tempfile::TempDir,
        registry: Arc<Registry>,
        device: DeviceId,
        camera: Borrowed,
    ) -> Self {
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
        fs::create_dir_all(socket.parent().unwrap()).unwrap();
        self.listener = on.then(|| UnixListener::bind(&socket).unwrap());
        if !on {
            fs::remove_file(socket).unwrap();
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

fn prepare(build: Build) {
    mos_camera_backends::init().unwrap();
    gstqmmfstandin::register(build).unwrap();
}

/// Writes a device tree below `root`, of lines `node/property = word word`, or `node` of its own.
fn tree(root: &Path, lines: &str) {
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (path, value) = line.split_once(" = ").unwrap_or((line, ""));
        let path = root.join("proc/device-tree").join(path);
        if value.is_empty() {
            fs::create_dir_all(path).unwrap();
            continue;
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let bytes: Vec<u8> = value
            .split(' ')
            .flat_map(|word| word.bytes().chain([0]))
            .collect();
        fs::write(path, bytes).unwrap();
    }
}

/// The suite's subjects: the element by each of its names. Under the old one memory is not labelled as dma-buf memory.
pub(crate) fn subjects(build: Build) -> Vec<Subject> {
    let names: &[&'static str] = if build.older {
        &["qtiqmmfsrc"]
    } else {
        &["qticamsrc", "qtiqmmfsrc"]
    };
    // One for both: who asks again while somebody waits to be alone waits for ever.
    let guard = Rc::new(among_others());
    let subject = |&element: &&'static str| {
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
    };
    names.iter().map(subject).collect()
}
