//! NV12 to RGB.

use std::io;

use mos_frame::{Format, FourCc, Frame, Plane};
use yuv::{YuvBiPlanarImage, YuvConversionMode, YuvError, yuv_nv12_to_rgb};

use super::colour;
use super::rgb::{CHANNELS, Rgb};

/// Why a frame is no picture.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PictureError {
    /// Another pixel format, or a vendor's own arrangement of it.
    #[error("its format is {fourcc} with modifier {modifier:#x}, only linear NV12 can be read")]
    Format {
        /// Pixel format.
        fourcc: FourCc,
        /// DRM format modifier.
        modifier: u64,
    },
    /// No luma or no chroma plane.
    #[error("it has no plane {0}")]
    Plane(usize),
    /// The kernel would not map it.
    #[error("its memory can't be mapped: {0}")]
    Map(#[from] io::Error),
    /// The planes don't fit the size.
    #[error("its planes don't fit its size: {0}")]
    Layout(YuvError),
}

/// Maps a frame and converts it, honouring stride, size and colorimetry.
pub(crate) fn from_frame(frame: &Frame) -> Result<Rgb, PictureError> {
    let format = frame.format();
    let (fourcc, modifier) = (format.fourcc, format.modifier);
    if fourcc != FourCc::NV12 || modifier != 0 {
        return Err(PictureError::Format { fourcc, modifier });
    }
    let map = frame.map()?;
    let pixels = |n: usize| map.plane(n).ok_or(PictureError::Plane(n));
    let plane = |n: usize| frame.layout().planes.get(n).ok_or(PictureError::Plane(n));
    nv12_to_rgb(format, (plane(0)?, pixels(0)?), (plane(1)?, pixels(1)?))
}

fn nv12_to_rgb(
    format: &Format,
    luma: (&Plane, &[u8]),
    chroma: (&Plane, &[u8]),
) -> Result<Rgb, PictureError> {
    let image = YuvBiPlanarImage {
        y_plane: luma.1,
        y_stride: luma.0.stride,
        uv_plane: chroma.1,
        uv_stride: chroma.0.stride,
        width: format.width,
        height: format.height,
    };
    let colour = colour::parse(&format.colorimetry, format.height);
    let mut rgb = Rgb::filled(format.width, format.height, [0; 3]);
    let stride = format.width * CHANNELS as u32;
    yuv_nv12_to_rgb(
        &image,
        rgb.data_mut(),
        stride,
        colour.range,
        colour.matrix,
        YuvConversionMode::Balanced,
    )
    .map_err(PictureError::Layout)?;
    Ok(rgb)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(width: u32, height: u32, colorimetry: &str) -> Format {
        Format {
            colorimetry: colorimetry.into(),
            ..Format::nv12_memfd(width, height, (30, 1))
        }
    }

    fn plane(stride: u32, size: usize) -> Plane {
        Plane {
            fd: 0,
            offset: 0,
            stride,
            size: size as u64,
        }
    }

    /// Converts a picture of one colour with padding of another behind each row.
    fn convert(yuv: [u8; 3], colorimetry: &str) -> [u8; 3] {
        let (width, height, stride) = (6_u32, 4_u32, 16_u32);
        let row = |pair: [u8; 2]| [pair.repeat(3), vec![255; (stride - width) as usize]].concat();
        let luma = row([yuv[0]; 2]).repeat(height as usize);
        let chroma = row([yuv[1], yuv[2]]).repeat(height as usize / 2);
        let rgb = nv12_to_rgb(
            &format(width, height, colorimetry),
            (&plane(stride, luma.len()), &luma),
            (&plane(stride, chroma.len()), &chroma),
        )
        .unwrap();
        let first = rgb.pixel(0, 0);
        assert!(
            rgb.data().chunks(3).all(|p| p == first),
            "one colour in, one colour out"
        );
        first
    }

    fn close(a: [u8; 3], b: [u8; 3]) -> bool {
        a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= 2)
    }

    /// Reference values by the equations of BT.601 and BT.709.
    #[test]
    fn colours_come_out_by_range_and_matrix() {
        for (yuv, colorimetry, rgb) in [
            ([16, 128, 128], "bt601", [0, 0, 0]),
            ([235, 128, 128], "bt709", [255, 255, 255]),
            ([126, 128, 128], "bt709", [128, 128, 128]),
            ([126, 128, 128], "1:3:0:0", [126, 126, 126]),
            ([81, 90, 240], "bt601", [255, 0, 0]),
            ([63, 102, 240], "bt709", [255, 0, 0]),
            ([41, 240, 110], "bt601", [0, 0, 255]),
            ([76, 85, 255], "1:4:0:0", [254, 0, 0]),
        ] {
            let got = convert(yuv, colorimetry);
            assert!(
                close(got, rgb),
                "{yuv:?} as {colorimetry} gave {got:?}, not {rgb:?}"
            );
        }
    }

    #[test]
    fn planes_that_are_too_small_are_an_error() {
        let (luma, chroma) = (vec![0; 63], vec![0; 32]);
        let result = nv12_to_rgb(
            &format(8, 8, ""),
            (&plane(8, 63), &luma),
            (&plane(8, 32), &chroma),
        );
        assert!(matches!(result, Err(PictureError::Layout(_))), "{result:?}");
    }
}
