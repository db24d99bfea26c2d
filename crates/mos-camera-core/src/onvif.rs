//! Configuration of ONVIF: cameras that are found or named, and how all of them are looked for.

use crate::device::{DeviceId, Transport};
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
    /// Streams may set the camera's encoder where no profile fits.
    pub set_encoder: bool,
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

impl OnvifSource {
    /// The device of a camera that the operator calls `name`: by its endpoint reference where that is what names it, so that it
    /// is the device that discovery finds.
    pub fn device(&self, name: &str) -> DeviceId {
        let identity = match &self.place {
            OnvifPlace::Url(_) => name,
            OnvifPlace::Endpoint(endpoint) => endpoint,
        };
        DeviceId::new(Transport::Rtsp, identity)
    }
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
            set_encoder: false,
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

/// An endpoint reference as it is compared; none for what is no such thing. Cameras write their UUID now in capitals, now without
/// `urn:`.
pub fn endpoint_reference(reference: &str) -> Option<String> {
    let reference = reference.trim();
    let plain = reference.chars().all(|c| c.is_ascii_graphic());
    if reference.is_empty() || reference.len() > 200 || !plain {
        return None;
    }
    let lower = reference.to_ascii_lowercase();
    let uuid = lower.strip_prefix("urn:").unwrap_or(&lower);
    Some(if uuid.starts_with("uuid:") {
        format!("urn:{uuid}")
    } else {
        reference.to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_the_same_however_it_is_written() {
        let long = "x".repeat(201);
        for (written, normal) in [
            ("urn:uuid:8F1E-2d3c", Some("urn:uuid:8f1e-2d3c")),
            (" UUID:8F1E ", Some("urn:uuid:8f1e")),
            ("URN:UUID:8f1e", Some("urn:uuid:8f1e")),
            ("http://Cam/x", Some("http://Cam/x")),
            ("", None),
            ("a b", None),
            ("a\u{7f}", None),
            (long.as_str(), None),
        ] {
            assert_eq!(endpoint_reference(written).as_deref(), normal, "{written}");
        }
    }

    #[test]
    fn a_camera_that_is_named_by_endpoint_is_the_discovered_device() {
        let endpoint = OnvifSettings::default().source("urn:uuid:1");
        assert_eq!(endpoint.device("yard").as_str(), "rtsp:urn:uuid:1");
        let named = OnvifSource {
            place: OnvifPlace::Url("cam".to_owned()),
            ..endpoint
        };
        assert_eq!(named.device("yard").as_str(), "rtsp:yard");
    }
}
