//! Logging in to a camera: which way is tried when. No I/O here.
//!
//! A request without a log-in is no failed log-in, so it goes first and tells what the camera wants. Then each way is tried
//! once: cameras lock accounts out. What worked is remembered for the camera; what failed is not tried again before a person
//! changed something.

mod clock;
mod digest;
mod token;

pub(super) use clock::{Offset, camera_time, http_date, iso8601};
pub(super) use digest::{Challenge, answer};
pub(super) use token::username_token;

/// A way to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Way {
    /// None.
    Anonymous,
    /// A WS-Security token with the digest of the password (WS-UsernameToken, `PasswordDigest`).
    TokenDigest,
    /// HTTP digest (RFC 7616).
    HttpDigest,
    /// A WS-Security token with the password itself (`PasswordText`): only where that is allowed.
    TokenText,
}

impl Way {
    /// For people.
    pub(super) const fn describe(self) -> &'static str {
        match self {
            Self::Anonymous => "no log-in",
            Self::TokenDigest => "WS-Security digest",
            Self::HttpDigest => "HTTP digest",
            Self::TokenText => "WS-Security text",
        }
    }
}

/// What a camera said to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    /// It answered what was asked.
    Accepted,
    /// It wants another log-in.
    Refused {
        /// It offers HTTP digest, with a fresh nonce.
        http_digest: bool,
        /// It says that only the nonce was too old: that is no failed log-in.
        stale: bool,
    },
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Ask in this way.
    Ask(Way),
    /// It was answered.
    Done,
    /// Every way that is allowed was refused.
    Denied,
}

/// What the operator allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allowed {
    /// There are user and password.
    pub(super) credentials: bool,
    /// The password may be sent as it is.
    pub(super) plain: bool,
}

/// One request's way through the log-ins.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    allowed: Allowed,
    now: Way,
    tried: Vec<Way>,
    renewed: bool,
}

impl Attempt {
    /// Begins with what worked before, else without a log-in.
    pub(super) fn begin(allowed: Allowed, worked: Option<Way>) -> Self {
        let now = worked
            .filter(|way| allowed.permits(*way))
            .unwrap_or(Way::Anonymous);
        Self {
            allowed,
            now,
            tried: vec![now],
            renewed: false,
        }
    }

    /// The way to ask in now.
    pub(super) const fn way(&self) -> Way {
        self.now
    }

    /// What follows from a reply to [`Self::way`].
    pub(super) fn take(&mut self, reply: Reply) -> Step {
        let (http_digest, stale) = match reply {
            Reply::Accepted => return Step::Done,
            Reply::Refused { http_digest, stale } => (http_digest, stale),
        };
        // Once: a camera that calls every nonce stale would be asked for ever.
        if stale && self.now == Way::HttpDigest && !std::mem::replace(&mut self.renewed, true) {
            return Step::Ask(self.now);
        }
        match self.next(http_digest) {
            Some(way) => {
                self.now = way;
                self.tried.push(way);
                Step::Ask(way)
            }
            None => Step::Denied,
        }
    }

    /// What the camera names goes first; the password itself goes last.
    fn next(&self, http_digest: bool) -> Option<Way> {
        let order: &[Way] = if http_digest {
            &[Way::HttpDigest, Way::TokenDigest, Way::TokenText]
        } else {
            &[Way::TokenDigest, Way::TokenText]
        };
        let untried = |way: &Way| self.allowed.permits(*way) && !self.tried.contains(way);
        order.iter().copied().find(untried)
    }
}

impl Allowed {
    const fn permits(self, way: Way) -> bool {
        match way {
            Way::Anonymous => true,
            Way::TokenDigest | Way::HttpDigest => self.credentials,
            Way::TokenText => self.credentials && self.plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: Reply = Reply::Accepted;
    const NO: Reply = refused(false, false);
    const NO_HTTP: Reply = refused(true, false);
    const STALE: Reply = refused(true, true);

    const fn refused(http_digest: bool, stale: bool) -> Reply {
        Reply::Refused { http_digest, stale }
    }

    /// `-` none, `d` token digest, `h` HTTP digest, `t` token text; `!` denied.
    fn ways(allowed: Allowed, worked: Option<Way>, replies: &[Reply]) -> String {
        let letter = |way| match way {
            Way::Anonymous => '-',
            Way::TokenDigest => 'd',
            Way::HttpDigest => 'h',
            Way::TokenText => 't',
        };
        let mut attempt = Attempt::begin(allowed, worked);
        let mut text = letter(attempt.way()).to_string();
        for reply in replies {
            match attempt.take(*reply) {
                Step::Ask(way) => text.push(letter(way)),
                Step::Done => return text,
                Step::Denied => return text + "!",
            }
        }
        panic!("it goes on after {text}");
    }

    #[test]
    fn each_way_is_tried_once_and_then_no_more() {
        use Way as W;

        let (none, digest, all) = (
            Allowed {
                credentials: false,
                plain: true,
            },
            Allowed {
                credentials: true,
                plain: false,
            },
            Allowed {
                credentials: true,
                plain: true,
            },
        );
        for (allowed, worked, replies, expected) in [
            // Cameras that ask for nothing.
            (none, None, &[OK][..], "-"),
            (all, None, &[OK], "-"),
            // No credentials: nothing is guessed.
            (none, None, &[NO], "-!"),
            (none, None, &[NO_HTTP], "-!"),
            // What the camera wants, first.
            (all, None, &[NO, OK], "-d"),
            (all, None, &[NO_HTTP, OK], "-h"),
            // The other encodings.
            (all, None, &[NO, NO, OK], "-dt"),
            (all, None, &[NO, NO_HTTP, OK], "-dh"),
            (all, None, &[NO_HTTP, NO_HTTP, OK], "-hd"),
            (all, None, &[NO_HTTP, NO_HTTP, NO_HTTP, OK], "-hdt"),
            // The password itself only where that is allowed.
            (digest, None, &[NO, NO], "-d!"),
            (digest, None, &[NO_HTTP, NO_HTTP, NO_HTTP], "-hd!"),
            // Wrong password: each once.
            (all, None, &[NO, NO, NO], "-dt!"),
            (all, None, &[NO_HTTP, NO_HTTP, NO_HTTP, NO_HTTP], "-hdt!"),
            // What worked is asked at once; if it does not any more, the others once each.
            (all, Some(W::TokenText), &[OK], "t"),
            (all, Some(W::HttpDigest), &[NO_HTTP, NO_HTTP, NO], "hdt!"),
            (all, Some(W::TokenDigest), &[NO, NO], "dt!"),
            // A way that worked before the operator forbade it.
            (digest, Some(W::TokenText), &[NO, OK], "-d"),
            (none, Some(W::TokenDigest), &[NO], "-!"),
            // A nonce grows old; that is no failure, but a camera can't go on with it for ever.
            (all, Some(W::HttpDigest), &[STALE, OK], "hh"),
            (digest, Some(W::HttpDigest), &[STALE, STALE, STALE], "hhd!"),
        ] {
            assert_eq!(ways(allowed, worked, replies), expected, "{replies:?}");
        }
    }
}
