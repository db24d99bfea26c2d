//! Which dma-bufs this process has mapped, and whose frames they are.
//!
//! One look for the whole service, twice a second, at what the kernel lists ([`mos_frame::mappings`]). The gate refuses what
//! goes through GStreamer; this finds who calls mmap(2) on a frame's descriptor by itself.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::time::Duration;

use mos_camera_core::StreamName;
use mos_frame::mappings::{DmabufMapping, mapped_dmabufs};
use mos_frame::memory::MemoryId;

/// Time between two looks.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Whether this is a production build.
const PRODUCTION: bool = cfg!(not(feature = "development"));

/// The memory of a stream's frames.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FrameMemory {
    /// The dma-bufs that its frames lived in last.
    pub memories: Vec<MemoryId>,
    /// Whether the CPU decodes or converts.
    pub software: bool,
}

/// A mapping that breaks the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// Whose frames the dma-buf holds; none if no stream knows it.
    pub stream: Option<StreamName>,
    /// The mapping.
    pub mapping: DmabufMapping,
}

impl Finding {
    /// The mapping in words.
    pub(super) fn detail(&self) -> String {
        let mapping = &self.mapping;
        let access = if mapping.writable {
            "writable"
        } else {
            "read-only"
        };
        let name = match mapping.name.as_str() {
            "" => String::new(),
            name => format!(" `{name}`"),
        };
        let Range { start, end } = mapping.range;
        format!(
            "dma-buf{name} of inode {}, {access} at {start:x}-{end:x}",
            mapping.memory.inode()
        )
    }
}

/// Remembers which mappings were counted, so that each counts once for as long as it stays.
#[derive(Debug, Default)]
pub(super) struct Looker {
    /// The file system of dma-bufs, once one is known.
    device: Option<u64>,
    book: Book,
    complained: bool,
}

impl Looker {
    /// The mappings that are new since the last look. Reads a file of the kernel's: not for an async thread.
    pub(super) fn look(
        &mut self,
        streams: &[(StreamName, FrameMemory)],
    ) -> io::Result<Vec<Finding>> {
        let any = streams
            .iter()
            .find_map(|(_, frames)| frames.memories.first());
        self.device = self.device.or(any.map(MemoryId::device));
        let mapped = mapped_dmabufs(self.device)?;
        Ok(self.book.enter(PRODUCTION, mapped, streams))
    }

    /// Writes a line about the first look that failed; the others most likely fail alike.
    pub(super) fn complain(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.complained, true) {
            tracing::warn!(%error, "can't look for mapped dma-bufs, so none is counted: is /proc mounted?");
        }
    }
}

/// A mapping as long as it stays: the dma-buf and its addresses.
type Key = (MemoryId, u64, u64);

/// The mappings that were counted, and whose they were.
#[derive(Debug, Default)]
struct Book(HashMap<Key, Option<StreamName>>);

impl Book {
    /// Takes in what is mapped now, and gives what of it is to be counted.
    ///
    /// A mapping that nobody knew and that turns out to be of a stream's frames counts for that stream too: it was made
    /// before the first frame passed the gate.
    fn enter(
        &mut self,
        production: bool,
        mapped: Vec<DmabufMapping>,
        streams: &[(StreamName, FrameMemory)],
    ) -> Vec<Finding> {
        let before = std::mem::take(&mut self.0);
        let mut findings = Vec::new();
        for mapping in mapped {
            let owner = owner(&mapping, streams);
            if !counts(production, owner.map(|(_, frames)| frames)) {
                continue;
            }
            let stream = owner.map(|(name, _)| name.clone());
            let key = (mapping.memory, mapping.range.start, mapping.range.end);
            let is_new = match before.get(&key) {
                None => true,
                Some(None) => stream.is_some(),
                Some(Some(_)) => false,
            };
            // Whose it was stays known when the stream is gone.
            let known = stream
                .clone()
                .or_else(|| before.get(&key).cloned().flatten());
            self.0.insert(key, known);
            if is_new {
                findings.push(Finding { stream, mapping });
            }
        }
        findings
    }
}

/// The stream whose frames live in what is mapped.
fn owner<'a>(
    mapping: &DmabufMapping,
    streams: &'a [(StreamName, FrameMemory)],
) -> Option<(&'a StreamName, &'a FrameMemory)> {
    let owns = |frames: &FrameMemory| frames.memories.contains(&mapping.memory);
    streams
        .iter()
        .find(|(_, frames)| owns(frames))
        .map(|(name, frames)| (name, frames))
}

