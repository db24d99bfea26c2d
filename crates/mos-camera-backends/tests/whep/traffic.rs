//! Nobody gets a packet who was not named: in a namespace whose default route leads to a wire, every packet that leaves is
//! looked at.
//!
//! The test runs itself again in the client's namespace, with the server in another one at the far end of a veth pair.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use mos_camera_core::WhepSource;
use mos_testkit::{WhepServer, paths, skip, wait_until, whep};
use nix::sys::socket::{
    AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, setsockopt, socket,
    sockopt,
};
use nix::sys::time::TimeVal;

use crate::conformance::{PATIENCE, next};
use crate::rig::streams;

/// The server's namespace, for the test within the client's.
const INSIDE: &str = "MOS_TEST_WHEP_FAR_SIDE";
/// The server, the STUN server that it names, and what nobody names; all of the nets for tests and for documents.
const SERVER: Ipv4Addr = Ipv4Addr::new(198, 18, 1, 2);
const SERVER_6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
const STUN: Ipv4Addr = Ipv4Addr::new(198, 18, 1, 3);
const UNNAMED: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);

/// The wire, then the program that is named. Whatever has no better route goes to the server's side.
const WIRE: &str = "ip link set lo up && ip link add near type veth peer name far netns $0 \
    && ip addr add 198.18.1.1/24 dev near && ip addr add 2001:db8::1/64 dev near nodad && ip link set near up \
    && ip -n $0 addr add 198.18.1.2/24 dev far && ip -n $0 addr add 198.18.1.3/24 dev far && ip -n $0 addr add 2001:db8::2/64 dev far nodad \
    && ip -n $0 link set far up && ip route add default via 198.18.1.2 && ip -6 route add default via 2001:db8::2 && exec \"$@\"";

/// A namespace for the server; removed on drop.
struct FarSide(String);

impl FarSide {
    fn new() -> Option<Self> {
        let name = format!("moswhep{}", std::process::id());
        let made = ip(&["netns", "add", &name]);
        made.then(|| Self(name))
    }
}

impl Drop for FarSide {
    fn drop(&mut self) {
        ip(&["netns", "del", &self.0]);
    }
}

fn ip(words: &[&str]) -> bool {
    let status = Command::new("ip").args(words).status();
    status.is_ok_and(|status| status.success())
}

/// Where a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    to: IpAddr,
    protocol: u8,
    port: u16,
}

/// Everything that leaves this namespace by any interface, from its start on (packet(7)).
struct Capture {
    seen: Arc<Mutex<BTreeSet<Target>>>,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Capture {
    fn start() -> Self {
        let all = SockProtocol::EthAll;
        let socket = socket(
            AddressFamily::Packet,
            SockType::Datagram,
            SockFlag::empty(),
            all,
        );
        let socket = socket.unwrap();
        // Only so that the end is noticed.
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(0, 100_000)).unwrap();
        let (seen, end) = (
            Arc::<Mutex<BTreeSet<Target>>>::default(),
            Arc::<AtomicBool>::default(),
        );
        let (noted, over) = (Arc::clone(&seen), Arc::clone(&end));
        let thread = std::thread::spawn(move || {
            let mut packet = [0; 2048];
            while !over.load(Ordering::Relaxed) {
                let Ok((length, Some(from))) =
                    recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut packet)
                else {
                    continue;
                };
                // PACKET_OUTGOING of <linux/if_packet.h>.
                if from.pkttype() == 4
                    && let Some(target) = target(&packet[..length])
                {
                    noted.lock().unwrap().insert(target);
                }
            }
        });
        Self {
            seen,
            end,
            thread: Some(thread),
        }
    }

    fn seen(&self) -> BTreeSet<Target> {
        self.seen.lock().unwrap().clone()
    }

    /// What was seen until now.
    fn finish(mut self) -> BTreeSet<Target> {
        self.end.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        self.seen()
    }
}

/// Where a packet of IPv4 (RFC 791) or IPv6 (RFC 8200) goes; none for what the kernel says by itself: ARP, ICMP, IGMP.
fn target(packet: &[u8]) -> Option<Target> {
    let port = |at: usize| Some(u16::from_be_bytes(packet.get(at..at + 2)?.try_into().ok()?));
    let (to, protocol, header) = match packet.first()? >> 4 {
        4 => {
            let to: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
            (to.into(), packet[9], usize::from(packet[0] & 15) * 4)
        }
        6 => {
            let to: [u8; 16] = packet.get(24..40)?.try_into().ok()?;
            (to.into(), packet[6], 40)
        }
        _ => return None,
    };
    match protocol {
        // UDP and TCP.
        6 | 17 => Some(Target {
            to,
            protocol,
            port: port(header + 2)?,
        }),
        // Hop-by-hop options carry multicast listeners' reports (RFC 3810).
        0 | 1 | 2 | 58 => None,
        protocol => Some(Target {
            to,
            protocol,
            port: 0,
        }),
    }
}

