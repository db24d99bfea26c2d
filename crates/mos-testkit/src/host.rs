//! Machines of a network that is made for one test: network namespaces without a name, which are gone with who made them.
//!
//! [`alone`] puts the test itself into one; there it makes others and joins them by wires.

use std::io::{self, BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};

/// Set for a test's own process within its namespace.
const INSIDE: &str = "MOS_TEST_HOST";

/// Whether this process is one that [`alone`] started.
pub fn is_alone() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Whether this machine lets us have network namespaces.
pub fn possible() -> bool {
    // With what a wire needs: a kernel may have the one without the other.
    let wire = "ip link add name a type veth peer name b";
    let mut command = Command::new("unshare");
    let output = command.args(["--net", "sh", "-c", wire]).output();
    output.is_ok_and(|output| output.status.success())
}

/// Runs one test of this program in a namespace of its own, in which nothing is but the loopback.
pub fn alone(test: &str) -> io::Result<Output> {
    let me = std::env::current_exe()?;
    let mut command = Command::new("unshare");
    command
        .args([
            "--net",
            "sh",
            "-c",
            "ip link set lo up && exec \"$@\"",
            "sh",
        ])
        .arg(me)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1");
    command.output()
}

/// A machine of the network; it is gone when this is dropped, or when this process ends.
#[derive(Debug)]
pub struct Host {
    /// Holds the namespace, until its standard input is closed.
    holder: Child,
}

impl Host {
    /// One without a wire.
    pub fn new() -> io::Result<Self> {
        let mut holder = Command::new("unshare")
            .args([
                "--net",
                "sh",
                "-c",
                "ip link set lo up && echo up && exec cat",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(output) = holder.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        if line.trim() == "up" {
            return Ok(Self { holder });
        }
        holder.wait()?;
        Err(io::Error::other("no network namespace: needs root"))
    }

    /// A command that runs there, with the arguments that it is given after.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/proc/{}/ns/net", self.holder.id()))
            .arg(program);
        command
    }

    /// Joins this process's own network and the machine by a wire, with an address, as `198.18.1.1/24`, at either end.
    pub fn join(&self, here: &str, there: &str) -> io::Result<()> {
        wire(std::process::id(), here, self.holder.id(), there)
    }

    /// Joins two machines by a wire, with an address at either end.
    pub fn join_to(&self, here: &str, other: &Self, there: &str) -> io::Result<()> {
        wire(self.holder.id(), here, other.holder.id(), there)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _gone = self.holder.kill();
        let _reaped = self.holder.wait();
    }
}

/// Interfaces are called after the process at the other end, so that each name is there once.
fn wire(one: u32, one_address: &str, two: u32, two_address: &str) -> io::Result<()> {
    let (at_one, at_two) = (format!("w{two}"), format!("w{one}"));
    let script = format!(
        "ip link add name {at_one} netns {one} type veth peer name {at_two} netns {two} \
         && nsenter --net=/proc/{one}/ns/net sh -c 'ip addr add {one_address} dev {at_one} && ip link set {at_one} up' \
         && nsenter --net=/proc/{two}/ns/net sh -c 'ip addr add {two_address} dev {at_two} && ip link set {at_two} up'"
    );
    let output = Command::new("sh").args(["-c", &script]).output()?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!("no wire: {why}")))
}
