//! A real stream of mos-frame, in a folder of its own, whose frames carry their sequence in their pixels.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use mos_frame::{
    Budget, Format, FrameMeta, MemfdPool, PoolFrame, Publisher, PublisherOptions, PublisherStats,
};

use crate::driver::{Driver, DriverError, FrameInfo, PATIENCE};

/// The producer of a scenario.
#[derive(Debug)]
pub struct Stream {
    publisher: Option<Publisher<PoolFrame>>,
    pool: MemfdPool,
    path: PathBuf,
    options: PublisherOptions,
    _dir: tempfile::TempDir,
}

impl Stream {
    /// A stream of 64x48 with so many buffers, one of them for the producer itself.
    pub fn new(buffers: u32) -> Result<Self, Failed> {
        let dir = tempfile::tempdir()?;
        let path = mos_frame::socket_path(dir.path(), "conformance");
        let options = PublisherOptions {
            budget: Budget {
                slots: buffers,
                in_flight: 1,
                fences: 0,
            },
            handshake_timeout: PATIENCE,
            ..PublisherOptions::default()
        };
        let publisher = Publisher::bind(&path, options.clone())?;
        let pool = make_pool(&publisher, 64, 48, buffers)?;
        Ok(Self {
            publisher: Some(publisher),
            pool,
            path,
            options,
            _dir: dir,
        })
    }

    /// Where to connect.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The producer, which has to be there.
    pub fn publisher(&self) -> Result<&Publisher<PoolFrame>, Failed> {
        Ok(self.publisher.as_ref().ok_or("the producer was stopped")?)
    }

    /// Publishes one frame; waits for a free buffer, since the producer looks for released ones from time to time.
    pub fn publish(&self) -> Result<u64, Failed> {
        self.publish_with(FrameMeta::default())
    }

    /// As [`Self::publish`], with times and flags.
    pub fn publish_with(&self, meta: FrameMeta) -> Result<u64, Failed> {
        let publisher = self.publisher()?;
        let seq = publisher.newest_seq() + 1;
        let deadline = Instant::now() + PATIENCE;
        let mut frame = loop {
            publisher.reap();
            match self.pool.acquire() {
                Some(frame) => break frame,
                None if Instant::now() > deadline => return Err("no buffer came back".into()),
                None => std::thread::yield_now(),
            }
        };
        let bytes = frame.bytes_mut();
        let end = bytes.len() - 8;
        bytes[..8].copy_from_slice(&seq.to_le_bytes());
        bytes[end..].copy_from_slice(&seq.to_le_bytes());
        Ok(frame.publish(publisher, meta)?)
    }

    /// Publishes several frames.
    pub fn burst(&self, count: usize) -> Result<(), Failed> {
        (0..count).try_for_each(|_| self.publish().map(drop))
    }

    /// Starts a new epoch of another size, with new buffers.
    pub fn change_format(&mut self, width: u32, height: u32, buffers: u32) -> Result<(), Failed> {
        self.pool = make_pool(self.publisher()?, width, height, buffers)?;
        Ok(())
    }

    /// Ends the producer.
    pub fn stop(&mut self) {
        self.publisher = None;
    }

    /// Another producer at the same place.
    pub fn restart(&mut self) -> Result<(), Failed> {
        self.stop();
        let publisher = Publisher::bind(&self.path, self.options.clone())?;
        self.pool = make_pool(&publisher, 64, 48, self.options.budget.slots)?;
        self.publisher = Some(publisher);
        Ok(())
    }

    /// Buffers that nobody has.
    pub fn free_buffers(&self) -> Result<usize, Failed> {
        self.publisher()?.reap();
        Ok(self.pool.free_count())
    }

    /// Waits until the producer's books say so.
    pub fn wait(
        &self,
        what: &str,
        mut done: impl FnMut(&PublisherStats) -> bool,
    ) -> Result<(), Failed> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let stats = self.publisher()?.stats();
            if done(&stats) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("waited in vain for {what}: {stats:?}").into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn make_pool(
    publisher: &Publisher<PoolFrame>,
    width: u32,
    height: u32,
    count: u32,
) -> Result<MemfdPool, Failed> {
    let mut format = Format::nv12_memfd(width, height, (30, 1));
    "bt709".clone_into(&mut format.colorimetry);
    publisher.set_format(format.clone());
    Ok(MemfdPool::new(publisher, &format, count as usize)?)
}

/// The sequences that stand in the first and last bytes of a frame, as the subscriber reads them.
pub fn stamps(driver: &mut Driver, frame: &FrameInfo) -> Result<(u64, u64), DriverError> {
    let last = frame.planes.len() - 1;
    let end = frame.planes[last].size - 8;
    let word = |bytes: Vec<u8>| bytes.try_into().map_or(u64::MAX, u64::from_le_bytes);
    Ok((
        word(driver.read(frame, 0, 0, 8)?),
        word(driver.read(frame, last, end, 8)?),
    ))
}
