//! A frame counter burnt into the picture, which survives lossy coding.
//!
//! 32 bits of counter and 16 bits of checksum, as [`COLUMNS`] x [`ROWS`] black or white blocks of [`BLOCK`] x [`BLOCK`]
//! pixels at the top left of the luma plane, most significant bit first, row by row. A block is one macroblock of H.264,
//! and only its middle is read, so that ringing at the edges does no harm.

/// Width and height of a block in pixels.
pub const BLOCK: usize = 16;
/// Blocks in a row.
pub const COLUMNS: usize = 12;
/// Rows of blocks.
pub const ROWS: usize = 4;
/// Width of the counter in pixels; narrower pictures have no room for it.
pub const WIDTH: usize = COLUMNS * BLOCK;
/// Height of the counter in pixels.
pub const HEIGHT: usize = ROWS * BLOCK;

const BLACK: u8 = 16;
const WHITE: u8 = 235;
/// A block whose mean is nearer to the middle than this is no bit.
const MARGIN: u32 = 40;
/// Pixels at each edge of a block that are not read.
const EDGE: usize = 4;

/// The picture has no room for the counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a picture of {width}x{height} has no room for the frame counter, which needs {WIDTH}x{HEIGHT}"
)]
pub struct NoRoom {
    /// Width of the picture in pixels.
    pub width: usize,
    /// Height of the picture in pixels.
    pub height: usize,
}

/// Burns `number` into a luma plane with rows of `stride` bytes.
///
/// Fails if the picture is smaller than [`WIDTH`] x [`HEIGHT`] or the plane shorter than its rows.
pub fn write(
    luma: &mut [u8],
    stride: usize,
    width: usize,
    height: usize,
    number: u32,
) -> Result<(), NoRoom> {
    check_room(luma.len(), stride, width, height)?;
    let word = encode(number);
    for (y, row) in luma.chunks_mut(stride).take(HEIGHT).enumerate() {
        for (column, block) in row[..WIDTH].chunks_mut(BLOCK).enumerate() {
            block.fill(if bit(word, y / BLOCK, column) {
                WHITE
            } else {
                BLACK
            });
        }
    }
    Ok(())
}

/// Reads the number from a luma plane; `None` if there is none, or if it is damaged.
pub fn read(luma: &[u8], stride: usize, width: usize, height: usize) -> Option<u32> {
    check_room(luma.len(), stride, width, height).ok()?;
    (0..ROWS * COLUMNS)
        .try_fold(0_u64, |word, i| {
            let white = is_white(luma, stride, i / COLUMNS, i % COLUMNS)?;
            Some(word << 1 | u64::from(white))
        })
        .and_then(decode)
}

/// Reads the number from a frame of the bus; `Ok(None)` if there is none. Maps the frame for reading.
#[cfg(feature = "development")]
pub fn read_frame(frame: &mos_frame::Frame) -> std::io::Result<Option<u32>> {
    let (width, height) = (
        frame.format().width as usize,
        frame.format().height as usize,
    );
    let Some(stride) = frame
        .layout()
        .planes
        .first()
        .map(|luma| luma.stride as usize)
    else {
        return Ok(None);
    };
    let map = frame.map()?;
    Ok(map
        .plane(0)
        .and_then(|luma| read(luma, stride, width, height)))
}

fn check_room(bytes: usize, stride: usize, width: usize, height: usize) -> Result<(), NoRoom> {
    let room = width >= WIDTH
        && height >= HEIGHT
        && stride >= width
        && bytes >= stride * (HEIGHT - 1) + WIDTH;
    if room {
        Ok(())
    } else {
        Err(NoRoom { width, height })
    }
}

const fn encode(number: u32) -> u64 {
    (number as u64) << 16 | crc16(number) as u64
}

fn decode(word: u64) -> Option<u32> {
    let number = (word >> 16) as u32;
    (encode(number) == word).then_some(number)
}

const fn bit(word: u64, row: usize, column: usize) -> bool {
    word >> (ROWS * COLUMNS - 1 - (row * COLUMNS + column)) & 1 == 1
}

fn is_white(luma: &[u8], stride: usize, row: usize, column: usize) -> Option<bool> {
    let (top, left) = (row * BLOCK + EDGE, column * BLOCK + EDGE);
    let side = BLOCK - 2 * EDGE;
    let sum: u32 = (top..top + side)
        .flat_map(|y| &luma[y * stride + left..y * stride + left + side])
        .map(|&pixel| u32::from(pixel))
        .sum();
    let mean = sum / (side * side) as u32;
    (mean.abs_diff(128) >= MARGIN).then_some(mean > 128)
}

/// CRC-16/IBM-3740 (polynomial 0x1021, start 0xffff): neither an all-black nor an all-white field is a number.
const fn crc16(number: u32) -> u16 {
    let bytes = number.to_be_bytes();
    let mut crc = 0xffff_u16;
    let mut i = 0;
    while i < bytes.len() {
        crc ^= (bytes[i] as u16) << 8;
        let mut shift = 0;
        while shift < 8 {
            crc = if crc & 0x8000 == 0 {
                crc << 1
            } else {
                crc << 1 ^ 0x1021
            };
            shift += 1;
        }
        i += 1;
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRIDE: usize = 336;
    const W: usize = 320;
    const H: usize = 240;

    fn picture(fill: u8) -> Vec<u8> {
        vec![fill; STRIDE * H]
    }

    #[test]
    fn what_was_written_is_read() {
        for number in [0, 1, 0x5555_5555, 0xaaaa_aaaa, 0xdead_beef, u32::MAX] {
            let mut luma = picture(128);
            write(&mut luma, STRIDE, W, H, number).unwrap();
            assert_eq!(read(&luma, STRIDE, W, H), Some(number), "{number:#x}");
        }
    }

    #[test]
    fn plain_pictures_hold_no_number() {
        for fill in [0, 16, 128, 235, 255] {
            assert_eq!(read(&picture(fill), STRIDE, W, H), None, "{fill}");
        }
    }

    #[test]
    fn a_damaged_block_is_noticed() {
        let mut luma = picture(128);
        write(&mut luma, STRIDE, W, H, 42).unwrap();
        for row in luma.chunks_mut(STRIDE).take(BLOCK) {
            row[..BLOCK].fill(WHITE);
        }
        assert_eq!(read(&luma, STRIDE, W, H), None);
    }

    #[test]
    fn noise_and_blurred_edges_do_no_harm() {
        let mut luma = picture(128);
        write(&mut luma, STRIDE, W, H, 0x1234_5678).unwrap();
        let mut seed = 1_u32;
        for pixel in &mut luma {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *pixel = pixel.saturating_add((seed >> 27) as u8).saturating_sub(16);
        }
        for edge in (0..WIDTH).step_by(BLOCK) {
            luma.chunks_mut(STRIDE)
                .take(HEIGHT)
                .for_each(|row| row[edge..edge + 3].fill(128));
        }
        assert_eq!(read(&luma, STRIDE, W, H), Some(0x1234_5678));
    }

    #[test]
    fn small_pictures_are_refused() {
        let mut luma = picture(0);
        let cases = [
            (WIDTH - 2, H, STRIDE),
            (W, HEIGHT - 2, STRIDE),
            (W, H, W - 2),
        ];
        for (width, height, stride) in cases {
            assert_eq!(
                write(&mut luma, stride, width, height, 1),
                Err(NoRoom { width, height })
            );
        }
        assert!(write(&mut [0; 100], STRIDE, W, H, 1).is_err());
        assert_eq!(read(&[0; 100], STRIDE, W, H), None);
    }
}
