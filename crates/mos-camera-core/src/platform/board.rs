//! Boards and chips that this build does not know by itself.

use super::choice::CsiBackend;
use super::family::Family;

/// A word of a device tree, and what it means: told by a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Board {
    /// The word, as it stands in the root's `compatible`.
    pub compatible: String,
    /// Whose ways are used.
    pub family: Family,
    /// What drives its cameras, the best first; none: what the family prefers.
    pub csi: Option<Vec<CsiBackend>>,
    /// The profile that says so.
    pub origin: String,
}
