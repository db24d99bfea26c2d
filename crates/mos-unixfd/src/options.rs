//! How an endpoint serves.

use std::path::PathBuf;
use std::time::Duration;

use mos_frame::{Access, Layout, SubscriberOptions};

pub use crate::describe::DmabufCaps;

/// Longest wait for the bus's answer when a client connects.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// How an endpoint serves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Socket of the stream on the bus, see [`mos_frame::socket_path`].
    pub stream: PathBuf,
    /// Socket that `unixfdsrc` connects to.
    pub socket: PathBuf,
    /// Permissions of the socket; default 0660.
    pub mode: u32,
    /// Group of the socket; default ours.
    pub gid: Option<u32>,
    /// Who may connect, besides what the permissions say; default our own user and root.
    pub access: Access,
    /// Most clients at once; default 16.
    pub max_clients: u32,
    /// N of LATEST-N on the bus, for each client; default 2.
    pub window: u32,
    /// Frames that a client may have at once; default 4. The bus admits a client only if its buffers suffice for that.
    pub hold: u32,
    /// How long a client may have all its frames without giving one back, before it is cut off; default 5 s.
    pub release_timeout: Duration,
    /// How long clients wait for a producer that is away, before they are told that the stream ended; default 5 s.
    pub linger: Duration,
    /// From capture to display; default the time of one frame.
    pub latency: Option<Duration>,
    /// How dma-bufs are called in the caps.
    pub dmabuf_caps: DmabufCaps,
}

impl Options {
    /// The defaults for a stream and a socket.
    pub fn new(stream: impl Into<PathBuf>, socket: impl Into<PathBuf>) -> Self {
        Self {
            stream: stream.into(),
            socket: socket.into(),
            mode: 0o660,
            gid: None,
            access: Access::default(),
            max_clients: 16,
            window: 2,
            hold: 4,
            release_timeout: Duration::from_secs(5),
            linger: Duration::from_secs(5),
            latency: None,
            dmabuf_caps: DmabufCaps::default(),
        }
    }

    /// Most descriptors that can be in flight: sent, and not read by a client.
    pub(crate) fn in_flight(&self) -> u64 {
        u64::from(self.max_clients) * u64::from(self.hold) * Layout::MAX_PLANES as u64
    }

    /// The subscription of the client of process `pid`.
    pub(crate) fn subscription(&self, pid: i32) -> SubscriberOptions {
        SubscriberOptions {
            name: format!("unixfd:{pid}"),
            window: self.window,
            hold: self.hold,
            reconnect: true,
            timeout: HANDSHAKE,
        }
    }
}
