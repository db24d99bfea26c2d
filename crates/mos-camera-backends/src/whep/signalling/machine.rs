//! One session's state machine.

use std::time::{Duration, Instant};

use mos_camera_core::{Fault, FaultKind, Fingerprint, IceAddress, IceServer, Secret};

use super::relays::{self, Verdict};
use super::{link, refusal, sdp};
use crate::http::header::{HeaderName, HeaderValue};
use crate::http::{Answer, HttpError, Method, Request, Url, header, shown};

/// A WHEP endpoint, and how it is spoken to.
#[derive(Debug, Clone)]
pub(in crate::whep) struct Endpoint {
    /// The device, for faults.
    pub(in crate::whep) device: String,
    /// Where offers go.
    pub(in crate::whep) url: Url,
    /// The value of `Authorization`, and the token in it.
    pub(in crate::whep) authorization: Option<Secret>,
    pub(in crate::whep) token: Option<Secret>,
    /// STUN and TURN servers of the configuration.
    pub(in crate::whep) ice_servers: Vec<IceServer>,
    /// Whether those that the server names are used too.
    pub(in crate::whep) link_servers: bool,
    /// Longest wait for the media's connection.
    pub(in crate::whep) timeout: Duration,
    /// Encoding names that are offered, such as `H264`.
    pub(in crate::whep) codecs: Vec<&'static str>,
    /// The fingerprint of this end's certificate.
    pub(in crate::whep) certificate: Fingerprint,
}

/// What is remembered of a server from one session to the next.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::whep) struct Memory {
    /// It takes no `PATCH`: offers have to hold all candidates.
    pub(in crate::whep) no_trickle: bool,
    /// STUN and TURN servers that it named when it was too late to use them.
    pub(in crate::whep) servers: Vec<IceServer>,
    /// A session with it had a path for its media.
    pub(in crate::whep) connected: bool,
    /// It wants to be left alone until then.
    pub(in crate::whep) not_before: Option<Instant>,
}

/// Whether a server takes candidates that are found after the offer (RFC 9725, section 4.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::whep) enum Trickle {
    /// There were none to tell.
    Untried,
    /// It took some.
    Taken,
    /// It takes none.
    Refused,
}

/// How far the media's connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::whep) enum Link {
    /// Encrypted packets can flow.
    Up,
    /// No pair of candidates works.
    NoPath,
    /// A path is there, but DTLS failed.
    NoDtls,
    /// It was up, and is closed or lost.
    Lost,
}

/// What happened.
#[derive(Debug, Clone)]
pub(in crate::whep) enum Input {
    /// The session is wanted.
    Start,
    /// `webrtcbin` made this offer.
    Offer(String),
    /// It found a way to be reached.
    Candidate(String),
    /// It found all.
    Gathered,
    /// The answer to the request that was sent last.
    Answer(Result<Answer, HttpError>),
    /// `webrtcbin` can't go on, or does not take the answer.
    Refused(String),
    /// The media's connection changed.
    Link(Link),
    /// What the TURN servers say that were asked.
    Relays(Vec<(IceAddress, Verdict)>),
    /// The session is not wanted any more.
    Stop,
    /// The deadline is over.
    Time,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub(in crate::whep) enum Output {
    /// Send this, and tell its answer. Never while another is on its way.
    Send(Box<Request>),
    /// Take these servers, and look for candidates.
    Gather(Vec<IceServer>),
    /// Take this answer; the codecs are in the server's order.
    Apply(sdp::Answer),
    /// Ask these TURN servers whether they relay, and tell what they say.
    Ask(Vec<IceServer>),
    /// Tell this fault; the session is over but for its `DELETE`.
    Fail(Fault),
    /// The end: nothing more comes.
    Over,
}

/// Longest wait for candidates before the offer goes out, if others can follow.
const HOLD: Duration = Duration::from_millis(300);
/// Longest wait for what TURN servers say.
const ASKING: Duration = Duration::from_secs(6);
/// Longest wait for an end that the server takes note of.
const PARTING: Duration = Duration::from_secs(2);

/// The request that is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flight {
    Options,
    Post,
    /// With so many of the candidates, and whether it said that those are all.
    Patch {
        candidates: usize,
        complete: bool,
        again: bool,
    },
    Delete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not started yet.
    New,
    /// Waiting for the offer and the servers.
    Preparing,
    /// Looking for candidates.
    Gathering,
    /// The offer is out.
    Offering,
    /// The answer is taken, the media's connection is made.
    Connecting,
    /// Media can flow.
    Up,
    /// No path was found; it is asked why there was no relay.
    Asking,
    /// Only the server still has to be told.
    Leaving,
    Over,
}

