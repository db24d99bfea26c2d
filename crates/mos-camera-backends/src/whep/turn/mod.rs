//! Asks TURN servers whether they relay for us: libnice does not tell why there is no relay.

mod message;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mos_camera_core::{IceKind, IceServer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::signalling::Verdict;
use message::{Id, Login, Reply};

/// Longest look at one server: two exchanges.
const LONGEST: Duration = Duration::from_secs(3);
/// When a packet is sent again.
const AGAIN: Duration = Duration::from_millis(500);
/// Largest answer that is read, in bytes.
const LARGEST: usize = 1500;

/// What the server says to a relay for this log-in, within some seconds. A relay that it gave is given back.
pub(super) async fn ask(server: &IceServer) -> Verdict {
    if server.address.kind == IceKind::Turns {
        return Verdict::NoTls;
    }
    let Some(at) = super::session::address(&server.address).await else {
        return Verdict::NotFound;
    };
    match timeout(LONGEST, talk(server, at)).await {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(_)) | Err(_) => Verdict::Silent,
    }
}

async fn talk(server: &IceServer, at: SocketAddr) -> io::Result<Verdict> {
    let mut line = Line::open(at, server.address.tcp).await?;
    let first = line.exchange(|id| message::allocate(id, None)).await?;
    let (
        Reply::Refused {
            code: 401,
            challenge: Some(challenge),
            ..
        },
        Some((user, password)),
    ) = (&first, &server.login)
    else {
        return Ok(verdict(first));
    };
    let login = Login {
        user,
        password: password.reveal(),
        challenge,
    };
    let second = line
        .exchange(|id| message::allocate(id, Some(&login)))
        .await?;
    if second == Reply::Done {
        // Nobody waits for the answer: the server forgets the relay by itself after a while.
        line.send(&message::give_back(id()?, &login)).await?;
    }
    Ok(verdict(second))
}

fn verdict(reply: Reply) -> Verdict {
    match reply {
        Reply::Done => Verdict::Relays,
        // 441: the log-in is not that of the relay.
        Reply::Refused {
            code: 401 | 441, ..
        } => Verdict::Unauthorized,
        Reply::Refused { code, reason, .. } => Verdict::Refuses(format!("{code} {reason}")),
    }
}

fn id() -> io::Result<Id> {
    let mut id = Id::default();
    let filled = rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty())?;
    if filled == id.len() {
        Ok(id)
    } else {
        Err(io::Error::other("no random numbers"))
    }
}

/// A way to a server.
enum Line {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Line {
    async fn open(at: SocketAddr, tcp: bool) -> io::Result<Self> {
        if tcp {
            return TcpStream::connect(at).await.map(Self::Tcp);
        }
        let any: SocketAddr = match at {
            SocketAddr::V4(_) => ([0; 4], 0).into(),
            SocketAddr::V6(_) => ([0; 16], 0).into(),
        };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(at).await?;
        Ok(Self::Udp(socket))
    }

    async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.send(message).await.map(drop),
            Self::Tcp(stream) => stream.write_all(message).await,
        }
    }

    /// Sends a request until there is an answer to it.
    async fn exchange(&mut self, request: impl Fn(Id) -> Vec<u8>) -> io::Result<Reply> {
        let id = id()?;
        let request = request(id);
        self.send(&request).await?;
        loop {
            match timeout(AGAIN, self.receive()).await {
                Ok(answer) => {
                    if let Some(reply) = message::reply(&answer?, id) {
                        return Ok(reply);
                    }
                }
                Err(_) if matches!(self, Self::Udp(_)) => self.send(&request).await?,
                // What was read of half an answer is lost: a server is not that slow.
                Err(_) => {}
            }
        }
    }

    async fn receive(&mut self) -> io::Result<Vec<u8>> {
        match self {
            Self::Udp(socket) => {
                let mut packet = vec![0; LARGEST];
                let length = socket.recv(&mut packet).await?;
                packet.truncate(length);
                Ok(packet)
            }
            Self::Tcp(stream) => {
                let mut header = [0; message::HEADER];
                stream.read_exact(&mut header).await?;
                let mut packet = header.to_vec();
                packet.resize(message::length(header).min(LARGEST), 0);
                stream.read_exact(&mut packet[message::HEADER..]).await?;
                Ok(packet)
            }
        }
    }
}
