//! The frame bus: camera frames from one producer process to any number of subscriber processes on one machine.
//!
//! Only file descriptors and 64-byte descriptions move; pixels never do. The promise: a slow, stopped, crashed or hostile
//! subscriber never stalls the producer, never takes a frame from another subscriber, and no frame is overwritten while it
//! is held. (Where the memory's exporter can't give read-only access, a hostile subscriber can still scribble on pixels;
//! [`Format::read_only`] says which case it is.)
//!
//! - A stream is one `SOCK_SEQPACKET` socket ([`socket_path`]). It carries control messages, each buffer's descriptors once,
//!   and rings for subscribers that sleep.
//! - What is on offer stands in shared memory: a *board* that the producer writes, and a *lease page* per subscriber with
//!   one word a buffer. Publishing, claiming, taking back and releasing are single atomic operations on that word.
//! - Each subscriber asks for a window N and a hold H. Offers older than the newest N are taken back without its help
//!   (LATEST-N); at most H frames are held at once. The producer admits a subscriber only if its buffers suffice.
//!
//! [`Publisher`] and [`Subscriber`] are the two ends; [`MemfdPool`] is a pool for producers that make their own pictures.

// `--cfg mos_loom` builds the models: only what two processes race in, without what needs the kernel.
#![cfg_attr(
    mos_loom,
    allow(
        dead_code,
        unused_imports,
        unreachable_pub,
        reason = "only the models use it"
    )
)]

#[cfg(not(target_os = "linux"))]
compile_error!("mos-frame needs Linux: memfd, dma-buf, SCM_RIGHTS, pidfd");

mod admission;
#[cfg(all(feature = "cpu-access", not(mos_loom)))]
pub mod allocation;
mod books;
mod format;
#[cfg(any(test, fuzzing))]
#[cfg(not(mos_loom))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(test)]
#[cfg(not(mos_loom))]
mod hostile;
#[cfg(not(mos_loom))]
mod inspect;
#[cfg(not(mos_loom))]
pub mod mappings;
#[cfg(not(mos_loom))]
pub mod memory;
#[cfg(mos_loom)]
mod model;
#[cfg(not(mos_loom))]
mod paths;
#[cfg(not(mos_loom))]
mod pool;
#[cfg(test)]
#[cfg(not(mos_loom))]
mod protocol_doc;
#[cfg(not(mos_loom))]
mod publisher;
mod shm;
#[cfg(not(mos_loom))]
mod socket;
#[cfg(not(mos_loom))]
mod subscriber;
#[cfg(all(feature = "tokio", not(mos_loom)))]
pub mod tokio;
mod wire;

pub use format::{
    ClockSource, Format, FourCc, FrameFlags, FrameMeta, Layout, MemoryKind, Plane, monotonic_ns,
};
#[cfg(not(mos_loom))]
pub use inspect::{Inspection, inspect};
#[cfg(not(mos_loom))]
pub use paths::{default_dir, find_socket, socket_path};
#[cfg(not(mos_loom))]
pub use pool::{MemfdPool, PoolFrame};
#[cfg(not(mos_loom))]
pub use publisher::{
    Access, BindError, Budget, Caller, EpochDrain, HoldInfo, ImportError, LeaseCounters, LeaseInfo,
    PublishError, Publisher, PublisherOptions, PublisherStats, Refusal, SlotId, SubscriberInfo,
    TimeSummary,
};
#[cfg(all(feature = "cpu-access", not(mos_loom)))]
pub use subscriber::MappedFrame;
#[cfg(not(mos_loom))]
pub use subscriber::{
    ConnectError, Frame, Reason, RecvError, Subscriber, SubscriberOptions, SubscriberStats, Waited,
};
