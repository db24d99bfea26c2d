//! Which colours the numbers mean: GStreamer's colorimetry strings.

use yuv::{YuvRange, YuvStandardMatrix};

/// Range and matrix of a picture's luma and chroma.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Colour {
    pub(super) range: YuvRange,
    pub(super) matrix: YuvStandardMatrix,
}

const fn limited(matrix: YuvStandardMatrix) -> Colour {
    Colour {
        range: YuvRange::Limited,
        matrix,
    }
}

/// Reads `bt709` or `<range>:<matrix>:<transfer>:<primaries>` (`gst_video_colorimetry_from_string`); what is not given is
/// as GStreamer takes it for a picture of this height.
pub(super) fn parse(colorimetry: &str, height: u32) -> Colour {
    match colorimetry {
        "bt601" => limited(YuvStandardMatrix::Bt601),
        "bt709" => limited(YuvStandardMatrix::Bt709),
        "smpte240m" => limited(YuvStandardMatrix::Smpte240),
        "bt2020" | "bt2020-10" | "bt2100-pq" | "bt2100-hlg" => limited(YuvStandardMatrix::Bt2020),
        numbers => parse_numbers(numbers, default_for(height)),
    }
}

/// What GStreamer takes video of unknown colorimetry for: standard definition ends at 576 lines.
const fn default_for(height: u32) -> Colour {
    limited(if height > 576 {
        YuvStandardMatrix::Bt709
    } else {
        YuvStandardMatrix::Bt601
    })
}

/// The numbers of `GstVideoColorRange` and `GstVideoColorMatrix`.
fn parse_numbers(text: &str, default: Colour) -> Colour {
    let mut numbers = text.split(':').map(|n| n.parse::<u32>().unwrap_or(0));
    let range = match numbers.next() {
        Some(1) => YuvRange::Full,
        Some(2) => YuvRange::Limited,
        _ => default.range,
    };
    let matrix = match numbers.next() {
        Some(2) => YuvStandardMatrix::Fcc,
        Some(3) => YuvStandardMatrix::Bt709,
        Some(4) => YuvStandardMatrix::Bt601,
        Some(5) => YuvStandardMatrix::Smpte240,
        Some(6) => YuvStandardMatrix::Bt2020,
        _ => default.matrix,
    };
    Colour { range, matrix }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colorimetry_strings_are_read() {
        use YuvRange::{Full, Limited};
        use YuvStandardMatrix::{Bt601, Bt709, Bt2020, Smpte240};
        for (text, height, range, matrix) in [
            ("bt601", 1080, Limited, Bt601),
            ("bt709", 480, Limited, Bt709),
            ("bt2020", 480, Limited, Bt2020),
            ("smpte240m", 480, Limited, Smpte240),
            ("1:4:0:1", 1080, Full, Bt601),
            ("2:3:5:1", 480, Limited, Bt709),
            ("1:0:0:0", 1080, Full, Bt709),
            ("0:6:0:0", 480, Limited, Bt2020),
            ("", 576, Limited, Bt601),
            ("", 720, Limited, Bt709),
            ("nonsense", 480, Limited, Bt601),
        ] {
            assert_eq!(
                parse(text, height),
                Colour { range, matrix },
                "{text} at {height}"
            );
        }
    }
}
