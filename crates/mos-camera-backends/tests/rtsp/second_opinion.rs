//! What reaches the bus is what ffmpeg, as a client of the same camera, makes of the same numbered picture.

use std::collections::BTreeMap;
use std::process::Command;

use mos_camera_core::RtspSource;
use mos_frame::Frame;
use mos_testkit::{Codec, RtspServer, RtspServerOptions, skip::skip};

use crate::conformance::next;
use crate::rig::{backend, streams};

/// Pictures that each of both takes: sessions have encoders of their own, which begin with the same pictures.
const PICTURES: usize = 30;

/// Luma and chroma of NV12, without padding, by the number that is burnt in.
type Pictures = BTreeMap<u32, Vec<u8>>;

fn packed(frame: &Frame) -> Vec<u8> {
    let (width, height) = (
        frame.format().width as usize,
        frame.format().height as usize,
    );
    let mapped = frame.map().unwrap();
    let mut bytes = Vec::with_capacity(width * height * 3 / 2);
    for (plane, rows) in [(0, height), (1, height / 2)] {
        let stride = frame.layout().planes[plane].stride as usize;
        let lines = mapped.plane(plane).unwrap().chunks(stride).take(rows);
        lines.for_each(|line| bytes.extend(&line[..width]));
    }
    bytes
}

fn ours(url: &str) -> Pictures {
    let running = streams(&backend(RtspSource::new(url)));
    let mut subscriber = running.subscribe();
    let mut pictures = Pictures::new();
    while pictures.len() < PICTURES {
        let frame = next(&mut subscriber);
        if let Some(number) = gstmos::counter::read_frame(&frame).unwrap() {
            pictures.insert(number, packed(&frame));
        }
    }
    pictures
}

/// Decoded by ffmpeg; `None` without it.
fn of_ffmpeg(url: &str, size: (u32, u32)) -> Option<Pictures> {
    let (width, height) = (size.0 as usize, size.1 as usize);
    let frames = (2 * PICTURES).to_string();
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-rtsp_transport", "tcp", "-i", url])
        .args([
            "-frames:v",
            &frames,
            "-vsync",
            "passthrough",
            "-f",
            "rawvideo",
        ])
        // No scaling, so that nothing but the order of the samples changes.
        .args(["-pix_fmt", "nv12", "-sws_flags", "neighbor", "-"])
        .output()
        .ok()?;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let pictures = output
        .stdout
        .chunks_exact(width * height * 3 / 2)
        .filter_map(|picture| {
            let number = gstmos::counter::read(picture, width, width, height)?;
            Some((number, picture.to_vec()))
        });
    Some(pictures.collect())
}

#[test]
fn ffmpeg_sees_the_same_pictures() {
    for codec in [Codec::H264, Codec::H265] {
        let options = RtspServerOptions {
            codec,
            counter: true,
            fps: 15,
            size: (320, 240),
            ..RtspServerOptions::default()
        };
        let server = RtspServer::start(&options).unwrap();
        let url = server.url(0);
        let Some(others) = of_ffmpeg(&url, options.size) else {
            skip("ffmpeg_sees_the_same_pictures", "no ffmpeg on this machine").unwrap();
            return;
        };
        let ours = ours(&url);
        let both: Vec<_> = ours
            .iter()
            .filter_map(|(number, picture)| Some((number, picture, others.get(number)?)))
            .collect();
        assert!(
            both.len() >= PICTURES / 2,
            "{codec:?}: {:?} and {:?}",
            ours.keys(),
            others.keys()
        );
        for (number, mine, other) in both {
            let worst = mine.iter().zip(other).map(|(a, b)| a.abs_diff(*b)).max();
            assert_eq!(mine.len(), other.len());
            assert!(
                worst <= Some(1),
                "{codec:?}: picture {number} differs by up to {worst:?}"
            );
        }
    }
}