/// The resource of a session.
#[derive(Debug, Clone)]
struct Resource {
    url: Url,
    etag: Option<HeaderValue>,
}

/// One session with a WHEP server.
#[derive(Debug)]
pub(in crate::whep) struct Machine {
    endpoint: Endpoint,
    memory: Memory,
    phase: Phase,
    flight: Option<Flight>,
    deadline: Option<Instant>,
    offer: Option<sdp::Offer>,
    /// Servers, once they are known.
    servers: Option<Vec<IceServer>>,
    candidates: Vec<String>,
    gathered: bool,
    /// Candidates that the server knows, and whether it knows that there are no others.
    told: (usize, bool),
    /// It took candidates by `PATCH`.
    took: bool,
    resource: Option<Resource>,
}

impl Machine {
    pub(in crate::whep) fn new(endpoint: Endpoint, memory: Memory) -> Self {
        Self {
            endpoint,
            memory,
            phase: Phase::New,
            flight: None,
            deadline: None,
            offer: None,
            servers: None,
            candidates: Vec::new(),
            gathered: false,
            told: (0, false),
            took: false,
            resource: None,
        }
    }

    /// When [`Input::Time`] is due.
    pub(in crate::whep) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// What the next session should know.
    pub(in crate::whep) const fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Whether the server takes candidates later, as far as that is known.
    pub(in crate::whep) const fn trickles(&self) -> Trickle {
        match (self.memory.no_trickle, self.took) {
            (true, _) => Trickle::Refused,
            (false, true) => Trickle::Taken,
            (false, false) => Trickle::Untried,
        }
    }

    /// Takes what happened.
    pub(in crate::whep) fn handle(&mut self, input: Input, now: Instant) -> Vec<Output> {
        if self.phase == Phase::Over {
            return Vec::new();
        }
        match input {
            Input::Start => self.start(now),
            Input::Offer(text) => self.on_offer(&text, now),
            Input::Candidate(line) => {
                self.candidates.push(line);
                self.trickle()
            }
            Input::Gathered => {
                self.gathered = true;
                if self.phase == Phase::Gathering {
                    return self.post();
                }
                self.trickle()
            }
            Input::Answer(answer) => match self.flight.take() {
                Some(flight) => self.on_answer(flight, answer, now),
                None => Vec::new(),
            },
            Input::Refused(why) => self.on_refused(&why, now),
            Input::Link(link) => self.on_link(link, now),
            Input::Relays(verdicts) if self.phase == Phase::Asking => {
                let fault = self.no_path(&verdicts);
                self.fail(fault, now)
            }
            Input::Relays(_) => Vec::new(),
            Input::Stop => self.leave(now),
            Input::Time => self.on_time(now),
        }
    }

    fn start(&mut self, now: Instant) -> Vec<Output> {
        let not_before = self.memory.not_before.filter(|then| *then > now);
        if let Some(then) = not_before {
            let seconds = (then - now).as_secs() + 1;
            let fault = self.fault(
                FaultKind::Busy,
                &format!("the server asked to be left alone for another {seconds} s"),
                "it is tried again by itself",
            );
            return self.fail(fault, now);
        }
        self.phase = Phase::Preparing;
        // Two exchanges of HTTP have their own time-outs; this one is for `webrtcbin`.
        self.deadline = Some(now + self.endpoint.timeout);
        if !self.endpoint.link_servers {
            self.servers = Some(self.endpoint.ice_servers.clone());
            return Vec::new();
        }
        self.flight = Some(Flight::Options);
        let url = self.endpoint.url.clone();
        vec![Output::Send(Box::new(self.request(Method::OPTIONS, url)))]
    }

    fn on_offer(&mut self, text: &str, now: Instant) -> Vec<Output> {
        self.offer = sdp::Offer::new(text, &self.endpoint.certificate);
        if self.offer.is_none() {
            return self.on_refused("the offer lacks what ICE needs", now);
        }
        self.gather(now)
    }

    /// Goes on when offer and servers are there.
    fn gather(&mut self, now: Instant) -> Vec<Output> {
        let (Phase::Preparing, Some(_), Some(servers)) = (self.phase, &self.offer, &self.servers)
        else {
            return Vec::new();
        };
        let servers = relays::usable(servers);
        self.phase = Phase::Gathering;
        let longest = if self.memory.no_trickle {
            self.endpoint.timeout
        } else {
            HOLD
        };
        self.deadline = Some(now + longest);
        vec![Output::Gather(servers)]
    }

