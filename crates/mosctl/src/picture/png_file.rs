//! Writing PNG files.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use super::rgb::Rgb;

/// Writes the picture; whoever looks at `file` sees the old picture or the whole new one.
pub(crate) fn write_png(image: &Rgb, file: &Path) -> io::Result<()> {
    let name = file
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it names no file"))?;
    let part = file.with_file_name(format!(
        ".{}.{}.part",
        name.to_string_lossy(),
        std::process::id()
    ));
    let written = encode(image, &part).and_then(|()| fs::rename(&part, file));
    if written.is_err() {
        // The first error is the one to tell; without this one a partial file may be left.
        let _ = fs::remove_file(&part);
    }
    written
}

fn encode(image: &Rgb, file: &Path) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(file)?);
    let mut encoder = png::Encoder::new(&mut out, image.width(), image.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(image.data())?;
    writer.finish()?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_picture_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.png");
        let image = Rgb::filled(5, 3, [1, 2, 3]);
        write_png(&image, &file).unwrap();
        write_png(&image, &file).unwrap();
        let decoder = png::Decoder::new(io::BufReader::new(File::open(&file).unwrap()));
        let mut reader = decoder.read_info().unwrap();
        let mut data = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut data).unwrap();
        assert_eq!(
            (info.width, info.height, data.as_slice()),
            (5, 3, image.data())
        );
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "no partial file is left"
        );
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let image = Rgb::filled(1, 1, [0; 3]);
        assert!(write_png(&image, &dir.path().join("none/a.png")).is_err());
        assert!(write_png(&image, Path::new("/")).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
