//! The few messages of TURN that tell whether a server relays for a user (RFC 8489, RFC 8656).

use md5::Md5;
use sha1::{Digest as _, Sha1};

/// Length of a message's header.
pub(super) const HEADER: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
const ALLOCATE: u16 = 0x0003;
const REFRESH: u16 = 0x0004;
const SUCCESS: u16 = 0x0100;
const FAILURE: u16 = 0x0110;
const USERNAME: u16 = 0x0006;
const INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const LIFETIME: u16 = 0x000D;
const REALM: u16 = 0x0014;
const NONCE: u16 = 0x0015;
const TRANSPORT: u16 = 0x0019;
/// By UDP (IANA's protocol number), which is what WebRTC's media wants.
const UDP: [u8; 4] = [17, 0, 0, 0];

/// What a request is told apart by.
pub(super) type Id = [u8; 12];

/// What the server wants of a log-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    pub(super) realm: Vec<u8>,
    pub(super) nonce: Vec<u8>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// It relays.
    Done,
    /// It does not, with its code and words; a log-in is wanted as the challenge says.
    Refused {
        code: u16,
        reason: String,
        challenge: Option<Challenge>,
    },
}

/// User, password and challenge.
pub(super) struct Login<'a> {
    pub(super) user: &'a str,
    pub(super) password: &'a str,
    pub(super) challenge: &'a Challenge,
}

/// Asks for a relay.
pub(super) fn allocate(id: Id, login: Option<&Login<'_>>) -> Vec<u8> {
    request(ALLOCATE, id, (TRANSPORT, &UDP), login)
}

/// Gives a relay back.
pub(super) fn give_back(id: Id, login: &Login<'_>) -> Vec<u8> {
    request(REFRESH, id, (LIFETIME, &[0; 4]), Some(login))
}

fn request(kind: u16, id: Id, (name, value): (u16, &[u8]), login: Option<&Login<'_>>) -> Vec<u8> {
    let mut message = kind.to_be_bytes().to_vec();
    message.extend([0, 0]);
    message.extend(COOKIE);
    message.extend(id);
    attribute(&mut message, name, value);
    if let Some(login) = login {
        attribute(&mut message, USERNAME, login.user.as_bytes());
        attribute(&mut message, REALM, &login.challenge.realm);
        attribute(&mut message, NONCE, &login.challenge.nonce);
        // It is counted by the length that it is made over.
        set_length(&mut message, 4 + 20);
        let proof = hmac(&key(login), &message);
        attribute(&mut message, INTEGRITY, &proof);
    }
    set_length(&mut message, 0);
    message
}