fn far_server(namespace: &str) -> WhepServer {
    let mut command = Command::new("ip");
    command
        .args(["netns", "exec", namespace])
        .arg(whep::python().unwrap())
        .arg(paths::peer("whep_server.py"))
        .arg(format!("--host={SERVER}"))
        .arg("--codec=VP8")
        .arg(format!("--link=<stun:{STUN}>; rel=\"ice-server\""))
        // What would lead elsewhere: a name for mDNS, and a clock that GStreamer would ask.
        .arg("--line=a=candidate:7 1 udp 2130706431 0f0e0d0c.local 9 typ host")
        .arg(format!("--line=a=ts-refclk:ntp={UNNAMED}"))
        .arg("--line=a=mediaclk:direct=0");
    WhepServer::start(command).unwrap()
}

/// Plays the camera for a while; where packets went meanwhile.
fn targets(server: &WhepServer, link_servers: bool) -> BTreeSet<Target> {
    let capture = Capture::start();
    let running = streams(WhepSource {
        link_servers,
        ..WhepSource::new(format!("http://{SERVER}:{}/whep", server.port()))
    });
    let mut subscriber = running.subscribe();
    // Two seconds of it: what asks for a server late has asked by then.
    for _ in 0..60 {
        next(&mut subscriber);
    }
    drop(running);
    capture.finish()
}

fn within(namespace: &str) {
    // The capture sees who is not to be seen.
    let capture = Capture::start();
    let stray = Target {
        to: UNNAMED.into(),
        protocol: 17,
        port: 9,
    };
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.send_to(b"stray", (UNNAMED, 9)).unwrap();
    wait_until("the stray packet", PATIENCE, || {
        capture.seen().contains(&stray).then_some(())
    })
    .unwrap();
    drop(capture.finish());

    let server = far_server(namespace);
    for link_servers in [true, false] {
        let targets = targets(&server, link_servers);
        let http = Target {
            to: SERVER.into(),
            protocol: 6,
            port: server.port(),
        };
        assert!(targets.contains(&http), "{targets:?}");
        let stun = Target {
            to: STUN.into(),
            protocol: 17,
            port: 3478,
        };
        assert_eq!(targets.contains(&stun), link_servers, "{targets:?}");
        // Media may go to any of the server's own addresses: its answer names them.
        let known: [IpAddr; 3] = [SERVER.into(), SERVER_6.into(), STUN.into()];
        let strangers: Vec<_> = targets
            .iter()
            .filter(|target| !known.contains(&target.to))
            .collect();
        assert!(strangers.is_empty(), "{strangers:?}");
        let media = targets
            .iter()
            .any(|target| target.protocol == 17 && target.port != 3478);
        assert!(media, "{targets:?}");
    }
}

#[test]
fn no_packet_goes_to_anybody_who_was_not_named() {
    let test = "no_packet_goes_to_anybody_who_was_not_named";
    if let Ok(namespace) = std::env::var(INSIDE) {
        return within(&namespace);
    }
    if whep::python().is_none() {
        return skip::skip(test, "no Python with aiortc; `./x test` makes one").unwrap();
    }
    let far = rustix::process::geteuid().is_root().then(FarSide::new);
    let Some(far) = far.flatten() else {
        let why = "needs root, and a kernel with network namespaces";
        return skip::skip(test, why).unwrap();
    };
    let namespace = || {
        let mut command = Command::new("unshare");
        command.arg("--net");
        command
    };
    let mut pair = namespace();
    pair.args([
        "ip", "link", "add", "near", "type", "veth", "peer", "name", "far",
    ]);
    if !pair.status().is_ok_and(|status| status.success()) {
        return skip::skip(test, "needs a kernel with veth pairs").unwrap();
    }
    let me = std::env::current_exe().unwrap();
    let name = format!("traffic::{test}");
    let mut inside = namespace();
    inside
        .args(["sh", "-c", WIRE, &far.0])
        .arg(me)
        .args(["--exact", &name, "--nocapture"])
        .env(INSIDE, &far.0);
    let output = inside.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{failed}");
    assert!(said.contains("1 passed"), "{said}");
}
