//! What can go wrong with a camera, in classes that a decision can be made on.

use std::fmt;

/// Class of a fault: decides whether a retry can help and which state the stream goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The device is not there (unplugged, node gone).
    Absent,
    /// No answer from the address: name, route, port, time-out.
    Unreachable,
    /// The peer wants other credentials.
    Unauthorized,
    /// The peer did not prove that it is the camera, or speaks no TLS that is accepted.
    Certificate,
    /// The peer is there, but not what was asked of it (404, unknown path).
    NotFound,
    /// A session that worked has ended from the other side.
    Disconnected,
    /// The stream ended properly (EOS).
    EndOfStream,
    /// No first frame within the stream's time-out.
    NoFirstFrame,
    /// Frames stopped without an error.
    Stalled,
    /// The device or peer can't give what was configured.
    Unsupported,
    /// Another process holds the device.
    Busy,
    /// The service may not open the device.
    NoPermission,
    /// An element, driver or library is missing on this machine.
    Missing,
    /// A frame broke the NV12 contract (not fd-backed, wrong format or layout).
    Contract,
    /// The frame bus refused: path in use, no permission on the directory, out of descriptors.
    Bus,
    /// Anything else.
    Internal,
}

impl FaultKind {
    /// Whether trying again, with nothing changed by a person, can help.
    ///
    /// Wrong credentials are not retried in a loop: cameras lock accounts out.
    pub const fn is_transient(self) -> bool {
        !matches!(
            self,
            Self::Unauthorized
                | Self::Unsupported
                | Self::Missing
                | Self::Contract
                | Self::NoPermission
        )
    }
}

/// A fault of one stream, as shown to the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Its class.
    pub kind: FaultKind,
    /// What happened, with the cause; never holds a secret.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl Fault {
    /// A fault with its message and the advice that goes with it.
    pub fn new(kind: FaultKind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: hint.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        if self.hint.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", self.hint)
        }
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_faults_that_time_can_mend_are_retried() {
        use FaultKind as K;
        let transient = [
            K::Absent,
            K::Unreachable,
            K::Certificate,
            K::NotFound,
            K::Disconnected,
            K::EndOfStream,
            K::NoFirstFrame,
            K::Stalled,
            K::Busy,
            K::Bus,
            K::Internal,
        ];
        let lasting = [
            K::Unauthorized,
            K::Unsupported,
            K::NoPermission,
            K::Missing,
            K::Contract,
        ];
        assert!(transient.into_iter().all(K::is_transient));
        assert!(!lasting.into_iter().any(K::is_transient));
    }

    #[test]
    fn a_fault_shows_its_hint_if_it_has_one() {
        let fault = |hint| Fault::new(FaultKind::Busy, "/dev/video0 is in use", hint).to_string();
        assert_eq!(fault(""), "/dev/video0 is in use");
        assert_eq!(
            fault("close the other program"),
            "/dev/video0 is in use (close the other program)"
        );
    }
}