/// Whether a mapping of a dma-buf breaks the contract; `owner` is what is known of the stream whose frames it holds.
///
/// In a production build every one does. In a development build software decoders, converters and test pictures map what they
/// fill, upstream of the gate and with right; such a dma-buf is of a stream that says so, or of none before its first frame.
fn counts(production: bool, owner: Option<&FrameMemory>) -> bool {
    production || owner.is_some_and(|frames| !frames.software)
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, OwnedFd};

    use mos_frame::memory::{memfd, memory_id};

    use super::*;

    fn name(text: &str) -> StreamName {
        text.parse().unwrap()
    }

    /// Identities as real memory has them.
    fn ids(n: usize) -> (Vec<OwnedFd>, Vec<MemoryId>) {
        let memory: Vec<_> = (0..n).map(|_| memfd("frame", 4096).unwrap()).collect();
        let ids = memory.iter().map(|fd| memory_id(fd.as_fd()).unwrap());
        let ids = ids.collect();
        (memory, ids)
    }

    fn mapping(memory: MemoryId, start: u64) -> DmabufMapping {
        DmabufMapping {
            memory,
            range: start..start + 0x1000,
            writable: false,
            name: String::new(),
        }
    }

    fn hardware(memories: &[MemoryId]) -> FrameMemory {
        FrameMemory {
            memories: memories.to_vec(),
            software: false,
        }
    }

    #[test]
    fn what_software_maps_in_a_development_build_is_right() {
        let software = FrameMemory {
            software: true,
            ..FrameMemory::default()
        };
        let hardware = FrameMemory::default();
        let table = [
            (true, None, true),
            (true, Some(&software), true),
            (true, Some(&hardware), true),
            (false, None, false),
            (false, Some(&software), false),
            (false, Some(&hardware), true),
        ];
        for (production, owner, expected) in table {
            assert_eq!(
                counts(production, owner),
                expected,
                "{production} {owner:?}"
            );
        }
    }

    #[test]
    fn a_mapping_counts_once_for_as_long_as_it_stays() {
        let (_memory, ids) = ids(3);
        let (front, back) = (name("front"), name("back"));
        let streams = [
            (back.clone(), hardware(&ids[1..2])),
            (front.clone(), hardware(&ids[..1])),
        ];
        let of = |name: &StreamName| Some(name.clone());
        let (at_1, at_9) = (0x1000, 0x9000);
        let mut book = Book::default();
        // (what is mapped, whose new mappings are counted)
        let table = [
            (vec![], vec![]),
            (vec![mapping(ids[0], at_1)], vec![of(&front)]),
            (vec![mapping(ids[0], at_1)], vec![]),
            // The same dma-buf once more, another stream's, and one of nobody.
            (
                vec![
                    mapping(ids[0], at_1),
                    mapping(ids[0], at_9),
                    mapping(ids[1], at_1),
                    mapping(ids[2], at_1),
                ],
                vec![of(&front), of(&back), None],
            ),
            (vec![mapping(ids[2], at_1)], vec![]),
            // Unmapped and mapped again.
            (vec![mapping(ids[0], at_1)], vec![of(&front)]),
        ];
        for (step, (mapped, expected)) in table.into_iter().enumerate() {
            let found = book.enter(true, mapped, &streams);
            let owners: Vec<_> = found.into_iter().map(|f| f.stream).collect();
            assert_eq!(owners, expected, "step {step}");
        }
    }

    #[test]
    fn a_mapping_that_turns_out_to_be_a_streams_counts_there_too() {
        let (_memory, ids) = ids(1);
        let front = name("front");
        let unknown = [(front.clone(), hardware(&[]))];
        let known = [(front.clone(), hardware(&ids))];
        let mut book = Book::default();
        let mut look = |streams: &[_]| -> Vec<_> {
            let found = book.enter(true, vec![mapping(ids[0], 0x1000)], streams);
            found.into_iter().map(|f| f.stream).collect()
        };
        assert_eq!(look(&unknown), [None]);
        assert_eq!(look(&known), [Some(front)]);
        // The stream forgets it, or is removed: still the same mapping.
        assert_eq!(look(&unknown), []);
        assert_eq!(look(&known), []);
        assert_eq!(look(&[]), []);
    }

    #[test]
    fn mappings_in_words() {
        let (_memory, ids) = ids(1);
        let mut finding = Finding {
            stream: None,
            mapping: mapping(ids[0], 0x7f00),
        };
        let inode = ids[0].inode();
        assert_eq!(
            finding.detail(),
            format!("dma-buf of inode {inode}, read-only at 7f00-8f00")
        );
        (finding.mapping.writable, finding.mapping.name) = (true, "vivid 1".to_owned());
        assert_eq!(
            finding.detail(),
            format!("dma-buf `vivid 1` of inode {inode}, writable at 7f00-8f00")
        );
    }
}
