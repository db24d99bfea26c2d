//! Stands before an RTSP server and misbehaves on command.
//!
//! Commands: `mode MODE` (clean, slow-loris, long-header, broken-sps, backward-time); `reset`, which ends all connections
//! by RST; `certificate NAME`, for later connections. Media inside the connection and over UDP both go through it.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use clap::Parser;
use mos_wire_faults::certificate;
use mos_wire_faults::command;
use mos_wire_faults::corrupt::Mode;
use mos_wire_faults::leg::Leg;
use mos_wire_faults::rtsp::{self, Item, Message};
use mos_wire_faults::transport::{Ports, ports, with_ports};
use rustls::ServerConfig;

/// Stands before an RTSP server and misbehaves on command.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// Where to listen
    #[arg(long)]
    listen: SocketAddr,
    /// The server
    #[arg(long)]
    server: SocketAddr,
    /// Clients come in TLS, and see a certificate of this folder: NAME.pem with its NAME.key, at first `good`. The server is
    /// spoken to without
    #[arg(long)]
    certificates: Option<PathBuf>,
    /// Decides everything that is left to chance
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// How long a relay waits for a datagram before it looks whether its session is over.
const LOOK: Duration = Duration::from_millis(200);
/// Longer than any datagram.
const DATAGRAM: usize = 1 << 16;

/// What all connections share.
#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    seed: u64,
    mode: Mutex<Mode>,
    certificates: Option<PathBuf>,
    tls: Mutex<Option<Arc<ServerConfig>>>,
    sessions: Mutex<Vec<Arc<Session>>>,
}

/// A connection and what belongs to it.
#[derive(Debug)]
struct Session {
    client: Leg,
    server: TcpStream,
    over: AtomicBool,
    /// Media that the client asked for and the server did not answer yet.
    asked: Mutex<Vec<Asked>>,
}

/// Sockets for one medium, and where the client wants it.
#[derive(Debug)]
struct Asked {
    cseq: String,
    client: Ports,
    to_client: [UdpSocket; 2],
    to_server: [UdpSocket; 2],
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mos-rtsp-faults: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> io::Result<()> {
    let listener = TcpListener::bind(cli.listen)?;
    let shared = Arc::new(Shared {
        server: cli.server,
        seed: cli.seed,
        mode: Mutex::default(),
        certificates: cli.certificates.clone(),
        tls: Mutex::default(),
        sessions: Mutex::default(),
    });
    shared.show("good")?;
    let accepting = shared.clone();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let shared = accepting.clone();
            thread::spawn(move || converse(&shared, client));
        }
    });
    command::serve(|line| obey(&shared, line))
}

fn obey(shared: &Shared, line: &str) -> Result<(), String> {
    match line.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["mode", mode] => *lock(&shared.mode) = mode.parse()?,
        ["certificate", name] => shared.show(name).map_err(|error| error.to_string())?,
        ["reset"] => shared.reset().map_err(|error| error.to_string())?,
        _ => return Err(format!("no command `{line}`: mode, certificate, reset")),
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn mode(&self) -> Mode {
        *lock(&self.mode)
    }

    /// Has later connections see this certificate, if they are in TLS.
    fn show(&self, name: &str) -> io::Result<()> {
        let folder = self.certificates.as_ref();
        *lock(&self.tls) = folder
            .map(|folder| certificate::load(folder, name))
            .transpose()?;
        Ok(())
    }

    /// Ends all connections by RST.
    fn reset(&self) -> io::Result<()> {
        for session in lock(&self.sessions).drain(..) {
            session.client.end_by_reset()?;
            session.end();
        }
        Ok(())
    }
}

