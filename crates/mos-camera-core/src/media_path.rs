//! The way that the media of a WebRTC session takes: the pair of candidates that ICE chose (RFC 8445).

use std::fmt;
use std::str::FromStr;

use crate::carrier::Carrier;

/// How an end of the way is known (RFC 8445, section 5.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CandidateKind {
    /// An address of the machine itself.
    Host,
    /// The machine's address as a STUN server sees it: there is a translation of addresses on the way.
    ServerReflexive,
    /// The same as the peer sees it; nobody told of it before.
    PeerReflexive,
    /// An address of a TURN server, which passes everything on.
    Relay,
}

impl CandidateKind {
    /// Its name in candidates (RFC 8839, section 5.1).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::ServerReflexive => "srflx",
            Self::PeerReflexive => "prflx",
            Self::Relay => "relay",
        }
    }
}

impl fmt::Display for CandidateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No kind of candidate has this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no kind of candidate; there are host, srflx, prflx and relay")]
pub struct UnknownKind;

impl FromStr for CandidateKind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        [
            Self::Host,
            Self::ServerReflexive,
            Self::PeerReflexive,
            Self::Relay,
        ]
        .into_iter()
        .find(|kind| kind.name() == name)
        .ok_or(UnknownKind)
    }
}

/// The chosen pair of candidates. There is no secret in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaPath {
    /// This machine's end.
    pub local: CandidateKind,
    /// The server's end.
    pub remote: CandidateKind,
    /// What carries the media.
    pub carrier: Carrier,
    /// How this machine reaches its relay, as `udp`, `tcp` or `tls`; empty where `local` is no relay, or where GStreamer
    /// does not tell.
    pub relay_protocol: String,
}

impl fmt::Display for MediaPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            local,
            remote,
            carrier,
            relay_protocol,
        } = self;
        write!(f, "{local} to {remote} over {carrier}")?;
        if relay_protocol.is_empty() {
            return Ok(());
        }
        write!(f, ", the relay by {relay_protocol}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_the_names_of_candidates() {
        for name in ["host", "srflx", "prflx", "relay"] {
            assert_eq!(name.parse::<CandidateKind>().unwrap().name(), name);
        }
        for name in ["", "Host", "server-reflexive"] {
            assert_eq!(name.parse::<CandidateKind>(), Err(UnknownKind), "{name}");
        }
    }

    #[test]
    fn a_path_is_a_line() {
        let mut path = MediaPath {
            local: CandidateKind::Host,
            remote: CandidateKind::PeerReflexive,
            carrier: Carrier::Tcp,
            relay_protocol: String::new(),
        };
        assert_eq!(path.to_string(), "host to prflx over TCP");
        path.local = CandidateKind::Relay;
        path.carrier = Carrier::Udp;
        path.relay_protocol = "tls".to_owned();
        assert_eq!(
            path.to_string(),
            "relay to prflx over UDP, the relay by tls"
        );
    }
}
