//! A wire between a camera and the service: an RTSP connection with its media inside (RFC 2326, 10.12) goes through it, packets
//! are noted and held back on their way to the service, and connections are cut on command.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::error::Error;

/// A media packet as it left for the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent {
    /// `CLOCK_MONOTONIC`, nanoseconds.
    pub(super) at_ns: u64,
    /// 0 is the video's RTP, 1 its RTCP.
    pub(super) channel: u8,
    /// Its first bytes, as far as headers and sender reports go.
    pub(super) head: Vec<u8>,
}

/// Bytes of a packet that are kept.
const HEAD: usize = 28;

/// How connections end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// Properly.
    Close,
    /// By RST.
    Reset,
}

/// What the wire does.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Manner {
    /// Longest time that a frame's packets are held back; each frame's is drawn evenly, and order is kept.
    pub(super) jitter: Duration,
}

#[derive(Debug)]
struct Shared {
    manner: Manner,
    sent: Mutex<VecDeque<Sent>>,
    /// Both sides of each connection that is up, or was.
    connections: Mutex<Vec<(TcpStream, TcpStream)>>,
    over: AtomicBool,
}

/// The wire; it is cut on drop.
#[derive(Debug)]
pub(super) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Proxy {
    /// A wire to the camera on this port of loopback.
    pub(super) fn start(camera: u16, manner: Manner) -> Result<Self, Error> {
        let failed = |source| Error::io("cannot listen on loopback")(source);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared {
            manner,
            sent: Mutex::default(),
            connections: Mutex::default(),
            over: AtomicBool::new(false),
        });
        let theirs = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, camera, &theirs));
        Ok(Self { address, shared })
    }

    /// The URL of the camera's mount behind it.
    pub(super) fn url(&self, mount: &str) -> String {
        format!("rtsp://{}{mount}", self.address)
    }

    /// Takes what went through since the last time.
    pub(super) fn take(&self) -> Vec<Sent> {
        lock(&self.shared.sent).drain(..).collect()
    }

    /// Ends all connections; new ones are taken.
    pub(super) fn cut(&self, how: Cut) {
        for (client, camera) in lock(&self.shared.connections).drain(..) {
            // Each fails only where the other side was faster.
            let _gone = camera.shutdown(Shutdown::Both);
            let _gone = match how {
                Cut::Close => client.shutdown(Shutdown::Both),
                Cut::Reset => {
                    // Closing with nothing left to linger for is an RST; the last copy is closed by the threads.
                    let _set =
                        rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO));
                    client.shutdown(Shutdown::Read)
                }
            };
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        self.cut(Cut::Close);
        // Wakes the listener.
        let _woken = TcpStream::connect(self.address);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

fn accept(listener: &TcpListener, camera: u16, shared: &Arc<Shared>) {
    for client in listener.incoming().map_while(Result::ok) {
        if shared.over.load(Ordering::Relaxed) {
            return;
        }
        // A camera that is not there is a connection that ends at once.
        if let Ok(camera) = TcpStream::connect((Ipv4Addr::LOCALHOST, camera)) {
            let _refused = join(client, camera, shared);
        }
    }
}

/// Starts what carries a connection.
fn join(client: TcpStream, camera: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    client.set_nodelay(true)?;
    camera.set_nodelay(true)?;
    lock(&shared.connections).push((client.try_clone()?, camera.try_clone()?));
    let (mut from, mut to) = (client.try_clone()?, camera.try_clone()?);
    thread::spawn(move || {
        let _ended = io::copy(&mut from, &mut to);
        let _told = to.shutdown(Shutdown::Both);
    });
    let (sender, receiver) = channel();
    let theirs = Arc::clone(shared);
    thread::spawn(move || send(client, &receiver, &theirs));
    let manner = shared.manner;
    thread::spawn(move || {
        let _ended = read(BufReader::new(camera), manner, &sender);
    });
    Ok(())
}

/// Something on its way to the service, and when it may go.
struct Piece {
    due: Instant,
    bytes: Vec<u8>,
}

/// Takes the camera's bytes apart until they end.
fn read(mut camera: impl BufRead, manner: Manner, out: &Sender<Piece>) -> io::Result<()> {
    let mut hold = Hold::new(manner.jitter);
    loop {
        let bytes = next_piece(&mut camera)?;
        let due = hold.due(&bytes, Instant::now());
        if bytes.is_empty() || out.send(Piece { due, bytes }).is_err() {
            return Ok(());
        }
    }
}

