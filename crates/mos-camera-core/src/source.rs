//! Configuration of sources that can't be discovered: what the operator says about a camera.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::device::{DeviceId, Transport};
use crate::ice::IceServer;
use crate::onvif::OnvifSource;
use crate::seat::QmmfSource;
use crate::tls::Trust;

/// A secret that no log, status or debug print shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself; hand it to the peer and to nobody else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// What the operator said about one camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceConfig {
    /// A generated picture.
    Test(TestSource),
    /// An RTSP camera.
    Rtsp(RtspSource),
    /// A network camera that ONVIF finds the stream of.
    Onvif(OnvifSource),
    /// A V4L2 capture node.
    V4l2(V4l2Source),
    /// A camera that libcamera drives.
    Libcamera(LibcameraSource),
    /// A camera of Qualcomm's camera service.
    Qmmf(QmmfSource),
    /// A WebRTC stream.
    Whep(WhepSource),
}

/// Generated pictures to choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TestPattern {
    /// A moving ball; by far the dearest to draw.
    #[default]
    Ball,
    /// SMPTE colour bars, in motion.
    Smpte,
    /// A gradient; it stands still, and only the frame counter moves on it. The cheapest.
    Gradient,
}

/// A generated camera; every frame carries a burnt-in frame counter that can be read back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TestSource {
    /// The picture.
    pub pattern: TestPattern,
}

/// How media reaches us from an RTSP camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RtspTransport {
    /// TCP first, the other one where a camera wants that: see [`crate::carrier`].
    #[default]
    Auto,
    /// RTP interleaved in the RTSP connection.
    Tcp,
    /// RTP over UDP unicast.
    Udp,
}

/// An RTSP camera (RFC 2326). A debug print leaves out the URL's query, for cameras take passwords there.
#[derive(Clone, PartialEq, Eq)]
pub struct RtspSource {
    /// `rtsp://host[:port]/path`, without credentials.
    pub url: String,
    /// User name for basic or digest authentication; the server chooses which.
    pub user: Option<String>,
    /// Password of `user`.
    pub password: Option<Secret>,
    /// How media reaches us.
    pub transport: RtspTransport,
    /// Which of the camera's video tracks is wanted, by their order from 0; `None` takes the one that costs least to decode.
    pub track: Option<u32>,
    /// Whom to believe at the other end of an `rtsps://` URL.
    pub trust: Trust,
    /// Jitter buffer; late packets are dropped rather than queued.
    pub latency: Duration,
    /// Longest wait for an answer of the server.
    pub timeout: Duration,
}

impl RtspSource {
    /// Default of [`Self::latency`].
    pub const LATENCY: Duration = Duration::from_millis(100);
    /// Default of [`Self::timeout`].
    pub const TIMEOUT: Duration = Duration::from_secs(5);

    /// The defaults for a URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            user: None,
            password: None,
            transport: RtspTransport::default(),
            track: None,
            trust: Trust::default(),
            latency: Self::LATENCY,
            timeout: Self::TIMEOUT,
        }
    }
}

/// A URL as a debug print shows it: without its query.
fn shown(url: &str) -> String {
    match url.find(['?', '#']) {
        Some(end) => format!("{}***", &url[..=end]),
        None => url.to_owned(),
    }
}

impl fmt::Debug for RtspSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RtspSource")
            .field("url", &shown(&self.url))
            .field("user", &self.user)
            .field("password", &self.password)
            .field("transport", &self.transport)
            .field("track", &self.track)
            .field("trust", &self.trust)
            .field("latency", &self.latency)
            .field("timeout", &self.timeout)
            .finish()
    }
}

/// A WebRTC stream that a server hands out by WHEP (draft-ietf-wish-whep). A debug print leaves out the URL's query.
#[derive(Clone, PartialEq, Eq)]
pub struct WhepSource {
    /// The WHEP endpoint: `http://` or `https://`, without credentials.
    pub url: String,
    /// Bearer token (RFC 6750).
    pub token: Option<Secret>,
    /// Whom to believe at the other end of an `https://` URL.
    pub trust: Trust,
    /// STUN and TURN servers. No other is asked, but those that the WHEP server names if `link_servers` allows it.
    pub ice_servers: Vec<IceServer>,
    /// Whether STUN and TURN servers are used that the WHEP server names in `Link` headers.
    pub link_servers: bool,
    /// Jitter buffer; what is lost is asked for again within it, and late packets are dropped rather than queued.
    pub latency: Duration,
    /// Longest wait for each answer of the server, and for the media's connection.
    pub timeout: Duration,
}

impl WhepSource {
    /// Default of [`Self::latency`].
    pub const LATENCY: Duration = Duration::from_millis(100);
    /// Default of [`Self::timeout`].
    pub const TIMEOUT: Duration = Duration::from_secs(10);

    /// The defaults for a URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            token: None,
            trust: Trust::default(),
            ice_servers: Vec::new(),
            link_servers: true,
            latency: Self::LATENCY,
            timeout: Self::TIMEOUT,
        }
    }
}

impl fmt::Debug for WhepSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WhepSource")
            .field("url", &shown(&self.url))
            .field("token", &self.token)
            .field("trust", &self.trust)
            .field("ice_servers", &self.ice_servers)
            .field("link_servers", &self.link_servers)
            .field("latency", &self.latency)
            .field("timeout", &self.timeout)
            .finish()
    }
}

/// A V4L2 capture node named by the operator; nodes that are found by discovery need none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V4l2Source {
    /// The node, or a stable link to it such as `/dev/v4l/by-id/...`.
    pub path: PathBuf,
}

/// A camera of libcamera's named by the operator; those that are not on USB are found without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibcameraSource {
    /// libcamera's name of it; as an id has it will do, too.
    pub camera: String,
}

impl LibcameraSource {
    /// The id of the camera.
    pub fn device(&self) -> DeviceId {
        DeviceId::new(Transport::MipiCsi, &self.camera)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debug_print_shows_no_secret() {
        let password = Some(Secret::new("hunter2"));
        let source = RtspSource {
            user: Some("admin".into()),
            password,
            ..RtspSource::new("rtsp://cam/1?user=admin&pwd=hunter2")
        };
        let text = format!("{:?}", SourceConfig::Rtsp(source.clone()));
        assert!(
            text.contains("rtsp://cam/1?***")
                && text.contains("admin")
                && !text.contains("hunter2"),
            "{text}"
        );
        assert_eq!(source.password.unwrap().reveal(), "hunter2");
        let source = WhepSource {
            token: Some(Secret::new("hunter2")),
            ..WhepSource::new("https://host/whep?key=hunter2")
        };
        let text = format!("{:?}", SourceConfig::Whep(source));
        assert!(
            text.contains("https://host/whep?***") && !text.contains("hunter2"),
            "{text}"
        );
    }
}
