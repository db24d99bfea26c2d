//! ONVIF: the cameras of a table each, and what goes for all others.

use std::path::PathBuf;

use mos_camera_core::onvif::endpoint_reference;
use mos_camera_core::{OnvifPlace, OnvifSettings, OnvifSource, RtspSource, SourceConfig};
use serde::Deserialize;
use toml::Spanned;

use super::rtsp::RtpTransport;
use crate::config::ConfigError;
use crate::config::error::Source;
use crate::config::secret::{Reference, password};
use crate::config::values::{LATENCIES, TIMEOUTS, millis, trust};

/// `[onvif]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Onvif {
    discovery: Option<bool>,
    interfaces: Option<Vec<String>>,
    user: Option<String>,
    password_file: Option<Spanned<PathBuf>>,
    password_env: Option<Spanned<String>>,
    password_secret: Option<Spanned<String>>,
    plain_password: Option<bool>,
    tls_ca_file: Option<Spanned<PathBuf>>,
    tls_fingerprint: Option<Spanned<String>>,
    tls_insecure: Option<Spanned<bool>>,
}

impl Onvif {
    pub(in crate::config) fn resolve(
        self,
        source: &Source<'_>,
    ) -> Result<OnvifSettings, ConfigError> {
        let default = OnvifSettings::default();
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
        let trust = trust(
            self.tls_ca_file.as_ref(),
            self.tls_fingerprint.as_ref(),
            self.tls_insecure.as_ref(),
            source,
        )?;
        Ok(OnvifSettings {
            discovery: self.discovery.unwrap_or(default.discovery),
            interfaces: self.interfaces.unwrap_or(default.interfaces),
            user: self.user,
            password,
            plain_password: self.plain_password.unwrap_or(default.plain_password),
            trust,
        })
    }
}

/// `[cameras.NAME.onvif]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct OnvifCamera {
    address: Option<Spanned<String>>,
    endpoint: Option<Spanned<String>>,
    user: Option<String>,
    password_file: Option<Spanned<PathBuf>>,
    password_env: Option<Spanned<String>>,
    password_secret: Option<Spanned<String>>,
    plain_password: Option<bool>,
    profile: Option<String>,
    set_encoder: Option<bool>,
    transport: Option<RtpTransport>,
    tls_ca_file: Option<Spanned<PathBuf>>,
    tls_fingerprint: Option<Spanned<String>>,
    tls_insecure: Option<Spanned<bool>>,
    latency_ms: Option<Spanned<u64>>,
    timeout_ms: Option<Spanned<u64>>,
}

impl OnvifCamera {
    pub(in crate::config) fn resolve(
        self,
        span: &std::ops::Range<usize>,
        source: &Source<'_>,
    ) -> Result<SourceConfig, ConfigError> {
        let place = self.place(span, source)?;
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
        Ok(SourceConfig::Onvif(OnvifSource {
            place,
            profile: self.profile,
            set_encoder: self.set_encoder.unwrap_or(false),
            plain_password: self.plain_password.unwrap_or(false),
            rtsp: RtspSource {
                user: self.user,
                password,
                transport: self.transport.map(Into::into).unwrap_or_default(),
                trust,
                latency,
                timeout,
                ..RtspSource::new("")
            },
        }))
    }

    fn place(
        &self,
        span: &std::ops::Range<usize>,
        source: &Source<'_>,
    ) -> Result<OnvifPlace, ConfigError> {
        match (&self.address, &self.endpoint) {
            (Some(address), None) => match device_url(address.get_ref()) {
                Ok(url) => Ok(OnvifPlace::Url(url)),
                Err(why) => Err(source.invalid(&address.span(), why)),
            },
            (None, Some(endpoint)) => match endpoint_reference(endpoint.get_ref()) {
                Some(endpoint) => Ok(OnvifPlace::Endpoint(endpoint)),
                None => Err(source.invalid(
                    &endpoint.span(),
                    "expected an endpoint reference such as \"urn:uuid:...\", as `mosctl devices` shows it after `rtsp:`",
                )),
            },
            (None, None) => Err(source.invalid(
                span,
                "say where the camera is: by `address` (host, host:port or a URL), or by `endpoint`",
            )),
            (Some(_), Some(endpoint)) => Err(source.invalid(
                &endpoint.span(),
                "give either `address` or `endpoint`, not both",
            )),
        }
    }
}

/// The address as it is kept; the message never quotes it, for it may hold a password.
fn device_url(address: &str) -> Result<String, &'static str> {
    let rest = match address.split_once("://") {
        Some(("http" | "https", rest)) => rest,
        Some(_) => return Err("expected host, host:port, or a URL with http:// or https://"),
        None if address.contains('/') => {
            return Err("expected host, host:port, or a URL with http:// or https://");
        }
        None => address,
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() || address.chars().any(|c| c.is_whitespace() || c.is_control()) {
        Err("expected host, host:port, or a URL with http:// or https://")
    } else if authority.contains('@') {
        Err(
            "credentials do not belong in the address: name the user with `user`, and the password with `password_file`, `password_env` or `password_secret`",
        )
    } else {
        Ok(address.to_owned())
    }
}
