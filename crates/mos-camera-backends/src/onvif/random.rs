//! Random numbers for ids and nonces, from the kernel.

use rustix::rand::{GetRandomFlags, getrandom};

/// Random bytes; the clock's if the kernel has none, which it always has.
pub(super) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let filled = getrandom(&mut bytes[..], GetRandomFlags::empty());
    if filled != Ok(N) {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let nanos = now.unwrap_or_default().as_nanos().to_le_bytes();
        bytes
            .iter_mut()
            .zip(nanos.iter().cycle())
            .for_each(|(byte, nano)| *byte ^= nano);
    }
    bytes
}

/// Hexadecimal digits of as many random bytes.
pub(super) fn hex<const N: usize>() -> String {
    digits(&bytes::<N>())
}

/// Bytes as hexadecimal digits, in lower case.
pub(super) fn digits(bytes: &[u8]) -> String {
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles
        .filter_map(|nibble| char::from_digit(nibble.into(), 16))
        .collect()
}

/// A message id (RFC 4122, version 4).
pub(super) fn uuid() -> String {
    let mut bytes = bytes::<16>();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = |range: std::ops::Range<usize>| digits(&bytes[range]);
    format!(
        "urn:uuid:{}-{}-{}-{}-{}",
        hex(0..4),
        hex(4..6),
        hex(6..8),
        hex(8..10),
        hex(10..16)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_the_same() {
        assert_ne!(uuid(), uuid());
        assert_ne!(hex::<8>(), hex::<8>());
        assert_eq!(digits(&[0x0a, 0xff, 0x10]), "0aff10");
        assert_eq!(uuid().len(), "urn:uuid:".len() + 36);
    }
}
