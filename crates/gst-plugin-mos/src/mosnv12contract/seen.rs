//! The memory of the stream: which dma-bufs passed last.

use mos_frame::memory::MemoryId;

/// Most dma-bufs that are remembered.
pub(super) const MOST: usize = 128;

/// The dma-bufs that passed last, each once.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// With the number of the sighting that was its last.
    memories: Vec<(MemoryId, u64)>,
    sightings: u64,
}

impl Seen {
    /// Takes note of a dma-buf; a full list loses the one that was not seen for longest.
    pub(super) fn note(&mut self, id: MemoryId) {
        self.sightings += 1;
        let now = self.sightings;
        if let Some((_, last)) = self.memories.iter_mut().find(|(known, _)| *known == id) {
            *last = now;
        } else if self.memories.len() < MOST {
            self.memories.push((id, now));
        } else if let Some(oldest) = self.memories.iter_mut().min_by_key(|(_, last)| *last) {
            *oldest = (id, now);
        }
    }

    pub(super) fn ids(&self) -> Vec<MemoryId> {
        self.memories.iter().map(|(id, _)| *id).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::os::fd::{AsFd, OwnedFd};

    use mos_frame::memory::{memfd, memory_id};

    use super::*;

    #[test]
    fn each_is_listed_once_and_the_longest_unseen_is_lost_first() {
        let memories: Vec<OwnedFd> = (0..=MOST).map(|_| memfd("seen", 4096).unwrap()).collect();
        let ids: Vec<MemoryId> = memories
            .iter()
            .map(|fd| memory_id(fd.as_fd()).unwrap())
            .collect();
        let mut seen = Seen::default();
        for &id in ids[..MOST].iter().chain(&ids[..1]) {
            seen.note(id);
        }
        assert_eq!(seen.ids(), ids[..MOST]);
        seen.note(ids[MOST]);
        // The first was seen again, so the second is the oldest.
        let expected: HashSet<_> = ids.iter().filter(|&id| *id != ids[1]).copied().collect();
        assert_eq!(seen.ids().into_iter().collect::<HashSet<_>>(), expected);
        assert_eq!(seen.ids().len(), MOST);
    }
}
