//! The sockets of discovery, and the thread that waits on them. Nothing is polled: it sleeps until a camera, an interface,
//! a caller or the clock wakes it.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use super::interfaces;
use super::message::{LARGEST, Told, probes, read};
use super::schedule::Schedule;
use crate::onvif::random;

const PORT: u16 = 3702;
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(239, 255, 255, 250);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xc);

/// Datagrams that are read in a row before the other sockets have their turn: a flood on one does not starve the rest.
const IN_A_ROW: usize = 64;

/// What was heard, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::onvif) struct Heard {
    /// What was told.
    pub(in crate::onvif) told: Told,
    /// By whom; the scope of a link-local address is the interface's index.
    pub(in crate::onvif) from: SocketAddr,
}

/// Listens until dropped.
#[derive(Debug)]
pub(in crate::onvif) struct Listener {
    wishes: Arc<Mutex<Wishes>>,
    wake: Arc<OwnedFd>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// What callers want of the thread.
#[derive(Debug, Default)]
struct Wishes {
    stop: bool,
    probe: bool,
    /// Hosts to ask directly.
    hosts: BTreeSet<IpAddr>,
}

impl Listener {
    /// Begins to listen and to probe on the named interfaces (all if there are none); `hear` is called on the thread.
    pub(in crate::onvif) fn start(
        interfaces: Vec<String>,
        hear: impl Fn(Heard) + Send + 'static,
    ) -> io::Result<Self> {
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let wishes = Arc::default();
        let mut worker = Worker::new(interfaces, Arc::clone(&wishes), Arc::clone(&wake))?;
        let thread = std::thread::Builder::new()
            .name("onvif-discovery".to_owned())
            .spawn(move || worker.run(&hear))?;
        Ok(Self {
            wishes,
            wake,
            thread: Some(thread),
        })
    }

    /// Probes soon.
    pub(in crate::onvif) fn probe(&self) {
        self.wish(|wishes| wishes.probe = true);
    }

    /// Asks one host for its endpoint reference.
    pub(in crate::onvif) fn probe_host(&self, host: IpAddr) {
        self.wish(|wishes| {
            wishes.hosts.insert(host);
        });
    }

    fn wish(&self, wish: impl FnOnce(&mut Wishes)) {
        wish(&mut self.wishes.lock().unwrap_or_else(PoisonError::into_inner));
        // Full only if the thread is to wake anyhow.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.wish(|wishes| wishes.stop = true);
        if let Some(thread) = self.thread.take() {
            // The registry's own thread may hold the last copy: a thread can't wait for itself.
            if thread.thread().id() != std::thread::current().id() {
                // A panic there was told by the panic hook.
                let _ = thread.join();
            }
        }
    }
}

/// The thread's state.
struct Worker {
    names: Vec<String>,
    wishes: Arc<Mutex<Wishes>>,
    wake: Arc<OwnedFd>,
    changes: OwnedFd,
    families: Vec<Family>,
    schedule: Schedule,
    began: Instant,
    buffer: Vec<u8>,
}

/// The sockets of one IP version.
struct Family {
    v6: bool,
    /// Hears announcements; none if the port can't be had.
    listening: Option<UdpSocket>,
    /// Asks and hears answers.
    asking: UdpSocket,
    joined: BTreeSet<u32>,
}

impl Worker {
    fn new(names: Vec<String>, wishes: Arc<Mutex<Wishes>>, wake: Arc<OwnedFd>) -> io::Result<Self> {
        let (v4, v6) = (Family::open(false), Family::open(true));
        // A machine may be without one of the two.
        let families = match (v4, v6) {
            (Err(error), Err(_)) => return Err(error),
            (v4, v6) => v4.into_iter().chain(v6).collect(),
        };
        Ok(Self {
            names,
            wishes,
            wake,
            changes: interfaces::changes()?,
            families,
            schedule: Schedule::default(),
            began: Instant::now(),
            buffer: vec![0; LARGEST],
        })
    }