/// One media packet or one RTSP message; empty at the end.
fn next_piece(camera: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let Some(&first) = camera.fill_buf()?.first() else {
        return Ok(Vec::new());
    };
    let mut piece = Vec::new();
    if first == b'$' {
        let mut frame = [0; 4];
        camera.read_exact(&mut frame)?;
        piece.extend(frame);
        let length = u64::from(u16::from_be_bytes([frame[2], frame[3]]));
        camera.take(length).read_to_end(&mut piece)?;
        return Ok(piece);
    }
    let mut body = 0;
    loop {
        let line = piece.len();
        if camera.read_until(b'\n', &mut piece)? == 0 {
            return Ok(piece);
        }
        let text = String::from_utf8_lossy(&piece[line..]).to_ascii_lowercase();
        if let Some(length) = text.strip_prefix("content-length:") {
            body = length.trim().parse().unwrap_or(0);
        }
        if text.trim().is_empty() {
            camera.take(body).read_to_end(&mut piece)?;
            return Ok(piece);
        }
    }
}

/// Holds frames back, each by a time of its own.
struct Hold {
    jitter: Duration,
    state: u64,
    frame: Option<u32>,
    delay: Duration,
    last: Option<Instant>,
}

impl Hold {
    fn new(jitter: Duration) -> Self {
        Self {
            jitter,
            state: 0x9E37_79B9_7F4A_7C15,
            frame: None,
            delay: Duration::ZERO,
            last: None,
        }
    }

    fn due(&mut self, piece: &[u8], now: Instant) -> Instant {
        if let Some(frame) = rtp_of(piece).filter(|frame| self.frame != Some(*frame)) {
            self.frame = Some(frame);
            self.delay = self.jitter.mul_f64(self.draw());
        }
        let due = (now + self.delay).max(self.last.unwrap_or(now));
        self.last = Some(due);
        due
    }

    /// 0 to 1, evenly (xorshift).
    fn draw(&mut self) -> f64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// RTP timestamp of a video packet.
fn rtp_of(piece: &[u8]) -> Option<u32> {
    match piece {
        [b'$', 0, _, _, rtp @ ..] => timestamp(rtp),
        _ => None,
    }
}

/// Timestamp of an RTP packet.
pub(super) fn timestamp(rtp: &[u8]) -> Option<u32> {
    let bytes = rtp.get(4..8)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

fn send(mut client: TcpStream, pieces: &Receiver<Piece>, shared: &Shared) {
    for piece in pieces {
        thread::sleep(piece.due.saturating_duration_since(Instant::now()));
        if let [b'$', channel, _, _, packet @ ..] = piece.bytes.as_slice() {
            let head = packet[..packet.len().min(HEAD)].to_vec();
            let at_ns = now_ns();
            lock(&shared.sent).push_back(Sent {
                at_ns,
                channel: *channel,
                head,
            });
        }
        if client.write_all(&piece.bytes).is_err() {
            return;
        }
    }
    // The camera is gone: so the service is told, unless it is to be told by RST.
    let lingers = rustix::net::sockopt::socket_linger(&client).ok().flatten();
    if lingers.is_none() {
        let _told = client.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_packets_are_taken_apart() {
        let answer = b"RTSP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nv=0";
        let packet = b"$\x00\x00\x08\x80\x60\x00\x01\x00\x00\x00\x07";
        let stream = [
            answer,
            &packet[..],
            b"RTSP/1.0 200 OK\r\n\r\n",
            b"$\x01\x00\x01x",
        ]
        .concat();
        let mut stream = stream.as_slice();
        let mut next = || next_piece(&mut stream).unwrap();
        assert_eq!(next(), answer);
        let piece = next();
        assert_eq!((piece.as_slice(), rtp_of(&piece)), (&packet[..], Some(7)));
        assert_eq!(next(), b"RTSP/1.0 200 OK\r\n\r\n");
        assert_eq!(rtp_of(&next()), None);
        assert!(next().is_empty());
    }

    #[test]
    fn a_frame_is_held_as_one_and_none_overtakes() {
        let packet = |frame: u8| [b'$', 0, 0, 8, 0x80, 96, 0, 1, 0, 0, 0, frame];
        let mut hold = Hold::new(Duration::from_millis(50));
        let begin = Instant::now();
        let mut last = begin;
        let mut least = Duration::MAX;
        for frame in 0..200 {
            let now = begin + Duration::from_millis(33) * u32::from(frame);
            let due = hold.due(&packet(frame), now);
            assert!(due >= last && due <= (now + Duration::from_millis(50)).max(last));
            assert_eq!(hold.due(&packet(frame), now), due);
            (last, least) = (due, least.min(due - now));
        }
        assert!(least < Duration::from_millis(3), "{least:?}");
    }
}
