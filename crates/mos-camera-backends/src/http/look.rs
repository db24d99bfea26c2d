//! A look at a server's TLS, for what another TLS library could not say of it.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use mos_camera_core::{TlsProblem, Trust};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use super::error::{HttpError, find};
use super::trust;

/// What keeps `host` from making a TLS connection over `stream`, whoever it is; none if it makes one, or if it is not for TLS.
/// Each wait for the server takes up to `timeout`.
pub(crate) fn tls_problem(
    host: &str,
    mut stream: TcpStream,
    timeout: Duration,
) -> Option<(TlsProblem, String)> {
    let config = trust::config(&Trust::Anybody).ok()?;
    let name = ServerName::try_from(host.to_owned()).ok()?;
    let mut connection = ClientConnection::new(Arc::new(config), name).ok()?;
    let wait = Some(timeout);
    stream.set_read_timeout(wait).ok()?;
    stream.set_write_timeout(wait).ok()?;
    let error: io::Error = connection.complete_io(&mut stream).err()?;
    match HttpError::of_tls(find(&error)?) {
        HttpError::Tls { problem, detail } => Some((problem, detail)),
        _ => None,
    }
}
