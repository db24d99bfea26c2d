//! Several pictures in one: a contact sheet.

use super::font;
use super::rgb::Rgb;

/// Behind tiles and around pictures of another shape.
const GROUND: [u8; 3] = [24, 24, 24];
/// A tile without a picture.
const GREY: [u8; 3] = [96, 96, 96];
/// Labels.
const INK: [u8; 3] = [240, 240, 240];
/// Pixels between tiles.
const GAP: u32 = 8;
/// Size of a label's dots in pixels.
const DOT: u32 = 2;
/// Height of the strip that the label stands in.
const LABEL: u32 = font::HEIGHT * DOT + 8;
/// Largest sheet: 64 megapixels.
const LARGEST: u64 = 64 << 20;

/// A sheet that is being filled, tile by tile, row by row.
#[derive(Debug)]
pub(crate) struct Sheet {
    image: Rgb,
    columns: u32,
    tile: (u32, u32),
    added: u32,
}

impl Sheet {
    /// An empty sheet for `count` pictures; `columns` defaults to a square arrangement.
    pub(crate) fn new(
        count: usize,
        columns: Option<u32>,
        tile: (u32, u32),
    ) -> Result<Self, String> {
        let count = u32::try_from(count).unwrap_or(u32::MAX).max(1);
        let columns = columns.unwrap_or_else(|| square(count)).min(count);
        let rows = count.div_ceil(columns);
        let along = |tiles: u32, size: u32| {
            u64::from(tiles) * (u64::from(size) + u64::from(GAP)) + u64::from(GAP)
        };
        let (width, height) = (
            along(columns, tile.0),
            along(rows, tile.1.saturating_add(LABEL)),
        );
        if tile.0 == 0 || tile.1 == 0 || width.saturating_mul(height) > LARGEST {
            return Err(format!("a sheet of {width}x{height} pixels can't be made"));
        }
        Ok(Self {
            image: Rgb::filled(width as u32, height as u32, GROUND),
            columns,
            tile,
            added: 0,
        })
    }

    /// Adds a picture under its name; without one the tile stays grey.
    pub(crate) fn add(&mut self, name: &str, picture: Option<&Rgb>) {
        let (column, row) = (self.added % self.columns, self.added / self.columns);
        let x = GAP + column * (self.tile.0 + GAP);
        let y = GAP + row * (self.tile.1 + LABEL + GAP);
        font::write(&mut self.image, name, (x, y), DOT, INK, self.tile.0);
        self.place(picture, (x, y + LABEL));
        self.added += 1;
    }

    fn place(&mut self, picture: Option<&Rgb>, (x, y): (u32, u32)) {
        let Some(picture) = picture else {
            let grey = Rgb::filled(self.tile.0, self.tile.1, GREY);
            self.image.paste(&grey, x, y);
            let (left, top) = (x + GAP, y + self.tile.1 / 2);
            return font::write(
                &mut self.image,
                "no frame",
                (left, top),
                DOT,
                INK,
                self.tile.0.saturating_sub(GAP),
            );
        };
        let (width, height) = fit((picture.width(), picture.height()), self.tile);
        let scaled = picture.scaled(width, height);
        self.image.paste(
            &scaled,
            x + (self.tile.0 - width) / 2,
            y + (self.tile.1 - height) / 2,
        );
    }

    /// The sheet as it is now.
    pub(crate) fn finish(self) -> Rgb {
        self.image
    }
}

/// Columns of the smallest square that holds `count`.
fn square(count: u32) -> u32 {
    let root = count.isqrt();
    if root * root == count { root } else { root + 1 }
}

/// The largest size of the same shape that fits into `room`, at least one pixel.
fn fit((width, height): (u32, u32), room: (u32, u32)) -> (u32, u32) {
    let (w, h) = (u64::from(width), u64::from(height));
    let by_width = (u64::from(room.0), u64::from(room.0) * h / w);
    let by_height = (u64::from(room.1) * w / h, u64::from(room.1));
    let (w, h) = if by_width.1 <= u64::from(room.1) {
        by_width
    } else {
        by_height
    };
    (w.max(1) as u32, h.max(1) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_arranged_in_a_square() {
        for (count, columns) in [(1, 1), (2, 2), (3, 2), (4, 2), (5, 3), (9, 3), (10, 4)] {
            assert_eq!(square(count), columns, "{count}");
        }
    }

    #[test]
    fn pictures_keep_their_shape() {
        for (size, room, fitted) in [
            ((640, 480), (320, 240), (320, 240)),
            ((1920, 1080), (320, 240), (320, 180)),
            ((480, 640), (320, 240), (180, 240)),
            ((2, 2), (320, 240), (240, 240)),
            ((10_000, 1), (320, 240), (320, 1)),
        ] {
            assert_eq!(fit(size, room), fitted, "{size:?} into {room:?}");
        }
    }

    #[test]
    fn a_sheet_shows_pictures_labels_and_what_is_missing() {
        let mut sheet = Sheet::new(3, None, (100, 80)).unwrap();
        sheet.add("red", Some(&Rgb::filled(50, 40, [255, 0, 0])));
        sheet.add("gone", None);
        sheet.add("blue", Some(&Rgb::filled(50, 40, [0, 0, 255])));
        let image = sheet.finish();
        let tile = |column: u32, row: u32| {
            (
                GAP + column * (100 + GAP),
                GAP + LABEL + row * (80 + LABEL + GAP),
            )
        };
        let at = |(x, y): (u32, u32)| image.pixel(x + 1, y + 1);
        assert_eq!(
            (
                at(tile(0, 0)),
                at(tile(1, 0)),
                at(tile(0, 1)),
                at(tile(1, 1))
            ),
            ([255, 0, 0], GREY, [0, 0, 255], GROUND)
        );
        let label_row = |y: u32| (0..image.width()).any(|x| image.pixel(x, y) == INK);
        assert!((GAP..GAP + LABEL).any(label_row), "labels are written");
    }

    #[test]
    fn a_sheet_beyond_all_measure_is_refused() {
        assert!(Sheet::new(64, Some(8), (4096, 4096)).is_err());
        assert!(Sheet::new(1, None, (u32::MAX, u32::MAX)).is_err());
        assert!(Sheet::new(1, None, (0, 10)).is_err());
        assert!(Sheet::new(0, Some(64), (10, 10)).is_ok());
    }
}
