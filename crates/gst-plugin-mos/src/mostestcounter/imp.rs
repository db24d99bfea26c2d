use std::sync::{LazyLock, Mutex, PoisonError};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_base::prelude::*;
use gst_base::subclass::BaseTransformMode;
use gst_base::subclass::prelude::*;
use gst_video::prelude::*;
use gst_video::{VideoCapsBuilder, VideoFormat, VideoFrameRef, VideoInfo};

use crate::counter;

#[derive(Debug, Default)]
struct State {
    info: Option<VideoInfo>,
    next: u32,
}

#[derive(Debug, Default)]
pub struct Counter {
    state: Mutex<State>,
}

#[glib::object_subclass]
impl ObjectSubclass for Counter {
    const NAME: &'static str = "MosTestCounter";
    type Type = super::MosTestCounter;
    type ParentType = gst_base::BaseTransform;
}

impl ObjectImpl for Counter {}
impl GstObjectImpl for Counter {}

impl ElementImpl for Counter {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Test frame counter",
                "Filter/Effect/Video",
                "Burns the frame number into NV12 pictures for tests",
                "The mos-camera maintainers",
            )
        });
        Some(&*METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let caps = VideoCapsBuilder::new()
                .format(VideoFormat::Nv12)
                .width_range(counter::WIDTH as i32..)
                .height_range(counter::HEIGHT as i32..)
                .build();
            [
                ("sink", gst::PadDirection::Sink),
                ("src", gst::PadDirection::Src),
            ]
            .into_iter()
            .filter_map(|(name, direction)| {
                gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps).ok()
            })
            .collect()
        });
        TEMPLATES.as_slice()
    }
}

impl BaseTransformImpl for Counter {
    const MODE: BaseTransformMode = BaseTransformMode::AlwaysInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn start(&self) -> Result<(), gst::ErrorMessage> {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
        Ok(())
    }

    fn set_caps(&self, incaps: &gst::Caps, _outcaps: &gst::Caps) -> Result<(), gst::LoggableError> {
        let info = VideoInfo::from_caps(incaps)?;
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .info = Some(info);
        Ok(())
    }

    /// Downstream's answer goes upstream as it is: the frames are written in place, in downstream's memory.
    fn propose_allocation(
        &self,
        _decided: Option<&gst::query::Allocation>,
        query: &mut gst::query::Allocation,
    ) -> Result<(), gst::LoggableError> {
        let src = self.obj().src_pad().clone();
        if src.peer_query(query) {
            Ok(())
        } else {
            Err(gst::loggable_error!(
                gst::CAT_RUST,
                "no answer from downstream"
            ))
        }
    }

    /// No pool of its own is needed.
    fn decide_allocation(
        &self,
        query: &mut gst::query::Allocation,
    ) -> Result<(), gst::LoggableError> {
        while query.allocation_pools().next().is_some() {
            query.remove_nth_allocation_pool(0);
        }
        Ok(())
    }

    fn transform_ip(
        &self,
        buffer: &mut gst::BufferRef,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let (info, number) = self
            .next_number(buffer)
            .ok_or(gst::FlowError::NotNegotiated)?;
        let mut frame = VideoFrameRef::from_buffer_ref_writable(buffer, &info).map_err(|why| {
            gst::element_imp_error!(
                self,
                gst::ResourceError::Write,
                ["frame {number} can't be written: {why}"]
            );
            gst::FlowError::Error
        })?;
        let (stride, width, height) = (
            frame.plane_stride()[0] as usize,
            info.width() as usize,
            info.height() as usize,
        );
        let luma = frame.plane_data_mut(0).map_err(|_| gst::FlowError::Error)?;
        counter::write(luma, stride, width, height, number).map_err(|why| {
            gst::element_imp_error!(self, gst::StreamError::Format, ["{why}"]);
            gst::FlowError::NotNegotiated
        })?;
        Ok(gst::FlowSuccess::Ok)
    }
}

impl Counter {
    fn next_number(&self, buffer: &gst::BufferRef) -> Option<(VideoInfo, u32)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let number = if buffer.offset() == gst::ffi::GST_BUFFER_OFFSET_NONE {
            state.next
        } else {
            buffer.offset() as u32
        };
        state.next = number.wrapping_add(1);
        Some((state.info.clone()?, number))
    }
}
