//! The one copy that a development build may make: from memory of this process into a memfd.

use gst::prelude::*;
use gst_video::{VideoFrameRef, VideoInfo};

use crate::pool::BusPool;

/// Copies frames into buffers of a pool of its own.
#[derive(Debug, Default)]
pub(super) struct Copier {
    pool: Option<(VideoInfo, BusPool)>,
}

impl Copier {
    /// A copy of the frame in a memfd; `None` if all `slots` buffers are in use: the sink never waits.
    pub(super) fn copy(
        &mut self,
        buffer: &gst::BufferRef,
        info: &VideoInfo,
        slots: u32,
    ) -> Result<Option<gst::Buffer>, String> {
        let pool = self.pool_for(info, slots).map_err(|why| why.to_string())?;
        let at_once =
            gst::BufferPoolAcquireParams::with_flags(gst::BufferPoolAcquireFlags::DONTWAIT);
        let mut copy = match pool.acquire_buffer(Some(&at_once)) {
            Ok(buffer) => buffer,
            Err(gst::FlowError::Eos) => return Ok(None),
            Err(flow) => return Err(flow.to_string()),
        };
        let writable = copy
            .get_mut()
            .ok_or("the pool gave a buffer that is in use")?;
        copy_planes(buffer, writable, info).map_err(|why| why.to_string())?;
        Ok(Some(copy))
    }

    fn pool_for(&mut self, info: &VideoInfo, slots: u32) -> Result<BusPool, gst::glib::BoolError> {
        if let Some((known, pool)) = &self.pool
            && known == info
        {
            return Ok(pool.clone());
        }
        let pool = BusPool::configured(&info.to_caps()?, info.size() as u32, 0, slots)?;
        pool.set_active(true)?;
        if let Some((_, old)) = self.pool.replace((info.clone(), pool.clone())) {
            old.set_active(false)?;
        }
        Ok(pool)
    }
}

impl Drop for Copier {
    fn drop(&mut self) {
        // An active pool keeps itself alive. It can't fail to stop; buffers that subscribers hold end with their leases.
        if let Some((_, pool)) = self.pool.take() {
            let _ = pool.set_active(false);
        }
    }
}

fn copy_planes(
    from: &gst::BufferRef,
    to: &mut gst::BufferRef,
    info: &VideoInfo,
) -> Result<(), gst::glib::BoolError> {
    let source = VideoFrameRef::from_buffer_ref_readable(from, info)?;
    let mut target = VideoFrameRef::from_buffer_ref_writable(to, info)?;
    source.copy(&mut target)
}
