//! A camera on a socket whose other end is played by this test: what the kernel would see, on any host.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use mos_virtual_uvc::usbip::{self, Direction, HEADER, Reply, Request, Submit};
use mos_virtual_uvc::{Camera, CameraConfig, Error, Fault, FormatKind, FormatSpec, Lie, counter};

const WITHIN: Duration = Duration::from_secs(20);
const ROOM: u32 = 16_384;

/// The kernel's end.
struct Kernel {
    socket: UnixStream,
    seq: u32,
}

impl Kernel {
    fn plug(config: &CameraConfig) -> (Self, Camera) {
        let (socket, camera) = UnixStream::pair().unwrap();
        socket.set_read_timeout(Some(WITHIN)).unwrap();
        (
            Self { socket, seq: 0 },
            Camera::on_socket(config, camera).unwrap(),
        )
    }

    fn submit(&mut self, endpoint: u8, setup: [u8; 8], length: u32, data: &[u8]) {
        self.seq += 1;
        let direction = if data.is_empty() {
            Direction::In
        } else {
            Direction::Out
        };
        let (seq, data) = (self.seq, data.to_vec());
        let submit = Submit {
            seq,
            direction,
            endpoint,
            length,
            setup,
            data,
        };
        self.socket
            .write_all(&Request::Submit(submit).encode())
            .unwrap();
    }

    fn reply(&mut self) -> (Reply, Vec<u8>) {
        let mut header = [0; HEADER];
        self.socket.read_exact(&mut header).unwrap();
        let reply = Reply::decode(&header);
        let mut data = vec![0; reply.length as usize];
        self.socket.read_exact(&mut data).unwrap();
        (reply, data)
    }

    /// Commits to the only format.
    fn commit(&mut self, interval: u32) {
        let mut wish = vec![1, 0, 1, 1];
        wish.extend(interval.to_le_bytes());
        wish.resize(34, 0);
        self.submit(0, [0x21, 1, 0, 2, 1, 0, 34, 0], 34, &wish);
        let mut header = [0; HEADER];
        self.socket.read_exact(&mut header).unwrap();
        assert_eq!(Reply::decode(&header).status, usbip::OK);
    }

    /// The next frame, by requests of their usual size.
    fn frame(&mut self) -> Vec<u8> {
        let mut frame = Vec::new();
        loop {
            self.submit(1, [0; 8], ROOM, &[]);
            let (_, data) = self.reply();
            frame.extend_from_slice(&data[2..]);
            if data[1] & 2 != 0 {
                return frame;
            }
        }
    }
}

fn nv12() -> CameraConfig {
    CameraConfig {
        formats: vec![FormatSpec::new(FormatKind::Nv12, &[(320, 240)], &[100])],
        ..CameraConfig::default()
    }
}

#[test]
fn numbered_frames_come_and_are_counted() {
    let (mut kernel, camera) = Kernel::plug(&nv12());
    kernel.commit(100_000);
    for number in 0..4 {
        let frame = kernel.frame();
        assert_eq!(frame.len(), 320 * 240 * 3 / 2);
        assert_eq!(counter::read(&frame, 320, 1), Some(number));
    }
    let stats = camera
        .wait("sending", WITHIN, |stats| stats.frames == 4)
        .unwrap();
    assert_eq!(stats.streaming.unwrap().width, 320);
    assert_eq!(stats.streaming.unwrap().interval, Duration::from_millis(10));
}

#[test]
fn a_stall_holds_from_the_call_on() {
    let (mut kernel, camera) = Kernel::plug(&nv12());
    kernel.commit(100_000);
    kernel.frame();
    camera.set_fault(Fault::Stall).unwrap();
    kernel.submit(1, [0; 8], ROOM, &[]);
    // The camera has read the request before this one once it answers it.
    kernel.submit(0, [0x80, 0, 0, 0, 0, 0, 2, 0], 2, &[]);
    let (reply, _) = kernel.reply();
    assert_eq!((reply.seq, reply.length), (kernel.seq, 2));
    camera.clear_faults().unwrap();
    let (reply, _) = kernel.reply();
    assert_eq!((reply.seq, reply.length), (kernel.seq - 1, ROOM));
}

#[test]
fn unplugging_ends_the_stream_of_bytes() {
    let (mut kernel, camera) = Kernel::plug(&nv12());
    let stats = camera.unplug().unwrap();
    assert!(!stats.attached);
    assert_eq!(kernel.socket.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_camera_that_vanished_says_so_and_takes_commands_in_peace() {
    let (mut kernel, camera) = Kernel::plug(&nv12());
    camera
        .set_fault(Fault::VanishDuringEnumeration { after_requests: 0 })
        .unwrap();
    kernel.submit(0, [0x80, 0, 0, 0, 0, 0, 2, 0], 2, &[]);
    let stats = camera
        .wait("gone", WITHIN, |stats| !stats.attached)
        .unwrap();
    assert!(stats.ended.unwrap().contains("vanished"));
    assert_eq!(kernel.reply().0.status, usbip::GONE);
    assert_eq!(kernel.socket.read(&mut [0]).unwrap(), 0);
    camera.set_fault(Fault::Stall).unwrap();
    let error = camera.wait_frames(1, WITHIN).unwrap_err().to_string();
    assert!(error.contains("vanished"), "{error}");
}

#[test]
fn a_kernel_that_speaks_something_else_ends_it() {
    let (mut kernel, camera) = Kernel::plug(&nv12());
    kernel.socket.write_all(&[0xff; HEADER]).unwrap();
    let stats = camera
        .wait("gone", WITHIN, |stats| !stats.attached)
        .unwrap();
    assert!(stats.ended.unwrap().contains("0xffffffff"));
}

#[test]
fn a_kernel_that_hangs_up_unplugs_it() {
    let (kernel, camera) = Kernel::plug(&nv12());
    drop(kernel);
    camera
        .wait("gone", WITHIN, |stats| !stats.attached)
        .unwrap();
}

#[test]
fn what_a_camera_told_can_not_be_changed_later() {
    let (_kernel, camera) = Kernel::plug(&nv12());
    let error = camera.set_fault(Fault::Lie(Lie::ZeroSize)).unwrap_err();
    assert!(matches!(error, Error::TooLate(_)), "{error}");
}

#[test]
fn an_unplug_does_not_wait_for_a_kernel_that_reads_nothing() {
    let (mut kernel, camera) = Kernel::plug(&nv12());
    kernel.commit(100_000);
    for _ in 0..2000 {
        kernel.submit(1, [0; 8], ROOM, &[]);
    }
    camera.wait_frames(3, WITHIN).unwrap();
    drop(camera);
}

#[test]
fn impossible_cameras_are_not_plugged_in() {
    let (socket, _other) = UnixStream::pair().unwrap();
    let config = CameraConfig {
        formats: Vec::new(),
        ..CameraConfig::default()
    };
    let error = Camera::on_socket(&config, socket).unwrap_err();
    assert!(matches!(error, Error::Config(_)), "{error}");
}
