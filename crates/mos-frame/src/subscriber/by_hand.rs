//! A subscriber's session without anything that waits, for fuzz targets.

use std::os::fd::OwnedFd;
use std::path::Path;

use super::session::{End, Session, SessionError};
use super::{Frame, RecvError, SubscriberOptions};

/// A session that is moved on by its owner.
pub(crate) struct ByHand {
    session: Session,
}

impl ByHand {
    /// Connects to a producer. Panics where the kernel refuses, which is no finding.
    pub(crate) fn connect(path: &Path, options: &SubscriberOptions) -> Self {
        let session = Session::open(path, options, None).expect("a connection");
        Self { session }
    }

    /// Over a socket that is connected already.
    pub(crate) fn over(socket: OwnedFd, options: &SubscriberOptions) -> Self {
        let session = Session::over(socket, options).expect("a connection");
        Self { session }
    }

    /// Whether START came.
    pub(crate) fn is_started(&self) -> bool {
        self.session.is_started()
    }

    /// Reads and acts on everything that is there.
    pub(crate) fn hear_all(&mut self) -> Result<(), End> {
        let heard = self.session.hear_all().map(drop);
        self.check();
        heard
    }

    /// The oldest or the newest frame on offer; `None` also while as many are held as may be.
    pub(crate) fn claim(&mut self, newest: bool) -> Result<Option<Frame>, End> {
        let claimed = self.session.claim(newest);
        self.check();
        match claimed {
            Ok(claimed) => Ok(claimed.map(|(frame, _missed)| frame)),
            Err(SessionError::End(end)) => Err(end),
            Err(SessionError::Recv(RecvError::HoldLimit { .. })) => Ok(None),
            Err(SessionError::Recv(other)) => panic!("claiming does not fail so: {other}"),
        }
    }

    /// Asks to be rung.
    pub(crate) fn arm(&mut self) {
        self.session.arm();
    }

    /// Takes that back.
    pub(crate) fn disarm(&mut self) {
        self.session.disarm();
    }

    fn check(&self) {
        let checked = self.session.check_invariants();
        checked.expect("the session is consistent");
    }
}
