//! Network namespaces: one for the service, one for each camera, and one between them that holds the wires.
//!
//! ```text
//! service            wires             camera 7
//! c7 198.18.7.1 ════ s7 ~~~ mos-wire ~~~ d7 ════ eth0 198.18.7.2
//! ```
//!
//! Addresses are of 198.18.0.0/15, which is for tests (RFC 2544) and routed nowhere. Names hold this process's id: what a
//! run that was killed left behind is found by it and removed by the next.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use super::console::Console;
use super::shape::Shape;
use crate::cargo::{Profile, program};
use crate::error::Error;
use crate::exec::{capture, succeeds};

/// Names of namespaces begin so, with the process id after it.
const PREFIX: &str = "moslab";
/// Where iproute2 lists the namespaces (ip-netns(8)).
const NAMED: &str = "/run/netns";
/// Files below it replace those of /etc for who is run in a namespace (ip-netns(8)).
const ETC: &str = "/etc/netns";
/// Domain of the cameras' names; it is for tests (RFC 6761).
pub(crate) const DOMAIN: &str = "lab.test";
/// Cameras that the addresses suffice for.
pub(crate) const MOST: u16 = 500;

/// Why there can be no namespaces on this machine; none if there can.
pub(crate) fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("network namespaces need root".to_owned());
    }
    for (program, package) in [
        ("ip", "iproute2"),
        ("tc", "iproute2"),
        ("ethtool", "ethtool"),
    ] {
        if Command::new(program).arg("--version").output().is_err() {
            return Some(format!(
                "no program `{program}` (Debian's package {package})"
            ));
        }
    }
    let name = format!("{PREFIX}{}-try", std::process::id());
    let tried = ip(&["netns", "add", &name]).and_then(|()| {
        let veth = [
            "link", "add", "name", "a", "netns", &name, "type", "veth", "peer", "name", "b",
            "netns", &name,
        ];
        let made = ip(&veth);
        ip(&["netns", "del", &name]).and(made)
    });
    tried
        .err()
        .map(|error| format!("no network namespaces with veth pairs: {error}"))
}

/// What treats the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shaper {
    /// The kernel.
    Netem,
    /// `mos-wire`.
    Wire,
}

impl Shaper {
    /// For people.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Netem => "tc netem",
            Self::Wire => "mos-wire, since this kernel has no sch_netem",
        }
    }
}

/// All namespaces of a run. Dropping it removes them.
#[derive(Debug)]
pub(crate) struct Net {
    wires: Console,
    shaper: Shaper,
    hosts: Hosts,
    /// The last to go.
    names: Names,
}

impl Net {
    /// Removes what dead runs left, and makes the namespaces of the service and of the wires.
    pub(crate) fn new(profile: Profile) -> Result<Self, Error> {
        remove_stale()?;
        let mut names = Names::default();
        for name in [service(), middle()] {
            names.add(&name)?;
        }
        let hosts = Hosts::new()?;
        names.etc = Some(hosts.folder.clone());
        let shaper = shaper();
        let mut command = within(&middle(), program(profile, "mos-wire"));
        let wires = Console::start("mos-wire", "conformance/mos-wire.log", &mut command)?;
        Ok(Self {
            wires,
            shaper,
            hosts,
            names,
        })
    }

    /// What treats the packets on this machine.
    pub(crate) const fn shaper(&self) -> Shaper {
        self.shaper
    }

    /// Makes camera `number`'s namespace, its wire, its address and its name.
    pub(crate) fn join(&mut self, number: u16) -> Result<(), Error> {
        let camera = camera(number);
        self.names.add(&camera)?;
        let [near, far] = [format!("s{number}"), format!("d{number}")];
        plug(
            &service(),
            &format!("c{number}"),
            &near,
            &address(number, 1),
        )?;
        plug(&camera, "eth0", &far, &address(number, 2))?;
        self.wires.tell(&format!("join {number} {near} {far}"))?;
        self.hosts.set(number, &address(number, 2))
    }

