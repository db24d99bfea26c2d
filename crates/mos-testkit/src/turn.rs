//! coturn, a TURN and STUN server that nobody here wrote, in a process of its own.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::lines::Lines;

/// Debian's name of the program; its package is coturn.
pub const PROGRAM: &str = "turnserver";
/// Longest wait for it to come up.
const STARTUP: Duration = Duration::from_secs(20);

/// Whether it is installed.
pub fn is_here() -> bool {
    Command::new(PROGRAM)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}

/// A running server, without TLS; it is killed on drop.
#[derive(Debug)]
pub struct TurnServer {
    child: Child,
    log: Lines,
    _folder: tempfile::TempDir,
}

impl TurnServer {
    /// Starts one that listens at an address over UDP and TCP, relays from another, and knows these users.
    ///
    /// `command` runs coturn, with its arguments after its own: in a network namespace, for instance.
    pub fn start(
        mut command: Command,
        listen: SocketAddr,
        relay: IpAddr,
        users: &[(&str, &str)],
    ) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = |name: &str| Path::new(folder.path()).join(name);
        let mut child = command
            // No file of the machine's own coturn is read or written.
            .args(["-n", "--log-file=stdout", "--simple-log"])
            .args(["--verbose", "--log-binding"])
            .args(["--no-cli", "--no-tls", "--no-dtls", "--no-multicast-peers"])
            .args(["--lt-cred-mech", "--realm=mos.test"])
            .args(
                users
                    .iter()
                    .map(|(user, password)| format!("--user={user}:{password}")),
            )
            .arg(format!("--listening-ip={}", listen.ip()))
            .arg(format!("--listening-port={}", listen.port()))
            .arg(format!("--relay-ip={relay}"))
            .arg(format!("--userdb={}", file("db").display()))
            .arg(format!("--pidfile={}", file("pid").display()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let stdout = child.stdout.take();
        let stdout = stdout.ok_or_else(|| io::Error::other("no pipe from coturn"))?;
        let server = Self {
            child,
            log: Lines::of("TURN server", stdout),
            _folder: folder,
        };
        server.wait_for("UDP listener opened", STARTUP)?;
        server.wait_for("TCP listener opened", STARTUP)?;
        Ok(server)
    }

    /// Waits for a line of its log that holds this, also one that came before.
    pub fn wait_for(&self, text: &str, patience: Duration) -> io::Result<String> {
        self.log
            .wait_for(text, patience, |line| line.contains(text))
    }

    /// Its log so far.
    pub fn log(&self) -> Vec<String> {
        self.log.all()
    }
}

impl Drop for TurnServer {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}
