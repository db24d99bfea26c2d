//! `mosctl snapshot` against a real publisher in this process.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod common;

#[cfg(not(feature = "development"))]
#[test]
fn a_production_build_says_why_not() {
    let output = common::run(&["snapshot", "cam", "cam.png"]);
    assert_eq!(output.status.code(), Some(9));
    assert!(
        common::stderr(&output).contains("a production build of mosctl can't read pixels"),
        "{}",
        common::stderr(&output)
    );
}

#[cfg(feature = "development")]
mod development {
    use std::fs::File;
    use std::io::BufReader;
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::FileExt as _;
    use std::path::Path;

    use mos_frame::{
        Budget, Format, FrameMeta, Layout, Plane, Publisher, PublisherOptions, memory,
    };

    use super::common::{json_error, json_lines, run, stderr};

    const RED: [u8; 3] = [81, 90, 240];
    const BLUE: [u8; 3] = [41, 240, 110];
    const WIDTH: u32 = 64;
    const HEIGHT: u32 = 48;
    const STRIDE: u32 = 96;

    fn options() -> PublisherOptions {
        PublisherOptions {
            budget: Budget {
                slots: 8,
                in_flight: 1,
                fences: 0,
            },
            ..PublisherOptions::default()
        }
    }

    /// A stream whose one frame is of one colour (BT.601), with rows wider than the picture and a hole between the planes.
    fn still(dir: &Path, stream: &str, yuv: [u8; 3]) -> Publisher<()> {
        let publisher = Publisher::bind(&mos_frame::socket_path(dir, stream), options()).unwrap();
        publisher.set_format(Format {
            colorimetry: "bt601".into(),
            ..Format::nv12_memfd(WIDTH, HEIGHT, (30, 1))
        });
        let (luma, chroma) = (u64::from(STRIDE * HEIGHT), u64::from(STRIDE * HEIGHT / 2));
        let plane = |offset, size| Plane {
            fd: 0,
            offset,
            stride: STRIDE,
            size,
        };
        let layout = Layout {
            planes: vec![plane(0, luma), plane(luma + 4096, chroma)],
        };
        let file = File::from(memory::memfd("still", luma + 4096 + chroma).unwrap());
        paint(&file, 0, HEIGHT, &[yuv[0], yuv[0]]);
        paint(&file, luma + 4096, HEIGHT / 2, &yuv[1..]);
        memory::seal_read_only(file.as_fd()).unwrap();
        let slot = publisher.import(&[file.as_fd()], &layout).unwrap();
        publisher.publish(slot, FrameMeta::default(), ()).unwrap();
        publisher
    }

    fn paint(file: &File, offset: u64, rows: u32, pair: &[u8]) {
        for row in 0..rows {
            let at = offset + u64::from(row * STRIDE);
            file.write_all_at(&pair.repeat(WIDTH as usize / 2), at)
                .unwrap();
        }
    }

    fn read_png(file: &Path) -> (u32, u32, Vec<u8>) {
        let mut reader = png::Decoder::new(BufReader::new(File::open(file).unwrap()))
            .read_info()
            .unwrap();
        let mut data = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut data).unwrap();
        (info.width, info.height, data)
    }

    fn close(pixel: &[u8], colour: [u8; 3]) -> bool {
        pixel.iter().zip(colour).all(|(a, b)| a.abs_diff(b) <= 3)
    }

    #[test]
    fn the_picture_has_the_frame_s_size_and_colour() {
        let dir = tempfile::tempdir().unwrap();
        let _still = still(dir.path(), "cam", RED);
        let (bus, file) = (dir.path().to_str().unwrap(), dir.path().join("cam.png"));
        let output = run(&[
            "snapshot",
            "cam",
            file.to_str().unwrap(),
            "--frame-dir",
            bus,
            "--json",
        ]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let (width, height, data) = read_png(&file);
        assert_eq!((width, height), (WIDTH, HEIGHT));
        assert!(
            data.chunks(3).all(|p| close(p, [255, 0, 0])),
            "every pixel is red"
        );
        let told = &json_lines(&output)[0];
        assert_eq!(
            (told["width"].as_u64(), told["streams"][0]["seq"].as_u64()),
            (Some(64), Some(1))
        );
    }

    #[test]
    fn a_sheet_shows_all_streams_and_tells_which_one_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let _stills = [
            still(dir.path(), "red", RED),
            still(dir.path(), "blue", BLUE),
        ];
        let (bus, file) = (dir.path().to_str().unwrap(), dir.path().join("all.png"));
        let args = [
            "snapshot",
            "--sheet",
            "--wait",
            "2s",
            "--tile",
            "64x48",
            "red",
            "gone",
            "blue",
            file.to_str().unwrap(),
            "--frame-dir",
            bus,
        ];
        let output = run(&args);
        assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
        assert!(stderr(&output).contains("gone.sock"), "{}", stderr(&output));
        let (width, height, data) = read_png(&file);
        let share = |colour| data.chunks(3).filter(|p| close(p, colour)).count() as u32;
        assert!(
            width > 2 * WIDTH && height > 2 * HEIGHT,
            "two rows of two: {width}x{height}"
        );
        for (name, colour) in [("red", [255, 0, 0]), ("blue", [0, 0, 255])] {
            assert_eq!(share(colour), WIDTH * HEIGHT, "{name}");
        }
    }

    #[test]
    fn a_stream_without_a_frame_is_waited_for_and_then_told() {
        let dir = tempfile::tempdir().unwrap();
        let silent: Publisher<()> =
            Publisher::bind(&mos_frame::socket_path(dir.path(), "cam"), options()).unwrap();
        silent.set_format(Format::nv12_memfd(64, 48, (30, 1)));
        let (bus, file) = (dir.path().to_str().unwrap(), dir.path().join("cam.png"));
        let output = run(&[
            "snapshot",
            "cam",
            file.to_str().unwrap(),
            "--frame-dir",
            bus,
            "--wait",
            "200ms",
            "--json",
        ]);
        assert_eq!(output.status.code(), Some(8), "{}", stderr(&output));
        assert!(
            json_error(&output)["message"]
                .as_str()
                .unwrap()
                .contains("no frame within 200ms")
        );
        assert!(!file.exists());
    }

    #[test]
    fn several_streams_need_a_sheet() {
        let output = run(&["snapshot", "a", "b", "c.png"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("--sheet"), "{}", stderr(&output));
    }

    #[test]
    fn a_file_that_can_t_be_written_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let _still = still(dir.path(), "cam", RED);
        let file = dir.path().join("none/cam.png");
        let output = run(&[
            "snapshot",
            "cam",
            file.to_str().unwrap(),
            "--frame-dir",
            dir.path().to_str().unwrap(),
        ]);
        assert_eq!(output.status.code(), Some(1));
        assert!(
            stderr(&output).contains("none/cam.png"),
            "{}",
            stderr(&output)
        );
    }
}
