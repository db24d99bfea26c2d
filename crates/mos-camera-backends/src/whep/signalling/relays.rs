//! TURN servers: which can be used, and why one was of no use.

use mos_camera_core::{FaultKind, IceAddress, IceKind, IceServer};

/// What a TURN server says to a relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::whep) enum Verdict {
    /// It relays.
    Relays,
    /// It does not take the user or the password.
    Unauthorized,
    /// It refuses, by its code and words.
    Refuses(String),
    /// Nothing that speaks TURN answers.
    Silent,
    /// Its name leads nowhere.
    NotFound,
    /// It was not asked: libnice speaks no TLS to TURN servers. What it does instead is not encrypted.
    NoTls,
}

/// Those that libnice can speak to as it was asked.
pub(super) fn usable(servers: &[IceServer]) -> Vec<IceServer> {
    let usable = |server: &&IceServer| server.address.kind != IceKind::Turns;
    servers.iter().filter(usable).cloned().collect()
}

/// Whether a candidate is one by a relay (RFC 8839).
pub(super) fn is_relay(candidate: &str) -> bool {
    candidate.contains(" typ relay")
}

/// Why TURN servers were of no use.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) kind: FaultKind,
    pub(super) what: String,
    pub(super) hint: &'static str,
}

/// What the servers' verdicts come to; `ours` are the servers of the configuration. None if there is nothing against them.
pub(super) fn finding(verdicts: &[(IceAddress, Verdict)], ours: &[IceServer]) -> Option<Finding> {
    let against: Vec<_> = verdicts
        .iter()
        .filter(|(_, verdict)| *verdict != Verdict::Relays)
        .collect();
    let configured = |address: &IceAddress| ours.iter().any(|server| server.address == *address);
    // What a human can mend for sure comes first.
    let (address, verdict) = against.iter().min_by_key(|(_, verdict)| rank(verdict))?;
    let (kind, hint) = match verdict {
        Verdict::Unauthorized if configured(address) => (
            // A server that shuts out who comes with a wrong password again and again is not asked again.
            FaultKind::Unauthorized,
            "correct user and password of this server in `turn_servers`",
        ),
        // The next session may be given another one.
        Verdict::Unauthorized => (
            FaultKind::Unreachable,
            "the WHEP server names this TURN server with a user and password that it does not take: that has to be mended there; or name one by `turn_servers`",
        ),
        Verdict::NoTls => (
            FaultKind::Unreachable,
            "name the TURN server by `turn:` with `?transport=tcp`: the media is encrypted all the same",
        ),
        Verdict::NotFound => (
            FaultKind::Unreachable,
            "check the TURN server's name, and this machine's name service",
        ),
        Verdict::Silent if address.tcp => (
            FaultKind::Unreachable,
            "check that the TURN server runs, and that TCP passes to its port",
        ),
        Verdict::Silent => (
            FaultKind::Unreachable,
            "check that the TURN server runs, and that UDP passes to its port; where it does not, name it with `?transport=tcp`",
        ),
        Verdict::Refuses(_) | Verdict::Relays => (
            FaultKind::Unreachable,
            "look at the TURN server: its quota and what it allows",
        ),
    };
    let all: Vec<_> = against
        .iter()
        .map(|(address, verdict)| format!("{address} {}", words(verdict)))
        .collect();
    Some(Finding {
        kind,
        what: format!("no TURN server relays: {}", all.join("; ")),
        hint,
    })
}

fn rank(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Unauthorized => 0,
        Verdict::Refuses(_) => 1,
        Verdict::NotFound => 2,
        Verdict::NoTls => 3,
        Verdict::Silent => 4,
        Verdict::Relays => 5,
    }
}

fn words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Relays => "relays".to_owned(),
        Verdict::Unauthorized => "does not take the user or the password".to_owned(),
        Verdict::Refuses(why) => format!("refuses ({why})"),
        Verdict::Silent => "does not answer".to_owned(),
        Verdict::NotFound => "is not found by its name".to_owned(),
        Verdict::NoTls => "can't be used, as libnice speaks no TLS to TURN servers".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use mos_camera_core::Secret;

    use super::*;

    fn address(text: &str) -> IceAddress {
        text.parse().unwrap()
    }

    #[test]
    fn what_can_be_mended_comes_first_and_all_is_told() {
        let ours = [IceServer {
            address: address("turn:mine"),
            login: Some(("u".to_owned(), Secret::new("p"))),
        }];
        let silent = ("turn:far", Verdict::Silent);
        for (verdicts, kind, what, hint) in [
            (
                vec![silent.clone(), ("turn:mine", Verdict::Unauthorized)],
                FaultKind::Unauthorized,
                "no TURN server relays: turn:far:3478?transport=udp does not answer; turn:mine:3478?transport=udp does not take the user or the password",
                "`turn_servers`",
            ),
            (
                vec![("turn:theirs", Verdict::Unauthorized)],
                FaultKind::Unreachable,
                "turn:theirs:3478?transport=udp does not take",
                "mended there",
            ),
            (
                vec![silent],
                FaultKind::Unreachable,
                "does not answer",
                "UDP",
            ),
            (
                vec![("turn:far?transport=tcp", Verdict::Silent)],
                FaultKind::Unreachable,
                "does not answer",
                "TCP passes",
            ),
            (
                vec![("turns:far", Verdict::NoTls)],
                FaultKind::Unreachable,
                "turns:far:5349?transport=tcp can't be used",
                "?transport=tcp",
            ),
            (
                vec![
                    ("turn:a", Verdict::Relays),
                    ("turn:b", Verdict::Refuses("486 Quota".to_owned())),
                ],
                FaultKind::Unreachable,
                "no TURN server relays: turn:b:3478?transport=udp refuses (486 Quota)",
                "quota",
            ),
            (
                vec![("turn:a", Verdict::NotFound)],
                FaultKind::Unreachable,
                "not found",
                "name service",
            ),
        ] {
            let verdicts: Vec<_> = verdicts
                .into_iter()
                .map(|(server, verdict)| (address(server), verdict))
                .collect();
            let finding = finding(&verdicts, &ours).unwrap();
            assert_eq!(finding.kind, kind, "{finding:?}");
            assert!(finding.what.contains(what), "{finding:?}");
            assert!(finding.hint.contains(hint), "{finding:?}");
        }
        assert_eq!(
            finding(&[(address("turn:a"), Verdict::Relays)], &ours),
            None
        );
        assert_eq!(finding(&[], &ours), None);
    }

    #[test]
    fn only_what_libnice_can_speak_to_is_used() {
        let server = |text: &str| IceServer {
            address: address(text),
            login: None,
        };
        let all = ["stun:a", "turn:a", "turns:a", "turn:a?transport=tcp"].map(server);
        let used = usable(&all);
        assert_eq!(used, [0, 1, 3].map(|n| all[n].clone()));
        assert!(is_relay(
            "candidate:1 1 UDP 1 198.18.2.1 5 typ relay raddr 1.2.3.4 rport 6"
        ));
        assert!(!is_relay("candidate:1 1 UDP 1 198.18.2.1 5 typ host"));
    }
}
