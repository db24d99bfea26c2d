//! Lying descriptors: what Linux makes of them. None may end the kernel or the camera's thread.

use std::fs;
use std::path::PathBuf;

use mos_testkit::wait_until;
use mos_virtual_uvc::{Camera, CameraConfig, Fault, Lie};

use crate::host::{WITHIN, all, node, ready, v4l2};

/// What Linux 6.12 makes of a lie.
enum Outcome {
    /// It takes the device, but there is no node.
    NoNode,
    /// There is a node that lists this; streaming ends with this, or works.
    Node(&'static str, Result<(), &'static str>),
}

use Outcome::{NoNode, Node};

fn outcome(lie: Lie) -> Outcome {
    match lie {
        // It counts the formats by itself, as long as all descriptors together are longer than the header says it is.
        Lie::TooManyFormats => Node("320x240", Ok(())),
        Lie::NoFormats | Lie::TooManyIntervals => NoNode,
        // It believes the size for JPEG (and warns in its log), and computes that of raw formats.
        Lie::ZeroBufferSize => Node("320x240", Err("Invalid argument")),
        Lie::HugeBufferSize => Node("320x240", Err("Cannot allocate memory")),
        // It makes them 100 ns.
        Lie::ZeroInterval => Node("10000000.000 fps", Ok(())),
        // What lies behind the descriptor is lost with it, so is the endpoint.
        Lie::Overrun | Lie::ZeroLength => Node("320x240", Err("Input/output error")),
        Lie::ZeroSize => Node("0x0", Ok(())),
        Lie::AbsurdSize => Node("65535x65535", Ok(())),
    }
}

fn config(lie: Option<Lie>) -> CameraConfig {
    CameraConfig {
        faults: lie.map(Fault::Lie).into_iter().collect(),
        ..CameraConfig::default()
    }
}

/// Whether uvcvideo is done with the device, node or not: it makes the media device last.
fn is_bound(camera: &Camera) -> bool {
    let media = |device: PathBuf| {
        let name = device.file_name()?.to_str()?;
        let entries = fs::read_dir(device.join(format!("{name}:1.0"))).ok()?;
        let mut names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
        names.find(|name| name.to_string_lossy().starts_with("media"))
    };
    camera.sysfs().and_then(media).is_some()
}

#[test]
fn lies_end_where_linux_ends_them() {
    if !ready("lies_end_where_linux_ends_them") {
        return;
    }
    for lie in Lie::all() {
        let camera = Camera::plug(&config(Some(lie))).unwrap();
        match outcome(lie) {
            NoNode => {
                wait_until("driver", WITHIN, || is_bound(&camera).then_some(())).unwrap();
                assert!(camera.nodes().is_empty(), "{lie}");
            }
            Node(listed, streamed) => {
                let node = node(&camera);
                let text = all(&v4l2(&node, &["--list-formats-ext"]));
                assert!(text.contains(listed), "{lie}: {text}");
                let output = v4l2(&node, &["--stream-mmap", "--stream-count=2"]);
                let text = all(&output);
                match streamed {
                    Ok(()) => assert!(camera.stats().frames >= 2, "{lie}: {text}"),
                    Err(why) => assert!(text.contains(why), "{lie}: {text}"),
                }
            }
        }
        let stats = camera.stats();
        assert!(stats.attached, "{lie}: {:?}", stats.ended);
        camera.unplug().unwrap();
    }
    let camera = Camera::plug(&config(None)).unwrap();
    let node = node(&camera);
    assert!(
        v4l2(&node, &["--stream-mmap", "--stream-count=2"])
            .status
            .success()
    );
}
