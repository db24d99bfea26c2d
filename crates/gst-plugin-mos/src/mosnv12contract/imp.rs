use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::*;
use gst_video::{VideoInfo, VideoMeta};
use mos_frame::memory::MemoryId;

use super::caps;
use super::decide::{Form, Refusal, Verdict, verdict};
use super::seen::Seen;
use crate::budget::MAX_BUFFERS;
use crate::build::Build;
use crate::fault::{Kind as FaultKind, details};
use crate::memory::{Kind, Probe};
use crate::planes;
#[cfg(feature = "development")]
use crate::pool::{BusPool, Source, Wish};
use crate::seal::Sealer;

static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new(
        "mosnv12contract",
        gst::DebugColorFlags::empty(),
        Some("gate of the NV12 dma-buf contract"),
    )
});

/// Default of the property `min-buffers`.
const MIN_BUFFERS: u32 = 8;
/// Default of the property `seal`; a production build does not do without.
const SEAL: bool = matches!(Build::THIS, Build::Production);

/// What upstream announced.
#[derive(Debug)]
struct Incoming {
    caps: gst::Caps,
    form: Form,
    info: VideoInfo,
}

/// State of the stream.
#[derive(Debug, Default)]
struct State {
    incoming: Option<Incoming>,
    /// What the last buffer was, under the caps that are in force; `None` until the first buffer behind new caps.
    verdict: Option<Verdict>,
    /// Serialized events behind the caps, until the verdict.
    held: Vec<gst::Event>,
    /// Caps event that was refused last.
    refused: Option<gst::Seqnum>,
    probe: Probe,
    /// Whether dma-bufs leave sealed: the property, as it was when the element started.
    sealing: bool,
    /// Kept when the element stops: a mapping may outlast the stream.
    seen: Seen,
}

#[derive(Debug)]
pub struct Gate {
    sink: gst::Pad,
    src: gst::Pad,
    state: Mutex<State>,
    seal: AtomicBool,
    sealer: OnceLock<Sealer>,
    #[cfg(feature = "development")]
    fallback: Mutex<Wish>,
    /// Memory of the pool that was offered last, and why it is no better.
    fallback_memory: Mutex<Option<String>>,
    min_buffers: AtomicU32,
    frames: AtomicU64,
    violations: AtomicU64,
}

#[glib::object_subclass]
impl ObjectSubclass for Gate {
    const NAME: &'static str = "MosNv12Contract";
    type Type = super::MosNv12Contract;
    type ParentType = gst::Element;

    fn with_class(klass: &Self::Class) -> Self {
        let template = |name| {
            klass
                .pad_template(name)
                .unwrap_or_else(|| unreachable!("no template {name}"))
        };
        Self {
            sink: sink_pad(&template("sink")),
            src: src_pad(&template("src")),
            state: Mutex::default(),
            seal: AtomicBool::new(SEAL),
            sealer: OnceLock::new(),
            #[cfg(feature = "development")]
            fallback: Mutex::default(),
            fallback_memory: Mutex::default(),
            min_buffers: AtomicU32::new(MIN_BUFFERS),
            frames: AtomicU64::new(0),
            violations: AtomicU64::new(0),
        }
    }
}

fn sink_pad(template: &gst::PadTemplate) -> gst::Pad {
    gst::Pad::builder_from_template(template)
        .chain_function(|_, parent, buffer| {
            Gate::catch_panic_pad_function(
                parent,
                || Err(gst::FlowError::Error),
                |gate| gate.chain(buffer),
            )
        })
        .event_function(|pad, parent, event| {
            Gate::catch_panic_pad_function(parent, || false, |gate| gate.sink_event(pad, event))
        })
        .query_function(|pad, parent, query| {
            Gate::catch_panic_pad_function(parent, || false, |gate| gate.sink_query(pad, query))
        })
        .build()
}

