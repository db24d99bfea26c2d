//! `video_%u` pads: their properties, their queue, and the task that pushes frames.

use gst::glib;
use gst::subclass::prelude::*;

/// Kind of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, glib::Enum)]
#[enum_type(name = "MosQmmfStandinStreamType")]
pub enum StreamType {
    /// For encoders.
    #[default]
    #[enum_value(name = "Video", nick = "video")]
    Video,
    /// For screens.
    #[enum_value(name = "Preview", nick = "preview")]
    Preview,
}

glib::wrapper! {
    /// A stream's pad.
    pub struct VideoPad(ObjectSubclass<imp::VideoPad>) @extends gst::Pad, gst::Object;
}

impl VideoPad {
    /// A pad of the element.
    pub(crate) fn request(template: &gst::PadTemplate, name: &str) -> Self {
        gst::PadBuilder::<Self>::from_template(template)
            .name(name)
            .activatemode_function(|pad, _, mode, active| pad.imp().activate(mode, active))
            .event_function(|pad, parent, event| pad.imp().event(parent, event))
            .query_function(|pad, parent, query| pad.imp().query(parent, query))
            .flags(gst::PadFlags::FIXED_CAPS)
            .build()
    }

    /// Agrees on caps with the peer and makes the stream; says what is in the way.
    pub(crate) fn create(&self, camera: u32, labelled: bool) -> Result<(), String> {
        self.imp().create(camera, labelled)
    }

    /// Begins to push frames.
    pub(crate) fn start(&self) -> bool {
        self.imp().start()
    }

    /// Ends pushing frames.
    pub(crate) fn stop(&self) {
        if let Some(track) = self.imp().track() {
            track.stop();
        }
    }

    /// Deletes the stream, with the service's descriptors.
    pub(crate) fn delete(&self) {
        self.imp().delete();
    }

    /// Empties the queue and lets nothing in, or lets frames in again.
    pub(crate) fn flush(&self, on: bool) {
        self.imp().flush(on);
    }
}

