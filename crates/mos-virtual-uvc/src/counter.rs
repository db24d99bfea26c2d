//! The frame counter in the picture.
//!
//! The pattern is that of the generated cameras (`gstmos::counter`), whose reader reads this one too: 32 bits of counter and 16
//! of checksum as 12 x 4 black or white blocks of 16 x 16 pixels at the top left, most significant bit first, row by row.

/// Width and height of a block in pixels: also what one restart interval of our JPEGs holds.
pub(crate) const BLOCK: usize = 16;
pub(crate) const COLUMNS: usize = 12;
pub(crate) const ROWS: usize = 4;
pub(crate) const BLACK: u8 = 16;
pub(crate) const WHITE: u8 = 235;

/// Whether a picture has room for the counter.
pub(crate) fn has_room((width, height): (u16, u16)) -> bool {
    usize::from(width) >= COLUMNS * BLOCK && usize::from(height) >= ROWS * BLOCK
}

/// Whether each block is white, row by row.
pub(crate) fn blocks(number: u32) -> impl Iterator<Item = bool> {
    let word = u64::from(number) << 16 | u64::from(crc16(&number.to_be_bytes()));
    (0..ROWS * COLUMNS).map(move |i| word >> (ROWS * COLUMNS - 1 - i) & 1 == 1)
}

/// CRC-16/IBM-3740: polynomial 0x1021, start 0xffff.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte) << 8, |crc: u16, _| {
            let carry = crc & 0x8000 != 0;
            crc << 1 ^ if carry { 0x1021 } else { 0 }
        })
    })
}

/// Reads the number from a picture whose luma samples lie `step` bytes apart (1 in NV12, 2 in YUYV) in rows of `stride` bytes.
///
/// `None` if there is none, or if it is damaged.
pub fn read(luma: &[u8], stride: usize, step: usize) -> Option<u32> {
    let middle = BLOCK / 2;
    let mut word = 0_u64;
    for i in 0..ROWS * COLUMNS {
        let (x, y) = (i % COLUMNS * BLOCK + middle, i / COLUMNS * BLOCK + middle);
        let sample = luma.get(y * stride + x * step)?;
        word = word << 1 | u64::from(*sample > 128);
    }
    let number = (word >> 16) as u32;
    (u64::from(crc16(&number.to_be_bytes())) == word & 0xffff).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRIDE: usize = COLUMNS * BLOCK;

    /// The check value of the CRC's catalogue entry.
    #[test]
    fn the_checksum_is_the_known_one() {
        assert_eq!(crc16(b"123456789"), 0x29b1);
    }

    #[test]
    fn numbers_read_back() {
        for number in [0, 1, 0x5555_5555, 0xdead_beef, u32::MAX] {
            let blocks: Vec<bool> = blocks(number).collect();
            let sample = |i: usize| {
                let (x, y) = (i % STRIDE, i / STRIDE);
                if blocks[y / BLOCK * COLUMNS + x / BLOCK] {
                    WHITE
                } else {
                    BLACK
                }
            };
            let luma: Vec<u8> = (0..STRIDE * ROWS * BLOCK).map(sample).collect();
            assert_eq!(read(&luma, STRIDE, 1), Some(number));
            assert_eq!(read(&luma[..luma.len() / 2], STRIDE, 1), None);
        }
        for luma in [BLACK, WHITE] {
            assert_eq!(read(&[luma; STRIDE * ROWS * BLOCK], STRIDE, 1), None);
        }
    }
}
