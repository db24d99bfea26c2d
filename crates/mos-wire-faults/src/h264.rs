//! H.264 in RTP (RFC 3550, RFC 6184), as far as it is corrupted here. All functions change bytes in place.

use crate::dice::Dice;

const SPS: u8 = 7;
const STAP_A: u8 = 24;

/// Where the payload of an RTP packet begins; `None` if it is no RTP packet of version 2.
fn payload(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    if first >> 6 != 2 {
        return None;
    }
    let mut start = 12 + 4 * usize::from(first & 0x0F);
    if first & 0x10 != 0 {
        let words = packet.get(start + 2..start + 4)?;
        start += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
    }
    (start < packet.len()).then_some(start)
}

/// Fills the parameter sets in an RTP packet with noise; their headers stay, so that they are still taken for such.
/// Answers whether there was one.
pub fn break_sps(packet: &mut [u8], seed: u64) -> bool {
    let Some(start) = payload(packet) else {
        return false;
    };
    let payload = &mut packet[start..];
    match payload[0] & 0x1F {
        SPS => noise(&mut payload[1..], seed),
        STAP_A => return break_aggregated(&mut payload[1..], seed),
        _ => return false,
    }
    true
}

/// Units with their sizes before them.
fn break_aggregated(mut units: &mut [u8], seed: u64) -> bool {
    let mut found = false;
    while let [high, low, rest @ ..] = units {
        let size = usize::from(u16::from_be_bytes([*high, *low]));
        let Some((unit, after)) = rest.split_at_mut_checked(size) else {
            break;
        };
        if let [header, body @ ..] = unit
            && *header & 0x1F == SPS
        {
            noise(body, seed);
            found = true;
        }
        units = after;
    }
    found
}

/// The same noise each time: a camera with a broken parameter set sends the same one over and over.
fn noise(bytes: &mut [u8], seed: u64) {
    let mut dice = Dice::new(seed);
    bytes.fill_with(|| dice.next() as u8);
}

/// Ticks of the video clock a second (RFC 6184, section 8.2.1).
pub const CLOCK: u32 = 90_000;

/// Sets an RTP packet's time stamp back, for one picture in three, by up to two seconds: whole pictures, since packets of
/// one picture share a stamp. Answers whether it was.
pub fn turn_back(packet: &mut [u8], seed: u64) -> bool {
    if payload(packet).is_none() {
        return false;
    }
    let stamp = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
    let mut dice = Dice::new(seed ^ u64::from(stamp));
    if dice.below(3) != 0 {
        return false;
    }
    let back = dice.below(u64::from(2 * CLOCK)) as u32 + 1;
    packet[4..8].copy_from_slice(&stamp.wrapping_sub(back).to_be_bytes());
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rtp(stamp: u32, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x80, 96, 0, 1];
        packet.extend(stamp.to_be_bytes());
        packet.extend([9; 4]);
        packet.extend(payload);
        packet
    }

    #[test]
    fn only_parameter_sets_are_broken_and_keep_header_and_length() {
        for (unit, breaks) in [
            (&[0x67, 1, 2, 3, 4][..], true),
            (&[0x68, 1, 2, 3, 4], false),
            (&[0x65, 1, 2, 3, 4], false),
            (&[0x67], true),
            (&[STAP_A, 0, 3, 0x67, 1, 2, 0, 2, 0x68, 5], true),
            (&[STAP_A, 0, 3, 0x68, 1, 2], false),
            (&[STAP_A, 9, 9, 0x67, 1], false),
            (&[], false),
        ] {
            let (mut packet, before) = (rtp(7, unit), rtp(7, unit));
            assert_eq!(break_sps(&mut packet, 1), breaks, "{unit:?}");
            assert_eq!(packet.len(), before.len());
            assert_eq!(packet[..12], before[..12]);
            assert_eq!(packet != before, breaks && unit.len() > 1, "{unit:?}");
        }
        let mut stap = rtp(7, &[STAP_A, 0, 3, 0x67, 1, 2, 0, 2, 0x68, 5]);
        break_sps(&mut stap, 1);
        assert_eq!((stap[15], &stap[18..]), (0x67, &[0, 2, 0x68, 5][..]));
    }

    #[test]
    fn extensions_and_sources_are_skipped() {
        let mut packet = rtp(7, &[]);
        packet[0] = 0x91;
        packet.extend([0; 4]);
        packet.extend([0, 0, 0, 1, 0, 0, 0, 0]);
        packet.extend([0x67, 1, 2, 3]);
        let before = packet.clone();
        assert!(break_sps(&mut packet, 1));
        assert_eq!(packet[..25], before[..25]);
        for short in [&[][..], &[0x80; 11], &[0x9F; 12], &[0x40; 20]] {
            assert!(!break_sps(&mut short.to_vec(), 1));
            assert!(!turn_back(&mut short.to_vec(), 1));
        }
    }

    #[test]
    fn a_third_of_the_pictures_goes_back_by_at_most_two_seconds() {
        let mut turned = 0;
        for picture in 0..3_000_u32 {
            let stamp = picture.wrapping_mul(6_000);
            let (mut first, mut second) = (rtp(stamp, &[1]), rtp(stamp, &[2]));
            assert_eq!(turn_back(&mut first, 4), turn_back(&mut second, 4));
            assert_eq!(
                first[4..8],
                second[4..8],
                "packets of one picture stay together"
            );
            let now = u32::from_be_bytes([first[4], first[5], first[6], first[7]]);
            let back = stamp.wrapping_sub(now);
            assert!(back <= 2 * CLOCK);
            turned += u32::from(back > 0);
        }
        assert!((900..1_100).contains(&turned), "{turned}");
    }
}