impl Session {
    /// Wakes whoever reads; the last of them closes.
    fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.client.wake();
        let _gone = self.server.shutdown(Shutdown::Both);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// Serves one client to the end of its connection.
fn converse(shared: &Arc<Shared>, client: TcpStream) {
    let tls = lock(&shared.tls).clone();
    // As with a server that can't serve: the connection ends.
    let (Ok(client), Ok(server)) = (Leg::new(client, tls), TcpStream::connect(shared.server))
    else {
        return;
    };
    let session = Arc::new(Session {
        client,
        server,
        over: AtomicBool::new(false),
        asked: Mutex::default(),
    });
    lock(&shared.sessions).push(session.clone());
    let (their_shared, theirs) = (shared.clone(), session.clone());
    let answers = thread::spawn(move || {
        // An error is the end of the connection, which is all that there is to say.
        let _ended = from_server(&their_shared, &theirs);
        theirs.end();
    });
    let _ended = from_client(&session);
    session.end();
    let _panicked = answers.join();
    lock(&shared.sessions).retain(|other| !Arc::ptr_eq(other, &session));
}

fn from_client(session: &Session) -> io::Result<()> {
    let (mut parser, mut bytes) = (rtsp::Parser::default(), [0; 4096]);
    loop {
        let length = session.client.read(&mut bytes)?;
        if length == 0 {
            return Ok(());
        }
        parser.feed(&bytes[..length]);
        while let Some(mut item) = parser.next_item() {
            if let Item::Message(message) = &mut item {
                ask_for_media(session, message)?;
            }
            (&session.server).write_all(&item.bytes())?;
        }
    }
}

fn from_server(shared: &Arc<Shared>, session: &Arc<Session>) -> io::Result<()> {
    let (mut parser, mut bytes) = (rtsp::Parser::default(), [0; 16 * 1024]);
    loop {
        let length = (&session.server).read(&mut bytes)?;
        if length == 0 {
            return Ok(());
        }
        parser.feed(&bytes[..length]);
        while let Some(mut item) = parser.next_item() {
            let mode = shared.mode();
            if let Item::Message(message) = &mut item {
                relay_media(shared, session, message);
            }
            mode.corrupt(&mut item, shared.seed);
            send(session, &item, mode.dribble(&item))?;
        }
    }
}

fn send(session: &Session, item: &Item, dribble: Option<Duration>) -> io::Result<()> {
    let bytes = item.bytes();
    let Some(pause) = dribble else {
        return session.client.write_all(&bytes);
    };
    for byte in bytes {
        if session.is_over() {
            break;
        }
        session.client.write_all(&[byte])?;
        thread::sleep(pause);
    }
    Ok(())
}

/// A client that wants media over UDP gets them by way of ours.
fn ask_for_media(session: &Session, request: &mut Message) -> io::Result<()> {
    let header = request.header("Transport").map(str::to_owned);
    let (Some(header), Some(cseq)) = (header, request.header("CSeq").map(str::to_owned)) else {
        return Ok(());
    };
    let Some(client) = ports(&header, "client_port") else {
        return Ok(());
    };
    let asked = Asked {
        cseq,
        client,
        to_client: pair(Ipv4Addr::UNSPECIFIED)?,
        to_server: pair(Ipv4Addr::LOCALHOST)?,
    };
    let changed = with_ports(&header, &[("client_port", numbers(&asked.to_server)?)]);
    request.set("Transport", &changed);
    lock(&session.asked).push(asked);
    Ok(())
}

/// Two sockets; that their ports follow each other is a habit, not a rule.
fn pair(address: Ipv4Addr) -> io::Result<[UdpSocket; 2]> {
    Ok([
        UdpSocket::bind((address, 0))?,
        UdpSocket::bind((address, 0))?,
    ])
}

fn numbers(pair: &[UdpSocket; 2]) -> io::Result<Ports> {
    Ok((pair[0].local_addr()?.port(), pair[1].local_addr()?.port()))
}

/// Once the server has said where its media come from, they are relayed.
fn relay_media(shared: &Arc<Shared>, session: &Arc<Session>, answer: &mut Message) {
    let Some(asked) = taken(session, answer) else {
        return;
    };
    let header = answer.header("Transport").map(str::to_owned);
    let Some((header, Ok(ours))) = header.map(|header| (header, numbers(&asked.to_client))) else {
        return;
    };
    let Some(server) = ports(&header, "server_port") else {
        return;
    };
    let changes = [("client_port", asked.client), ("server_port", ours)];
    answer.set("Transport", &with_ports(&header, &changes));
    let Ok(client) = session.client.peer().map(|address| address.ip()) else {
        return;
    };
    let [client_rtp, client_rtcp] = asked.to_client;
    let [server_rtp, server_rtcp] = asked.to_server;
    for (client_side, server_side, client_port, server_port, is_rtp) in [
        (client_rtp, server_rtp, asked.client.0, server.0, true),
        (client_rtcp, server_rtcp, asked.client.1, server.1, false),
    ] {
        let (client_side, server_side) = (Arc::new(client_side), Arc::new(server_side));
        let to_client = Relay {
            from: server_side.clone(),
            by: client_side.clone(),
            to: SocketAddr::new(client, client_port),
            corrupt: is_rtp,
        };
        let to_server = Relay {
            from: client_side,
            by: server_side,
            to: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), server_port),
            corrupt: false,
        };
        for relay in [to_client, to_server] {
            let (shared, session) = (shared.clone(), session.clone());
            thread::spawn(move || relay.run(&shared, &session));
        }
    }
}

/// What the client asked for by the request that this answers.
fn taken(session: &Session, answer: &Message) -> Option<Asked> {
    let cseq = answer.header("CSeq")?;
    let mut asked = lock(&session.asked);
    let index = asked.iter().position(|asked| asked.cseq == cseq)?;
    Some(asked.swap_remove(index))
}

/// Passes datagrams on in one direction.
struct Relay {
    from: Arc<UdpSocket>,
    by: Arc<UdpSocket>,
    to: SocketAddr,
    corrupt: bool,
}

impl Relay {
    fn run(&self, shared: &Shared, session: &Session) {
        let mut bytes = vec![0; DATAGRAM];
        if self.from.set_read_timeout(Some(LOOK)).is_err() {
            return;
        }
        while !session.is_over() {
            // Time-outs, and ports that are unreachable because the other side is not there yet or any more.
            let Ok((length, _)) = self.from.recv_from(&mut bytes) else {
                continue;
            };
            let (mode, packet) = (shared.mode(), &mut bytes[..length]);
            if self.corrupt {
                mode.corrupt_rtp(packet, shared.seed);
            }
            let _lost = self.by.send_to(packet, self.to);
        }
    }
}
