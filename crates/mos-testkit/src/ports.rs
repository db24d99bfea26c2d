//! TCP ports on loopback that misbehave in one way each.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType};

/// Any port on loopback.
const ANY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);

/// A port that was free a moment ago, for a program that can't choose one itself.
pub fn free() -> io::Result<u16> {
    Ok(TcpListener::bind(ANY)?.local_addr()?.port())
}

fn tcp_socket() -> io::Result<OwnedFd> {
    Ok(rustix::net::socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

fn bound() -> io::Result<(OwnedFd, SocketAddrV4)> {
    let socket = tcp_socket()?;
    rustix::net::bind(&socket, &ANY)?;
    match SocketAddr::try_from(rustix::net::getsockname(&socket)?)? {
        SocketAddr::V4(address) => Ok((socket, address)),
        SocketAddr::V6(address) => {
            Err(io::Error::other(format!("bound to {address}, not to IPv4")))
        }
    }
}

/// A port that refuses every connection: it is bound, so nobody else gets it, but nobody listens.
#[derive(Debug)]
pub struct ClosedPort {
    _socket: OwnedFd,
    port: u16,
}

impl ClosedPort {
    /// Takes a port.
    pub fn new() -> io::Result<Self> {
        let (socket, address) = bound()?;
        Ok(Self {
            _socket: socket,
            port: address.port(),
        })
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// A port that accepts connections (in the kernel) and never says a word.
#[derive(Debug)]
pub struct SilentPort(TcpListener);

impl SilentPort {
    /// Takes a port.
    pub fn new() -> io::Result<Self> {
        TcpListener::bind(ANY).map(Self)
    }

    /// The port.
    pub fn port(&self) -> io::Result<u16> {
        Ok(self.0.local_addr()?.port())
    }
}

/// A port whose queue is full: the handshake of a further connection is never answered, as with a host that is gone.
#[derive(Debug)]
pub struct SaturatedPort {
    _listener: OwnedFd,
    _queued: Vec<OwnedFd>,
    port: u16,
}

impl SaturatedPort {
    /// Connections that are begun to fill a queue of length 0, which Linux takes as 1; the rest hang in their handshake.
    const FILL: usize = 4;

    /// Takes a port.
    pub fn new() -> io::Result<Self> {
        let (listener, address) = bound()?;
        rustix::net::listen(&listener, 0)?;
        let queued = (0..Self::FILL)
            .map(|_| begin_connection(address))
            .collect::<io::Result<_>>()?;
        Ok(Self {
            _listener: listener,
            _queued: queued,
            port: address.port(),
        })
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

fn begin_connection(to: SocketAddrV4) -> io::Result<OwnedFd> {
    let socket = tcp_socket()?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    match rustix::net::connect(&socket, &to) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::time::Duration;

    use super::*;

    fn connect(port: u16) -> io::Result<TcpStream> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        TcpStream::connect_timeout(&address, Duration::from_millis(300))
    }

    #[test]
    fn each_port_misbehaves_in_its_way() {
        let closed = ClosedPort::new().unwrap();
        let error = connect(closed.port()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let silent = SilentPort::new().unwrap();
        assert!(connect(silent.port().unwrap()).is_ok());
        let saturated = SaturatedPort::new().unwrap();
        let error = connect(saturated.port()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
