//! Buffers whose layout a reader can get wrong: padded rows, a gap between the planes, or a memory for each plane.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use mos_frame::{Layout, Plane, Publisher, SlotId, memory};

use crate::Failure;

/// What is between rows and planes: no picture holds it.
const PADDING: u8 = 0xee;

#[derive(Default)]
pub(crate) struct Pool {
    buffers: Vec<Buffer>,
    free: Arc<Mutex<Vec<usize>>>,
    size: (u32, u32),
}

struct Buffer {
    slot: SlotId,
    layout: Layout,
    memories: Vec<File>,
}

/// A buffer that is out; it returns on drop.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) slot: SlotId,
    index: usize,
    free: Arc<Mutex<Vec<usize>>>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(self.index);
    }
}

impl Pool {
    pub(crate) fn new(
        publisher: &Publisher<Ticket>,
        size: (u32, u32),
        count: u32,
        two_memories: bool,
    ) -> Result<Self, Failure> {
        let layout = layout(size, two_memories);
        let buffers = (0..count)
            .map(|_| Buffer::new(publisher, &layout))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            free: Arc::new(Mutex::new((0..buffers.len()).collect())),
            buffers,
            size,
        })
    }

    pub(crate) fn take(&self) -> Option<Ticket> {
        let index = self
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()?;
        Some(Ticket {
            slot: self.buffers[index].slot,
            index,
            free: Arc::clone(&self.free),
        })
    }

    pub(crate) fn free(&self) -> usize {
        self.free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Luma of row y is `seq + y`, Cb is `seq + 1`, Cr is `seq + 2`, all modulo 200.
    pub(crate) fn paint(&self, ticket: &Ticket, seq: u64) -> Result<(), Failure> {
        let buffer = &self.buffers[ticket.index];
        let (width, height) = (self.size.0 as usize, u64::from(self.size.1));
        let value = |n: u64| (n % 200) as u8;
        for y in 0..height {
            buffer.write_row(0, y, &vec![value(seq + y); width])?;
        }
        let chroma = [value(seq + 1), value(seq + 2)].repeat(width.div_ceil(2));
        for y in 0..height.div_ceil(2) {
            buffer.write_row(1, y, &chroma)?;
        }
        Ok(())
    }
}

impl Buffer {
    fn new(publisher: &Publisher<Ticket>, layout: &Layout) -> Result<Self, Failure> {
        let memories = (0..layout.fd_count())
            .map(|fd| {
                let size = layout.bytes_of(fd as u8);
                let memory = memory::memfd("mos-test-publisher", size)?;
                memory::seal_size(memory.as_fd())?;
                let file = File::from(memory);
                file.write_all_at(&vec![PADDING; size as usize], 0)?;
                Ok(file)
            })
            .collect::<Result<Vec<_>, Failure>>()?;
        let fds: Vec<_> = memories.iter().map(AsFd::as_fd).collect();
        Ok(Self {
            slot: publisher.import(&fds, layout)?,
            layout: layout.clone(),
            memories,
        })
    }

    fn write_row(&self, plane: usize, row: u64, bytes: &[u8]) -> std::io::Result<()> {
        let plane = &self.layout.planes[plane];
        let start = plane.offset + row * u64::from(plane.stride);
        self.memories[usize::from(plane.fd)].write_all_at(bytes, start)
    }
}

fn layout((width, height): (u32, u32), two_memories: bool) -> Layout {
    let stride = width.next_multiple_of(64);
    let plane = |fd, offset, rows| Plane {
        fd,
        offset,
        stride,
        size: u64::from(stride) * u64::from(rows),
    };
    let luma = plane(0, 4096, height);
    let chroma = if two_memories {
        plane(1, 8192, height.div_ceil(2))
    } else {
        plane(
            0,
            (luma.offset + luma.size).next_multiple_of(4096),
            height.div_ceil(2),
        )
    };
    Layout {
        planes: vec![luma, chroma],
    }
}
