//! A connection and who is at its other end.

use std::fs;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tonic::transport::server::Connected;

/// Who is at the other end, as the kernel recorded it when the connection was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
    /// Supplementary groups; empty where the kernel does not tell.
    pub groups: Vec<u32>,
    /// Process; none across PID namespaces.
    pub pid: Option<i32>,
}

impl Peer {
    /// Asks the kernel (`SO_PEERCRED`, unix(7)) and, for the supplementary groups, the peer's `/proc` entry.
    pub fn of(stream: &UnixStream) -> io::Result<Self> {
        let cred = stream.peer_cred()?;
        let (uid, gid, pid) = (cred.uid(), cred.gid(), cred.pid());
        let groups = pid
            .and_then(|pid| groups_of(pid, uid, gid))
            .unwrap_or_default();
        Ok(Self {
            uid,
            gid,
            groups,
            pid,
        })
    }
}

/// The supplementary groups of a process, if it lives and is the user and group that the kernel recorded.
///
/// A pidfd taken before and asked after shows that the entry that was read is not that of a later process of this number.
fn groups_of(pid: i32, uid: u32, gid: u32) -> Option<Vec<u32>> {
    let pidfd = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let mut polled = [PollFd::new(&pidfd, PollFlags::IN)];
    let exited = poll(
        &mut polled,
        Some(&Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        }),
    )
    .ok()?
        > 0;
    (!exited && effective(&status, "Uid:")? == uid && effective(&status, "Gid:")? == gid)
        .then(|| groups(&status))?
}

/// The effective id of a `Uid:` or `Gid:` line of `/proc/PID/status` (proc(5)): real, effective, saved, file system.
fn effective(status: &str, line: &str) -> Option<u32> {
    field(status, line)?.split_whitespace().nth(1)?.parse().ok()
}

fn groups(status: &str) -> Option<Vec<u32>> {
    field(status, "Groups:")?
        .split_whitespace()
        .map(|gid| gid.parse().ok())
        .collect()
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name))
}

/// A connection that knows its peer; every request on it carries the [`Peer`].
#[derive(Debug)]
pub struct PeerStream {
    stream: UnixStream,
    peer: Peer,
}

impl PeerStream {
    /// Asks who is at the other end.
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        let peer = Peer::of(&stream)?;
        Ok(Self { stream, peer })
    }
}

impl Connected for PeerStream {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for PeerStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for PeerStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_peer_of_a_connection_to_oneself_is_oneself() {
        let (a, _b) = UnixStream::pair().unwrap();
        let peer = Peer::of(&a).unwrap();
        let mut own: Vec<u32> = rustix::process::getgroups()
            .unwrap()
            .iter()
            .map(|g| g.as_raw())
            .collect();
        own.sort_unstable();
        assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
        assert_eq!(peer.pid, Some(std::process::id() as i32));
        assert_eq!(peer.groups, own);
    }

    #[test]
    fn another_users_entry_is_not_believed() {
        let (pid, uid) = (
            std::process::id() as i32,
            rustix::process::geteuid().as_raw(),
        );
        let gid = rustix::process::getegid().as_raw();
        assert!(groups_of(pid, uid, gid).is_some());
        assert_eq!(groups_of(pid, uid.wrapping_add(1), gid), None);
        assert_eq!(groups_of(pid, uid, gid.wrapping_add(1)), None);
    }
}
