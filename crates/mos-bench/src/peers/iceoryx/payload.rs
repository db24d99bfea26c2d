//! What is sent, in iceoryx2's terms.

use std::fmt::Debug;
use std::mem::MaybeUninit;

use iceoryx2::prelude::ZeroCopySend;

/// Bytes of a block: a 1080p NV12 frame is 48 of them exactly. iceoryx2 lends slices of things that have a default, and a
/// default that wrote every byte would be measured as if it were the transport.
const BLOCK: usize = 64_800;
const STAMPS: usize = size_of::<u64>();

/// A piece of a frame.
#[derive(Clone, Copy, Debug, ZeroCopySend)]
#[repr(C)]
pub(super) struct Block {
    pub(super) stamp: u64,
    pixels: [MaybeUninit<u8>; BLOCK - STAMPS],
}

impl Default for Block {
    #[inline]
    #[expect(
        clippy::large_stack_arrays,
        reason = "one that lives only where iceoryx2 makes it; nothing of it is written but the stamp"
    )]
    fn default() -> Self {
        Self {
            stamp: 0,
            pixels: [const { MaybeUninit::uninit() }; BLOCK - STAMPS],
        }
    }
}

/// Blocks of a 1080p NV12 frame.
pub(super) const BLOCKS_OF_FRAME: usize = 1920 * 1080 * 3 / 2 / BLOCK;

/// As large as the bus's own description of a frame.
#[derive(Clone, Copy, Debug, Default, ZeroCopySend)]
#[repr(C)]
pub(super) struct Descriptor {
    pub(super) stamp: u64,
    rest: [u64; 7],
}

impl Descriptor {
    pub(super) fn new(stamp: u64) -> Self {
        Self {
            stamp,
            rest: [stamp; 7],
        }
    }

    /// All of it is of one frame.
    pub(super) fn is_whole(&self) -> bool {
        self.rest.iter().all(|&word| word == self.stamp)
    }
}

/// First and last block are of one frame.
pub(super) fn is_whole(blocks: &[Block]) -> bool {
    let stamp = |block: Option<&Block>| block.map(|block| block.stamp);
    blocks.len() == BLOCKS_OF_FRAME && stamp(blocks.first()) == stamp(blocks.last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_whole_blocks() {
        assert_eq!(BLOCKS_OF_FRAME * size_of::<Block>(), 1920 * 1080 * 3 / 2);
    }

    #[test]
    fn different_stamps_are_torn() {
        assert!(Descriptor::new(7).is_whole());
        let torn = Descriptor {
            stamp: 8,
            ..Descriptor::new(7)
        };
        assert!(!torn.is_whole());
        let mut frame = vec![Block::default(); BLOCKS_OF_FRAME];
        assert!(is_whole(&frame));
        frame[BLOCKS_OF_FRAME - 1].stamp = 1;
        assert!(!is_whole(&frame) && !is_whole(&frame[1..]));
    }
}
