//! The elements of an RTSP camera: `rtspsrc`, and a tail for what the camera turns out to send.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gst::prelude::*;
use mos_camera_core::carrier::{Carrier, Shown};
use mos_camera_core::plan::{self, Explanation, Wish, validate};
use mos_camera_core::sdp::{self, Media};
use mos_camera_core::{Fault, FaultKind, RtspSource, SessionFacts, StreamConfig};

use super::Camera;
use super::choice::{self, Choice};
use super::memory::Known;
use super::tail::Tail;
use super::tls;
use super::url::{Url, is_tls};
use crate::backend::Source;
use crate::elements::{make, open_bin};
use crate::session::Session;
use crate::{guard, machine, posted, stamps};

/// Builds the source.
pub(super) fn build(camera: &Camera, config: &StreamConfig) -> Result<Source, Fault> {
    let url = Url::parse(&camera.source.url)?;
    validate(config, &[]).map_err(|error| {
        Fault::new(
            FaultKind::Unsupported,
            error.to_string(),
            "change the stream's configuration",
        )
    })?;
    let plan = explain(camera, config).into_plan(&config.device)?;
    let session = make("rtspsrc")?;
    let (carrier, patience) = begin(camera);
    set_up(&session, &camera.source, carrier, patience);
    if is_tls(&camera.source.url) {
        tls::install(&session, &camera.id, &camera.source.trust, &camera.memory)?;
    }
    let origins = stamps::follow(&session);
    let mut source = open_bin(&config.device, &session, plan)?;
    source.origins = Some(origins);
    source
        .session
        .update(|facts| *facts = known(&camera.source, &url, carrier));
    guard::install(&source, config);
    Watcher {
        camera: camera.clone(),
        wish: Wish::from(config),
        tail: Tail::new(&config.device, &source),
        bin: source.bin.downgrade(),
        session: source.session.clone(),
        choice: Arc::default(),
    }
    .watch(&session);
    Ok(source)
}

/// What is known of the camera's codecs: those of its newest session, else all that have a depayloader here.
pub(super) fn explain(camera: &Camera, config: &StreamConfig) -> Explanation {
    let offered = camera.memory.lock().offered.clone();
    let codecs = choice::candidates(&offered, camera.source.track);
    machine::explained(&choice::offer(codecs.into_iter()), Wish::from(config))
}

/// A new session begins, by the carrier and with the patience that experience tells.
fn begin(camera: &Camera) -> (Carrier, Duration) {
    let mut known = camera.memory.lock();
    known.begin();
    (known.run.carrier, patience(camera, &known))
}

/// How long to wait for the first packet; only where another carrier may be tried it grows.
fn patience(camera: &Camera, known: &Known) -> Duration {
    if known.carriers.may_change() {
        known.carriers.patience(camera.source.timeout)
    } else {
        camera.source.timeout
    }
}

