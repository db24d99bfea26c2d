//! Why a subscription was refused or ended.

use serde::{Deserialize, Serialize};

/// Why a subscription was refused or ended by the producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u16)]
#[non_exhaustive]
pub enum Reason {
    /// The buffers don't suffice for one more subscriber with this window and hold.
    OverBudget = 1,
    /// No common protocol version.
    Version = 2,
    /// The window or the hold is out of range.
    BadRequest = 3,
    /// A hold of 0 needs memory that subscribers can't write to.
    HoldZero = 4,
    /// The caller is not on the allow list.
    NotAllowed = 5,
    /// The handshake took too long.
    Timeout = 6,
    /// A message that makes no sense.
    Protocol = 7,
    /// A lease word that no honest subscriber writes.
    BadLease = 8,
    /// More frames held than agreed.
    HoldExceeded = 9,
    /// The producer could not serve the subscriber (out of descriptors or memory).
    Resources = 10,
    /// A reason that this version does not know.
    #[default]
    #[serde(other)]
    Other = 0,
}

impl Reason {
    pub(super) fn from_wire(value: u16) -> Self {
        const KNOWN: [Reason; 10] = [
            Reason::OverBudget,
            Reason::Version,
            Reason::BadRequest,
            Reason::HoldZero,
            Reason::NotAllowed,
            Reason::Timeout,
            Reason::Protocol,
            Reason::BadLease,
            Reason::HoldExceeded,
            Reason::Resources,
        ];
        KNOWN
            .into_iter()
            .find(|r| *r as u16 == value)
            .unwrap_or(Self::Other)
    }
}
