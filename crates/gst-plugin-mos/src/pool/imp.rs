use std::os::fd::{AsFd, IntoRawFd};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use gst::glib;
use gst::subclass::prelude::*;
use gst_allocators::prelude::*;
use gst_allocators::{DmaBufAllocator, FdAllocator, FdMemoryFlags};
use gst_video::{
    BUFFER_POOL_OPTION_VIDEO_ALIGNMENT, BUFFER_POOL_OPTION_VIDEO_META, VideoBufferPoolConfig,
    VideoFrameFlags, VideoInfo, VideoMeta,
};
use mos_frame::memory;

use super::Source;

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "mosbuspool",
        gst::DebugColorFlags::empty(),
        Some("pool of dma-bufs or sealed memfds"),
    )
});

/// What the pool was configured to make.
#[derive(Debug, Clone)]
struct Config {
    info: VideoInfo,
    size: usize,
}

#[derive(Debug, Default)]
pub struct BusPool {
    config: Mutex<Option<Config>>,
    source: Mutex<Option<Arc<Source>>>,
    dmabuf: DmaBufAllocator,
    memfd: FdAllocator,
}

#[glib::object_subclass]
impl ObjectSubclass for BusPool {
    const NAME: &'static str = "MosBusPool";
    type Type = super::BusPool;
    type ParentType = gst::BufferPool;
}

impl ObjectImpl for BusPool {}
impl GstObjectImpl for BusPool {}

impl BufferPoolImpl for BusPool {
    fn options() -> &'static [&'static str] {
        static OPTIONS: LazyLock<[&str; 2]> = LazyLock::new(|| {
            [
                BUFFER_POOL_OPTION_VIDEO_META.as_str(),
                BUFFER_POOL_OPTION_VIDEO_ALIGNMENT.as_str(),
            ]
        });
        OPTIONS.as_slice()
    }

    fn set_config(&self, config: &mut gst::BufferPoolConfigRef) -> bool {
        match configure(config) {
            Ok(made) => *self.config.lock().unwrap_or_else(PoisonError::into_inner) = Some(made),
            Err(why) => {
                gst::warning!(CAT, imp = self, "refused configuration {config:?}: {why}");
                return false;
            }
        }
        self.parent_set_config(config)
    }

    fn alloc_buffer(
        &self,
        _params: Option<&gst::BufferPoolAcquireParams>,
    ) -> Result<gst::Buffer, gst::FlowError> {
        let config = self
            .config
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .ok_or(gst::FlowError::NotNegotiated)?;
        self.allocate(&config).map_err(|why| {
            gst::error!(CAT, imp = self, "no buffer of {} bytes: {why}", config.size);
            gst::FlowError::Error
        })
    }
}

impl BusPool {
    /// Where dma-bufs come from; `None` is memfds.
    pub(super) fn set_source(&self, source: Option<Arc<Source>>) {
        *self.source.lock().unwrap_or_else(PoisonError::into_inner) = source;
    }

    fn allocate(&self, config: &Config) -> Result<gst::Buffer, Box<dyn std::error::Error>> {
        let source = self
            .source
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let block = match source {
            Some(source) => self.dmabuf(&source, config.size)?,
            None => self.memfd(config.size)?,
        };
        let mut buffer = gst::Buffer::from(block);
        let info = &config.info;
        let writable = buffer.get_mut().ok_or("new buffer is shared")?;
        let (none, planes) = (VideoFrameFlags::empty(), info.n_planes() as usize);
        let (offset, stride) = (&info.offset()[..planes], &info.stride()[..planes]);
        VideoMeta::add_full(
            writable,
            none,
            info.format(),
            info.width(),
            info.height(),
            offset,
            stride,
        )?;
        Ok(buffer)
    }

    /// GStreamer's own dma-buf memory: it tells the kernel of each access (`DMA_BUF_IOCTL_SYNC`).
    fn dmabuf(
        &self,
        source: &Source,
        size: usize,
    ) -> Result<gst::Memory, Box<dyn std::error::Error>> {
        let fd = source.allocate(size as u64)?;
        let whole = usize::try_from(rustix::fs::seek(&fd, rustix::fs::SeekFrom::End(0))?)?;
        // SAFETY: the descriptor is handed over: it is open, and the memory alone closes it (no DONT_CLOSE).
        let mut block = unsafe {
            self.dmabuf.alloc_dmabuf_with_flags(
                fd.into_raw_fd(),
                whole,
                FdMemoryFlags::KEEP_MAPPED,
            )?
        };
        let new = block.get_mut().ok_or("new memory is shared")?;
        // Mapped for reading and writing once, so that any later access is the same mapping.
        drop(new.map_writable()?);
        new.resize(..size);
        Ok(block)
    }

    fn memfd(&self, size: usize) -> Result<gst::Memory, Box<dyn std::error::Error>> {
        let fd = memory::memfd("mos-nv12", size as u64)?;
        let seal = fd.try_clone()?;
        // SAFETY: the descriptor is handed over: it is open, and the memory alone closes it (no DONT_CLOSE).
        let mut block = unsafe {
            self.memfd
                .alloc_fd(fd.into_raw_fd(), size, FdMemoryFlags::KEEP_MAPPED)?
        };
        // Mapped for reading and writing once, before the seal forbids it; KEEP_MAPPED makes every later map reuse it.
        drop(
            block
                .get_mut()
                .ok_or("new memory is shared")?
                .map_writable()?,
        );
        memory::seal_read_only(seal.as_fd())?;
        Ok(block)
    }
}

/// Reads a configuration and settles in it what the pool decides: size and upper bound.
fn configure(config: &mut gst::BufferPoolConfigRef) -> Result<Config, Box<dyn std::error::Error>> {
    let (caps, size, min, max) = config.params().ok_or("no parameters")?;
    let caps = caps.ok_or("no caps")?;
    let mut info = VideoInfo::from_caps(&caps)?;
    if config.has_option(BUFFER_POOL_OPTION_VIDEO_ALIGNMENT)
        && let Some(mut alignment) = config.video_alignment()
    {
        info.align(&mut alignment)?;
        config.set_video_alignment(&alignment);
    }
    let max = super::upper_bound(min, max);
    if min > max {
        return Err(format!("{min} buffers are more than the {max} that a stream can have").into());
    }
    let size = info.size().max(size as usize);
    config.set_params(Some(&caps), u32::try_from(size)?, min, max);
    Ok(Config { info, size })
}