mod imp {
    use std::collections::VecDeque;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Condvar, LazyLock, Mutex, PoisonError};

    use gst::glib;
    use gst::prelude::*;
    use gst::subclass::prelude::*;

    use super::StreamType;
    use crate::caps;
    use crate::element::CamSrc;
    use crate::service::service;
    use crate::track::{Track, Wanted};

    #[derive(Debug, Clone, Copy, Default)]
    struct Settings {
        extra_buffers: u32,
        kind: StreamType,
    }

    #[derive(Debug, Default)]
    struct Queue {
        frames: VecDeque<gst::Buffer>,
        flushing: bool,
    }

    #[derive(Debug, Default)]
    pub struct VideoPad {
        settings: Mutex<Settings>,
        queue: Mutex<Queue>,
        filled: Condvar,
        track: Mutex<Option<Arc<Track>>>,
        no_segment: AtomicBool,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for VideoPad {
        const NAME: &'static str = "MosQmmfStandinVideoPad";
        type Type = super::VideoPad;
        type ParentType = gst::Pad;
    }

    impl ObjectImpl for VideoPad {
        fn properties() -> &'static [glib::ParamSpec] {
            static PROPERTIES: LazyLock<[glib::ParamSpec; 2]> = LazyLock::new(|| {
                [
                    glib::ParamSpecUInt::builder("extra-buffers")
                        .mutable_ready()
                        .build(),
                    glib::ParamSpecEnum::builder::<StreamType>("type")
                        .mutable_playing()
                        .build(),
                ]
            });
            &*PROPERTIES
        }

        fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
            let parent = self.obj().parent_element();
            let state = parent.as_ref().map(gst::Element::current_state);
            let fixed = pspec.name() == "extra-buffers" && state > Some(gst::State::Ready);
            if let (true, Some(element)) = (fixed, parent.and_downcast_ref::<CamSrc>()) {
                element.refuse(&format!("{} can't be set while {state:?}", pspec.name()));
                return;
            }
            let mut settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
            match pspec.name() {
                "extra-buffers" => settings.extra_buffers = value.get().unwrap_or_default(),
                _ => settings.kind = value.get().unwrap_or_default(),
            }
        }

        fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
            let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
            match pspec.name() {
                "extra-buffers" => settings.extra_buffers.to_value(),
                _ => settings.kind.to_value(),
            }
        }
    }

    impl GstObjectImpl for VideoPad {}
    impl PadImpl for VideoPad {}

    impl VideoPad {
        pub(super) fn track(&self) -> Option<Arc<Track>> {
            self.track
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
        }

        pub(super) fn create(&self, camera: u32, labelled: bool) -> Result<(), String> {
            let pad = self.obj();
            let allowed = pad.allowed_caps().ok_or("the pad is not linked")?;
            let fixed = caps::fixate(allowed).ok_or("the peer takes nothing that is offered")?;
            if let Some(field) = caps::unlisted(&fixed) {
                let what = format!("caps with a field that is not listed: {field}");
                service().violated(what.clone());
                return Err(what);
            }
            let wanted = self.wanted(camera, labelled, &fixed)?;
            let id = format!("qmmfsrc/{}", pad.name());
            pad.push_event(
                gst::event::StreamStart::builder(&id)
                    .group_id(gst::GroupId::next())
                    .build(),
            );
            pad.push_event(gst::event::Caps::new(&fixed));
            self.no_segment.store(true, Ordering::Relaxed);
            let track = Track::new(wanted).map_err(|error| error.to_string())?;
            if !service().create(&track) {
                return Err(format!("the sensor gives no {fixed}"));
            }
            *self.track.lock().unwrap_or_else(PoisonError::into_inner) = Some(track);
            Ok(())
        }

        fn wanted(
            &self,
            camera: u32,
            labelled: bool,
            caps: &gst::CapsRef,
        ) -> Result<Wanted, String> {
            let structure = caps.structure(0).ok_or("empty caps")?;
            let side = |name| -> Result<u32, String> {
                let value: i32 = structure.get(name).map_err(|error| error.to_string())?;
                u32::try_from(value).map_err(|error| error.to_string())
            };
            let rate: gst::Fraction = structure
                .get("framerate")
                .map_err(|error| error.to_string())?;
            if rate.numer() < 1 {
                return Err("a frame rate of 0".to_owned());
            }
            let settings = *self.settings.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(Wanted {
                camera,
                size: (side("width")?, side("height")?),
                rate: (rate.numer() as u32, rate.denom() as u32),
                extra_buffers: settings.extra_buffers,
                labelled,
                nv12: structure.get("format") == Ok("NV12"),
            })
        }

        pub(super) fn start(&self) -> bool {
            let Some(track) = self.track() else {
                return false;
            };
            let pad = self.obj().downgrade();
            let first = Mutex::new(None);
            let duration = gst::ClockTime::try_from(track.period()).ok();
            track.start(move |mut buffer| {
                let Some(pad) = pad.upgrade() else { return };
                let Some(element) = pad.parent_element() else {
                    return;
                };
                let taken = buffer.offset_end();
                // The camera's time less what it was when the first frame came, at that moment's running time.
                let base = *first
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get_or_insert_with(|| {
                        let running = element.current_running_time().unwrap_or_default();
                        taken.saturating_sub(running.nseconds())
                    });
                if let Some(writable) = buffer.get_mut() {
                    writable.set_pts(gst::ClockTime::from_nseconds(taken.saturating_sub(base)));
                    writable.set_duration(duration);
                }
                pad.imp().deliver(buffer);
            })
        }

        fn deliver(&self, buffer: gst::Buffer) {
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            // Dropped outside of the lock otherwise: it gives the buffer back.
            let refused = if queue.flushing {
                Some(buffer)
            } else {
                queue.frames.push_back(buffer);
                None
            };
            drop(queue);
            drop(refused);
            self.filled.notify_all();
        }

        pub(super) fn delete(&self) {
            self.flush(true);
            let track = self
                .track
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            if let Some(track) = track {
                track.stop();
                let used = track.close();
                if used > 0 {
                    service().violated(format!(
                        "{used} descriptors were in use when their owner closed them"
                    ));
                }
                service().delete(&track);
            }
        }

        pub(super) fn flush(&self, on: bool) {
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.flushing = on;
            let flushed = std::mem::take(&mut queue.frames);
            drop(queue);
            drop(flushed);
            self.filled.notify_all();
        }

        pub(super) fn activate(
            &self,
            mode: gst::PadMode,
            active: bool,
        ) -> Result<(), gst::LoggableError> {
            let pad = self.obj();
            if mode != gst::PadMode::Push {
                return Err(gst::loggable_error!(
                    gst::CAT_RUST,
                    "pads of this element push"
                ));
            }
            self.flush(!active);
            if active {
                let weak = pad.downgrade();
                pad.start_task(move || {
                    if let Some(pad) = weak.upgrade() {
                        pad.imp().work();
                    }
                })?;
            } else {
                pad.stop_task()?;
            }
            Ok(())
        }

        /// One turn of the task.
        fn work(&self) {
            let pad = self.obj();
            let Some(buffer) = self.pop() else {
                let _ending = pad.pause_task();
                return;
            };
            if self.no_segment.swap(false, Ordering::Relaxed) {
                let segment = gst::FormattedSegment::<gst::ClockTime>::new();
                pad.push_event(gst::event::Segment::new(&segment));
            }
            match pad.push(buffer) {
                Ok(_) => {}
                Err(gst::FlowError::Eos) => {
                    pad.push_event(gst::event::Eos::new());
                    let _ending = pad.pause_task();
                }
                Err(_) => {
                    let _ending = pad.pause_task();
                }
            }
        }

        fn pop(&self) -> Option<gst::Buffer> {
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            loop {
                if queue.flushing {
                    return None;
                }
                if let Some(buffer) = queue.frames.pop_front() {
                    return Some(buffer);
                }
                queue = self
                    .filled
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }

        pub(super) fn event(&self, parent: Option<&gst::Object>, event: gst::Event) -> bool {
            match event.view() {
                gst::EventView::FlushStart(_) => self.flush(true),
                gst::EventView::FlushStop(_) => self.flush(false),
                // Accepted, and nothing changes as long as the caps don't.
                gst::EventView::Reconfigure(_) => {}
                _ => return gst::Pad::event_default(&*self.obj(), parent, event),
            }
            true
        }

        pub(super) fn query(
            &self,
            parent: Option<&gst::Object>,
            query: &mut gst::QueryRef,
        ) -> bool {
            match query.view_mut() {
                gst::QueryViewMut::Caps(caps) => {
                    let template = self.obj().pad_template_caps();
                    let result = match caps.filter_owned() {
                        Some(filter) => {
                            filter.intersect_with_mode(&template, gst::CapsIntersectMode::First)
                        }
                        None => template,
                    };
                    caps.set_result(&result);
                    true
                }
                gst::QueryViewMut::Latency(latency) => {
                    let Some(track) = self.track() else {
                        return true;
                    };
                    let frame = gst::ClockTime::try_from(track.period()).unwrap_or_default();
                    latency.set(true, frame, gst::ClockTime::NONE);
                    true
                }
                _ => gst::Pad::query_default(&*self.obj(), parent, query),
            }
        }
    }
}
