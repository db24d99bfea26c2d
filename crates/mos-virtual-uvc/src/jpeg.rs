//! JPEGs with the frame counter in the picture, without coding each.
//!
//! A restart marker after every block of 16x16 pixels makes the blocks independent of each other (ITU-T T.81, E.1.4, F.1.1.5.1: the
//! DC prediction starts anew). So two pictures are coded once, one with black and one with white counter blocks, and each frame is
//! put together from their pieces. Where a piece lies decides its marker, hence pieces of the same place fit.

use std::ops::Range;

use jpeg_encoder::{Encoder, ImageBuffer, JpegColorType, SamplingFactor};

use crate::counter::{self, BLACK, BLOCK, COLUMNS, ROWS, WHITE};
use crate::picture::gradient;

const QUALITY: u8 = 80;

/// A picture in pieces.
#[derive(Debug)]
pub(crate) struct Jpeg {
    /// The whole picture with black counter blocks.
    black: Vec<u8>,
    /// Where each counter block's piece lies in it, row by row; empty if there is no room for the counter.
    places: Vec<Range<usize>>,
    /// The same blocks in white.
    white: Vec<Vec<u8>>,
}

impl Jpeg {
    /// The gradient in this size and tint.
    pub(crate) fn new(size: (u16, u16), tint: u8) -> Self {
        let paint = |counter| {
            encode(&Scene {
                size,
                tint,
                counter,
            })
        };
        let black = paint(BLACK);
        if !counter::has_room(size) {
            return Self {
                black,
                places: Vec::new(),
                white: Vec::new(),
            };
        }
        let white = paint(WHITE);
        let per_row = usize::from(size.0).div_ceil(BLOCK);
        let take = |pieces: Vec<Range<usize>>| -> Vec<Range<usize>> {
            let block = |i| pieces.get(i / COLUMNS * per_row + i % COLUMNS).cloned();
            (0..ROWS * COLUMNS).filter_map(block).collect()
        };
        let places = take(pieces(&black));
        let white = take(pieces(&white))
            .into_iter()
            .map(|place| white[place].to_vec())
            .collect();
        Self {
            black,
            places,
            white,
        }
    }

    /// Puts the picture with this number into `out`.
    pub(crate) fn assemble(&self, number: u32, out: &mut Vec<u8>) {
        out.clear();
        let mut copied = 0;
        let blocks = counter::blocks(number).zip(&self.places).zip(&self.white);
        for ((_, place), white) in blocks.filter(|((is_white, _), _)| *is_white) {
            out.extend_from_slice(&self.black[copied..place.start]);
            out.extend_from_slice(white);
            copied = place.end;
        }
        out.extend_from_slice(&self.black[copied..]);
    }
}

/// The pieces of a scan that lie between restart markers, each with the marker after it.
fn pieces(jpeg: &[u8]) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let mut start = scan(jpeg);
    let mut at = start;
    while let Some(&[first, second]) = jpeg.get(at..at + 2) {
        match (first, second) {
            (0xff, 0xd0..=0xd7) => {
                pieces.push(start..at + 2);
                start = at + 2;
                at = start;
            }
            (0xff, 0xd9) => {
                pieces.push(start..at);
                break;
            }
            _ => at += 1,
        }
    }
    pieces
}

/// Where the coded data start: after the start-of-scan segment (ITU-T T.81, B.2.3).
fn scan(jpeg: &[u8]) -> usize {
    let mut at = 2;
    while let Some(&[_, kind, high, low]) = jpeg.get(at..at + 4) {
        at += 2 + usize::from(u16::from_be_bytes([high, low]));
        if kind == 0xda {
            break;
        }
    }
    at
}

fn encode(scene: &Scene) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, QUALITY);
    encoder.set_sampling_factor(SamplingFactor::R_4_2_0);
    encoder.set_restart_interval(1);
    // It fails at writing, which a Vec never does, and at pictures without pixels, which a configuration can't have.
    encoder
        .encode_image(scene)
        .expect("a picture with pixels into memory");
    bytes
}

/// The gradient with all counter blocks of one luma.
struct Scene {
    size: (u16, u16),
    tint: u8,
    counter: u8,
}

impl ImageBuffer for &Scene {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.size.0
    }

    fn height(&self) -> u16 {
        self.size.1
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let y = usize::from(y);
        let counter = counter::has_room(self.size) && y < ROWS * BLOCK;
        for x in 0..usize::from(self.size.0) {
            let [luma, u, v] = gradient((x, y), self.size, self.tint);
            let is_counter = counter && x < COLUMNS * BLOCK;
            buffers[0].push(if is_counter { self.counter } else { luma });
            buffers[1].push(u);
            buffers[2].push(v);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: [(u16, u16); 4] = [(320, 240), (192, 64), (200, 70), (160, 120)];

    #[test]
    fn a_piece_is_a_block() {
        for size in SIZES {
            let jpeg = Jpeg::new(size, 128);
            let blocks = usize::from(size.0).div_ceil(16) * usize::from(size.1).div_ceil(16);
            assert_eq!(pieces(&jpeg.black).len(), blocks, "{size:?}");
        }
    }

    #[test]
    fn the_markers_run_on_whatever_the_number() {
        for size in SIZES {
            let jpeg = Jpeg::new(size, 128);
            let mut bytes = Vec::new();
            for number in [0, 77, u32::MAX] {
                jpeg.assemble(number, &mut bytes);
                assert_eq!(bytes[..2], [0xff, 0xd8]);
                assert_eq!(bytes[bytes.len() - 2..], [0xff, 0xd9]);
                let pieces = pieces(&bytes);
                let markers = pieces
                    .iter()
                    .take(pieces.len() - 1)
                    .map(|piece| bytes[piece.end - 1]);
                assert!(markers.eq((0..pieces.len() - 1).map(|i| 0xd0 + (i % 8) as u8)));
            }
        }
    }

    #[test]
    fn numbers_change_the_picture_where_there_is_room() {
        for size in SIZES {
            let jpeg = Jpeg::new(size, 128);
            let picture = |number| {
                let mut bytes = Vec::new();
                jpeg.assemble(number, &mut bytes);
                bytes
            };
            assert_eq!(
                picture(1) == picture(2),
                !counter::has_room(size),
                "{size:?}"
            );
        }
    }

    /// Baseline, 4:2:0, three components: start of frame (ITU-T T.81, B.2.2).
    #[test]
    fn the_picture_is_baseline_4_2_0() {
        let jpeg = Jpeg::new((320, 240), 128).black;
        let frame = jpeg
            .windows(4)
            .position(|four| four == [0xff, 0xc0, 0, 17])
            .unwrap();
        assert_eq!(jpeg[frame + 4..frame + 10], [8, 0, 240, 1, 64, 3]);
        let factors = [11, 14, 17].map(|at| jpeg[frame + at]);
        assert_eq!(factors, [0x22, 0x11, 0x11]);
    }
}
