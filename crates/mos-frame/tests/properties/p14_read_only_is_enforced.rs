//! Property 14: where the format says that frames are read-only, the kernel sees to it: no subscriber can map them for writing,
//! write to them, punch holes into them or change their size. The same for the board.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr;

use mos_frame::{
    ConnectError, Format, Layout, MemfdPool, Publisher, PublisherOptions, Reason, Subscriber,
    SubscriberOptions, memory,
};
use rustix::fs::{FallocateFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};

use crate::common::{Stream, assert_whole};
use crate::faults::Raw;
use crate::runner::Properties;

pub(crate) fn list(properties: &mut Properties) {
    properties.add(
        "p14_read_only_is_enforced",
        &[
            ("for_a_subscribers_frames", frames),
            ("for_the_board", board),
            ("a_hold_of_zero_needs_it", hold_zero_needs_it),
        ],
    );
}

/// Everything that would change the memory behind `fd` fails, also by a second way to it.
fn assert_read_only(fd: BorrowedFd<'_>, len: usize) {
    assert_fd_read_only(fd, len);
    let again = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&fd));
    let reopened = rustix::fs::open(again, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    assert_fd_read_only(reopened.unwrap().as_fd(), len);
}

fn assert_fd_read_only(fd: BorrowedFd<'_>, len: usize) {
    let map = |prot| {
        // SAFETY: the kernel picks the address, so no memory of this process is replaced.
        unsafe { rustix::mm::mmap(ptr::null_mut(), len, prot, MapFlags::SHARED, fd, 0) }
    };
    assert_eq!(map(ProtFlags::READ | ProtFlags::WRITE), Err(Errno::PERM));
    assert_eq!(map(ProtFlags::WRITE), Err(Errno::PERM));
    let readable = map(ProtFlags::READ).expect("a mapping for reading");
    // SAFETY: a mapping of this function; nothing else refers to it.
    let raised =
        unsafe { rustix::mm::mprotect(readable, len, MprotectFlags::READ | MprotectFlags::WRITE) };
    assert_eq!(raised, Err(Errno::ACCESS));
    // SAFETY: as above.
    unsafe { rustix::mm::munmap(readable, len) }.unwrap();
    assert_eq!(rustix::io::pwrite(fd, b"x", 0), Err(Errno::PERM));
    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    assert_eq!(rustix::fs::fallocate(fd, hole, 0, 4096), Err(Errno::PERM));
    assert_eq!(rustix::fs::ftruncate(fd, 0), Err(Errno::PERM));
    assert_eq!(rustix::fs::ftruncate(fd, 1 << 24), Err(Errno::PERM));
    let seals = rustix::fs::fcntl_get_seals(fd).unwrap();
    assert!(seals.contains(SealFlags::FUTURE_WRITE | SealFlags::SEAL));
}

fn frames() {
    let stream = Stream::new(8);
    let mut subscriber = stream.subscribe(2, 1);
    for _ in 0..8 {
        stream.publish();
        let frame = subscriber.next().unwrap();
        assert!(frame.format().read_only);
        let len = frame.layout().bytes_of(0) as usize;
        for fd in frame.fds() {
            assert_read_only(fd, len);
        }
        assert_whole(&frame);
    }
}

fn board() {
    let stream = Stream::new(8);
    let peer = Raw::join(&stream.path, 2, 1);
    stream.burst(3);
    assert_read_only(peer.board.fd.as_fd(), 4096);
    assert_eq!(peer.board.head(), 3);
}

/// Memory that a subscriber can write to can't be taken back from it by saying so.
fn hold_zero_needs_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = mos_frame::socket_path(dir.path(), "test");
    let publisher = Publisher::bind(&path, PublisherOptions::default()).unwrap();
    let writable = Format {
        read_only: false,
        ..Format::nv12_memfd(64, 48, (30, 1))
    };
    publisher.set_format(writable.clone());
    let layout = Layout::nv12(64, 48);
    let open: OwnedFd = memory::memfd("open", layout.bytes_of(0)).unwrap();
    publisher.import(&[open.as_fd()], &layout).unwrap();
    let connect = |hold| {
        let options = SubscriberOptions {
            hold,
            ..Default::default()
        };
        Subscriber::connect(&path, options)
    };
    let refused = connect(0).unwrap_err();
    let as_it_should = matches!(
        refused,
        ConnectError::Refused {
            reason: Reason::HoldZero,
            ..
        }
    );
    assert!(as_it_should, "{refused}");
    assert!(connect(1).is_ok());
    // A format whose memory is sealed lets it in, and the next that is not throws it out again.
    let sealed = Format::nv12_memfd(64, 48, (30, 1));
    publisher.set_format(sealed.clone());
    let pool = MemfdPool::new(&publisher, &sealed, 4).unwrap();
    let mut borrower = connect(0).unwrap();
    pool.acquire()
        .unwrap()
        .publish(&publisher, mos_frame::FrameMeta::default())
        .unwrap();
    let frame = borrower.next().unwrap();
    assert!(frame.is_valid());
    publisher.set_format(writable);
    assert!(
        !frame.is_valid(),
        "it was revoked before the memory is another's"
    );
    match borrower.next().unwrap_err() {
        mos_frame::RecvError::Evicted {
            reason: Reason::HoldZero,
            text,
        } => assert!(text.contains("written"), "{text}"),
        other => panic!("{other}"),
    }
}
