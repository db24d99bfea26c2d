//! What the service tells beside errors: messages `qmmfsrc-event` of its element, and a signal when a camera comes or goes.
//!
//! Numbers and meaning are those of `camera_source_context.h` and of `camera_event_callback` in `camera_source_context.cc` of
//! `qualcomm/gst-plugins-imsdk`. Errors that the element posts itself are in `faults`.

use gst::prelude::*;
use mos_camera_core::{DeviceId, Fault, FaultKind};

use crate::posted;

/// Name of the messages, and of the number in them.
const MESSAGE: &str = "qmmfsrc-event";
const NUMBER: &str = "event-type";
/// Signal of a camera's number and whether it is there (since November 2025).
const STATUS: &str = "device-status-change";

/// What an event means for a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// It is over, which the element does not say itself.
    Ends(&'static str),
    /// Something happened that the camera or the service may get over; frames tell whether it did.
    Notable(&'static str),
    /// Nothing, or another message says it.
    Nothing,
}

fn meaning(number: u32) -> Meaning {
    match number {
        // The sensor's frames did not start. The service recovers by itself where it can, and the watchdog looks whether frames come.
        8 => Meaning::Notable("the sensor froze"),
        9 => Meaning::Ends("the camera service could not recover the camera"),
        10 => Meaning::Ends("the camera broke down for good"),
        11 => Meaning::Notable("the camera service recovered the camera"),
        12 => Meaning::Notable("the camera service recovers the camera"),
        // 1 and 2 are errors too, 13 a signal; 3 and 5 are told of *other* cameras, 5 also where one of those lost a frame.
        _ => Meaning::Nothing,
    }
}

const HINT: &str = "it is opened again by itself; the camera service's log (`journalctl -u cam-server`) and the kernel's may say why";

/// The fault of a message, if it is one.
pub(super) fn fault(device: &DeviceId, message: &gst::message::Element) -> Option<Fault> {
    let said = message.structure().filter(|said| said.name() == MESSAGE)?;
    let number = said.get(NUMBER).ok()?;
    match meaning(number) {
        Meaning::Ends(what) => Some(Fault::new(
            FaultKind::Disconnected,
            format!("{device}: {what} (event {number})"),
            HINT,
        )),
        Meaning::Notable(what) => {
            tracing::warn!(%device, event = number, "{what}");
            None
        }
        Meaning::Nothing => None,
    }
}

/// Has the stream end when its camera is taken away. Releases without the signal let frames stop.
pub(super) fn end_when_it_goes(
    device: &DeviceId,
    camera: u32,
    element: &gst::Element,
    bin: &gst::Bin,
) {
    if gst::glib::subclass::SignalId::lookup(STATUS, element.type_()).is_none() {
        return;
    }
    let (device, bin) = (device.clone(), bin.downgrade());
    element.connect(STATUS, false, move |values| {
        let number = values.get(1).and_then(|value| value.get::<u32>().ok());
        let present = values.get(2).and_then(|value| value.get::<bool>().ok());
        if number == Some(camera)
            && present == Some(false)
            && let Some(bin) = bin.upgrade()
        {
            posted::post(&bin, &gone(&device));
        }
        None
    });
}

fn gone(device: &DeviceId) -> Fault {
    Fault::new(
        FaultKind::Absent,
        format!("{device}: the camera service says that the camera is gone"),
        "check its cable; the stream goes on when the camera can be opened again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(name: &str, number: u32) -> gst::Message {
        let said = gst::Structure::builder(name).field(NUMBER, number).build();
        gst::message::Element::new(said)
    }

    #[test]
    fn events_without_an_error_of_their_own_end_the_stream_or_do_not() {
        gst::init().unwrap();
        let device: DeviceId = "gmsl:x/link0".parse().unwrap();
        for (name, number, expected) in [
            (MESSAGE, 9, Some("could not recover")),
            (MESSAGE, 10, Some("for good")),
            (MESSAGE, 0, None),
            (MESSAGE, 1, None),
            (MESSAGE, 2, None),
            (MESSAGE, 5, None),
            (MESSAGE, 8, None),
            (MESSAGE, 11, None),
            (MESSAGE, 12, None),
            (MESSAGE, 13, None),
            (MESSAGE, 99, None),
            ("another", 10, None),
        ] {
            let message = message(name, number);
            let gst::MessageView::Element(element) = message.view() else {
                panic!("{message:?}");
            };
            let fault = fault(&device, element);
            assert_eq!(fault.is_some(), expected.is_some(), "{name} {number}");
            if let (Some(fault), Some(text)) = (fault, expected) {
                assert_eq!(fault.kind, FaultKind::Disconnected);
                assert!(fault.message.contains(text), "{fault}");
                assert!(fault.message.starts_with("gmsl:x/link0: "), "{fault}");
            }
        }
    }
}
