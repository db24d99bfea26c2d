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
    /// What it is told at each start.
    values: Arc<Mutex<ControlValues>>,
}

impl Live {
    /// Has the element told `values` whenever it starts.
    pub(super) fn new(device: &DeviceId, element: &gst::Element, values: &ControlValues) -> Self {
        let live = Self {
            device: device.clone(),
            element: element.downgrade(),
            values: Arc::new(Mutex::new(values.clone())),
        };
        if let Some(pad) = element.static_pad("src") {
            live.tell_at_start(&pad);
        }
        live
    }

    fn tell_at_start(&self, pad: &gst::Pad) {
        let (device, values) = (self.device.clone(), Arc::clone(&self.values));
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
        });
    }

    /// Whether the stream still has its element, and so perhaps the camera.
    pub(super) fn is_there(&self) -> bool {
        self.element.upgrade().is_some()
    }

    /// Whether it has the camera open.
    pub(super) fn is_open(&self) -> bool {
        let element = self.element.upgrade();
        element.is_some_and(|element| element.current_state() > gst::State::Null)
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

fn runs(element: &gst::Element) -> bool {
    element.current_state() >= gst::State::Paused
}

fn lock(values: &Mutex<ControlValues>) -> MutexGuard<'_, ControlValues> {
    values.lock().unwrap_or_else(PoisonError::into_inner)
}
