//! RTSP cameras.

use std::path::PathBuf;

use mos_camera_core::{RtspSource, RtspTransport, SourceConfig};
use serde::Deserialize;
use toml::Spanned;

use crate::config::ConfigError;
use crate::config::error::Source;
use crate::config::secret::{Reference, password};
use crate::config::values::{LATENCIES, TIMEOUTS, millis, trust};

/// `[cameras.NAME.rtsp]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Rtsp {
    url: RtspUrl,
    user: Option<String>,
    password_file: Option<Spanned<PathBuf>>,
    password_env: Option<Spanned<String>>,
    password_secret: Option<Spanned<String>>,
    transport: Option<RtpTransport>,
    track: Option<u32>,
    tls_ca_file: Option<Spanned<PathBuf>>,
    tls_fingerprint: Option<Spanned<String>>,
    tls_insecure: Option<Spanned<bool>>,
    latency_ms: Option<Spanned<u64>>,
    timeout_ms: Option<Spanned<u64>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RtpTransport {
    Auto,
    Tcp,
    Udp,
}

impl From<RtpTransport> for RtspTransport {
    fn from(transport: RtpTransport) -> Self {
        match transport {
            RtpTransport::Auto => Self::Auto,
            RtpTransport::Tcp => Self::Tcp,
            RtpTransport::Udp => Self::Udp,
        }
    }
}

/// An RTSP URL without credentials.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
struct RtspUrl(String);

impl TryFrom<String> for RtspUrl {
    type Error = &'static str;

    /// The message never quotes the URL: it may hold a password.
    fn try_from(url: String) -> Result<Self, Self::Error> {
        let rest = ["rtsp://", "rtsps://"]
            .iter()
            .find_map(|scheme| url.strip_prefix(scheme));
        let Some(rest) = rest else {
            return Err("expected a URL as rtsp://host[:port]/path or rtsps://host[:port]/path");
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        match authority {
            "" => Err("the URL names no host: expected rtsp://host[:port]/path"),
            _ if authority.contains('@') => Err(
                "credentials do not belong in the URL: name the user with `user`, and the password with `password_file`, `password_env` or `password_secret`",
            ),
            _ => Ok(Self(url)),
        }
    }
}

impl Rtsp {
    pub(in crate::config) fn resolve(
        self,
        source: &Source<'_>,
    ) -> Result<SourceConfig, ConfigError> {
        let password = password(
            self.user.as_deref(),
            Reference {
                what: "password",
                file: self.password_file.as_ref(),
                env: self.password_env.as_ref(),
                secret: self.password_secret.as_ref(),
            },
            source,
        )?;
        let transport = self.transport.map(Into::into).unwrap_or_default();
        let trust = trust(
            self.tls_ca_file.as_ref(),
            self.tls_fingerprint.as_ref(),
            self.tls_insecure.as_ref(),
            source,
        )?;
        let latency = millis(
            self.latency_ms.as_ref(),
            LATENCIES,
            RtspSource::LATENCY,
            source,
        )?;
        let timeout = millis(
            self.timeout_ms.as_ref(),
            TIMEOUTS,
            RtspSource::TIMEOUT,
            source,
        )?;
        Ok(SourceConfig::Rtsp(RtspSource {
            url: self.url.0,
            user: self.user,
            password,
            transport,
            track: self.track,
            trust,
            latency,
            timeout,
        }))
    }
}
