//! Session descriptions (RFC 8866), as far as they are corrupted here.

use crate::dice::Dice;

const SETS: &[u8] = b"sprop-parameter-sets=";
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Replaces the parameter sets of H.264 (RFC 6184, section 8.1) by noise of the same length, but for the two letters that
/// say what they are. Answers whether there were any.
pub fn break_sps(body: &mut [u8], seed: u64) -> bool {
    let mut found = false;
    let mut from = 0;
    while let Some(at) = find(&body[from..], SETS) {
        let start = from + at + SETS.len();
        let length = body[start..]
            .iter()
            .take_while(|byte| LETTERS.contains(byte) || matches!(byte, b'=' | b','))
            .count();
        let mut dice = Dice::new(seed);
        for set in body[start..start + length].split_mut(|byte| *byte == b',') {
            for letter in set.iter_mut().skip(2).filter(|letter| **letter != b'=') {
                *letter = LETTERS[dice.below(64) as usize];
                found = true;
            }
        }
        from = start + length;
    }
    found
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_sets_change_and_nothing_moves() {
        let before = "a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0LAH9oFB+Q=,aM4BrI8=;profile-level-id=42c01f\r\n";
        let mut body = before.as_bytes().to_vec();
        assert!(break_sps(&mut body, 3));
        let after = String::from_utf8(body).unwrap();
        assert_eq!(after.len(), before.len());
        let (head, rest) = after.split_at(after.find("Z0").unwrap());
        assert!(before.starts_with(head) && rest.ends_with(";profile-level-id=42c01f\r\n"));
        assert_ne!(after, before);
        assert_eq!(after.matches('=').count(), before.matches('=').count());
    }

    #[test]
    fn other_descriptions_stay() {
        for text in [
            "",
            "v=0\r\nm=video 0 RTP/AVP 26\r\n",
            "sprop-parameter-sets=",
        ] {
            let mut body = text.as_bytes().to_vec();
            assert!(!break_sps(&mut body, 3), "{text}");
            assert_eq!(body, text.as_bytes());
        }
    }
}
