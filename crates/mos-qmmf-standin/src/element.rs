//! The element.

use gst::glib;
use gst::prelude::*;

use crate::event::Event;
use crate::service::service;

glib::wrapper! {
    /// `qticamsrc`, of older releases `qtiqmmfsrc`.
    pub struct CamSrc(ObjectSubclass<imp::CamSrc>) @extends gst::Element, gst::Object;
}

impl CamSrc {
    /// Something that the documentation does not allow: an error on the bus, and counted.
    pub(crate) fn refuse(&self, what: &str) {
        service().violated(what.to_owned());
        gst::element_error!(self, gst::LibraryError::Failed, ("stand-in: {what}"));
    }

    /// Tells that a camera came or went, be it its own or another.
    pub(crate) fn tell_status(&self, camera: u32, present: bool) {
        self.emit_by_name::<()>("device-status-change", &[&camera, &present]);
        self.tell(Event::DeviceStatusChange);
    }

    /// Tells what the service says.
    pub(crate) fn tell(&self, event: Event) {
        match event {
            Event::ServiceDied => {
                gst::element_error!(
                    self,
                    gst::ResourceError::NotFound,
                    ("Camera service has died !")
                );
            }
            Event::CameraError => gst::element_error!(
                self,
                gst::ResourceError::Failed,
                ("Camera device encountered an un-recovarable error !")
            ),
            Event::CameraClosing if self.current_state() == gst::State::Playing => {
                for pad in self.src_pads() {
                    pad.push_event(gst::event::Eos::new());
                }
            }
            // Told by the message alone, or by a signal beside it.
            Event::CameraClosing
            | Event::SofFreeze
            | Event::RecoveryFailure
            | Event::Fatal
            | Event::RecoverySuccess
            | Event::InternalRecovery
            | Event::DeviceStatusChange => {}
        }
        let structure = gst::Structure::builder("qmmfsrc-event")
            .field("event-type", event as u32)
            .build();
        // Nobody listens if it is in no pipeline.
        let _unheard =
            self.post_message(gst::message::Element::builder(structure).src(self).build());
    }
}

mod imp {
    use std::sync::{LazyLock, Mutex, PoisonError};

    use gst::glib;
    use gst::prelude::*;
    use gst::subclass::prelude::*;

    use crate::caps;
    use crate::pad::VideoPad;
    use crate::service::service;
    use crate::settings::{Settings, TABLE};

    #[derive(Debug, Default)]
    pub struct CamSrc {
        settings: Mutex<Settings>,
        pads: Mutex<Pads>,
        /// The life of the service that it connected to when it was made.
        life: Mutex<Option<u64>>,
    }

    #[derive(Debug, Default)]
    struct Pads {
        video: Vec<VideoPad>,
        next: u32,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for CamSrc {
        const NAME: &'static str = "MosQmmfStandinCamSrc";
        type Type = super::CamSrc;
        type ParentType = gst::Element;
    }

    impl ObjectImpl for CamSrc {
        fn properties() -> &'static [glib::ParamSpec] {
            static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> =
                LazyLock::new(|| TABLE.iter().map(crate::settings::Property::spec).collect());
            PROPERTIES.as_slice()
        }

        fn signals() -> &'static [glib::subclass::Signal] {
            static SIGNALS: LazyLock<Vec<glib::subclass::Signal>> = LazyLock::new(|| {
                if crate::build().older {
                    return Vec::new();
                }
                let kinds = [u32::static_type(), bool::static_type()];
                vec![
                    glib::subclass::Signal::builder("device-status-change")
                        .param_types(kinds)
                        .build(),
                ]
            });
            SIGNALS.as_slice()
        }

        fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
            let (obj, name) = (self.obj(), pspec.name());
            let state = obj.current_state();
            let playing = TABLE.iter().any(|p| p.name == name && p.while_playing);
            if !playing && state > gst::State::Null {
                obj.refuse(&format!("{name} can't be set while {state:?}"));
                return;
            }
            self.settings().set(name, value);
        }

        fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
            self.settings().get(pspec.name())
        }

        fn constructed(&self) {
            self.parent_constructed();
            let obj = self.obj();
            obj.set_element_flags(gst::ElementFlags::SOURCE);
            *self.life.lock().unwrap_or_else(PoisonError::into_inner) = service().connect(&obj);
        }
    }

    impl GstObjectImpl for CamSrc {}

    impl ElementImpl for CamSrc {
        fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
            static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
                gst::subclass::ElementMetadata::new(
                    "Stand-in for Qualcomm's camera source",
                    "Source/Video",
                    "For tests: behaves as the public source of qticamsrc does, and refuses what it does not list",
                    "The mos-camera maintainers",
                )
            });
            Some(&*METADATA)
        }

        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
                let template = |name, caps: &str, pad: glib::Type| {
                    let caps: gst::Caps = caps.parse().ok()?;
                    let (src, request) = (gst::PadDirection::Src, gst::PadPresence::Request);
                    gst::PadTemplate::with_gtype(name, src, request, &caps, pad).ok()
                };
                [
                    template(
                        "video_%u",
                        &caps::template(crate::build().gbm),
                        VideoPad::static_type(),
                    ),
                    template("image_%u", &caps::image_template(), gst::Pad::static_type()),
                ]
                .into_iter()
                .flatten()
                .collect()
            });
            TEMPLATES.as_slice()
        }

        fn request_new_pad(
            &self,
            templ: &gst::PadTemplate,
            name: Option<&str>,
            _caps: Option<&gst::Caps>,
        ) -> Option<gst::Pad> {
            let obj = self.obj();
            if templ.name_template() != "video_%u" {
                obj.refuse("image pads are not played");
                return None;
            }
            let state = obj.current_state();
            if state > gst::State::Ready {
                obj.refuse(&format!(
                    "a pad is requested while {state:?}: its stream would not start"
                ));
                return None;
            }
            let mut pads = self.pads();
            let asked = name.and_then(|name| name.strip_prefix("video_")?.parse().ok());
            let index: u32 = asked.unwrap_or(pads.next);
            let name = format!("video_{index}");
            if pads.video.iter().any(|pad| pad.name() == name) {
                drop(pads);
                obj.refuse(&format!("{name} is there already"));
                return None;
            }
            let pad = VideoPad::request(templ, &name);
            pads.next = pads.next.max(index + 1);
            pads.video.push(pad.clone());
            drop(pads);
            // It activates the pad, and with it the task.
            pad.set_active(true).ok()?;
            obj.add_pad(&pad).ok()?;
            Some(pad.upcast())
        }

        fn release_pad(&self, pad: &gst::Pad) {
            let obj = self.obj();
            let state = obj.current_state();
            if state > gst::State::Ready && !self.connected() {
                // The element returns with its lock held.
                obj.refuse(
                    "a pad is released after the service died: the element hangs from here on",
                );
            }
            self.pads()
                .video
                .retain(|known| known.upcast_ref::<gst::Pad>() != pad);
            let _gone = pad.set_active(false);
            let _unknown = obj.remove_pad(pad);
        }

        fn send_event(&self, event: gst::Event) -> bool {
            match event.view() {
                gst::EventView::Eos(_) => {
                    for pad in self.video() {
                        pad.push_event(event.clone());
                        pad.flush(true);
                    }
                    true
                }
                _ => self.parent_send_event(event),
            }
        }

        fn change_state(
            &self,
            transition: gst::StateChange,
        ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
            use gst::StateChange as T;
            match transition {
                T::NullToReady => self.open()?,
                T::ReadyToPaused => self.create()?,
                T::PausedToPlaying => self.start()?,
                _ => {}
            }
            self.parent_change_state(transition)?;
            match transition {
                T::PlayingToPaused => self.stop()?,
                T::PausedToReady => self.delete()?,
                T::ReadyToNull => self.close()?,
                _ => {}
            }
            // A live source has nothing to show before it plays.
            Ok(match transition.next() {
                gst::State::Paused => gst::StateChangeSuccess::NoPreroll,
                _ => gst::StateChangeSuccess::Success,
            })
        }
    }

    type Done = Result<(), gst::StateChangeError>;

    impl CamSrc {
        fn settings(&self) -> std::sync::MutexGuard<'_, Settings> {
            self.settings.lock().unwrap_or_else(PoisonError::into_inner)
        }

        fn pads(&self) -> std::sync::MutexGuard<'_, Pads> {
            self.pads.lock().unwrap_or_else(PoisonError::into_inner)
        }

        fn video(&self) -> Vec<VideoPad> {
            self.pads().video.clone()
        }

        fn life(&self) -> Option<u64> {
            *self.life.lock().unwrap_or_else(PoisonError::into_inner)
        }

        fn connected(&self) -> bool {
            service().knows(self.life())
        }

        fn failed<E: gst::MessageErrorDomain>(&self, code: E, text: &str) -> Done {
            gst::element_error!(self.obj(), code, ("{text}"));
            Err(gst::StateChangeError)
        }

        fn open(&self) -> Done {
            let (camera, slave) = self.settings().camera();
            if service().open(&self.obj(), self.life(), camera, slave) {
                Ok(())
            } else {
                self.failed(gst::ResourceError::NotFound, "Failed to Open Camera!")
            }
        }

        fn create(&self) -> Done {
            let (camera, _) = self.settings().camera();
            // Releases under the old name alone gave memory that is not labelled.
            let labelled = self
                .obj()
                .factory()
                .is_some_and(|f| f.name() == "qticamsrc");
            for pad in self.video() {
                let made = pad
                    .set_active(true)
                    .map_err(|error| error.to_string())
                    .and_then(|()| pad.create(camera, labelled));
                if let Err(why) = made {
                    gst::warning!(gst::CAT_RUST, imp = self, "{}: {why}", pad.name());
                    return self.failed(gst::StreamError::Failed, "Failed to create stream!");
                }
            }
            Ok(())
        }

        fn start(&self) -> Done {
            if self.connected() && self.video().iter().all(VideoPad::start) {
                Ok(())
            } else {
                self.failed(gst::StreamError::Failed, "Failed to start stream!")
            }
        }

        /// What is asked of a service that is gone fails, also on the way down.
        fn stop(&self) -> Done {
            if !self.connected() && !self.video().is_empty() {
                return self.failed(gst::StreamError::Failed, "Failed to stop stream!");
            }
            self.video().iter().for_each(VideoPad::stop);
            Ok(())
        }

        fn delete(&self) -> Done {
            if !self.connected() && !self.video().is_empty() {
                return self.failed(gst::StreamError::Failed, "Failed to delete stream!");
            }
            self.video().iter().for_each(VideoPad::delete);
            Ok(())
        }

        fn close(&self) -> Done {
            if !self.connected() {
                return self.failed(gst::StreamError::Failed, "Failed to Close Camera!");
            }
            let (camera, _) = self.settings().camera();
            service().close(&self.obj(), camera);
            Ok(())
        }
    }
}