    fn run(&mut self, hear: &impl Fn(Heard)) {
        self.schedule.changed(self.began.elapsed());
        loop {
            let now = self.began.elapsed();
            if self.schedule.take(now) {
                self.probe();
            }
            match self.wait(now) {
                Ok(ready) => {
                    if ready.wake && self.obey() {
                        return;
                    }
                    if ready.changes {
                        drain(&self.changes);
                        self.schedule.changed(self.began.elapsed());
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "cameras are not looked for any more: the sockets of discovery can't be waited on");
                    return;
                }
            }
            self.hear_all(hear);
        }
    }

    fn wait(&self, now: Duration) -> io::Result<Ready> {
        let sockets = self.families.iter().flat_map(Family::sockets);
        let mut fds: Vec<PollFd<'_>> = [self.wake.as_fd(), self.changes.as_fd()]
            .into_iter()
            .chain(sockets.map(AsFd::as_fd))
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        let timeout = self.schedule.next().map(|next| {
            let left = next.saturating_sub(now);
            Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            }
        });
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Ready {
            wake: !fds[0].revents().is_empty(),
            changes: !fds[1].revents().is_empty(),
        })
    }

    /// Does what callers want; true if that is to end.
    fn obey(&mut self) -> bool {
        drain(&*self.wake);
        let wishes =
            std::mem::take(&mut *self.wishes.lock().unwrap_or_else(PoisonError::into_inner));
        if wishes.probe {
            self.schedule.asked(self.began.elapsed());
        }
        let messages = messages();
        for host in wishes.hosts {
            let family = self
                .families
                .iter()
                .find(|family| family.v6 == host.is_ipv6());
            if let Some(family) = family {
                family.send(&messages, SocketAddr::new(host, PORT));
            }
        }
        wishes.stop
    }

    /// Probes on every interface, and listens on those that are new.
    fn probe(&mut self) {
        let interfaces = match interfaces::list(&self.names) {
            Ok(interfaces) => interfaces,
            Err(error) => {
                tracing::warn!(%error, "the network interfaces can't be listed: no cameras are looked for now");
                return;
            }
        };
        let messages = messages();
        for family in &mut self.families {
            let with = interfaces
                .iter()
                .filter(|(_, i)| if family.v6 { i.ipv6 } else { i.ipv4 });
            let indices: BTreeSet<u32> = with.map(|(index, _)| *index).collect();
            family.join(&indices);
            for index in indices {
                family.probe(&messages, index);
            }
        }
    }

    fn hear_all(&mut self, hear: &impl Fn(Heard)) {
        for socket in self.families.iter().flat_map(Family::sockets) {
            for _ in 0..IN_A_ROW {
                // An error of a socket is of an earlier datagram (a host that refused it), or there is nothing to read.
                let Ok((length, from)) = socket.recv_from(&mut self.buffer) else {
                    break;
                };
                match read(&self.buffer[..length]) {
                    Ok(Told::Nothing) => {}
                    Ok(told) => hear(Heard { told, from }),
                    Err(error) => tracing::debug!(%from, %error, "no message of discovery"),
                }
            }
        }
    }
}

struct Ready {
    wake: bool,
    changes: bool,
}

impl Family {
    fn open(v6: bool) -> io::Result<Self> {
        let listening = socket(v6, PORT);
        if let Err(error) = &listening {
            tracing::warn!(%error, ipv6 = v6, "UDP port 3702 can't be had: cameras are found by asking only, not when they announce themselves");
        }
        Ok(Self {
            v6,
            listening: listening.ok(),
            asking: socket(v6, 0)?,
            joined: BTreeSet::new(),
        })
    }

    fn sockets(&self) -> impl Iterator<Item = &UdpSocket> {
        self.listening.iter().chain([&self.asking])
    }

    /// Membership ends by itself with its interface; an index is not used twice.
    fn join(&mut self, indices: &BTreeSet<u32>) {
        self.joined.retain(|index| indices.contains(index));
        let Some(socket) = &self.listening else {
            return;
        };
        for index in indices {
            if !self.joined.insert(*index) {
                continue;
            }
            let joined = if self.v6 {
                sockopt::set_ipv6_add_membership(socket, &GROUP_V6, *index)
            } else {
                let any = Ipv4Addr::UNSPECIFIED;
                sockopt::set_ip_add_membership_with_ifindex(socket, &GROUP_V4, &any, *index)
            };
            match joined {
                Ok(()) | Err(rustix::io::Errno::ADDRINUSE) => {}
                Err(error) => {
                    self.joined.remove(index);
                    tracing::debug!(%error, index, ipv6 = self.v6, "announcements on this interface are not heard");
                }
            }
        }
    }