/// What the operator said goes in by properties only, never by a pipeline description.
fn set_up(session: &gst::Element, source: &RtspSource, carrier: Carrier, patience: Duration) {
    let protocol = match carrier {
        Carrier::Tcp => "tcp",
        Carrier::Udp => "udp",
    };
    session.set_property("location", &source.url);
    session.set_property("user-id", &source.user);
    session.set_property(
        "user-pw",
        source
            .password
            .as_ref()
            .map(mos_camera_core::Secret::reveal),
    );
    // One protocol: going over to another is decided here, with a memory, which `rtspsrc` has not.
    session.set_property_from_str("protocols", protocol);
    session.set_property(
        "latency",
        u32::try_from(source.latency.as_millis()).unwrap_or(u32::MAX),
    );
    session.set_property("tcp-timeout", micros(source.timeout));
    session.set_property("timeout", micros(patience));
    // An old picture is worth nothing: what comes later than `latency` is dropped, and nothing is asked for again.
    session.set_property("drop-on-latency", true);
    session.set_property("do-retransmission", false);
    // What sender reports say, for the frames' times.
    session.set_property("add-reference-timestamp-meta", true);
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// What the configuration tells of the session.
fn known(source: &RtspSource, url: &Url<'_>, carrier: Carrier) -> SessionFacts {
    let tls = is_tls(&source.url);
    let protocol = if tls { "RTSPS" } else { "RTSP" };
    let security = match (tls, carrier) {
        (false, _) => "plain".to_owned(),
        (true, Carrier::Tcp) => format!("TLS, {}", source.trust.describe()),
        (true, Carrier::Udp) => format!(
            "TLS, {}; the media by UDP is not encrypted",
            source.trust.describe()
        ),
    };
    SessionFacts {
        protocol: format!("{protocol} over {carrier}"),
        security,
        insecure: tls && (source.trust.is_insecure() || carrier == Carrier::Udp),
        peer: url.peer(),
        ..SessionFacts::default()
    }
}

/// Requests without a description after which there will be none: a log-in takes four.
const MOST_REQUESTS: u32 = 30;

/// Follows a session from its description to its first packets.
#[derive(Clone)]
struct Watcher {
    camera: Camera,
    wish: Wish,
    tail: Tail,
    bin: gst::glib::WeakRef<gst::Bin>,
    session: Session,
    choice: Arc<Mutex<Option<Choice>>>,
}

impl Watcher {
    fn watch(self, session: &gst::Element) {
        let watcher = self.clone();
        session.connect("on-sdp", false, move |values| {
            let text = values
                .get(1)
                .and_then(|value| value.get::<gst_sdp::SDPMessage>().ok())
                .and_then(|message| message.as_text().ok());
            watcher.on_description(&text.unwrap_or_default());
            None
        });
        let (watcher, sent) = (self.clone(), AtomicU32::new(0));
        session.connect("before-send", false, move |_| {
            if sent.fetch_add(1, Ordering::Relaxed) == MOST_REQUESTS && watcher.chosen().is_none() {
                watcher.post(&super::faults::circle(&watcher.camera));
            }
            Some(true.to_value())
        });
        let watcher = self.clone();
        session.connect("select-stream", false, move |values| {
            let index: u32 = values.get(1)?.get().ok()?;
            let chosen = watcher.chosen().map(|choice| choice.media.index);
            Some((chosen == Some(index)).to_value())
        });
        session.connect_pad_added(move |_, pad| self.on_packets(pad));
    }

    /// The camera described what it has.
    fn on_description(&self, text: &str) {
        let offered = sdp::media(text);
        let chosen = choice::choose(
            &self.camera.id,
            &offered,
            self.camera.source.track,
            |offer| self.explain(offer),
        );
        self.session
            .update(|facts| tell(facts, &offered, chosen.as_ref().ok()));
        {
            let mut known = self.camera.memory.lock();
            known.offered = offered;
            known.run.asked = chosen.is_ok();
            known.run.refusal = chosen.as_ref().err().cloned();
        }
        *self.choice.lock().unwrap_or_else(PoisonError::into_inner) = chosen.ok();
        self.await_packets();
    }

    fn explain(&self, offer: &plan::Offer) -> Explanation {
        machine::explained(offer, self.wish)
    }

    fn chosen(&self) -> Option<Choice> {
        self.choice
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// `rtspsrc` makes a pad when a packet of the track has come.
    fn on_packets(&self, pad: &gst::Pad) {
        self.camera.memory.lock().show(Shown::Packets);
        let Some(choice) = self.chosen() else {
            return;
        };
        if let Err(fault) = self.tail.attach(pad, &choice) {
            self.post(&fault);
        }
    }

    /// A session by TCP that is agreed on and then stays silent is given up where another carrier may do better; by UDP
    /// `rtspsrc` does the same by itself.
    fn await_packets(&self) {
        let silence = {
            let known = self.camera.memory.lock();
            let waits =
                known.run.asked && known.carriers.may_change() && known.run.carrier == Carrier::Tcp;
            if !waits {
                return;
            }
            Silence {
                camera: self.camera.clone(),
                bin: self.bin.clone(),
                number: known.run.number,
                patience: patience(&self.camera, &known),
            }
        };
        let clock = gst::SystemClock::obtain();
        let patience = gst::ClockTime::try_from(silence.patience);
        let end = clock.time() + patience.unwrap_or(gst::ClockTime::from_seconds(60));
        // If the clock refuses, the first-frame watchdog is left.
        let _given_up = clock
            .new_single_shot_id(end)
            .wait_async(move |_, _, _| silence.is_over());
    }

    fn post(&self, fault: &Fault) {
        if let Some(bin) = self.bin.upgrade() {
            posted::post(&bin, fault);
        }
    }
}

/// The wait for a first packet. It may outlive its source for a while, so it keeps nothing of it alive.
struct Silence {
    camera: Camera,
    bin: gst::glib::WeakRef<gst::Bin>,
    /// Of the session.
    number: u64,
    patience: Duration,
}

impl Silence {
    /// If it lasts, the session is given up.
    fn is_over(&self) {
        let Some(bin) = self.bin.upgrade() else {
            return;
        };
        {
            let mut known = self.camera.memory.lock();
            // It was stopped, or another one began.
            let stale =
                known.run.number != self.number || bin.current_state() != gst::State::Playing;
            if stale || known.run.shown.is_some() {
                return;
            }
            known.show(Shown::Silence);
        }
        posted::post(
            &bin,
            &super::faults::silence(&self.camera, Carrier::Tcp, self.patience),
        );
    }
}

/// Notes what the camera has, and what is taken of it.
fn tell(facts: &mut SessionFacts, offered: &[Media], chosen: Option<&Choice>) {
    facts.codec = chosen.map_or_else(String::new, |choice| choice.codec.to_string());
    facts.tell("offered", choice::list(offered));
    if let Some(choice) = chosen {
        let (number, all) = choice.track;
        facts.tell("track", format!("{number} of {all}"));
    }
}

#[cfg(test)]
mod tests {
    use mos_camera_core::{RtspTransport, Secret, Trust};

    use super::*;

    #[test]
    fn settings_become_properties() {
        gst::init().unwrap();
        let session = make("rtspsrc").unwrap();
        let source = RtspSource {
            user: Some("u ! fakesink".to_owned()),
            password: Some(Secret::new("p\" ! x")),
            transport: RtspTransport::Udp,
            latency: Duration::from_millis(70),
            timeout: Duration::from_secs(3),
            ..RtspSource::new("rtsp://cam/live")
        };
        set_up(&session, &source, Carrier::Udp, Duration::from_secs(6));
        assert_eq!(session.property::<String>("location"), "rtsp://cam/live");
        assert_eq!(session.property::<String>("user-id"), "u ! fakesink");
        assert_eq!(session.property::<String>("user-pw"), "p\" ! x");
        assert_eq!(session.property::<u32>("latency"), 70);
        assert_eq!(session.property::<u64>("tcp-timeout"), 3_000_000);
        assert_eq!(session.property::<u64>("timeout"), 6_000_000);
        assert!(session.property::<bool>("drop-on-latency"));
    }

    #[test]
    fn the_status_says_how_safe_a_session_is() {
        for (url, trust, carrier, security, insecure) in [
            ("rtsp://cam/", Trust::System, Carrier::Tcp, "plain", false),
            // Nobody asked for TLS, so nothing was left unchecked.
            ("rtsp://cam/", Trust::Anybody, Carrier::Tcp, "plain", false),
            (
                "rtsps://cam/",
                Trust::System,
                Carrier::Tcp,
                "TLS, certificate checked",
                false,
            ),
            (
                "rtsps://cam/",
                Trust::Anybody,
                Carrier::Tcp,
                "TLS, INSECURE",
                true,
            ),
            (
                "rtsps://cam/",
                Trust::System,
                Carrier::Udp,
                "not encrypted",
                true,
            ),
        ] {
            let source = RtspSource {
                trust,
                ..RtspSource::new(url)
            };
            let facts = known(&source, &Url::parse(url).unwrap(), carrier);
            assert!(facts.security.contains(security), "{facts:?}");
            assert_eq!(facts.insecure, insecure, "{facts:?}");
            assert_eq!(
                facts.protocol.starts_with("RTSPS"),
                url.starts_with("rtsps")
            );
        }
    }
}
