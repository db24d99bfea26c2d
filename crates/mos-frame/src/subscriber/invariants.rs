//! What holds of a subscriber's session between two calls; see the publisher's `invariants`.

use super::session::{MAX_EPOCHS, Session};
use crate::shm::SLOTS;

impl Session {
    /// Says what is wrong with the session, if anything is. By the thread that owns it; frames may be dropped meanwhile.
    pub(crate) fn check_invariants(&self) -> Result<(), String> {
        if self.is_started() && self.shared.is_none() {
            return Err("started without a board".into());
        }
        if self.formats.len() > MAX_EPOCHS {
            return Err(format!("{} formats are kept", self.formats.len()));
        }
        if self.buffers.len() > SLOTS {
            return Err(format!("{} slots are known", self.buffers.len()));
        }
        let buffers = self.buffers.iter().enumerate();
        for (slot, buffer) in buffers.filter_map(|(n, b)| Some((n, b.as_ref()?))) {
            let (fds, named) = (buffer.fds.len(), buffer.layout.fd_count());
            if fds != named || !buffer.layout.is_valid() {
                return Err(format!(
                    "buffer {slot} has {fds} descriptors, its planes name {named}"
                ));
            }
        }
        if let Some(shared) = &self.shared {
            let (held, limit) = (shared.holds.count(), shared.holds.limit());
            if held > limit {
                return Err(format!("{held} frames are held, {limit} were agreed"));
            }
            // Each frame keeps the connection; one that is being dropped gives up its hold first. One that is being claimed may
            // have its hold already.
            let frames = shared.holds.handles();
            if held as usize > frames + 1 {
                return Err(format!("{held} frames are held, {frames} are out"));
            }
        }
        Ok(())
    }
}