fn attribute(message: &mut Vec<u8>, name: u16, value: &[u8]) {
    message.extend(name.to_be_bytes());
    message.extend((value.len() as u16).to_be_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

fn set_length(message: &mut [u8], more: usize) {
    let length = (message.len() - HEADER + more) as u16;
    message[2..4].copy_from_slice(&length.to_be_bytes());
}

/// RFC 8489, section 9.2.2.
fn key(login: &Login<'_>) -> [u8; 16] {
    let mut hash = Md5::new();
    hash.update(login.user.as_bytes());
    hash.update(b":");
    hash.update(&login.challenge.realm);
    hash.update(b":");
    hash.update(login.password.as_bytes());
    hash.finalize().into()
}

/// HMAC with SHA-1 (RFC 2104), for keys that fit into a block.
fn hmac(key: &[u8; 16], message: &[u8]) -> [u8; 20] {
    const BLOCK: usize = 64;
    let pad = |with: u8| {
        let mut block = [with; BLOCK];
        block
            .iter_mut()
            .zip(key)
            .for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha1::new().chain_update(pad(0x36)).chain_update(message);
    let outer = Sha1::new().chain_update(pad(0x5c));
    outer.chain_update(inner.finalize()).finalize().into()
}

/// How long the message is whose header this is.
pub(super) fn length(header: [u8; HEADER]) -> usize {
    HEADER + usize::from(u16::from_be_bytes([header[2], header[3]]))
}

/// Reads the answer to a request; none if it is no such.
pub(super) fn reply(message: &[u8], id: Id) -> Option<Reply> {
    let (header, mut rest) = message.split_first_chunk::<HEADER>()?;
    if header[4..8] != COOKIE || header[8..] != id {
        return None;
    }
    match u16::from_be_bytes([header[0], header[1]]) & !0x000f {
        SUCCESS => return Some(Reply::Done),
        FAILURE => {}
        _ => return None,
    }
    let (mut code, mut reason) = (0, String::new());
    let (mut realm, mut nonce) = (None, None);
    while let Some((head, after)) = rest.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let value = after.get(..length)?;
        match u16::from_be_bytes([head[0], head[1]]) {
            ERROR_CODE => (code, reason) = error(value)?,
            REALM => realm = Some(value.to_vec()),
            NONCE => nonce = Some(value.to_vec()),
            _ => {}
        }
        rest = after.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    let challenge = realm.zip(nonce);
    let challenge = challenge.map(|(realm, nonce)| Challenge { realm, nonce });
    Some(Reply::Refused {
        code,
        reason,
        challenge,
    })
}

/// RFC 8489, section 14.8.
fn error(value: &[u8]) -> Option<(u16, String)> {
    let (head, reason) = value.split_first_chunk::<4>()?;
    let code = u16::from(head[2] & 7) * 100 + u16::from(head[3]);
    let words = String::from_utf8_lossy(reason);
    let words = words.chars().filter(|c| !c.is_control()).take(80);
    Some((code, words.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Id = *b"twelve bytes";

    #[test]
    fn proofs_are_those_of_the_standard() {
        // RFC 5769, section 2.4.
        let challenge = Challenge {
            realm: b"example.org".to_vec(),
            nonce: b"f//499k954d6OL34oL9FSTvy64sA".to_vec(),
        };
        let login = Login {
            user: "\u{30DE}\u{30C8}\u{30EA}\u{30C3}\u{30AF}\u{30B9}",
            password: "TheMatrIX",
            challenge: &challenge,
        };
        // Its message: a binding request with these attributes, in this order.
        let id = [
            0x78, 0xad, 0x34, 0x33, 0xc6, 0xad, 0x72, 0xc0, 0x29, 0xda, 0x41, 0x2e,
        ];
        let mut message = vec![0, 1, 0, 0];
        message.extend(COOKIE);
        message.extend(id);
        attribute(&mut message, USERNAME, login.user.as_bytes());
        attribute(&mut message, NONCE, &challenge.nonce);
        attribute(&mut message, REALM, &challenge.realm);
        set_length(&mut message, 24);
        assert_eq!(
            hmac(&key(&login), &message),
            [
                0xf6, 0x70, 0x24, 0x65, 0x6d, 0xd6, 0x4a, 0x3e, 0x02, 0xb8, 0xe0, 0x71, 0x2e, 0x85,
                0xc9, 0xa2, 0x8c, 0xa8, 0x96, 0x66
            ]
        );
    }

    fn answer(kind: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut message = kind.to_be_bytes().to_vec();
        message.extend([0, 0]);
        message.extend(COOKIE);
        message.extend(ID);
        for (name, value) in attributes {
            attribute(&mut message, *name, value);
        }
        set_length(&mut message, 0);
        message
    }

    #[test]
    fn answers_are_read() {
        let unauthorized = b"\0\0\x04\x01Unauthorized";
        let refused = |code, reason: &str, challenge| Reply::Refused {
            code,
            reason: reason.to_owned(),
            challenge,
        };
        let challenge = Challenge {
            realm: b"realm".to_vec(),
            nonce: b"nonce".to_vec(),
        };
        for (message, expected) in [
            (answer(0x0103, &[]), Some(Reply::Done)),
            (
                answer(
                    0x0113,
                    &[
                        (0x8022, b"software"),
                        (ERROR_CODE, unauthorized),
                        (REALM, b"realm"),
                        (NONCE, b"nonce"),
                    ],
                ),
                Some(refused(401, "Unauthorized", Some(challenge))),
            ),
            (
                answer(
                    0x0113,
                    &[(ERROR_CODE, b"\0\0\x04\x56Quota\n"), (REALM, b"r")],
                ),
                Some(refused(486, "Quota", None)),
            ),
            (answer(0x0113, &[]), Some(refused(0, "", None))),
            (answer(0x0113, &[(ERROR_CODE, b"\0\0")]), None),
            (answer(0x0003, &[]), None),
            (answer(0x0103, &[])[..19].to_vec(), None),
        ] {
            assert_eq!(reply(&message, ID), expected, "{message:?}");
        }
        assert_eq!(reply(&answer(0x0103, &[]), *b"another twel"), None);
        // Cut off within an attribute.
        let whole = answer(0x0113, &[(ERROR_CODE, unauthorized)]);
        assert_eq!(reply(&whole[..whole.len() - 1], ID), None);
    }

    #[test]
    fn a_request_says_how_long_it_is() {
        let challenge = Challenge {
            realm: b"r".to_vec(),
            nonce: b"n".to_vec(),
        };
        let login = Login {
            user: "u",
            password: "p",
            challenge: &challenge,
        };
        for message in [
            allocate(ID, None),
            allocate(ID, Some(&login)),
            give_back(ID, &login),
        ] {
            let header = *message.first_chunk().unwrap();
            assert_eq!(length(header), message.len());
        }
    }

    proptest::proptest! {
        #[test]
        fn any_answer_ends(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..120)) {
            let _reply = reply(&bytes, ID);
            let behind: Vec<u8> = answer(0x0113, &[]).into_iter().chain(bytes).collect();
            let _reply = reply(&behind, ID);
        }
    }
}
