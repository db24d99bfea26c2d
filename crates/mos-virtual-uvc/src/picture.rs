//! The pictures: a gradient with the frame counter on it.

use crate::config::FormatKind;
use crate::counter::{self, BLACK, BLOCK, COLUMNS, WHITE};
use crate::jpeg::Jpeg;

/// Makes one picture after the other, with little work for each.
#[derive(Debug)]
pub(crate) struct Painter {
    kind: FormatKind,
    size: (u16, u16),
    /// The newest picture.
    bytes: Vec<u8>,
    jpeg: Option<Jpeg>,
}

/// The gradient at a pixel: luma over the width, U over the height, V the camera's tint.
pub(crate) fn gradient((x, y): (usize, usize), (width, height): (u16, u16), tint: u8) -> [u8; 3] {
    let luma = 16 + 219 * x / usize::from(width);
    let blue = 64 + 128 * y / usize::from(height);
    [luma as u8, blue as u8, tint]
}

impl Painter {
    pub(crate) fn new(kind: FormatKind, size: (u16, u16), tint: u8) -> Self {
        let (bytes, jpeg) = match kind {
            FormatKind::Mjpeg => (Vec::new(), Some(Jpeg::new(size, tint))),
            FormatKind::Nv12 => (nv12(size, tint), None),
            FormatKind::Yuyv => (yuyv(size, tint), None),
        };
        Self {
            kind,
            size,
            bytes,
            jpeg,
        }
    }

    /// Makes the picture with this number. Pictures with less room than 192x64 pixels show none.
    pub(crate) fn paint(&mut self, number: u32) {
        match (&self.jpeg, self.kind) {
            (Some(jpeg), _) => jpeg.assemble(number, &mut self.bytes),
            _ if !counter::has_room(self.size) => {}
            (None, FormatKind::Yuyv) => stamp(&mut self.bytes, self.size.0, 2, number),
            (None, _) => stamp(&mut self.bytes, self.size.0, 1, number),
        }
    }

    /// The picture that was made last.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The picture that was made last, to be spoilt.
    pub(crate) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

fn nv12(size: (u16, u16), tint: u8) -> Vec<u8> {
    let (width, height) = (usize::from(size.0), usize::from(size.1));
    let at = |x, y| gradient((x, y), size, tint);
    let luma = (0..height).flat_map(|y| (0..width).map(move |x| at(x, y)[0]));
    let chroma = (0..height).step_by(2).flat_map(|y| {
        (0..width).step_by(2).flat_map(move |x| {
            let [_, u, v] = at(x, y);
            [u, v]
        })
    });
    luma.chain(chroma).collect()
}

fn yuyv(size: (u16, u16), tint: u8) -> Vec<u8> {
    let (width, height) = (usize::from(size.0), usize::from(size.1));
    let at = |x, y| gradient((x, y), size, tint);
    let pair = |x, y| {
        let [y0, u, v] = at(x, y);
        [y0, u, at(x + 1, y)[0], v]
    };
    (0..height)
        .flat_map(|y| (0..width).step_by(2).flat_map(move |x| pair(x, y)))
        .collect()
}

/// Stamps the counter into luma samples that lie `step` bytes apart.
fn stamp(bytes: &mut [u8], width: u16, step: usize, number: u32) {
    let blocks: Vec<bool> = counter::blocks(number).collect();
    let stride = usize::from(width) * step;
    for (row, blocks) in bytes.chunks_mut(stride * BLOCK).zip(blocks.chunks(COLUMNS)) {
        for line in row.chunks_mut(stride) {
            for (block, white) in line.chunks_mut(BLOCK * step).zip(blocks) {
                let luma = if *white { WHITE } else { BLACK };
                block
                    .iter_mut()
                    .step_by(step)
                    .for_each(|sample| *sample = luma);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_pictures_have_their_size_gradient_and_number() {
        let size = (320, 240);
        for (kind, step) in [(FormatKind::Nv12, 1), (FormatKind::Yuyv, 2)] {
            let mut painter = Painter::new(kind, size, 77);
            for number in [5, 0x0102_0304] {
                painter.paint(number);
                let bytes = painter.bytes();
                assert_eq!(bytes.len(), kind.frame_size(size) as usize);
                let luma = |x: usize, y: usize| bytes[(y * 320 + x) * step];
                assert_eq!(counter::read(bytes, 320 * step, step), Some(number));
                assert_eq!(luma(310, 200), gradient((310, 200), size, 77)[0]);
            }
            // V is at the end of both.
            assert_eq!(painter.bytes().last(), Some(&77));
        }
    }

    #[test]
    fn small_pictures_have_no_number() {
        let mut painter = Painter::new(FormatKind::Nv12, (160, 120), 128);
        let before = painter.bytes().to_vec();
        painter.paint(3);
        assert_eq!(painter.bytes(), before);
    }
}
