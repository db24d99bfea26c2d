//! A camera that runs, and its controls.
//!
//! The element keeps what it is told without a lock against its own thread, which takes it for the next request
//! (`GstCameraControls` in `gstlibcamera-controls.cpp.in`). So it is told in that thread, from probes of its pad: at the start, before
//! the first request, and when a frame passes. Then the camera is open, too: in libcamera before 0.5 an element crashes that was told
//! anything before, of a camera without controls.

use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gst::glib::WeakRef;
use gst::prelude::*;
use mos_camera_core::{ControlValues, DeviceId, Fault, FaultKind};

use super::controls;

/// How long a frame is waited for. Whoever asks the service is told after ten seconds that the camera does not answer.
const WITHIN: Duration = Duration::from_secs(8);

/// The element of a stream.
#[derive(Debug)]
pub(super) struct Live {
    device: DeviceId,
    element: WeakRef<gst::Element>,
    /// Tells it at each start.
    teller: Mutex<Option<gst::PadProbeId>>,
    /// What it is told at each start.
    values: Arc<Mutex<ControlValues>>,
}

impl Live {
    /// Has the element told `values` whenever it starts.
    pub(super) fn new(device: &DeviceId, element: &gst::Element, values: &ControlValues) -> Self {
        let values = Arc::new(Mutex::new(values.clone()));
        let pad = element.static_pad("src");
        let teller = pad.and_then(|pad| tell_at_start(&pad, device, &values));
        Self {
            device: device.clone(),
            element: element.downgrade(),
            teller: Mutex::new(teller),
            values,
        }
    }

    /// The element is to be another stream's: what this one's was told is not told any more.
    pub(super) fn leave(&self, element: &gst::Element) {
        let is_its = self.element.upgrade().as_ref() == Some(element);
        let pad = element.static_pad("src").filter(|_| is_its);
        if let (Some(pad), Some(teller)) = (pad, lock(&self.teller).take()) {
            pad.remove_probe(teller);
        }
    }

    /// Whether the stream still has its element, and so perhaps the camera.
    pub(super) fn is_there(&self) -> bool {
        self.element.upgrade().is_some()
    }

    /// Sets controls with the next frame, and at each start from now on.
    pub(super) fn set(&self, values: &ControlValues) -> Result<(), Fault> {
        let pad = self.element.upgrade().filter(runs);
        let pad = pad.and_then(|element| element.static_pad("src"));
        if let Some(pad) = pad {
            self.set_with_next_frame(&pad, values)?;
        }
        lock(&self.values).extend(values.clone());
        Ok(())
    }

    fn set_with_next_frame(&self, pad: &gst::Pad, values: &ControlValues) -> Result<(), Fault> {
        let (done, told) = mpsc::sync_channel(1);
        let (device, values) = (self.device.clone(), values.clone());
        let probe = pad.add_probe(gst::PadProbeType::BUFFER, move |pad, _| {
            if let Some(element) = pad.parent_element() {
                // Nobody hears it who does not wait any more.
                let _late = done.try_send(controls::set(&device, &element, &values));
            }
            gst::PadProbeReturn::Remove
        });
        told.recv_timeout(WITHIN).unwrap_or_else(|_| {
            if let Some(probe) = probe {
                pad.remove_probe(probe);
            }
            Err(self.no_frame())
        })
    }

    fn no_frame(&self) -> Fault {
        Fault::new(
            FaultKind::Stalled,
            format!(
                "{}: controls are set with a frame, and none came within {} s",
                self.device,
                WITHIN.as_secs()
            ),
            "see with `mosctl status` why the camera gives no frames; stop the stream to configure it for its next start",
        )
    }
}

/// Has the element of a pad told `values` whenever it starts.
fn tell_at_start(
    pad: &gst::Pad,
    device: &DeviceId,
    values: &Arc<Mutex<ControlValues>>,
) -> Option<gst::PadProbeId> {
    let (device, values) = (device.clone(), Arc::clone(values));
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |pad, info| {
        let starts = info
            .event()
            .is_some_and(|event| event.type_() == gst::EventType::StreamStart);
        if starts && let Some(element) = pad.parent_element() {
            // Whether they fit was found out before the stream was built.
            if let Err(fault) = controls::set(&device, &element, &lock(&values)) {
                tracing::error!(%device, %fault, "the stream starts without its controls");
            }
        }
        gst::PadProbeReturn::Ok
    })
}

fn runs(element: &gst::Element) -> bool {
    element.current_state() >= gst::State::Paused
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
