//! What is known of the service and its cameras, shared by both transports, and who of us has which camera open.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gst::glib::WeakRef;
use gst::prelude::*;
use mos_camera_core::platform::{CAMERA_SERVICE, CameraService, CsiBackend, DENIED_HINT};
use mos_camera_core::seat::{self, Wired};
use mos_camera_core::{DeviceId, Fault, FaultKind, QmmfSource};

use super::source::Offered;
use super::{Configured, service, tree};

/// The service's cameras.
#[derive(Debug)]
pub struct Registry {
    /// `/` but in tests.
    root: PathBuf,
    /// The element that the service's cameras are reached by; none if there is none that can be made.
    element: Option<&'static str>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    configured: Configured,
    /// As they were last looked for.
    wired: Option<Vec<Wired>>,
    /// Elements by the number of their camera.
    elements: BTreeMap<u32, Vec<WeakRef<gst::Element>>>,
}

impl Registry {
    /// Nothing is looked for yet. `root` is `/` but in tests.
    pub fn new(root: impl Into<PathBuf>, element: Option<&'static str>) -> Self {
        Self {
            root: root.into(),
            element,
            inner: Mutex::default(),
        }
    }

    /// The cameras that the operator named.
    pub fn configure(&self, named: Vec<(String, QmmfSource)>) {
        let mut inner = self.lock();
        inner.configured = named
            .into_iter()
            .map(|(name, source)| (source.device(&name), source))
            .collect();
        inner.wired = None;
    }

    /// The element.
    pub(super) fn element(&self) -> Result<&'static str, Fault> {
        self.element.ok_or_else(|| {
            let names = CsiBackend::Qmmf.elements().join(" or ");
            Fault::new(
                FaultKind::Missing,
                format!("GStreamer has no element {names}, which Qualcomm's camera service is reached by"),
                "install Qualcomm's GStreamer plugins, then restart this service; `mosctl platform` says what was found",
            )
        })
    }

    /// What the element offers.
    pub(super) fn offer(&self) -> Result<Offered, Fault> {
        Offered::of(self.element()?)
    }

    /// Whether the service listens, and lets this process in.
    pub(super) fn check_service(&self) -> Result<(), Fault> {
        match service::look(&self.root) {
            CameraService::Listens => Ok(()),
            CameraService::Absent => Err(Fault::new(
                FaultKind::Unreachable,
                format!("Qualcomm's camera service does not listen at {CAMERA_SERVICE}"),
                "start it (`systemctl start cam-server`, or as the board's maker names it); streams go on when it is back",
            )),
            // It may be on its way: the service makes its socket first and gives it to its group then.
            CameraService::Denied => Err(Fault::new(
                FaultKind::Unreachable,
                format!(
                    "this service has no permission to use Qualcomm's camera service at {CAMERA_SERVICE}"
                ),
                DENIED_HINT,
            )),
        }
    }

    /// Reads the device tree again.
    pub(super) fn look(&self) -> Vec<Wired> {
        let seats = seat::seats(&tree::nodes(&self.root));
        let mut inner = self.lock();
        let wired = seat::assign(&seats, &inner.configured);
        inner.wired = Some(wired.clone());
        wired
    }

    /// A camera that can be opened.
    pub(super) fn find(&self, id: &DeviceId) -> Result<Wired, Fault> {
        let wired = self.known(id).ok_or_else(|| absent(id))?;
        match &wired.taken_by {
            None => Ok(wired),
            Some(other) => Err(Fault::new(
                FaultKind::Unsupported,
                super::discovery::taken(&wired, other),
                super::discovery::SAY_WHICH,
            )),
        }
    }

    fn known(&self, id: &DeviceId) -> Option<Wired> {
        let known = self.lock().wired.clone();
        let wired = known.unwrap_or_else(|| self.look());
        wired.into_iter().find(|wired| wired.id == *id)
    }

    /// Remembers whose element a camera's is.
    pub(super) fn remember(&self, camera: u32, element: &gst::Element) {
        let mut inner = self.lock();
        let elements = inner.elements.entry(camera).or_default();
        elements.retain(|known| known.upgrade().is_some());
        elements.push(element.downgrade());
    }

    /// Whether another stream of ours has the camera of `element` open.
    pub(super) fn is_open_elsewhere(&self, element: &gst::Object) -> bool {
        let inner = self.lock();
        let same = |known: &WeakRef<gst::Element>| {
            known
                .upgrade()
                .is_some_and(|known| known.upcast_ref::<gst::Object>() == element)
        };
        let others = inner.elements.values().find(|all| all.iter().any(same));
        others.into_iter().flatten().any(|known| {
            let known = known
                .upgrade()
                .filter(|known| known.upcast_ref::<gst::Object>() != element);
            known.is_some_and(|known| known.current_state() > gst::State::Null)
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn absent(id: &DeviceId) -> Fault {
    Fault::new(
        FaultKind::Absent,
        format!("neither the device tree nor the configuration has a camera {id}"),
        "`mosctl devices` lists the links that are known; a table [cameras.NAME.qmmf] names one that the device tree does not show",
    )
}
