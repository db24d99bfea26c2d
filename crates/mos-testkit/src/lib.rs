//! Support for the tests, the benches and the demo: peers that are real programs, started and stopped by handle, and ways
//! to wait on events instead of on the clock.
//!
//! Nothing of this is part of the product.

pub mod bus;
pub mod certificates;
pub mod events;
pub mod host;
pub mod lines;
#[cfg(feature = "manual")]
pub mod manual;
pub mod onvif;
pub mod paths;
pub mod ports;
pub mod process;
pub mod rtsp;
pub mod scripted_rtsp;
pub mod skip;
pub mod turn;
pub mod whep;

pub use bus::TempBus;
pub use certificates::{Authority, CertificateFiles, Dates};
pub use events::{Events, TimedOut, wait_until};
pub use host::Host;
pub use onvif::OnvifCamera;
pub use ports::{ClosedPort, SaturatedPort, SilentPort};
pub use rtsp::{Auth, Codec, FrameTime, Protocols, RtspServer, RtspServerOptions};
pub use scripted_rtsp::{Script, ScriptedRtsp};
pub use turn::TurnServer;
pub use whep::WhepServer;