fn src_pad(template: &gst::PadTemplate) -> gst::Pad {
    gst::Pad::builder_from_template(template)
        .query_function(|pad, parent, query| {
            Gate::catch_panic_pad_function(parent, || false, |gate| gate.src_query(pad, query))
        })
        .build()
}

impl ObjectImpl for Gate {
    fn constructed(&self) {
        self.parent_constructed();
        let obj = self.obj();
        self.sink
            .add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, explain_refused_caps);
        for pad in [&self.sink, &self.src] {
            if let Err(why) = obj.add_pad(pad) {
                gst::error!(CAT, imp = self, "can't add pad: {why}");
            }
        }
    }

    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            Vec::from([
                glib::ParamSpecUInt::builder("min-buffers")
                    .nick("Minimum buffers")
                    .blurb("Buffers that upstream is asked for: the budget of the stream on the frame bus")
                    .maximum(MAX_BUFFERS)
                    .default_value(MIN_BUFFERS)
                    .build(),
                glib::ParamSpecString::builder("memory")
                    .nick("Memory")
                    .blurb("What the frames live in: none (no frame yet), dmabuf, memfd or system")
                    .default_value("none")
                    .read_only()
                    .build(),
                glib::ParamSpecUInt64::builder("frames")
                    .nick("Frames")
                    .blurb("Frames that passed since the element was made")
                    .read_only()
                    .build(),
                glib::ParamSpecUInt64::builder("violations")
                    .nick("Violations")
                    .blurb("Caps and frames that were refused since the element was made")
                    .read_only()
                    .build(),
                glib::ParamSpecBoolean::builder("seal")
                    .nick("Seal")
                    .blurb("Refuse to let dma-bufs that passed be mapped; a production build always does")
                    .default_value(SEAL)
                    .mutable_ready()
                    .build(),
                glib::ParamSpecUInt64::builder("refused-maps")
                    .nick("Refused maps")
                    .blurb("Attempts to map or copy sealed frames since the element was made")
                    .read_only()
                    .build(),
                glib::ParamSpecString::builder("last-map")
                    .nick("Last map")
                    .blurb("The last refused attempt: name of the thread, and read, write, read+write or copy")
                    .read_only()
                    .build(),
                #[cfg(feature = "development")]
                glib::ParamSpecString::builder("fallback")
                    .nick("Fall-back")
                    .blurb("Memory of the pool that is offered to sources without one: auto (the best there is), dma-heap, udmabuf or memfd")
                    .default_value("auto")
                    .mutable_ready()
                    .build(),
                glib::ParamSpecString::builder("fallback-memory")
                    .nick("Fall-back memory")
                    .blurb("Memory of the pool that was offered last, and why it is no better; nothing in a production build")
                    .read_only()
                    .build(),
            ])
        });
        PROPERTIES.as_slice()
    }

    fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        match pspec.name() {
            "min-buffers" => {
                let min = value.get().unwrap_or(MIN_BUFFERS);
                self.min_buffers.store(min, Ordering::Relaxed);
            }
            "seal" => self.set_seal(value.get().unwrap_or(SEAL)),
            #[cfg(feature = "development")]
            "fallback" => self.set_fallback(value.get().unwrap_or_default()),
            name => unreachable!("GObject sets only writable properties, not {name}"),
        }
    }

    fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        match pspec.name() {
            "min-buffers" => self.min_buffers.load(Ordering::Relaxed).to_value(),
            "memory" => self
                .state()
                .verdict
                .map_or("none", Verdict::name)
                .to_value(),
            "frames" => self.frames.load(Ordering::Relaxed).to_value(),
            "violations" => self.violations.load(Ordering::Relaxed).to_value(),
            "seal" => self.seal.load(Ordering::Relaxed).to_value(),
            "refused-maps" => self.sealer().refused().to_value(),
            "last-map" => self.sealer().last().to_value(),
            #[cfg(feature = "development")]
            "fallback" => lock(&self.fallback).name().to_value(),
            "fallback-memory" => lock(&self.fallback_memory).to_value(),
            name => unreachable!("GObject asks only for installed properties, not for {name}"),
        }
    }
}

