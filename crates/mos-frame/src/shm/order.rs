//! The memory ordering of every step in which two processes race, and what needs it. `cargo xtask model` runs the protocol
//! through every interleaving with these orderings, and again with each of them weakened: none breaks the first, each breaks
//! the second.

use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, SeqCst};

use super::words;

/// A step and its ordering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Producer offers a frame. Whoever claims it sees the pixels and the descriptor.
    Offer,
    /// Producer takes an unclaimed offer back. Nobody touched the buffer since the producer did.
    Recall,
    /// ... and finds it claimed, or even released: the buffer may be written again.
    RecallFailed,
    /// Producer looks at a word; if it is released the buffer may be written again.
    Look,
    /// Producer takes a held frame away. What the reader still reads counts for nothing.
    Revoke,
    /// ... and finds it released.
    RevokeFailed,
    /// Producer overwrites the pixels only after the word says that they are void. Pairs with [`Step::ValidFence`].
    RevokeFence,
    /// Subscriber claims. It sees the pixels and the descriptor; and a producer that sees this claim also sees the releases
    /// that made room for it, so that it never counts one frame too many.
    Claim,
    /// Subscriber releases: its reads are done before the producer writes.
    Release,
    /// Subscriber checks a claim after it read. Pairs with [`Step::RevokeFence`].
    ValidFence,
    /// Subscriber looks whether it may hold one more: what it releases on other threads is released before it claims.
    HoldsLook,
    /// Subscriber has released one.
    HoldsLess,
    /// Subscriber armed the doorbell and looks for offers again. Pairs with [`Step::PublishFence`]: one of both sees the other.
    ArmFence,
    /// Producer made all offers of a publish and looks who is armed.
    PublishFence,
    /// Producer makes a frame the newest: its offers and its entry in the ring are there.
    Advance,
    /// Subscriber looks for the newest frame.
    Head,
    /// Producer voids a descriptor before it changes it. Pairs with [`Step::ReadFence`].
    VoidFence,
    /// Producer validates a descriptor. Pairs with [`Step::ReadSeq`].
    DescribeSeq,
    /// Subscriber reads a descriptor's sequence, then the descriptor.
    ReadSeq,
    /// Subscriber has read a descriptor and looks whether it still is the same frame's.
    ReadFence,
}

impl Step {
    const fn needs(self) -> Ordering {
        match self {
            Self::Recall | Self::Revoke => Relaxed,
            Self::Claim => AcqRel,
            Self::ArmFence | Self::PublishFence => SeqCst,
            Self::RecallFailed
            | Self::Look
            | Self::RevokeFailed
            | Self::ValidFence
            | Self::HoldsLook
            | Self::Head
            | Self::ReadSeq
            | Self::ReadFence => Acquire,
            Self::Offer
            | Self::RevokeFence
            | Self::Release
            | Self::HoldsLess
            | Self::Advance
            | Self::VoidFence
            | Self::DescribeSeq => Ordering::Release,
        }
    }

    /// The ordering to use.
    #[cfg(not(mos_loom))]
    pub(super) const fn order(self) -> Ordering {
        self.needs()
    }

    /// The ordering to use, unless a model tries a weaker one.
    #[cfg(mos_loom)]
    pub(super) fn order(self) -> Ordering {
        crate::model::weaker::of(self).unwrap_or(self.needs())
    }

    /// A fence of this ordering.
    pub(super) fn fence(self) {
        match self.order() {
            // Only a model asks for a fence that is none.
            Relaxed => {}
            order => words::fence(order),
        }
    }
}
