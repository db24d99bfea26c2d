//! The one question to V4L2 that no safe library asks: what a control is, by its number.
//!
//! Here because it takes an ioctl(2), and this is one of the crates that may call what the compiler can't check.

use std::ffi::c_void;
use std::io;
use std::os::fd::BorrowedFd;

use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, ioctl, opcode};

/// `struct v4l2_queryctrl` (linux/videodev2.h).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryControl {
    /// `V4L2_CID_...`.
    pub id: u32,
    /// `V4L2_CTRL_TYPE_...`.
    pub kind: u32,
    /// What the driver calls it, ended by 0.
    pub name: [u8; 32],
    /// Smallest value.
    pub minimum: i32,
    /// Largest value.
    pub maximum: i32,
    /// Distance between values.
    pub step: i32,
    /// What the device starts with.
    pub default_value: i32,
    /// `V4L2_CTRL_FLAG_...`.
    pub flags: u32,
    reserved: [u32; 2],
}

/// Asks a V4L2 node for a control (`VIDIOC_QUERYCTRL`).
///
/// `EINVAL` if the node has no such control, `ENOTTY` if the descriptor is no V4L2 node.
pub fn query_control(node: BorrowedFd<'_>, id: u32) -> io::Result<QueryControl> {
    let question = QueryControl {
        id,
        kind: 0,
        name: [0; 32],
        minimum: 0,
        maximum: 0,
        step: 0,
        default_value: 0,
        flags: 0,
        reserved: [0; 2],
    };
    // SAFETY: the opcode is that of VIDIOC_QUERYCTRL, which reads and writes one `struct v4l2_queryctrl`; `Question` is it.
    Ok(unsafe { ioctl(node, Question(question)) }?)
}

struct Question(QueryControl);

// SAFETY: the kernel reads and writes exactly the structure that `as_ptr` points to, which lives as long as `self` and is
// plain numbers, valid whatever is written.
unsafe impl Ioctl for Question {
    type Output = QueryControl;

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        opcode::read_write::<QueryControl>(b'V', 36)
    }

    fn as_ptr(&mut self) -> *mut c_void {
        (&raw mut self.0).cast()
    }

    unsafe fn output_from_ptr(
        _: IoctlOutput,
        answer: *mut c_void,
    ) -> rustix::io::Result<QueryControl> {
        // SAFETY: rustix hands back what `as_ptr` gave.
        Ok(unsafe { *answer.cast::<QueryControl>() })
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn the_question_has_the_kernel_s_number() {
        // _IOWR('V', 36, struct v4l2_queryctrl), 68 bytes, as strace shows it on x86 and Arm.
        let question = query_control_opcode();
        assert_eq!(question, 0xc044_5624);
    }

    fn query_control_opcode() -> Opcode {
        opcode::read_write::<QueryControl>(b'V', 36)
    }

    #[test]
    fn what_is_no_node_says_so() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let error = query_control(file.as_fd(), 0x0098_0900).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(25), "ENOTTY");
    }
}
