//! What is known of the open session with a network camera, for the status.

use crate::media_path::MediaPath;

/// A session as people and programs are told of it; it never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionFacts {
    /// Protocol, and what carries the media: `RTSP over TCP`. Empty where the camera is no network camera.
    pub protocol: String,
    /// What protects it: `plain`, or whom the peer was believed, as [`Trust::describe`](crate::Trust::describe) says it.
    pub security: String,
    /// Whether the peer may be anybody although TLS was asked for.
    pub insecure: bool,
    /// The codec that is received, such as `H.264`; empty before it is known.
    pub codec: String,
    /// The peer's address and port; empty before it is known.
    pub peer: String,
    /// The way of a WebRTC session's media; none before it is known, and of other sessions.
    pub path: Option<MediaPath>,
    /// What else there is to tell, one line each, by what it is about: `track` is `0 of 2`.
    pub details: Vec<(String, String)>,
}

impl SessionFacts {
    /// Says something, instead of what was said about the same before.
    pub fn tell(&mut self, about: &str, what: impl Into<String>) {
        let what = what.into();
        match self.details.iter_mut().find(|(name, _)| name == about) {
            Some((_, old)) => *old = what,
            None => self.details.push((about.to_owned(), what)),
        }
    }

    /// Whether there is anything to tell.
    pub fn is_empty(&self) -> bool {
        self.protocol.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_twice_is_told_anew() {
        let mut facts = SessionFacts::default();
        facts.tell("track", "0 of 2");
        facts.tell("profile", "main");
        facts.tell("track", "1 of 2");
        let details = [("track", "1 of 2"), ("profile", "main")];
        assert_eq!(
            facts.details,
            details.map(|(name, what)| (name.to_owned(), what.to_owned()))
        );
    }
}
