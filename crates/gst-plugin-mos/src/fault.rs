//! What the elements attach to their error messages, so that a program can tell faults apart.

/// Name of the structure in [`gst::message::Error::details`].
///
/// Fields, all strings: `kind` (`contract`: the frames break the contract; `bus`: the frame bus refused or failed),
/// `reason` (a stable code, listed at the element) and `advice` (what to do, for people).
pub const DETAILS: &str = "mos-fault";

/// Kind of a fault: what went wrong, seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The frames or their caps break the contract.
    Contract,
    /// The frame bus refused or failed.
    Bus,
}

/// The details of an error message.
pub(crate) fn details(kind: Kind, reason: &str, advice: &str) -> gst::Structure {
    let kind = match kind {
        Kind::Contract => "contract",
        Kind::Bus => "bus",
    };
    gst::Structure::builder(DETAILS)
        .field("kind", kind)
        .field("reason", reason)
        .field("advice", advice)
        .build()
}
