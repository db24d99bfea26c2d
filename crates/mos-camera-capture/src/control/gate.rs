//! Who may use the control service: decided by the kernel's word on the peer, not by anything it says.

use tonic::{Request, Status};

use super::peer::Peer;

/// The users and groups that may speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    own_uid: u32,
    uids: Vec<u32>,
    gids: Vec<u32>,
}

impl Gate {
    /// Admits root, the service's own user, these users, and members of these groups.
    pub fn new(uids: Vec<u32>, gids: Vec<u32>) -> Self {
        Self {
            own_uid: rustix::process::geteuid().as_raw(),
            uids,
            gids,
        }
    }

    /// Whether the peer may speak.
    pub fn admits(&self, peer: &Peer) -> bool {
        let groups = || std::iter::once(&peer.gid).chain(&peer.groups);
        peer.uid == 0
            || peer.uid == self.own_uid
            || self.uids.contains(&peer.uid)
            || groups().any(|gid| self.gids.contains(gid))
    }

    /// Lets a request of an admitted peer pass.
    pub fn check<T>(&self, request: &Request<T>) -> Result<(), Status> {
        match request.extensions().get::<Peer>() {
            Some(peer) if self.admits(peer) => Ok(()),
            Some(peer) => Err(refusal(peer)),
            None => Err(Status::permission_denied(
                "the caller is not known: the control service is reached through its Unix socket only",
            )),
        }
    }
}

fn refusal(peer: &Peer) -> Status {
    let Peer { uid, gid, .. } = peer;
    tracing::warn!(uid, gid, pid = peer.pid, "a caller was refused");
    super::fail::permission(&format!(
        "uid {uid} (gid {gid}) may not use the control service"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_admitted_by_user_or_any_group() {
        let gate = Gate {
            own_uid: 500,
            uids: vec![1000],
            gids: vec![44],
        };
        let peer = |uid, gid, groups: &[u32]| Peer {
            uid,
            gid,
            groups: groups.to_vec(),
            pid: None,
        };
        for (who, expected) in [
            (peer(0, 0, &[]), true),
            (peer(500, 9, &[]), true),
            (peer(1000, 9, &[]), true),
            (peer(1001, 44, &[]), true),
            (peer(1001, 9, &[7, 44]), true),
            (peer(1001, 9, &[7]), false),
            (peer(44, 1000, &[500, 0]), false),
        ] {
            assert_eq!(gate.admits(&who), expected, "{who:?}");
        }
    }

    #[test]
    fn a_request_that_came_another_way_is_refused() {
        let gate = Gate::new(Vec::new(), Vec::new());
        assert_eq!(
            gate.check(&Request::new(())).unwrap_err().code(),
            tonic::Code::PermissionDenied
        );
    }
}
