//! By what the media of an RTSP session comes: decided for each attempt by what was found out in those before.
//!
//! A fixed choice stays. The automatic one begins with TCP, which firewalls and lossy networks treat best, and goes over to the
//! other when a camera refuses the one, or answers everything and then sends nothing. What worked is remembered, so that
//! a camera is asked for what it refuses once and not at each attempt.

use std::fmt;
use std::time::Duration;

use crate::source::RtspTransport;

/// What carries RTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Carrier {
    /// The RTSP connection itself, interleaved (RFC 2326, 10.12).
    Tcp,
    /// UDP, unicast.
    Udp,
}

impl Carrier {
    const fn other(self) -> Self {
        match self {
            Self::Tcp => Self::Udp,
            Self::Udp => Self::Tcp,
        }
    }
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        })
    }
}

/// What a session showed about its carrier. A session that failed of anything else shows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Packets came.
    Packets,
    /// The camera refused it (461 and the like).
    Refused,
    /// The session was agreed on, and no packet came.
    Silence,
}

/// The choice for one camera, with what was learnt of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carriers {
    fixed: bool,
    next: Carrier,
    /// Silent sessions in a row.
    silent: u32,
    /// Whether packets ever came by the one that is next.
    proven: bool,
}

/// Silent sessions after which patience no longer grows: by then it is eight times the first.
const MOST_PATIENT: u32 = 3;

impl Carriers {
    /// Nothing is known yet. Behind TLS the automatic choice is TCP alone: packets by UDP would not be encrypted.
    pub const fn new(choice: RtspTransport, tls: bool) -> Self {
        let (fixed, next) = match choice {
            RtspTransport::Auto => (tls, Carrier::Tcp),
            RtspTransport::Tcp => (true, Carrier::Tcp),
            RtspTransport::Udp => (true, Carrier::Udp),
        };
        Self {
            fixed,
            next,
            silent: 0,
            proven: false,
        }
    }

    /// By what the next session's media is to come.
    pub const fn next(&self) -> Carrier {
        self.next
    }

    /// Whether another one may be tried.
    pub const fn may_change(&self) -> bool {
        !self.fixed
    }

    /// How long to wait for the first packet of the next session, given the first patience. It doubles with each silent
    /// session: some cameras need most of a minute, and one that is slow must not be taken for one that is deaf for ever.
    pub fn patience(&self, first: Duration) -> Duration {
        first.saturating_mul(1 << self.silent.min(MOST_PATIENT))
    }

    /// Takes in what a session showed.
    pub const fn note(&mut self, shown: Shown) {
        match shown {
            Shown::Packets => (self.silent, self.proven) = (0, true),
            Shown::Refused => self.change(),
            Shown::Silence => {
                self.silent = self.silent.saturating_add(1);
                // A camera that is silent once where it was not before may just be ill.
                if self.proven {
                    self.proven = false;
                } else {
                    self.change();
                }
            }
        }
    }

    const fn change(&mut self) {
        if !self.fixed {
            (self.next, self.proven) = (self.next.other(), false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_carrier_follows_what_sessions_show() {
        use Carrier::{Tcp, Udp};
        use RtspTransport as Choice;
        use Shown::{Packets, Refused, Silence};
        let table: &[(&str, Choice, bool, &[Shown], Carrier)] = &[
            ("TCP comes first", Choice::Auto, false, &[], Tcp),
            ("TCP refused", Choice::Auto, false, &[Refused], Udp),
            ("TCP silent", Choice::Auto, false, &[Silence], Udp),
            (
                "UDP works: it is remembered",
                Choice::Auto,
                false,
                &[Refused, Packets, Packets],
                Udp,
            ),
            (
                "UDP silent after TCP was",
                Choice::Auto,
                false,
                &[Silence, Silence],
                Tcp,
            ),
            (
                "UDP refused after TCP was",
                Choice::Auto,
                false,
                &[Refused, Refused],
                Tcp,
            ),
            (
                "what worked is silent once",
                Choice::Auto,
                false,
                &[Packets, Silence],
                Tcp,
            ),
            (
                "what worked is silent twice",
                Choice::Auto,
                false,
                &[Packets, Silence, Silence],
                Udp,
            ),
            (
                "what worked is refused",
                Choice::Auto,
                false,
                &[Packets, Refused],
                Udp,
            ),
            (
                "UDP worked, then a firewall came",
                Choice::Auto,
                false,
                &[Refused, Packets, Silence, Silence],
                Tcp,
            ),
            (
                "TLS stays with TCP",
                Choice::Auto,
                true,
                &[Refused, Silence],
                Tcp,
            ),
            (
                "fixed TCP",
                Choice::Tcp,
                false,
                &[Refused, Silence, Silence],
                Tcp,
            ),
            (
                "fixed UDP",
                Choice::Udp,
                false,
                &[Refused, Silence, Silence],
                Udp,
            ),
            ("fixed UDP behind TLS", Choice::Udp, true, &[Refused], Udp),
        ];
        for (title, choice, tls, shown, expected) in table {
            let mut carriers = Carriers::new(*choice, *tls);
            shown.iter().for_each(|&shown| carriers.note(shown));
            assert_eq!(carriers.next(), *expected, "{title}");
        }
    }

    #[test]
    fn patience_grows_with_silence_and_is_short_again_after_packets() {
        let mut carriers = Carriers::new(RtspTransport::Auto, false);
        let mut seconds = |shown| {
            carriers.note(shown);
            carriers.patience(Duration::from_secs(5)).as_secs()
        };
        let silence: Vec<_> = (0..5).map(|_| seconds(Shown::Silence)).collect();
        assert_eq!(silence, [10, 20, 40, 40, 40]);
        assert_eq!(seconds(Shown::Refused), 40);
        assert_eq!(seconds(Shown::Packets), 5);
    }
}
