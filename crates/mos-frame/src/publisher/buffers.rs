//! Buffers and epochs: entering, finding and letting go.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::state::{Aftermath, Identity, Outgoing, Slot, State};
use super::subscribers::doom;
use crate::format::{Format, Layout};
use crate::memory::MemoryId;
use crate::publisher::{ImportError, SlotId};
use crate::shm::SLOTS;
use crate::wire::{Message, Reason};

impl<K> State<K> {
    /// Starts an epoch, unless the format is the one of the running epoch. Buffers of the old epoch go when their leases end.
    pub(super) fn set_format(&mut self, format: Format, after: &mut Aftermath<K>) -> u32 {
        if self.format.as_ref() == Some(&format) {
            return self.epoch;
        }
        if self.slots.iter().flatten().any(|s| s.epoch == self.epoch) {
            self.drains.begin(self.epoch);
        }
        self.epoch += 1;
        for sub in &mut self.subs {
            if sub.demand.hold == 0 && !format.read_only && sub.doomed.is_none() {
                let text = "the new format's memory can be written by subscribers";
                doom(
                    sub,
                    &mut self.slots,
                    &mut self.evictions,
                    Reason::HoldZero,
                    text,
                );
            }
            sub.outbox
                .retain(|o| !matches!(o, Outgoing::Plain(Message::Format { .. })));
            sub.outbox.push_back(Outgoing::Plain(Message::Format {
                epoch: self.epoch,
                format: format.clone(),
            }));
        }
        self.format = Some(format);
        self.newest = None;
        for slot in self.slots.iter_mut().flatten() {
            slot.retired = true;
        }
        self.live = 0;
        self.settle_all(after);
        after.wake = true;
        self.epoch
    }

    /// The slot of a buffer that is known already.
    pub(super) fn find(&self, memory: &[MemoryId], layout: &Layout) -> Option<SlotId> {
        self.slots.iter().enumerate().find_map(|(index, slot)| {
            let slot = slot.as_ref()?;
            let is_it = slot.identity.memory == memory && slot.identity.layout == *layout;
            (!slot.retired && is_it).then_some(SlotId {
                index: index as u16,
                generation: slot.generation,
            })
        })
    }

    /// Enters a buffer. Where the pool's size is reached the buffer that was idle longest makes room: a source that
    /// allocates anew for each frame would else pile up memory here.
    pub(super) fn insert(
        &mut self,
        identity: Identity,
        fds: Vec<OwnedFd>,
        after: &mut Aftermath<K>,
    ) -> Result<SlotId, ImportError> {
        // Another thread may have entered it since it was looked for.
        if let Some(known) = self.find(&identity.memory, &identity.layout) {
            return Ok(known);
        }
        if self.live >= self.budget.slots {
            self.retire_oldest_idle(after);
        }
        let index = self
            .slots
            .iter()
            .position(Option::is_none)
            .ok_or(ImportError::Full)?;
        self.generation += 1;
        let generation = self.generation;
        self.live += 1;
        self.slots[index] = Some(Slot {
            generation,
            epoch: self.epoch,
            identity,
            fds: Arc::new(fds),
            leases: 0,
            keep: None,
            last_seq: self.head,
            published_ns: 0,
            retired: false,
        });
        for sub in &mut self.subs {
            sub.known[index] = false;
            // What still waits to announce the slot's former buffers is void; so the outbox of one that never reads is
            // bounded. Not so the word that a buffer is gone: it knows that one, and keeps its descriptors until it is told.
            sub.outbox.retain(|o| !o.adds(index));
            sub.outbox.push_back(Outgoing::AddBuffer {
                slot: index,
                generation,
            });
        }
        Ok(SlotId {
            index: index as u16,
            generation,
        })
    }

    fn retire_oldest_idle(&mut self, after: &mut Aftermath<K>) {
        let idle = |s: &Slot<K>| s.leases == 0 && s.keep.is_none() && !s.retired;
        let oldest = (0..SLOTS)
            .filter_map(|i| {
                self.slots[i]
                    .as_ref()
                    .filter(|s| idle(s))
                    .map(|s| (s.last_seq, i))
            })
            .min();
        if let Some((_, index)) = oldest {
            if let Some(slot) = &mut self.slots[index] {
                slot.retired = true;
                self.live -= 1;
            }
            self.settle(index, after);
        }
    }

    pub(super) fn settle_all(&mut self, after: &mut Aftermath<K>) {
        for index in 0..SLOTS {
            self.settle(index, after);
        }
    }

    /// Lets go of a slot's frame, and of the slot itself if it is retired, once nobody has a lease on it.
    pub(super) fn settle(&mut self, index: usize, after: &mut Aftermath<K>) {
        let Some(slot) = &mut self.slots[index] else {
            return;
        };
        if slot.leases > 0 || self.newest == Some(index) {
            return;
        }
        slot.let_go(&mut self.busy, after);
        if !slot.retired {
            return;
        }
        let (generation, epoch) = (slot.generation, slot.epoch);
        self.slots[index] = None;
        if epoch < self.epoch && !self.slots.iter().flatten().any(|s| s.epoch == epoch) {
            self.drains.end(epoch);
        }
        for sub in &mut self.subs {
            if std::mem::take(&mut sub.known[index]) {
                let message = Message::BufferRemove {
                    slot: index as u32,
                    generation,
                };
                sub.outbox.push_back(Outgoing::Plain(message));
                after.wake = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use crate::format::{Format, Layout};
    use crate::memory;
    use crate::publisher::{ImportError, Publisher, PublisherOptions};

    #[test]
    fn read_only_is_promised_only_of_memory_that_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = crate::socket_path(dir.path(), "sealed");
        let publisher = Publisher::<()>::bind(&path, PublisherOptions::default()).unwrap();
        let promised = Format::nv12_memfd(64, 48, (30, 1));
        publisher.set_format(promised.clone());
        let layout = Layout::nv12(64, 48);
        let fd = memory::memfd("open", layout.bytes_of(0)).unwrap();
        let import = || publisher.import(&[fd.as_fd()], &layout);
        assert!(matches!(import(), Err(ImportError::Writable { index: 0 })));
        publisher.set_format(Format {
            read_only: false,
            ..promised.clone()
        });
        import().unwrap();
        publisher.set_format(promised);
        memory::seal_read_only(fd.as_fd()).unwrap();
        import().unwrap();
    }
}
