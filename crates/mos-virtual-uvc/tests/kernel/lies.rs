//! Lying descriptors: what Linux makes of them. None may end the kernel or the camera's thread.

use std::fs;
use std::path::{Path, PathBuf};

use mos_testkit::wait_until;
use mos_virtual_uvc::{Camera, CameraConfig, Fault, Lie};

use crate::host::{WITHIN, all, node, ready, v4l2};

/// Frames arrive, or v4l2-ctl says this.
type Streamed = Result<(), &'static str>;

/// What Linux 6.12 makes of a lie.
enum Outcome {
    /// It takes the device, but there is no node.
    NoNode,
    /// There is a node that lists this; then how JPEG is streamed, and how NV12.
    Node(&'static str, Streamed, Streamed),
}

use Outcome::{NoNode, Node};

const NOT_VALID: Streamed = Err("Invalid argument");
const NO_MEMORY: Streamed = Err("Cannot allocate memory");
const NO_ENDPOINT: Streamed = Err("Input/output error");

fn outcome(lie: Lie) -> Outcome {
    match lie {
        // It counts the formats by itself, as long as all descriptors together are longer than the header says it is.
        Lie::TooManyFormats => Node("320x240", Ok(()), Ok(())),
        Lie::NoFormats | Lie::TooManyIntervals => NoNode,
        // It believes the size for JPEG (and warns in its log of buffers without bytes), and computes that of raw formats.
        Lie::ZeroBufferSize => Node("320x240", NOT_VALID, Ok(())),
        Lie::HugeBufferSize => Node("320x240", NO_MEMORY, Ok(())),
        // It makes them 100 ns.
        Lie::ZeroInterval => Node("10000000.000 fps", Ok(()), Ok(())),
        // What lies behind the descriptor is lost with it, so is the endpoint.
        Lie::Overrun | Lie::ZeroLength => Node("320x240", NO_ENDPOINT, NO_ENDPOINT),
        Lie::ZeroSize => Node("0x0", Ok(()), NOT_VALID),
        Lie::AbsurdSize => Node("65535x65535", Ok(()), NO_MEMORY),
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

/// Takes two frames in the node's default size, or fails as expected.
fn assert_streams(camera: &Camera, node: &Path, four_cc: &str, expected: Streamed, lie: Lie) {
    let before = camera.stats().frames;
    let format = format!("--set-fmt-video=pixelformat={four_cc}");
    let text = all(&v4l2(node, &[&format, "--stream-mmap", "--stream-count=2"]));
    let sent = camera.stats().frames - before;
    match expected {
        Ok(()) => assert!(sent >= 2, "{lie}, {four_cc}: {sent} frames; {text}"),
        Err(why) => assert!(text.contains(why) && sent == 0, "{lie}, {four_cc}: {text}"),
    }
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
            Node(listed, jpeg, raw) => {
                let node = node(&camera);
                let text = all(&v4l2(&node, &["--list-formats-ext"]));
                assert!(text.contains(listed), "{lie}: {text}");
                assert_streams(&camera, &node, "MJPG", jpeg, lie);
                assert_streams(&camera, &node, "NV12", raw, lie);
            }
        }
        let stats = camera.stats();
        assert!(stats.attached, "{lie}: {:?}", stats.ended);
        camera.unplug().unwrap();
    }
    // A camera that tells the truth is as welcome as before.
    let camera = Camera::plug(&config(None)).unwrap();
    let node = node(&camera);
    let output = v4l2(&node, &["--stream-mmap", "--stream-count=2"]);
    assert!(output.status.success(), "{}", all(&output));
}