    /// Has the wire of camera `number` treat packets so, by the chance of `seed`.
    pub(crate) fn shape(&mut self, number: u16, shape: Shape, seed: u64) -> Result<(), Error> {
        match self.shaper {
            Shaper::Wire => self
                .wires
                .tell(&format!("shape {number} {seed} {}", shape.for_wire())),
            Shaper::Netem => {
                for device in [format!("s{number}"), format!("d{number}")] {
                    let mut words: Vec<_> = [
                        "-n",
                        &middle(),
                        "qdisc",
                        "replace",
                        "dev",
                        &device,
                        "root",
                        "netem",
                    ]
                    .map(str::to_owned)
                    .to_vec();
                    words.extend(shape.for_netem());
                    capture("tc", Command::new("tc").args(words))?;
                }
                Ok(())
            }
        }
    }

    /// Gives camera `number` another address under the same name.
    pub(crate) fn move_camera(&mut self, number: u16) -> Result<(), Error> {
        let (camera, old, new) = (camera(number), address(number, 2), address(number, 3));
        // In this order: an address that is second in its network goes with the first.
        for (verb, address) in [("del", old), ("add", new.clone())] {
            let address = format!("{address}/24");
            ip(&["-n", &camera, "address", verb, &address, "dev", "eth0"])?;
        }
        self.hosts.set(number, &new)
    }
}

/// Takes camera `number`'s wire away: an interface more or less for each camera that was ever there is nothing that a
/// service has to live with (libnice aborts the process that finds more than 64 addresses).
pub(crate) fn leave(number: u16) -> Result<(), Error> {
    ip(&["-n", &service(), "link", "del", &format!("c{number}")])
}

/// `PROGRAM`, to be run in a namespace.
pub(crate) fn within(namespace: &str, program: impl AsRef<Path>) -> Command {
    let mut command = Command::new("ip");
    command
        .args(["netns", "exec", namespace])
        .arg(program.as_ref());
    command
}

/// The service's namespace.
pub(crate) fn service() -> String {
    name("svc")
}

/// A camera's namespace.
pub(crate) fn camera(number: u16) -> String {
    name(&number.to_string())
}

/// A camera's name for the service.
pub(crate) fn host(number: u16) -> String {
    format!("cam{number}.{DOMAIN}")
}

fn middle() -> String {
    name("hub")
}

fn name(what: &str) -> String {
    format!("{PREFIX}{}-{what}", std::process::id())
}

/// Address `last` of camera `number`'s network.
fn address(number: u16, last: u8) -> String {
    let (high, low) = (number / 250, number % 250 + 1);
    format!("198.{}.{low}.{last}", 18 + high)
}

/// A veth pair from `namespace` to the wires. Checksums and segments are made by the kernel, since the wire passes frames
/// on as they are.
fn plug(namespace: &str, device: &str, other: &str, address: &str) -> Result<(), Error> {
    let middle = middle();
    ip(&[
        "link", "add", "name", device, "netns", namespace, "type", "veth", "peer", "name", other,
        "netns", &middle,
    ])?;
    let mut offload = within(namespace, "ethtool");
    capture("ethtool", offload.args(["-K", device, "tx", "off"]))?;
    ip(&[
        "-n",
        namespace,
        "address",
        "add",
        &format!("{address}/24"),
        "dev",
        device,
    ])?;
    ip(&["-n", namespace, "link", "set", device, "up"])?;
    ip(&["-n", &middle, "link", "set", other, "up"])
}

fn ip(words: &[&str]) -> Result<(), Error> {
    capture(
        &format!("ip {}", words.join(" ")),
        Command::new("ip").args(words),
    )
    .map(drop)
}

/// Tries netem on the loopback of the wires' namespace.
fn shaper() -> Shaper {
    let mut attempt = Command::new("tc");
    attempt.args([
        "-n",
        &middle(),
        "qdisc",
        "add",
        "dev",
        "lo",
        "root",
        "netem",
        "delay",
        "1ms",
    ]);
    if succeeds(&mut attempt) {
        Shaper::Netem
    } else {
        Shaper::Wire
    }
}

/// Namespaces that are there.
#[derive(Debug, Default)]
struct Names {
    all: Vec<String>,
    etc: Option<PathBuf>,
}

