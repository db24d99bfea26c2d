//! What the engine tells whoever watches.

use std::time::SystemTime;

use mos_camera_core::lifecycle::State;
use mos_camera_core::{Device, DeviceId, Fault, StreamName};

use super::meter::Lost;
use super::violations::ViolationKind;

/// Something happened.
#[derive(Debug, Clone)]
pub struct Event {
    /// When.
    pub at: SystemTime,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum EventKind {
    /// A stream went from one state to another.
    StateChanged {
        /// The stream.
        stream: StreamName,
        /// The state that was.
        from: State,
        /// The state that is.
        to: State,
        /// The reason and when it came up, if it was a fault.
        fault: Option<(Fault, SystemTime)>,
    },
    /// A device is there.
    DeviceAdded {
        /// The device.
        device: Device,
        /// The stream that it feeds.
        stream: Option<StreamName>,
    },
    /// A device went away.
    DeviceRemoved {
        /// The device.
        id: DeviceId,
    },
    /// A subscriber lost frames since the last event of this kind.
    Drops {
        /// The stream.
        stream: StreamName,
        /// The subscriber's number.
        subscriber: u64,
        /// The subscriber's name.
        name: String,
        /// How many.
        lost: Lost,
    },
    /// The contract was broken since the last event of this stream and kind.
    Violation {
        /// The stream; none if no stream knows the dma-buf.
        stream: Option<StreamName>,
        /// How.
        kind: ViolationKind,
        /// How often.
        count: u64,
        /// The last of them.
        detail: String,
    },
}

impl Event {
    /// Something that happened now.
    pub fn now(kind: EventKind) -> Self {
        Self {
            at: SystemTime::now(),
            kind,
        }
    }

    /// The stream that it is about; none for devices and the service as a whole.
    pub const fn stream(&self) -> Option<&StreamName> {
        match &self.kind {
            EventKind::StateChanged { stream, .. } | EventKind::Drops { stream, .. } => {
                Some(stream)
            }
            EventKind::Violation { stream, .. } => stream.as_ref(),
            EventKind::DeviceAdded { .. } | EventKind::DeviceRemoved { .. } => None,
        }
    }
}
