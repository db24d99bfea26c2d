//! What the errors of a generated camera mean: it has none of its own.

use mos_camera_core::{DeviceId, Fault};

use crate::report::{Report, common};

/// The fault of an error message.
pub(super) fn classify(device: &DeviceId, error: &gst::message::Error) -> Fault {
    common(device, &Report::of(error))
}
