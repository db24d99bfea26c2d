//! Why a request can't be carried out.

use mos_camera_core::lifecycle::State;
use mos_camera_core::plan::{ConfigError, NoPlan};
use mos_camera_core::{DeviceId, Fault, StreamName};

use crate::state::SaveError;

/// Why a request can't be carried out; nothing was changed, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// There is no such device.
    #[error("there is no device {device}")]
    UnknownDevice {
        /// The device.
        device: DeviceId,
    },
    /// There is no such stream.
    #[error("there is no stream {stream}")]
    UnknownStream {
        /// The stream.
        stream: StreamName,
    },
    /// The device can't be what is asked for.
    #[error("stream {stream}: {error}")]
    Config {
        /// The stream.
        stream: StreamName,
        /// The device.
        device: DeviceId,
        /// What is wrong, and what would be right.
        error: Box<ConfigError>,
    },
    /// The camera does not take a control's value now; controls before it are set.
    #[error("stream {stream}: {}", fault.message)]
    ControlRefused {
        /// The stream.
        stream: StreamName,
        /// The device.
        device: DeviceId,
        /// Which control, why, and what to do.
        fault: Fault,
    },
    /// Nothing turns what the device gives into NV12 here.
    #[error("stream {stream}: {error}")]
    NoPlan {
        /// The stream.
        stream: StreamName,
        /// What is missing.
        error: NoPlan,
    },
    /// None of the device's profiles is what is asked for.
    #[error("stream {stream}: {}", fault.message)]
    NoProfile {
        /// The stream.
        stream: StreamName,
        /// The device.
        device: DeviceId,
        /// What there is instead, and what to do.
        fault: Fault,
    },
    /// The device feeds another stream.
    #[error("device {device} already feeds stream {stream}, which is {}", state.name())]
    DeviceInUse {
        /// The device.
        device: DeviceId,
        /// The stream that has it.
        stream: StreamName,
        /// What that stream does.
        state: State,
    },
    /// The device is there, but the stream was never configured.
    #[error(
        "stream {stream} is idle: device {device} is there, but the stream was never configured"
    )]
    NotConfigured {
        /// The stream.
        stream: StreamName,
        /// The device of that name.
        device: DeviceId,
    },
    /// The device is there but could not be asked.
    #[error("device {device} can't be used: {}", fault.message)]
    DeviceUnavailable {
        /// The device.
        device: DeviceId,
        /// Why, and what to do.
        fault: Fault,
    },
    /// The table of a camera is wrong.
    #[error("{0}")]
    BadCamera(Box<crate::config::ConfigError>),
    /// The configuration file has a camera of that name.
    #[error("camera {name} is in the configuration file")]
    CameraInFile {
        /// The camera.
        name: StreamName,
    },
    /// No camera of that name was added.
    #[error("no camera {name} was added at run time")]
    UnknownCamera {
        /// The camera.
        name: StreamName,
    },
    /// The wish could not be saved.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// The pipeline did not come down in time; the stream has failed.
    #[error(
        "the pipeline of stream {stream} did not come down in time and was abandoned; the stream has failed"
    )]
    StuckTeardown {
        /// The stream.
        stream: StreamName,
    },
    /// The service is stopping.
    #[error("the service is stopping")]
    Stopping,
    /// A bug.
    #[error("internal error: {what}")]
    Internal {
        /// What should not have happened.
        what: String,
    },
}
