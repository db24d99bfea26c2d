//! Cameras in a network namespace of their own, on two wires; `netem` treats the packets of one of them, both ways.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The server, which the guest of the lab has no file of.
const SERVER: &str = include_str!("../../../../tests/peers/rtsp_server.py");
/// Debian's interpreter, which has the bindings.
const PYTHON: &str = "/usr/bin/python3";
const PORT: u16 = 8554;
/// The wire that things are done to, and the one beside it: addresses for tests (RFC 2544).
const WIRES: [u8; 2] = [1, 2];

/// Why this machine can't do it; none if it can.
pub(crate) fn missing() -> Option<&'static str> {
    if !rustix::process::geteuid().is_root() {
        return Some("network namespaces need root");
    }
    let name = format!("mosnetem{}-try", std::process::id());
    if !run("ip", &["netns", "add", &name]) {
        return Some("no network namespaces");
    }
    let netem = [
        "-n", &name, "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms",
    ];
    let there = run("tc", &netem);
    run("ip", &["netns", "del", &name]);
    (!there).then_some("this kernel has no sch_netem; runs in the lab")
}

fn run(program: &str, words: &[&str]) -> bool {
    let mut command = Command::new(program);
    let output = command.args(words).stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => true,
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            eprintln!("{program} {}: {}", words.join(" "), said.trim());
            false
        }
        Err(error) => {
            eprintln!("{program}: {error}");
            false
        }
    }
}

fn must(program: &str, words: &[&str]) {
    assert!(run(program, words), "{program} {}", words.join(" "));
}

/// The namespace with its wires. Dropping it removes all.
pub(crate) struct Net {
    name: String,
}

impl Net {
    pub(crate) fn new() -> Self {
        let net = Self {
            name: format!("mosnetem{}", std::process::id()),
        };
        must("ip", &["netns", "add", &net.name]);
        must("ip", &["-n", &net.name, "link", "set", "lo", "up"]);
        for wire in WIRES {
            net.plug(wire);
        }
        net
    }

    fn plug(&self, wire: u8) {
        let (near, far) = (near(wire), far(wire));
        let name = &self.name;
        must(
            "ip",
            &[
                "link", "add", &near, "type", "veth", "peer", "name", &far, "netns", name,
            ],
        );
        // One segment a packet: netem treats packets, and a picture would be one.
        let single = ["gso_max_segs", "1"];
        must(
            "ip",
            &[&["link", "set", "dev", &near][..], &single].concat(),
        );
        let there = ["-n", name, "link", "set", "dev", &far];
        must("ip", &[&there[..], &single].concat());
        let address = |last: u8| format!("198.18.{wire}.{last}/24");
        must("ip", &["address", "add", &address(1), "dev", &near]);
        must("ip", &["link", "set", &near, "up"]);
        must(
            "ip",
            &["-n", name, "address", "add", &address(2), "dev", &far],
        );
        must("ip", &["-n", name, "link", "set", &far, "up"]);
    }

    /// Has netem treat packets of the first wire so in both directions (tc-netem(8)).
    pub(crate) fn shape(&self, how: &str) {
        let set = |namespace: &[&str], device: &str| {
            let words = ["qdisc", "replace", "dev", device, "root", "netem"];
            let how = how.split_whitespace();
            let all: Vec<_> = namespace.iter().copied().chain(words).chain(how).collect();
            must("tc", &all);
        };
        set(&[], &near(WIRES[0]));
        set(&["-n", &self.name], &far(WIRES[0]));
    }

    /// Cameras by MJPEG, which costs an emulated processor the least.
    pub(crate) fn serve(&self, count: u32) -> Server {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.name, PYTHON, "-c", SERVER])
            .arg("--address=0.0.0.0")
            .arg(format!("--port={PORT}"))
            .arg(format!("--count={count}"))
            .args([
                "--codec=jpeg",
                "--size=160x120",
                "--fps=5",
                "--pattern=smpte",
            ])
            // It ends with this pipe.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = child.stdout.take().unwrap();
        let server = Server(child);
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).unwrap();
        assert!(line.contains("\"ready\": true"), "the server said: {line}");
        server
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        // The wires go with it.
        run("ip", &["netns", "del", &self.name]);
    }
}

fn near(wire: u8) -> String {
    format!("mosn{wire}")
}

fn far(wire: u8) -> String {
    format!("mosf{wire}")
}

/// The URL of camera `index`, by the wire that things are done to or by the other one.
pub(crate) fn url(index: u32, treated: bool) -> String {
    let wire = WIRES[usize::from(!treated)];
    format!("rtsp://198.18.{wire}.2:{PORT}/cam{index}")
}

/// How long it takes to connect by the wire that things are done to.
pub(crate) fn connecting_takes() -> Duration {
    let address = SocketAddr::from(([198, 18, WIRES[0], 2], PORT));
    let begin = Instant::now();
    TcpStream::connect(address).unwrap();
    begin.elapsed()
}

/// A running server; killed on drop.
pub(crate) struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// A counter of this namespace's kernel (`proc_pid_net(5)`), such as `Udp` `InCsumErrors`.
pub(crate) fn counter(protocol: &str, name: &str) -> u64 {
    let files = ["/proc/self/net/snmp", "/proc/self/net/netstat"];
    let text = files
        .map(|file| std::fs::read_to_string(file).unwrap())
        .concat();
    let mut lines = text.lines();
    while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
        if names.split(':').next() == Some(protocol) {
            let mut pairs = names.split(' ').zip(values.split(' '));
            let found = pairs.find(|(known, _)| *known == name);
            return found.unwrap().1.parse().unwrap();
        }
    }
    panic!("no counters of {protocol}");
}
