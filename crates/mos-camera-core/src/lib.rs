//! The pure core of mos-camera: what a device is, what a stream is asked to be, and how a stream lives.
//!
//! Nothing here does I/O or reads a clock: inputs and `now` go in, decisions and the next deadline come out, so every
//! rule is tested by a table.

pub mod backlog;
pub mod backoff;
pub mod budget;
pub mod carrier;
pub mod control;
pub mod device;
pub mod fault;
pub mod ice;
pub mod jpeg;
pub mod lifecycle;
pub mod media_path;
pub mod onvif;
pub mod plan;
pub mod platform;
pub mod profile;
pub mod rfc7273;
pub mod sdp;
pub mod seat;
pub mod session;
pub mod source;
pub mod stream;
pub mod tls;

pub use backoff::BackoffPolicy;
pub use budget::{Budget, FixedPool};
pub use control::{Control, ControlKind, ControlValues, MenuItem};
pub use device::{Capability, Device, DeviceId, Health, Range, Rates, Sizes, Transport};
pub use fault::{Fault, FaultKind};
pub use ice::{IceAddress, IceKind, IceServer};
pub use lifecycle::{Action, Lifecycle};
pub use media_path::{CandidateKind, MediaPath};
pub use onvif::{OnvifPlace, OnvifSettings, OnvifSource};
pub use plan::{ConfigError, validate};
pub use profile::Profile;
pub use seat::QmmfSource;
pub use session::SessionFacts;
pub use source::{
    LibcameraSource, RtspSource, RtspTransport, Secret, SourceConfig, TestPattern, TestSource,
    V4l2Source, WhepSource,
};
pub use stream::{Framerate, OnViolation, StreamConfig, StreamName};
pub use tls::{Fingerprint, TlsProblem, Trust};
