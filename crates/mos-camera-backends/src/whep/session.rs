//! Does what the signalling decides: sends its requests, hands its answers to `webrtcbin`, tells its faults.

use std::net::SocketAddr;
use std::pin::Pin;
use std::time::{Duration, Instant};

use mos_camera_core::{Fault, IceAddress, IceServer};
use tokio::sync::mpsc::UnboundedReceiver;

use super::codecs::by_encoding;
use super::peer::{Ears, Peer};
use super::signalling::{Agreed, Endpoint, Input, Link, Machine, Memory, Output, Trickle, Verdict};
use super::{Camera, addresses, turn};
use crate::http::{Answer, Client, HttpError};
use crate::session::Session;
use crate::stamps;

/// The hands of one session.
pub(super) struct Driver {
    pub(super) camera: Camera,
    pub(super) client: Client,
    pub(super) peer: Peer,
    pub(super) facts: Session,
    pub(super) stamps: stamps::WebRtc,
    /// Where a fault goes; the first is the last.
    pub(super) fail: Box<dyn Fn(&Fault) + Send + Sync>,
}

type Exchange = Pin<Box<dyn Future<Output = Result<Answer, HttpError>> + Send>>;

impl Driver {
    /// Runs a session from its start to its end.
    pub(super) async fn run(
        self,
        endpoint: Endpoint,
        memory: Memory,
        mut heard: UnboundedReceiver<Input>,
        ears: impl Ears,
    ) {
        let mut machine = Machine::new(endpoint, memory);
        let mut flight = Flights::default();
        let mut offer = String::new();
        let mut input = Input::Start;
        loop {
            self.note(&input);
            if let Input::Offer(text) = &input {
                offer.clone_from(text);
            }
            for output in machine.handle(input, Instant::now()) {
                let problem = match output {
                    Output::Send(request) => {
                        let client = self.client.clone();
                        flight.exchange =
                            Some(Box::pin(async move { client.send(*request).await }));
                        Ok(())
                    }
                    Output::Ask(servers) => {
                        flight.question = Some(Box::pin(ask(servers)));
                        Ok(())
                    }
                    Output::Gather(servers) => {
                        let servers = by_number(servers).await;
                        addresses::check().and_then(|()| self.peer.gather(&offer, &servers))
                    }
                    Output::Apply(answer) => {
                        self.agreed(&answer);
                        self.stamps.name_clock(answer.clock);
                        self.peer.apply(&answer.text, &ears)
                    }
                    Output::Fail(fault) => {
                        (self.fail)(&fault);
                        Ok(())
                    }
                    Output::Over => {
                        self.camera.remember(machine.memory().clone());
                        return;
                    }
                };
                if let Err(why) = problem {
                    ears(Input::Refused(why));
                }
            }
            self.note_trickle(machine.trickles());
            // A fault may lead to the next session before this one's `DELETE` is answered.
            self.camera.remember(machine.memory().clone());
            input = next(&mut heard, &mut flight, machine.deadline()).await;
        }
    }

    /// Tells the status how far the session is.
    fn note(&self, input: &Input) {
        let Input::Link(link) = input else {
            return;
        };
        let state = match link {
            Link::Up => "connected",
            Link::NoPath => "no path",
            Link::NoDtls => "DTLS failed",
            Link::Lost => "lost",
        };
        self.facts.update(|facts| facts.tell("state", state));
        self.peer.tell_dtls(&self.facts);
    }

    /// Tells the status what the server agreed to.
    fn agreed(&self, answer: &Agreed) {
        let name = |encoding: &String| {
            by_encoding(encoding)
                .map_or(encoding.as_str(), |codec| codec.name)
                .to_owned()
        };
        let codecs: Vec<String> = answer.codecs.iter().map(name).collect();
        self.facts
            .update(|facts| facts.tell("negotiated", codecs.join(", ")));
    }

    /// Tells the status whether the server takes candidates that are found after the offer.
    fn note_trickle(&self, trickle: Trickle) {
        let words = match trickle {
            Trickle::Untried => "not needed so far",
            Trickle::Taken => "taken",
            Trickle::Refused => "refused by the server: offers wait for all candidates",
        };
        self.facts.update(|facts| facts.tell("trickle", words));
    }
}

/// Longest look for the address of a STUN or TURN server.
const LOOKUP: Duration = Duration::from_secs(2);

/// Where a STUN or TURN server is; none if its name is not found.
pub(super) async fn address(address: &IceAddress) -> Option<SocketAddr> {
    let lookup = tokio::net::lookup_host((address.host.as_str(), address.port));
    match tokio::time::timeout(LOOKUP, lookup).await {
        Ok(Ok(mut all)) => all.next(),
        _ => None,
    }
}

/// Servers with their names looked up, which libnice does not do everywhere; one that is not found is left out.
async fn by_number(servers: Vec<IceServer>) -> Vec<IceServer> {
    let mut found = Vec::with_capacity(servers.len());
    for mut server in servers {
        match address(&server.address).await {
            Some(at) => {
                server.address.host = at.ip().to_string();
                found.push(server);
            }
            None => {
                tracing::warn!(server = %server.address, "the server's name is not found");
            }
        }
    }
    found
}

/// What TURN servers say to a relay, all at once.
async fn ask(servers: Vec<IceServer>) -> Vec<(IceAddress, Verdict)> {
    let mut all = tokio::task::JoinSet::new();
    for (number, server) in servers.into_iter().enumerate() {
        all.spawn(async move { (number, turn::ask(&server).await, server.address) });
    }
    let mut answers = all.join_all().await;
    answers.sort_by_key(|(number, _, _)| *number);
    answers
        .into_iter()
        .map(|(_, verdict, address)| (address, verdict))
        .collect()
}

type Question = Pin<Box<dyn Future<Output = Vec<(IceAddress, Verdict)>> + Send>>;

/// What is waited for, beside the media's connection.
#[derive(Default)]
struct Flights {
    exchange: Option<Exchange>,
    question: Option<Question>,
}

/// What happens next.
async fn next(
    heard: &mut UnboundedReceiver<Input>,
    flight: &mut Flights,
    deadline: Option<Instant>,
) -> Input {
    let answer = async {
        match &mut flight.exchange {
            Some(exchange) => exchange.await,
            None => std::future::pending().await,
        }
    };
    let verdicts = async {
        match &mut flight.question {
            Some(question) => question.await,
            None => std::future::pending().await,
        }
    };
    let time = async {
        match deadline {
            Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
            None => std::future::pending().await,
        }
    };
    let input = tokio::select! {
        input = heard.recv() => input.unwrap_or(Input::Stop),
        answer = answer => Input::Answer(answer),
        verdicts = verdicts => Input::Relays(verdicts),
        () = time => Input::Time,
    };
    match input {
        Input::Answer(_) => flight.exchange = None,
        Input::Relays(_) => flight.question = None,
        _ => {}
    }
    input
}
