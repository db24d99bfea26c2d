//! A source's session with its server: begins with the pipeline and ends with it.

use std::fmt;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gst::prelude::*;
use mos_camera_core::{Fault, FaultKind};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::Camera;
use super::decoder::Decoder;
use super::path;
use super::peer::{Ears, Peer};
use super::session::Driver;
use super::signalling::{Endpoint, Input};
use crate::call::Call;
use crate::http::{Client, spawn};
use crate::posted::post;
use crate::session::Session;
use crate::stamps;

/// Longest wait for the server to take note of the end. The session itself gives up before.
const PARTING: Duration = Duration::from_millis(2500);

/// What a source needs for its sessions.
pub(super) struct WhepCall {
    camera: Camera,
    endpoint: Endpoint,
    client: Client,
    offered: gst::Caps,
    certificate: &'static str,
    decoder: Arc<Decoder>,
    bin: gst::glib::WeakRef<gst::Bin>,
    facts: Session,
    stamps: stamps::WebRtc,
    active: Mutex<Option<Active>>,
}

impl fmt::Debug for WhepCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WhepCall")
            .field("camera", &self.camera.id)
            .finish_non_exhaustive()
    }
}

/// A session that was begun.
#[derive(Debug)]
struct Active {
    inputs: UnboundedSender<Input>,
    peer: Peer,
    /// Closed when the session is over.
    over: Receiver<()>,
}

impl WhepCall {
    #[allow(
        clippy::too_many_arguments,
        reason = "all of them are kept as they are"
    )]
    pub(super) fn new(
        camera: Camera,
        endpoint: Endpoint,
        client: Client,
        offered: gst::Caps,
        certificate: &'static str,
        decoder: Arc<Decoder>,
        bin: &gst::Bin,
        facts: Session,
        stamps: stamps::WebRtc,
    ) -> Self {
        Self {
            camera,
            endpoint,
            client,
            offered,
            certificate,
            decoder,
            bin: bin.downgrade(),
            facts,
            stamps,
            active: Mutex::new(None),
        }
    }

    fn active(&self) -> std::sync::MutexGuard<'_, Option<Active>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A `webrtcbin` that was in no session yet: one that was can't begin another.
    fn fresh(&self, bin: &gst::Bin) -> Result<gst::Element, Fault> {
        let old = bin.children().into_iter().find(|child| {
            child
                .factory()
                .is_some_and(|factory| factory.name() == "webrtcbin")
        });
        if let Some(old) = old {
            let _down = old.set_state(gst::State::Null);
            let _out = bin.remove(&old);
        }
        let element = Peer::element(self.camera.source.latency)?;
        bin.add(&element).map_err(|error| {
            Fault::new(
                FaultKind::Internal,
                format!(
                    "{}: can't put webrtcbin into its bin: {error}",
                    self.camera.id
                ),
                "report this",
            )
        })?;
        Ok(element)
    }
}

fn ears(inputs: &UnboundedSender<Input>) -> impl Ears + use<> {
    let inputs = inputs.clone();
    move |input| {
        // Nobody listens any more once the session is over.
        let _unheard = inputs.send(input);
    }
}

impl Call for WhepCall {
    fn begin(&self) -> Result<(), Fault> {
        let Some(bin) = self.bin.upgrade() else {
            return Ok(());
        };
        let element = self.fresh(&bin)?;
        let (inputs, heard) = unbounded_channel();
        let ears = ears(&inputs);
        let decoder = Arc::clone(&self.decoder);
        element.connect_pad_added(move |_, pad| {
            if pad.direction() == gst::PadDirection::Src {
                decoder.take(pad);
            }
        });
        path::follow(&element, &self.facts);
        self.stamps.follow(&element);
        let peer = Peer::wire(&element, &self.offered, self.certificate, &ears);
        self.facts.update(|facts| {
            facts.codec.clear();
            facts.peer.clear();
            facts.path = None;
            facts.details.clear();
            facts.tell("state", "connecting");
        });
        let (alive, over) = sync_channel(0);
        let bin = self.bin.clone();
        let driver = Driver {
            camera: self.camera.clone(),
            client: self.client.clone(),
            peer: peer.clone(),
            facts: self.facts.clone(),
            stamps: self.stamps.clone(),
            fail: Box::new(move |fault| {
                if let Some(bin) = bin.upgrade() {
                    post(&bin, fault);
                }
            }),
        };
        let (endpoint, memory) = (self.endpoint.clone(), self.camera.memory());
        spawn(async move {
            driver.run(endpoint, memory, heard, ears).await;
            drop(alive);
        })
        .map_err(|error| error.fault(&self.camera.id, "its URL"))?;
        *self.active() = Some(Active { inputs, peer, over });
        Ok(())
    }

    fn begun(&self) {
        if let Some(active) = &*self.active() {
            active.peer.offer(&ears(&active.inputs));
        }
    }

    fn hang_up(&self) {
        if let Some(active) = &*self.active() {
            let _over = active.inputs.send(Input::Stop);
        }
    }

    fn ended(&self) {
        let Some(active) = self.active().take() else {
            return;
        };
        // Ends by the sender's end; a session that hangs is left to its own time-outs.
        let _over = active.over.recv_timeout(PARTING);
    }
}
