//! Letters for labels: 5 by 7 dots, as far as stream names go.

use super::rgb::Rgb;

/// Dots of a letter from top to bottom.
pub(super) const HEIGHT: u32 = 7;
const WIDTH: u32 = 5;

/// Writes text from (x, y) on, in dots of `dot` pixels, over at most `room` pixels. Capitals are written as small letters,
/// unknown characters as a box.
pub(super) fn write(
    image: &mut Rgb,
    text: &str,
    (x, y): (u32, u32),
    dot: u32,
    ink: [u8; 3],
    room: u32,
) {
    let advance = (WIDTH + 1) * dot;
    for (n, c) in (0..room / advance).zip(text.chars()) {
        letter(image, c, (x + n * advance, y), dot, ink);
    }
}

fn letter(image: &mut Rgb, c: char, (x, y): (u32, u32), dot: u32, ink: [u8; 3]) {
    for (row, bits) in (0..).zip(glyph(c)) {
        for column in (0..WIDTH).filter(|column| bits >> (WIDTH - 1 - column) & 1 == 1) {
            image.paste(&Rgb::filled(dot, dot, ink), x + column * dot, y + row * dot);
        }
    }
}

/// One row a number, the leftmost dot in bit 4.
#[rustfmt::skip]
const fn glyph(c: char) -> [u8; HEIGHT as usize] {
    match c.to_ascii_lowercase() {
        'a' => [0b00000, 0b00000, 0b01110, 0b00001, 0b01111, 0b10001, 0b01111],
        'b' => [0b10000, 0b10000, 0b11110, 0b10001, 0b10001, 0b10001, 0b11110],
        'c' => [0b00000, 0b00000, 0b01111, 0b10000, 0b10000, 0b10000, 0b01111],
        'd' => [0b00001, 0b00001, 0b01111, 0b10001, 0b10001, 0b10001, 0b01111],
        'e' => [0b00000, 0b00000, 0b01110, 0b10001, 0b11111, 0b10000, 0b01111],
        'f' => [0b00110, 0b01000, 0b11110, 0b01000, 0b01000, 0b01000, 0b01000],
        'g' => [0b00000, 0b01111, 0b10001, 0b10001, 0b01111, 0b00001, 0b01110],
        'h' => [0b10000, 0b10000, 0b11110, 0b10001, 0b10001, 0b10001, 0b10001],
        'i' => [0b00100, 0b00000, 0b01100, 0b00100, 0b00100, 0b00100, 0b01110],
        'j' => [0b00010, 0b00000, 0b00110, 0b00010, 0b00010, 0b10010, 0b01100],
        'k' => [0b10000, 0b10000, 0b10010, 0b10100, 0b11000, 0b10100, 0b10010],
        'l' => [0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
        'm' => [0b00000, 0b00000, 0b11010, 0b10101, 0b10101, 0b10101, 0b10101],
        'n' => [0b00000, 0b00000, 0b11110, 0b10001, 0b10001, 0b10001, 0b10001],
        'o' => [0b00000, 0b00000, 0b01110, 0b10001, 0b10001, 0b10001, 0b01110],
        'p' => [0b00000, 0b11110, 0b10001, 0b10001, 0b11110, 0b10000, 0b10000],
        'q' => [0b00000, 0b01111, 0b10001, 0b10001, 0b01111, 0b00001, 0b00001],
        'r' => [0b00000, 0b00000, 0b10110, 0b11001, 0b10000, 0b10000, 0b10000],
        's' => [0b00000, 0b00000, 0b01111, 0b10000, 0b01110, 0b00001, 0b11110],
        't' => [0b01000, 0b01000, 0b11110, 0b01000, 0b01000, 0b01000, 0b00110],
        'u' => [0b00000, 0b00000, 0b10001, 0b10001, 0b10001, 0b10001, 0b01111],
        'v' => [0b00000, 0b00000, 0b10001, 0b10001, 0b10001, 0b01010, 0b00100],
        'w' => [0b00000, 0b00000, 0b10101, 0b10101, 0b10101, 0b10101, 0b01010],
        'x' => [0b00000, 0b00000, 0b10001, 0b01010, 0b00100, 0b01010, 0b10001],
        'y' => [0b00000, 0b10001, 0b10001, 0b10001, 0b01111, 0b00001, 0b01110],
        'z' => [0b00000, 0b00000, 0b11111, 0b00010, 0b00100, 0b01000, 0b11111],
        '0' => [0b01110, 0b10001, 0b10011, 0b10101, 0b11001, 0b10001, 0b01110],
        '1' => [0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
        '2' => [0b01110, 0b10001, 0b00001, 0b00110, 0b01000, 0b10000, 0b11111],
        '3' => [0b01110, 0b10001, 0b00001, 0b00110, 0b00001, 0b10001, 0b01110],
        '4' => [0b00010, 0b00110, 0b01010, 0b10010, 0b11111, 0b00010, 0b00010],
        '5' => [0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b10001, 0b01110],
        '6' => [0b00110, 0b01000, 0b10000, 0b11110, 0b10001, 0b10001, 0b01110],
        '7' => [0b11111, 0b00001, 0b00010, 0b00100, 0b00100, 0b00100, 0b00100],
        '8' => [0b01110, 0b10001, 0b10001, 0b01110, 0b10001, 0b10001, 0b01110],
        '9' => [0b01110, 0b10001, 0b10001, 0b01111, 0b00001, 0b00010, 0b01100],
        ' ' => [0b00000, 0b00000, 0b00000, 0b00000, 0b00000, 0b00000, 0b00000],
        '-' => [0b00000, 0b00000, 0b00000, 0b01110, 0b00000, 0b00000, 0b00000],
        '.' => [0b00000, 0b00000, 0b00000, 0b00000, 0b00000, 0b01100, 0b01100],
        '_' => [0b00000, 0b00000, 0b00000, 0b00000, 0b00000, 0b00000, 0b11111],
        _ => [0b11111, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b11111],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INK: [u8; 3] = [255; 3];

    fn dots(text: &str, room: u32) -> Vec<String> {
        let mut image = Rgb::filled(20, HEIGHT, [0; 3]);
        write(&mut image, text, (0, 0), 1, INK, room);
        let line = |y| {
            (0..20)
                .map(|x| if image.pixel(x, y) == INK { '#' } else { ' ' })
                .collect::<String>()
        };
        (0..HEIGHT)
            .map(line)
            .map(|l| l.trim_end().to_owned())
            .collect()
    }

    #[test]
    fn letters_look_like_letters() {
        assert_eq!(
            dots("T1", 20),
            [
                " #      #",
                " #     ##",
                "####    #",
                " #      #",
                " #      #",
                " #      #",
                "  ##   ###"
            ]
        );
    }

    #[test]
    fn text_ends_where_the_room_ends() {
        assert_eq!(dots("11", 11), dots("1", 20));
    }

    #[test]
    fn every_character_of_a_stream_name_has_a_letter() {
        let known = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
        assert!(known.chars().all(|c| glyph(c) != glyph('\u{fffd}')));
    }
}
