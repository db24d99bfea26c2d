//! A picture in memory.

/// 8-bit RGB, packed rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rgb {
    width: u32,
    height: u32,
    data: Vec<u8>,
}

/// Bytes of a pixel.
pub(super) const CHANNELS: usize = 3;

impl Rgb {
    /// A picture of one colour.
    pub(crate) fn filled(width: u32, height: u32, colour: [u8; 3]) -> Self {
        Self {
            width,
            height,
            data: colour.repeat(width as usize * height as usize),
        }
    }

    pub(crate) const fn width(&self) -> u32 {
        self.width
    }

    pub(crate) const fn height(&self) -> u32 {
        self.height
    }

    pub(crate) fn data(&self) -> &[u8] {
        &self.data
    }

    pub(super) fn data_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }

    fn offset(&self, x: u32, y: u32) -> usize {
        (y as usize * self.width as usize + x as usize) * CHANNELS
    }

    pub(super) fn pixel(&self, x: u32, y: u32) -> [u8; 3] {
        let at = self.offset(x, y);
        [self.data[at], self.data[at + 1], self.data[at + 2]]
    }

    /// Sets a pixel; one outside of the picture is left out.
    pub(super) fn set(&mut self, x: u32, y: u32, colour: [u8; 3]) {
        if x < self.width && y < self.height {
            let at = self.offset(x, y);
            self.data[at..at + CHANNELS].copy_from_slice(&colour);
        }
    }

    /// The picture in another size; each pixel is the mean of the pixels that it covers.
    pub(super) fn scaled(&self, width: u32, height: u32) -> Self {
        let mut scaled = Self::filled(width, height, [0; 3]);
        for y in 0..height {
            let rows = covered(y, height, self.height);
            for x in 0..width {
                scaled.set(x, y, self.mean(covered(x, width, self.width), rows.clone()));
            }
        }
        scaled
    }

    fn mean(&self, columns: std::ops::Range<u32>, rows: std::ops::Range<u32>) -> [u8; 3] {
        let mut sums = [0_u64; 3];
        let count = u64::from(columns.end - columns.start) * u64::from(rows.end - rows.start);
        for y in rows {
            for x in columns.clone() {
                sums.iter_mut()
                    .zip(self.pixel(x, y))
                    .for_each(|(sum, c)| *sum += u64::from(c));
            }
        }
        sums.map(|sum| (sum / count.max(1)) as u8)
    }

    /// Copies `other` into this picture with its upper left corner at (x, y).
    pub(super) fn paste(&mut self, other: &Self, x: u32, y: u32) {
        for row in 0..other.height {
            for column in 0..other.width {
                self.set(x + column, y + row, other.pixel(column, row));
            }
        }
    }
}

/// The source pixels, at least one, under pixel `n` of `out`, where the source has `source`.
fn covered(n: u32, out: u32, source: u32) -> std::ops::Range<u32> {
    let at = |n: u32| (u64::from(n) * u64::from(source) / u64::from(out)) as u32;
    let start = at(n).min(source - 1);
    start..at(n + 1).clamp(start + 1, source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_pixel_is_covered_once_when_shrinking() {
        for (out, source) in [(1, 7), (3, 7), (7, 7), (4, 640)] {
            let all: Vec<u32> = (0..out).flat_map(|n| covered(n, out, source)).collect();
            assert_eq!(all, (0..source).collect::<Vec<_>>(), "{out} of {source}");
        }
    }

    #[test]
    fn growing_repeats_pixels() {
        let spans: Vec<u32> = (0..4).flat_map(|n| covered(n, 4, 2)).collect();
        assert_eq!(spans, [0, 0, 1, 1]);
    }

    #[test]
    fn scaling_takes_the_mean() {
        let mut image = Rgb::filled(2, 2, [0; 3]);
        image.set(0, 0, [200, 100, 40]);
        assert_eq!(image.scaled(1, 1).data(), [50, 25, 10]);
        assert_eq!(image.scaled(4, 4).pixel(1, 1), [200, 100, 40]);
    }

    #[test]
    fn pasting_is_cut_at_the_edge() {
        let mut image = Rgb::filled(3, 3, [0; 3]);
        image.paste(&Rgb::filled(2, 2, [9; 3]), 2, 2);
        assert_eq!(
            image.data().iter().map(|c| u32::from(*c)).sum::<u32>(),
            3 * 9
        );
        assert_eq!(image.pixel(2, 2), [9; 3]);
    }
}
