//! The allow list for sockets that are not the bus's own.

use std::io;
use std::os::fd::BorrowedFd;

use super::Access;
use super::greeting::is_allowed;
use crate::socket;

/// Who connected to a Unix socket, as the kernel knows it (`SO_PEERCRED`, unix(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// Its process; 0 if that is of a foreign pid namespace.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
    /// Its primary group.
    pub gid: u32,
    /// Whether it is on the allow list, by its user or any of its groups.
    pub allowed: bool,
}

impl Access {
    /// Asks the kernel who is at the other end of a connected socket: for servers that pass the bus's frames on and admit
    /// by the same rules.
    pub fn identify(&self, socket: BorrowedFd<'_>) -> io::Result<Caller> {
        let peer = socket::peer(socket)?;
        let allowed = is_allowed(self, &peer, || socket::peer_groups(socket));
        Ok(Caller {
            pid: peer.pid,
            uid: peer.uid,
            gid: peer.gid,
            allowed,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn callers_are_known_by_the_kernel() {
        let (here, _there) = UnixStream::pair().unwrap();
        let own = Access::default().identify(here.as_fd()).unwrap();
        assert_eq!(own.pid, std::process::id().cast_signed());
        assert!(own.allowed);
        let nobody = Access {
            uids: vec![],
            gids: vec![],
        };
        assert!(!nobody.identify(here.as_fd()).unwrap().allowed);
    }
}
