//! Pictures out of frames; development builds only, since it reads pixels with the CPU.

mod colour;
mod convert;
mod font;
mod png_file;
mod rgb;
mod sheet;

pub(crate) use convert::from_frame;
pub(crate) use png_file::write_png;
pub(crate) use rgb::Rgb;
pub(crate) use sheet::Sheet;