impl GstObjectImpl for Gate {}

impl ElementImpl for Gate {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "NV12 contract gate",
                "Filter/Video",
                "Lets only linear NV12 in shareable memory pass, and labels it truthfully",
                "The mos-camera maintainers",
            )
        });
        Some(&*METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            [
                ("sink", gst::PadDirection::Sink, &*caps::SINK),
                ("src", gst::PadDirection::Src, &*caps::SRC),
            ]
            .into_iter()
            .filter_map(|(name, direction, caps)| {
                gst::PadTemplate::new(name, direction, gst::PadPresence::Always, caps).ok()
            })
            .collect()
        });
        TEMPLATES.as_slice()
    }

    fn change_state(
        &self,
        transition: gst::StateChange,
    ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
        if transition == gst::StateChange::ReadyToPaused {
            let mut state = self.state();
            state.sealing = self.seal.load(Ordering::Relaxed);
            state.seen = Seen::default();
        }
        let success = self.parent_change_state(transition)?;
        if transition == gst::StateChange::PausedToReady {
            let mut state = self.state();
            let seen = std::mem::take(&mut state.seen);
            *state = State {
                seen,
                ..State::default()
            };
        }
        Ok(success)
    }
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn chain(&self, buffer: gst::Buffer) -> Result<gst::FlowSuccess, gst::FlowError> {
        let mut state = self.state();
        let Some(verdict) = state.judge(&buffer) else {
            return Err(gst::FlowError::NotNegotiated);
        };
        let (events, sealing) = match verdict {
            Ok(verdict) => (
                state.settle(verdict),
                state.sealing && verdict == Verdict::DmaBuf,
            ),
            Err(refusal) => {
                drop(state);
                self.refuse(&refusal);
                return Err(gst::FlowError::NotNegotiated);
            }
        };
        drop(state);
        for event in events {
            gst::debug!(CAT, imp = self, "releasing {event:?}");
            // A refusal by downstream is sticky: the push of the buffer returns it.
            self.src.push_event(event);
        }
        self.frames.fetch_add(1, Ordering::Relaxed);
        let buffer = if sealing { self.seal(&buffer)? } else { buffer };
        self.src.push(buffer)
    }

    fn sealer(&self) -> &Sealer {
        self.sealer.get_or_init(|| Sealer::new(&*self.obj()))
    }

    fn seal(&self, buffer: &gst::Buffer) -> Result<gst::Buffer, gst::FlowError> {
        self.sealer().seal(buffer).map_err(|why| {
            gst::element_imp_error!(
                self,
                gst::CoreError::Failed,
                ("the frame can't be sealed: {why}")
            );
            gst::FlowError::Error
        })
    }

    fn set_seal(&self, seal: bool) {
        if !seal && Build::THIS == Build::Production {
            gst::warning!(
                CAT,
                imp = self,
                "a production build always seals its frames"
            );
            return;
        }
        self.seal.store(seal, Ordering::Relaxed);
    }

    #[cfg(feature = "development")]
    fn set_fallback(&self, text: Option<&str>) {
        match Wish::parse(text.unwrap_or("auto")) {
            Some(wish) => *lock(&self.fallback) = wish,
            None => gst::warning!(CAT, imp = self, "no such fall-back: {text:?}"),
        }
    }

    /// The dma-bufs that passed last.
    pub(super) fn memories(&self) -> Vec<MemoryId> {
        self.state().seen.ids()
    }

    fn refuse(&self, refusal: &Refusal) {
        self.violations.fetch_add(1, Ordering::Relaxed);
        gst::element_imp_error!(
            self,
            gst::StreamError::Format,
            ("{refusal}"),
            ["{}", refusal.advice()],
            details: details(FaultKind::Contract, refusal.code(), refusal.advice())
        );
    }

    fn sink_event(&self, pad: &gst::Pad, event: gst::Event) -> bool {
        match event.view() {
            gst::EventView::Caps(caps) => self.new_caps(caps.caps()),
            gst::EventView::FlushStop(_) => {
                self.state().held.clear();
                self.forward(pad, event)
            }
            gst::EventView::Eos(_) => {
                let held = self.state().give_up();
                for event in held {
                    self.src.push_event(event);
                }
                self.forward(pad, event)
            }
            _ if !event.is_serialized() => self.forward(pad, event),
            _ => match self.state().hold(event) {
                Some(event) => self.forward(pad, event),
                None => true,
            },
        }
    }

    fn forward(&self, pad: &gst::Pad, event: gst::Event) -> bool {
        gst::Pad::event_default(pad, Some(&*self.obj()), event)
    }

    /// Keeps the caps until a buffer shows what they mean.
    fn new_caps(&self, caps: &gst::CapsRef) -> bool {
        let Ok(form) = caps::classify(caps) else {
            return false;
        };
        let Ok(info) = VideoInfo::from_caps(&caps::outgoing(caps, Verdict::System)) else {
            gst::warning!(CAT, imp = self, "no NV12 video in {caps}");
            return false;
        };
        gst::debug!(
            CAT,
            imp = self,
            "{form:?} caps, waiting for a buffer: {caps}"
        );
        self.state().announce(Incoming {
            caps: caps.to_owned(),
            form,
            info,
        });
        true
    }

    fn sink_query(&self, pad: &gst::Pad, query: &mut gst::QueryRef) -> bool {
        match query.view_mut() {
            gst::QueryViewMut::Caps(query) => {
                let downstream = self.src.peer_query_caps(Some(&caps::SRC));
                set_caps_result(query, caps::upstream_of(&downstream));
                true
            }
            gst::QueryViewMut::AcceptCaps(query) => {
                let accepted = caps::classify(query.caps()).is_ok();
                query.set_result(accepted);
                true
            }
            gst::QueryViewMut::Allocation(query) => self.answer_allocation(query),
            _ => gst::Pad::query_default(pad, Some(&*self.obj()), query),
        }
    }

    fn src_query(&self, pad: &gst::Pad, query: &mut gst::QueryRef) -> bool {
        if let gst::QueryViewMut::Caps(query) = query.view_mut() {
            let upstream = self.sink.peer_query_caps(Some(&caps::SINK));
            set_caps_result(query, caps::downstream_of(&upstream));
            return true;
        }
        gst::Pad::query_default(pad, Some(&*self.obj()), query)
    }

    /// Promises `GstVideoMeta` and asks for the stream's budget of buffers; offers a pool where that is right.
    fn answer_allocation(&self, query: &mut gst::query::Allocation) -> bool {
        let Some((caps, form)) = query
            .get_owned()
            .0
            .and_then(|caps| Some((caps.clone(), caps::classify(&caps).ok()?)))
        else {
            return false;
        };
        let Ok(info) = VideoInfo::from_caps(&caps::outgoing(&caps, Verdict::System)) else {
            return false;
        };
        query.add_allocation_meta::<VideoMeta>(None);
        let min = self.min_buffers.load(Ordering::Relaxed);
        let size = info.size() as u32;
        #[cfg(feature = "development")]
        if form == Form::Plain {
            self.offer_pool(query, &caps, size, min);
            return true;
        }
        gst::debug!(
            CAT,
            imp = self,
            "upstream brings its own {min} buffers, {form:?} caps"
        );
        query.add_allocation_pool(None::<&gst::BufferPool>, size, min, 0);
        true
    }

    #[cfg(feature = "development")]
    fn offer_pool(
        &self,
        query: &mut gst::query::Allocation,
        caps: &gst::Caps,
        size: u32,
        min: u32,
    ) {
        let wish = *lock(&self.fallback);
        let choice = Source::find(wish, u64::from(size));
        gst::info!(CAT, imp = self, "offering a pool of {choice}");
        *lock(&self.fallback_memory) = Some(choice.to_string());
        let max = min.saturating_add(BusPool::HEADROOM).min(MAX_BUFFERS);
        match BusPool::configured_from(choice.source, caps, size, min, max) {
            Ok(pool) => query.add_allocation_pool(Some(&pool), size, min, max),
            Err(why) => {
                gst::warning!(CAT, imp = self, "no pool for {caps}: {why}");
                query.add_allocation_pool(None::<&gst::BufferPool>, size, min, 0);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn announce(&mut self, incoming: Incoming) {
        self.incoming = Some(incoming);
        self.verdict = None;
    }

    /// Keeps a serialized event while the caps before it are undecided; else gives it back to be forwarded.
    fn hold(&mut self, event: gst::Event) -> Option<gst::Event> {
        if self.incoming.is_none() || self.verdict.is_some() {
            return Some(event);
        }
        // Gaps before the first frame tell nobody anything and would pile up.
        if event.type_() != gst::EventType::Gap {
            self.held.push(event);
        }
        None
    }

    /// The stream ends before a buffer came: what was held may go on, without caps.
    fn give_up(&mut self) -> Vec<gst::Event> {
        std::mem::take(&mut self.held)
    }

    /// What the buffer is; `None` without caps.
    fn judge(&mut self, buffer: &gst::BufferRef) -> Option<Result<Verdict, Refusal>> {
        let incoming = self.incoming.as_ref()?;
        let mut kinds = Vec::with_capacity(buffer.n_memory());
        for memory in buffer.iter_memories() {
            let facts = self.probe.facts(memory);
            kinds.push(facts.kind);
            if let (Kind::DmaBuf, Some(id)) = (facts.kind, facts.id) {
                self.seen.note(id);
            }
        }
        let verdict = verdict(incoming.form, &kinds, Build::THIS);
        Some(verdict.and_then(|verdict| {
            planes::of(buffer, &incoming.info).map_err(Refusal::Planes)?;
            Ok(verdict)
        }))
    }

    /// Takes note of the verdict and gives the events that are due before the buffer: caps if they change, then what was held.
    fn settle(&mut self, verdict: Verdict) -> Vec<gst::Event> {
        let before = self.verdict.replace(verdict);
        let relabel =
            before.is_none_or(|before| (before == Verdict::DmaBuf) != (verdict == Verdict::DmaBuf));
        let caps = self.incoming.as_ref().filter(|_| relabel);
        let caps =
            caps.map(|incoming| gst::event::Caps::new(&caps::outgoing(&incoming.caps, verdict)));
        caps.into_iter().chain(self.held.drain(..)).collect()
    }
}

fn set_caps_result(query: &mut gst::query::Caps, possible: gst::Caps) {
    let result = match query.filter() {
        Some(filter) => filter.intersect_with_mode(&possible, gst::CapsIntersectMode::First),
        None => possible,
    };
    query.set_result(&result);
}

/// Says why caps are refused before the pad refuses them.
///
/// GStreamer asks `ACCEPT_CAPS` before it hands CAPS to the element, and answers a refusal with a bare `not-negotiated`.
/// The query itself must stay truthful and silent: elements probe with it. Only caps that are really sent get here.
fn explain_refused_caps(pad: &gst::Pad, info: &mut gst::PadProbeInfo<'_>) -> gst::PadProbeReturn {
    if let Some(event) = info.event()
        && let gst::EventView::Caps(caps) = event.view()
        && let Err(refusal) = caps::classify(caps.caps())
        && let Some(gate) = pad.parent_element().and_downcast::<super::MosNv12Contract>()
        // A pad sends refused caps again with everything that follows.
        && gate.imp().state().refused.replace(event.seqnum()) != Some(event.seqnum())
    {
        gate.imp().refuse(&refusal);
    }
    gst::PadProbeReturn::Ok
}
