//! WebRTC streams by WHEP.

use std::path::PathBuf;

use mos_camera_core::{IceAddress, IceKind, IceServer, SourceConfig, WhepSource};
use serde::Deserialize;
use toml::Spanned;

use crate::config::ConfigError;
use crate::config::error::Source;
use crate::config::secret::Reference;
use crate::config::values::{LATENCIES, TIMEOUTS, millis, trust};

/// `[cameras.NAME.whep]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Whep {
    url: WhepUrl,
    token_file: Option<Spanned<PathBuf>>,
    token_env: Option<Spanned<String>>,
    token_secret: Option<Spanned<String>>,
    stun_servers: Option<Vec<Spanned<String>>>,
    turn_servers: Option<Vec<Spanned<TurnServer>>>,
    link_servers: Option<bool>,
    tls_ca_file: Option<Spanned<PathBuf>>,
    tls_fingerprint: Option<Spanned<String>>,
    tls_insecure: Option<Spanned<bool>>,
    latency_ms: Option<Spanned<u64>>,
    timeout_ms: Option<Spanned<u64>>,
}

/// An entry of `turn_servers`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct TurnServer {
    url: Spanned<String>,
    user: String,
    password_file: Option<Spanned<PathBuf>>,
    password_env: Option<Spanned<String>>,
    password_secret: Option<Spanned<String>>,
}

/// A WHEP endpoint without credentials.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
struct WhepUrl(String);

impl TryFrom<String> for WhepUrl {
    type Error = &'static str;

    /// The message never quotes the URL: it may hold a token.
    fn try_from(url: String) -> Result<Self, Self::Error> {
        let rest = ["http://", "https://"]
            .iter()
            .find_map(|scheme| url.strip_prefix(scheme));
        let Some(rest) = rest else {
            return Err("expected a URL as https://host[:port]/path or http://host[:port]/path");
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        match authority {
            "" => Err("the URL names no host: expected https://host[:port]/path"),
            _ if authority.contains('@') => Err(
                "credentials do not belong in the URL: name the token with `token_file`, `token_env` or `token_secret`",
            ),
            _ => Ok(Self(url)),
        }
    }
}

impl Whep {
    pub(in crate::config) fn resolve(
        self,
        source: &Source<'_>,
    ) -> Result<SourceConfig, ConfigError> {
        let token = Reference {
            what: "token",
            file: self.token_file.as_ref(),
            env: self.token_env.as_ref(),
            secret: self.token_secret.as_ref(),
        };
        let token = token.read(source)?.map(|(_, token)| token);
        let trust = trust(
            self.tls_ca_file.as_ref(),
            self.tls_fingerprint.as_ref(),
            self.tls_insecure.as_ref(),
            source,
        )?;
        let latency = millis(
            self.latency_ms.as_ref(),
            LATENCIES,
            WhepSource::LATENCY,
            source,
        )?;
        let timeout = millis(
            self.timeout_ms.as_ref(),
            TIMEOUTS,
            WhepSource::TIMEOUT,
            source,
        )?;
        let stun = self.stun_servers.unwrap_or_default();
        let turn = self.turn_servers.unwrap_or_default();
        let mut ice_servers = stun_servers(&stun, source)?;
        for server in &turn {
            ice_servers.push(turn_server(server, source)?);
        }
        Ok(SourceConfig::Whep(WhepSource {
            url: self.url.0,
            token,
            trust,
            ice_servers,
            link_servers: self.link_servers.unwrap_or(true),
            latency,
            timeout,
        }))
    }
}

/// `webrtcbin` takes one of them.
fn stun_servers(
    given: &[Spanned<String>],
    source: &Source<'_>,
) -> Result<Vec<IceServer>, ConfigError> {
    if let Some(second) = given.get(1) {
        return Err(source.invalid(&second.span(), "one STUN server is enough; name no second"));
    }
    let server = |text: &Spanned<String>| {
        Ok(IceServer {
            address: address(text, false, source)?,
            login: None,
        })
    };
    given.iter().map(server).collect()
}

fn turn_server(given: &Spanned<TurnServer>, source: &Source<'_>) -> Result<IceServer, ConfigError> {
    let server = given.get_ref();
    let address = address(&server.url, true, source)?;
    let password = Reference {
        what: "password",
        file: server.password_file.as_ref(),
        env: server.password_env.as_ref(),
        secret: server.password_secret.as_ref(),
    };
    let Some((_, password)) = password.read(source)? else {
        return Err(source.invalid(
            &given.span(),
            "a TURN server wants a password: name it with `password_file`, `password_env` or `password_secret`",
        ));
    };
    Ok(IceServer {
        address,
        login: Some((server.user.clone(), password)),
    })
}

fn address(
    text: &Spanned<String>,
    relays: bool,
    source: &Source<'_>,
) -> Result<IceAddress, ConfigError> {
    let address: Result<IceAddress, _> = text.get_ref().parse();
    match address {
        // It would do the same without TLS, and not say so.
        Ok(address) if relays && address.kind == IceKind::Turns => Err(source.invalid(
            &text.span(),
            "libnice speaks no TLS to TURN servers: name it by `turn:host[:port]?transport=tcp`, the media is encrypted all the same",
        )),
        Ok(address) if address.kind.relays() == relays => Ok(address),
        Ok(_) if relays => {
            Err(source.invalid(&text.span(), "expected a TURN server, `turn:host[:port]`"))
        }
        Ok(_) => Err(source.invalid(&text.span(), "expected a STUN server, `stun:host[:port]`")),
        Err(error) => Err(source.invalid(&text.span(), error.to_string())),
    }
}