impl Names {
    fn add(&mut self, name: &str) -> Result<(), Error> {
        ip(&["netns", "add", name])?;
        self.all.push(name.to_owned());
        ip(&["-n", name, "link", "set", "lo", "up"])
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        for name in &self.all {
            if let Err(error) = ip(&["netns", "del", name]) {
                crate::ui::say(format!("left behind: {error}"));
            }
        }
        if let Some(folder) = &self.etc {
            let _gone = fs::remove_dir_all(folder);
        }
    }
}

/// Removes the namespaces of runs whose process is gone, with what still runs in them, and their files.
fn remove_stale() -> Result<(), Error> {
    for name in entries(NAMED)?.iter().filter(|name| is_stale(name, alive)) {
        let pids = capture(
            "ip netns pids",
            Command::new("ip").args(["netns", "pids", name]),
        )?;
        for pid in pids
            .lines()
            .filter_map(|line| Pid::from_raw(line.trim().parse().ok()?))
        {
            // It may have ended by now.
            let _gone = kill_process(pid, Signal::TERM);
        }
        ip(&["netns", "del", name])?;
    }
    for name in entries(ETC)?.iter().filter(|name| is_stale(name, alive)) {
        let folder = Path::new(ETC).join(name);
        fs::remove_dir_all(&folder).map_err(Error::path("remove", &folder))?;
    }
    Ok(())
}

fn alive(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

/// Whether a name is that of a run whose process is gone.
fn is_stale(name: &str, alive: impl Fn(u32) -> bool) -> bool {
    let pid = name
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.split_once('-'))
        .and_then(|(pid, _)| pid.parse().ok());
    pid.is_some_and(|pid| !alive(pid))
}

fn entries(folder: &str) -> Result<Vec<String>, Error> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(entries
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::path("list", folder)(error)),
    }
}

/// The service's view of the cameras' names: a file that is /etc/hosts for it.
#[derive(Debug)]
struct Hosts {
    folder: PathBuf,
    file: File,
}

impl Hosts {
    fn new() -> Result<Self, Error> {
        let folder = Path::new(ETC).join(service());
        fs::create_dir_all(&folder).map_err(Error::path("create", &folder))?;
        let path = folder.join("hosts");
        let text: String = (0..MOST)
            .map(|number| line(number, &address(number, 2)))
            .collect();
        fs::write(
            &path,
            format!("{}{text}", line_of("127.0.0.1", "localhost")),
        )
        .map_err(Error::path("write", &path))?;
        let file = File::options()
            .write(true)
            .open(&path)
            .map_err(Error::path("open", &path))?;
        Ok(Self { folder, file })
    }

    /// Changes one line in place: lines are of one length, so that who reads meanwhile finds no half a file.
    fn set(&self, number: u16, address: &str) -> Result<(), Error> {
        let text = line(number, address);
        let offset = u64::from(number + 1) * LINE as u64;
        self.file
            .write_all_at(text.as_bytes(), offset)
            .map_err(Error::io("cannot change the hosts file"))
    }
}

const LINE: usize = 40;

fn line(number: u16, address: &str) -> String {
    line_of(address, &host(number))
}

fn line_of(address: &str, name: &str) -> String {
    format!(
        "{:<width$}\n",
        format!("{address} {name}"),
        width = LINE - 1
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_camera_has_a_network_of_its_own_within_the_range_for_tests() {
        let all: HashSet<_> = (0..MOST).map(|number| address(number, 2)).collect();
        assert_eq!(all.len(), usize::from(MOST));
        assert_eq!(address(0, 1), "198.18.1.1");
        assert_eq!(address(249, 2), "198.18.250.2");
        assert_eq!(address(MOST - 1, 3), "198.19.250.3");
    }

    #[test]
    fn lines_have_one_length() {
        for number in [0, 7, MOST - 1] {
            assert_eq!(line(number, "198.19.250.250").len(), LINE);
        }
        assert_eq!(line_of("127.0.0.1", "localhost").len(), LINE);
    }

    #[test]
    fn only_names_of_dead_runs_are_stale() {
        for (name, stale) in [
            ("moslab12-svc", true),
            ("moslab12-7", true),
            ("moslab99-svc", false),
            ("moslab-svc", false),
            ("moslab12", false),
            ("other12-svc", false),
        ] {
            assert_eq!(is_stale(name, |pid| pid == 99), stale, "{name}");
        }
    }
}
