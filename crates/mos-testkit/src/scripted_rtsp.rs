//! An RTSP server that says what it is told to, however wrong: for what no real server would send.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Raw answers, one for each method; `{cseq}` in them becomes the request's number, `{port}` the server's. An empty one is silence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// To OPTIONS.
    pub options: Vec<u8>,
    /// To DESCRIBE.
    pub describe: Vec<u8>,
    /// To SETUP.
    pub setup: Vec<u8>,
    /// To PLAY, and what follows it.
    pub play: Vec<u8>,
}

/// The description of an H.264 camera.
pub const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=scripted\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\na=control:*\r\n\
    m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:track0\r\n";

impl Default for Script {
    /// A camera that agrees to everything and then sends nothing.
    fn default() -> Self {
        Self {
            options: ok("Public: OPTIONS, DESCRIBE, SETUP, TEARDOWN, PLAY", ""),
            describe: ok("Content-Type: application/sdp", SDP),
            setup: ok(
                "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1",
                "",
            ),
            play: ok("Session: 1", ""),
        }
    }
}

/// A well-formed answer with a header or more, and a body.
pub fn ok(headers: &str, body: &str) -> Vec<u8> {
    let length = match body.len() {
        0 => String::new(),
        length => format!("Content-Length: {length}\r\n"),
    };
    format!("RTSP/1.0 200 OK\r\nCSeq: {{cseq}}\r\n{headers}\r\n{length}\r\n{body}").into_bytes()
}

/// A running server; it ends on drop.
#[derive(Debug)]
pub struct ScriptedRtsp {
    port: u16,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ScriptedRtsp {
    /// Listens on a free port of loopback.
    pub fn start(script: Script) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let thread = std::thread::spawn(move || serve(&listener, &script, &told));
        Ok(Self {
            port,
            over,
            thread: Some(thread),
        })
    }

    /// The URL of its camera.
    pub fn url(&self) -> String {
        format!("rtsp://127.0.0.1:{}/cam", self.port)
    }
}

impl Drop for ScriptedRtsp {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts; it may have ended already.
        let _woken = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

fn serve(listener: &TcpListener, script: &Script, over: &Arc<AtomicBool>) {
    let mut clients = Vec::new();
    while let Ok((stream, _)) = listener.accept() {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let (script, over) = (script.clone(), Arc::clone(over));
        clients.push(std::thread::spawn(move || {
            // A client that is fed rubbish hangs up; that is what the test is about.
            let _hung_up = talk(stream, &script, &over);
        }));
    }
    for client in clients {
        let _ended = client.join();
    }
}

fn talk(mut stream: TcpStream, script: &Script, over: &AtomicBool) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_millis(100)))?;
    let mut received = Vec::new();
    let mut chunk = [0; 4096];
    while !over.load(Ordering::Relaxed) {
        match stream.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(count) => received.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        }
        while let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") {
            let request: Vec<u8> = received.drain(..end + 4).collect();
            answer(&mut stream, script, &String::from_utf8_lossy(&request))?;
        }
    }
    Ok(())
}

fn answer(stream: &mut TcpStream, script: &Script, request: &str) -> io::Result<()> {
    // A receiver's report comes before a request in the same bytes.
    let words = request.split_ascii_whitespace();
    let known = ["OPTIONS", "DESCRIBE", "SETUP", "PLAY"];
    let method = words
        .clone()
        .find(|word| known.iter().any(|known| word.ends_with(known)));
    let template = match method {
        Some(word) if word.ends_with("OPTIONS") => &script.options,
        Some(word) if word.ends_with("DESCRIBE") => &script.describe,
        Some(word) if word.ends_with("SETUP") => &script.setup,
        Some(_) => &script.play,
        None => &script.options,
    };
    let number = words
        .skip_while(|word| *word != "CSeq:")
        .nth(1)
        .unwrap_or("0");
    let port = stream.local_addr()?.port().to_string();
    let answer = filled(template, b"{cseq}", number.as_bytes());
    stream.write_all(&filled(&answer, b"{port}", port.as_bytes()))
}

/// Puts something into the first such hole of a template, which need not be text.
fn filled(template: &[u8], hole: &[u8], with: &[u8]) -> Vec<u8> {
    match template.windows(hole.len()).position(|part| part == hole) {
        Some(at) => [&template[..at], with, &template[at + hole.len()..]].concat(),
        None => template.to_vec(),
    }
}
