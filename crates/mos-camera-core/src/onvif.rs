//! Configuration of ONVIF: cameras that are found or named, and how all of them are looked for.

use crate::source::{RtspSource, Secret};
use crate::tls::Trust;

/// Where a camera is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnvifPlace {
    /// The URL of its device service, without credentials.
    Url(String),
    /// Its endpoint reference, such as `urn:uuid:...`: wherever discovery finds it today.
    Endpoint(String),
}

/// A camera that ONVIF finds the stream of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnvifSource {
    /// Where it is.
    pub place: OnvifPlace,
    /// The profile of streams that name none, by token or name.
    pub profile: Option<String>,
    /// The password may be sent as it is, where the camera refuses every digest.
    pub plain_password: bool,
    /// How its stream is taken: all but the URL, which the camera tells. Log-in, trust and time-out go for ONVIF too.
    pub rtsp: RtspSource,
}

/// How cameras are looked for, and what goes for those that no table names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnvifSettings {
    /// Cameras on the local networks are looked for.
    pub discovery: bool,
    /// Names of the network interfaces to look on; none are all.
    pub interfaces: Vec<String>,
    /// User for cameras that no table names.
    pub user: Option<String>,
    /// Password of `user`.
    pub password: Option<Secret>,
    /// The password may be sent as it is to any camera that refuses every digest.
    pub plain_password: bool,
    /// Whom to believe at the other end of an `https://` URL.
    pub trust: Trust,
}

impl Default for OnvifSettings {
    fn default() -> Self {
        Self {
            discovery: true,
            interfaces: Vec::new(),
            user: None,
            password: None,
            plain_password: false,
            trust: Trust::default(),
        }
    }
}

impl OnvifSettings {
    /// What goes for a camera that no table names.
    pub fn source(&self, endpoint: &str) -> OnvifSource {
        OnvifSource {
            place: OnvifPlace::Endpoint(endpoint.to_owned()),
            profile: None,
            plain_password: self.plain_password,
            rtsp: RtspSource {
                user: self.user.clone(),
                password: self.password.clone(),
                trust: self.trust.clone(),
                ..RtspSource::new("")
            },
        }
    }
}