    fn post(&mut self) -> Vec<Output> {
        let Some(offer) = &self.offer else {
            return Vec::new();
        };
        let body = offer.with(&self.candidates, self.gathered);
        self.told = (self.candidates.len(), self.gathered);
        self.phase = Phase::Offering;
        self.deadline = None;
        self.flight = Some(Flight::Post);
        let mut request = self.request(Method::POST, self.endpoint.url.clone());
        request.headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/sdp"),
        );
        request
            .headers
            .insert(header::ACCEPT, HeaderValue::from_static("application/sdp"));
        request.body = body.into_bytes();
        vec![Output::Send(Box::new(request))]
    }

    fn on_answer(
        &mut self,
        flight: Flight,
        answer: Result<Answer, HttpError>,
        now: Instant,
    ) -> Vec<Output> {
        match (flight, answer) {
            (Flight::Options, answer) => self.on_options(answer, now),
            (Flight::Post, answer) => self.on_post(answer, now),
            (Flight::Patch { .. }, answer) if self.phase == Phase::Leaving => {
                drop(answer);
                self.say_goodbye()
            }
            (
                Flight::Patch {
                    candidates,
                    complete,
                    again,
                },
                answer,
            ) => self.on_patch(&answer, (candidates, complete), again, now),
            // Whatever the server says: nothing can be done about it.
            (Flight::Delete, _) => self.over(),
        }
    }

    /// Servers that answer no `OPTIONS` name none.
    fn on_options(&mut self, answer: Result<Answer, HttpError>, now: Instant) -> Vec<Output> {
        if self.phase == Phase::Leaving {
            return self.over();
        }
        let named = match answer {
            // Whatever its status: what is wrong with the endpoint or the token, POST says.
            Ok(answer) => named_servers(&answer),
            // Who hangs up on OPTIONS may take a POST.
            Err(
                HttpError::Closed
                | HttpError::Malformed(_)
                | HttpError::TooLarge { .. }
                | HttpError::BadRedirect(_)
                | HttpError::TooManyRedirects,
            ) => Vec::new(),
            Err(error) => return self.fail(self.unanswered(&error), now),
        };
        let known = std::mem::take(&mut self.memory.servers);
        let named = if named.is_empty() { known } else { named };
        let configured = self.endpoint.ice_servers.iter().cloned();
        self.servers = Some(configured.chain(named).collect());
        self.gather(now)
    }

    fn on_post(&mut self, answer: Result<Answer, HttpError>, now: Instant) -> Vec<Output> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(_) if self.phase == Phase::Leaving => return self.over(),
            Err(error) => return self.fail(self.unanswered(&error), now),
        };
        if !matches!(answer.status, 200 | 201) {
            if let Some(seconds) = refusal::retry_after(&answer) {
                self.memory.not_before = Some(now + Duration::from_secs(seconds));
            }
            let fault = refusal::fault(
                &self.endpoint.device,
                &shown(&self.endpoint.url),
                &answer,
                &self.secrets(),
            );
            return self.fail(fault, now);
        }
        self.resource = resource(&answer);
        if self.phase == Phase::Leaving {
            return self.say_goodbye();
        }
        self.remember_servers(&answer);
        match sdp::answer(&answer.text(), &self.endpoint.codecs) {
            Ok(taken) => {
                self.phase = Phase::Connecting;
                self.deadline = Some(now + self.endpoint.timeout);
                let mut outputs = vec![Output::Apply(taken)];
                outputs.extend(self.trickle());
                outputs
            }
            Err(unfit) => {
                let fault = self.unfit(&unfit, &answer);
                self.fail(fault, now)
            }
        }
    }

    /// Those that were named only now are for the next session, should this one find no path.
    fn remember_servers(&mut self, answer: &Answer) {
        let used = self.servers.as_deref().unwrap_or_default();
        let named = named_servers(answer);
        if self.endpoint.link_servers && named.iter().any(|server| !used.contains(server)) {
            self.memory.servers = named;
        }
    }

    /// Tells the server of candidates that it does not know yet, if it wants to know.
    fn trickle(&mut self) -> Vec<Output> {
        self.patch(false)
    }

    fn patch(&mut self, again: bool) -> Vec<Output> {
        let wanted = matches!(self.phase, Phase::Connecting | Phase::Up)
            && self.flight.is_none()
            && !self.memory.no_trickle
            && self.told != (self.candidates.len(), self.gathered);
        let (true, Some(resource), Some(offer)) = (wanted, &self.resource, &self.offer) else {
            return Vec::new();
        };
        let body = offer.fragment(&self.candidates[self.told.0..], self.gathered);
        let mut request = self.request(Method::PATCH, resource.url.clone());
        request.headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/trickle-ice-sdpfrag"),
        );
        if let Some(etag) = &resource.etag {
            request.headers.insert(header::IF_MATCH, etag.clone());
        }
        request.body = body.into_bytes();
        self.flight = Some(Flight::Patch {
            candidates: self.candidates.len(),
            complete: self.gathered,
            again,
        });
        vec![Output::Send(Box::new(request))]
    }

    fn on_patch(
        &mut self,
        answer: &Result<Answer, HttpError>,
        told: (usize, bool),
        again: bool,
        now: Instant,
    ) -> Vec<Output> {
        let status = answer.as_ref().map_or(0, |answer| answer.status);
        if let (Ok(answer), Some(resource)) = (answer, &mut self.resource)
            && let Some(etag) = answer.headers.get(header::ETAG)
        {
            resource.etag = Some(etag.clone());
        }
        match status {
            200..=299 => {
                self.told = told;
                self.took = true;
                self.trickle()
            }
            // The server knows the session under another tag, which it may have named just now.
            412 if !again => self.patch(true),
            404 | 410 => {
                self.resource = None;
                let fault = self.fault(
                    FaultKind::Disconnected,
                    "the server has ended the session",
                    "it is tried again; if this goes on, look at the server",
                );
                self.fail(fault, now)
            }
            // Nobody can be told. The candidates that the server has may do; else the next offer holds all.
            _ => {
                self.memory.no_trickle = matches!(status, 400..=499 | 501);
                self.told = (self.candidates.len(), self.gathered);
                Vec::new()
            }
        }
    }

    fn on_refused(&mut self, why: &str, now: Instant) -> Vec<Output> {
        let fault = self.fault(
            FaultKind::Internal,
            &format!("webrtcbin can't go on: {why}"),
            "the log of the service has the details",
        );
        self.fail(fault, now)
    }

    fn on_link(&mut self, link: Link, now: Instant) -> Vec<Output> {
        match (self.phase, link) {
            (Phase::Connecting, Link::Up) => {
                self.phase = Phase::Up;
                self.deadline = None;
                self.memory.servers.clear();
                self.memory.connected = true;
                Vec::new()
            }
            (Phase::Connecting, Link::NoPath) => self.on_no_path(now),
            (Phase::Up, Link::NoPath) => {
                let fault = self.no_path(&[]);
                self.fail(fault, now)
            }
            (Phase::Connecting | Phase::Up, Link::NoDtls) => {
                let fault = self.fault(
                    FaultKind::Internal,
                    "a path is there, but DTLS failed on it",
                    "it is tried again; if this goes on, the server accepts no ECDSA P-256 certificate or no DTLS 1.2",
                );
                self.fail(fault, now)
            }
            (Phase::Connecting | Phase::Up, Link::Lost) => {
                let fault = self.fault(
                    FaultKind::Disconnected,
                    "the server closed the media's connection, or it was lost",
                    "it is tried again; if this goes on, look whether the stream is still published",
                );
                self.fail(fault, now)
            }
            _ => Vec::new(),
        }
    }

    fn on_time(&mut self, now: Instant) -> Vec<Output> {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return Vec::new();
        }
        self.deadline = None;
        match self.phase {
            Phase::Gathering => self.post(),
            Phase::Connecting => self.on_no_path(now),
            Phase::Asking => {
                let fault = self.no_path(&[]);
                self.fail(fault, now)
            }
            // The exchange with the server has a time-out of its own.
            Phase::Preparing if self.flight.is_some() => Vec::new(),
            Phase::Preparing => self.on_refused("it makes no offer", now),
            Phase::Leaving => self.over(),
            Phase::New | Phase::Offering | Phase::Up | Phase::Over => Vec::new(),
        }
    }

    fn fail(&mut self, fault: Fault, now: Instant) -> Vec<Output> {
        if self.phase == Phase::Leaving {
            return Vec::new();
        }
        let mut outputs = vec![Output::Fail(fault)];
        outputs.extend(self.leave(now));
        outputs
    }

    /// Tells the server that it is over; what is on its way is waited for first.
    fn leave(&mut self, now: Instant) -> Vec<Output> {
        if self.phase == Phase::Leaving {
            return Vec::new();
        }
        self.phase = Phase::Leaving;
        self.deadline = Some(now + PARTING);
        match self.flight {
            // The server may have made a session by now, which only its answer names.
            Some(Flight::Post | Flight::Patch { .. }) => Vec::new(),
            _ => self.say_goodbye(),
        }
    }

    fn say_goodbye(&mut self) -> Vec<Output> {
        let Some(resource) = self.resource.take() else {
            return self.over();
        };
        self.flight = Some(Flight::Delete);
        vec![Output::Send(Box::new(
            self.request(Method::DELETE, resource.url),
        ))]
    }

    fn over(&mut self) -> Vec<Output> {
        self.phase = Phase::Over;
        self.deadline = None;
        vec![Output::Over]
    }

    /// A request; the token goes to the endpoint's origin only.
    fn request(&self, method: Method, url: Url) -> Request {
        let ours = url.origin() == self.endpoint.url.origin();
        Request {
            authorization: self.endpoint.authorization.clone().filter(|_| ours),
            ..Request::new(method, url)
        }
    }

    fn secrets(&self) -> Vec<&str> {
        self.endpoint.token.iter().map(Secret::reveal).collect()
    }

    fn fault(&self, kind: FaultKind, what: &str, hint: &str) -> Fault {
        let (device, location) = (&self.endpoint.device, shown(&self.endpoint.url));
        Fault::new(kind, format!("{device} at {location}: {what}"), hint)
    }

    fn unanswered(&self, error: &HttpError) -> Fault {
        error.fault(&self.endpoint.device, &shown(&self.endpoint.url))
    }

    fn unfit(&self, unfit: &sdp::Unfit, answer: &Answer) -> Fault {
        let offered = self.endpoint.codecs.join(", ");
        if matches!(unfit, sdp::Unfit::Refused | sdp::Unfit::NoCodec) {
            return self.fault(
                FaultKind::Unsupported,
                &format!("the server's answer can't be used: {unfit}; offered were {offered}"),
                "publish the stream in one of these codecs, or install a decoder for its own (`mosctl explain`)",
            );
        }
        let kind = answer.header(header::CONTENT_TYPE).unwrap_or("no type");
        let kind: String = kind.chars().take(40).collect();
        self.fault(
            FaultKind::NotFound,
            &format!("the server's answer ({kind}) can't be used: {unfit}"),
            "check the camera's URL: what is there may be no WHEP endpoint, or none of a single video",
        )
    }

    /// Where TURN servers were named and none gave a relay, they are asked why, since nobody else says so.
    fn on_no_path(&mut self, now: Instant) -> Vec<Output> {
        let servers = self.servers.as_deref().unwrap_or_default();
        let asked: Vec<_> = servers
            .iter()
            .filter(|server| server.address.kind.relays())
            .cloned()
            .collect();
        if asked.is_empty() || self.candidates.iter().any(|line| relays::is_relay(line)) {
            let fault = self.no_path(&[]);
            return self.fail(fault, now);
        }
        self.phase = Phase::Asking;
        self.deadline = Some(now + ASKING);
        vec![Output::Ask(asked)]
    }

    fn no_path(&self, verdicts: &[(IceAddress, Verdict)]) -> Fault {
        let servers = self.servers.as_deref().unwrap_or_default();
        let (ours, secs) = (self.candidates.len(), self.endpoint.timeout.as_secs());
        let what = format!(
            "the server answers, but no path for the media was found within {secs} s (own candidates: {ours})"
        );
        if let Some(finding) = relays::finding(verdicts, &self.endpoint.ice_servers) {
            let what = format!("{what}, and {}", finding.what);
            // Without a relay it went before, and may go again: nobody should have to come and correct what is not needed.
            let kind = if self.memory.connected {
                FaultKind::Unreachable
            } else {
                finding.kind
            };
            return self.fault(kind, &what, finding.hint);
        }
        let hint = if servers.is_empty() {
            "check that UDP passes between this machine and the server; where addresses are translated, name a STUN or TURN server by `stun_servers` or `turn_servers`"
        } else {
            "check that UDP passes to the server and to the STUN and TURN servers, and from the TURN servers to the server"
        };
        self.fault(FaultKind::Unreachable, &what, hint)
    }
}

fn named_servers(answer: &Answer) -> Vec<IceServer> {
    link::ice_servers(answer.header_all(header::LINK))
}

/// The session's resource; none if the server names none, and then it can't be told of the end.
fn resource(answer: &Answer) -> Option<Resource> {
    let url = answer.url.join(answer.header(header::LOCATION)?).ok()?;
    let is_http = matches!(url.scheme(), "http" | "https") && url.has_host();
    let downgraded = answer.url.scheme() == "https" && url.scheme() == "http";
    let name: HeaderName = header::ETAG;
    (is_http && !downgraded).then(|| Resource {
        url,
        etag: answer.headers.get(name).cloned(),
    })
}

#[cfg(test)]
#[path = "tables.rs"]
mod tables;