    fn probe(&self, messages: &[String], index: u32) {
        let to = if self.v6 {
            SocketAddrV6::new(GROUP_V6, PORT, 0, index).into()
        } else {
            let any = Ipv4Addr::UNSPECIFIED;
            let set =
                sockopt::set_ip_multicast_if_with_ifindex(&self.asking, &GROUP_V4, &any, index);
            if let Err(error) = set {
                tracing::debug!(%error, index, "no probe on this interface");
                return;
            }
            SocketAddrV4::new(GROUP_V4, PORT).into()
        };
        self.send(messages, to);
    }

    fn send(&self, messages: &[String], to: SocketAddr) {
        for message in messages {
            if let Err(error) = self.asking.send_to(message.as_bytes(), to) {
                tracing::debug!(%error, %to, "a probe was not sent");
            }
        }
    }
}

/// A socket that shares its port with others that listen for cameras.
fn socket(v6: bool, port: u16) -> io::Result<UdpSocket> {
    let family = if v6 {
        AddressFamily::INET6
    } else {
        AddressFamily::INET
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::DGRAM, flags, None)?;
    if port != 0 {
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    if v6 {
        sockopt::set_ipv6_v6only(&socket, true)?;
        rustix::net::bind(
            &socket,
            &SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0),
        )?;
    } else {
        rustix::net::bind(&socket, &SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port))?;
    }
    Ok(socket.into())
}

/// Two probes, each with an id of its own.
fn messages() -> [String; 2] {
    let [first, second] = [random::uuid(), random::uuid()];
    probes([&first, &second])
}

/// Reads all that is there: what it says does not matter.
fn drain(fd: impl AsFd) {
    let mut buffer = [0; 4096];
    while rustix::io::read(&fd, &mut buffer[..]).is_ok_and(|read| read > 0) {}
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A camera that answers a probe which is sent to it alone: needs no multicast, so any machine can run it.
    #[test]
    fn a_host_that_is_asked_directly_is_heard() {
        let (sender, heard) = mpsc::channel();
        let hear = move |told| sender.send(told).unwrap_or_default();
        let listener = Listener::start(vec!["no-such-interface".to_owned()], hear).unwrap();
        // The camera's port can't be chosen: it has to be on an address of its own.
        let Ok(camera) = UdpSocket::bind(("127.37.0.2", PORT)) else {
            return;
        };
        camera
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        listener.probe_host("127.37.0.2".parse().unwrap());
        let mut buffer = [0; 4096];
        let (length, from) = camera.recv_from(&mut buffer).unwrap();
        assert!(String::from_utf8_lossy(&buffer[..length]).contains(":Probe"));
        let answer = "<Envelope><Body><ProbeMatches><ProbeMatch><EndpointReference><Address>urn:uuid:1</Address></EndpointReference><Types>NetworkVideoTransmitter</Types><XAddrs>http://127.37.0.2/x</XAddrs></ProbeMatch></ProbeMatches></Body></Envelope>";
        camera.send_to(b"rubbish", from).unwrap();
        camera.send_to(answer.as_bytes(), from).unwrap();
        let heard = heard.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(heard.from.ip().to_string(), "127.37.0.2");
        assert!(matches!(heard.told, Told::Here(found) if found[0].endpoint == "urn:uuid:1"));
    }

    #[test]
    fn it_ends_when_dropped() {
        let before = std::fs::read_dir("/proc/self/fd").unwrap().count();
        for _ in 0..20 {
            drop(Listener::start(Vec::new(), |_| ()).unwrap());
        }
        let after = std::fs::read_dir("/proc/self/fd").unwrap().count();
        assert!(after < before + 20, "{before} to {after} descriptors");
    }
}
