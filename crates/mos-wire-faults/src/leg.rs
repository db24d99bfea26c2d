//! A client's connection, plain or in TLS, that one thread reads from while another writes to it.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use rustls::{ServerConfig, ServerConnection};

/// The connection.
#[derive(Debug)]
pub struct Leg {
    socket: TcpStream,
    tls: Option<Mutex<ServerConnection>>,
}

impl Leg {
    /// A connection that was accepted; with `tls` it begins with a handshake, once it is read from.
    pub fn new(socket: TcpStream, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        let tls = tls
            .map(ServerConnection::new)
            .transpose()
            .map_err(io::Error::other)?;
        Ok(Self {
            socket,
            tls: tls.map(Mutex::new),
        })
    }

    /// Who is at the other end.
    pub fn peer(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr()
    }

    /// Reads what is there, at least a byte; 0 at the end.
    pub fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &self.tls else {
            return (&self.socket).read(bytes);
        };
        let mut wire = [0; 16 * 1024];
        loop {
            match lock(tls).reader().read(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            // Not under the lock: others have to be able to write meanwhile.
            let length = (&self.socket).read(&mut wire)?;
            if length == 0 {
                return Ok(0);
            }
            self.take(&mut lock(tls), &wire[..length])?;
        }
    }

    fn take(&self, tls: &mut ServerConnection, mut wire: &[u8]) -> io::Result<()> {
        while !wire.is_empty() {
            tls.read_tls(&mut wire)?;
            let done = tls.process_new_packets();
            // An alert goes out, too, when the client is refused.
            self.flush(tls)?;
            done.map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// Writes all of it.
    pub fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        let Some(tls) = &self.tls else {
            return (&self.socket).write_all(bytes);
        };
        let mut tls = lock(tls);
        // Less than what is buffered before it has to go out.
        for part in bytes.chunks(16 * 1024) {
            tls.writer().write_all(part)?;
            self.flush(&mut tls)?;
        }
        Ok(())
    }

    fn flush(&self, tls: &mut ServerConnection) -> io::Result<()> {
        while tls.wants_write() {
            tls.write_tls(&mut &self.socket)?;
        }
        Ok(())
    }

    /// Has its last close send RST: with a linger time of 0 (tcp(7), RFC 9293 section 3.10.4).
    pub fn end_by_reset(&self) -> io::Result<()> {
        Ok(set_socket_linger(&self.socket, Some(Duration::ZERO))?)
    }

    /// Wakes who reads. Reading alone: a shutdown of writing would send FIN before an RST.
    pub fn wake(&self) {
        let _gone = self.socket.shutdown(Shutdown::Read);
    }
}

fn lock(tls: &Mutex<ServerConnection>) -> MutexGuard<'_, ServerConnection> {
    tls.lock().unwrap_or_else(PoisonError::into_inner)
}
