//! A conversation with one camera: requests in, answers out, logged in as it wants.

use std::time::SystemTime;

use mos_camera_core::{OnvifSource, Secret};

use super::calls::Call;
use super::login::{self, Allowed, Attempt, Challenge, Offset, Reply, Step, Way};
use super::random;
use super::soap::{self, Message, SoapError, SoapFault, xml::Node};
use crate::http::{Answer, Client, HttpError, Method, Request, Settings, Url, header};

/// Largest answer: a recorder with 64 channels has some hundred kilobytes.
const LARGEST: usize = 4 << 20;

/// What worked with a camera, kept from one conversation to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Memory {
    /// How far its clock is ahead of ours.
    pub(super) offset: Option<Offset>,
    /// The log-in that it took.
    pub(super) way: Option<Way>,
    /// It refused every log-in: nothing that needs one is asked before a person has changed something.
    pub(super) denied: bool,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum TalkError {
    /// None came.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// It came from an HTTP server that is no camera, or not at this path.
    #[error("HTTP {status} to {call}")]
    Status {
        /// What was asked.
        call: &'static str,
        /// The status.
        status: u16,
    },
    /// It is not understood.
    #[error("{call}: {error}")]
    Soap {
        /// What was asked.
        call: &'static str,
        /// What is wrong with it.
        error: SoapError,
    },
    /// The camera says no, though not to the log-in.
    #[error("{call} was refused: {fault}")]
    Fault {
        /// What was asked.
        call: &'static str,
        /// In the camera's words.
        fault: SoapFault,
    },
    /// It wants a log-in, and there is none.
    #[error("it wants a user and a password")]
    NoCredentials,
    /// Every log-in that is allowed was refused.
    #[error("it refuses user and password")]
    Denied {
        /// The password itself was not tried, since that is not allowed.
        plain_left: bool,
    },
}

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Login {
    /// In every way that is allowed, each once, until one is taken.
    AnyWay,
    /// As before, or not at all: for what a user may lack the right to.
    AsBefore,
}

/// A conversation with a camera.
pub(super) struct Talk {
    client: Client,
    /// Its device service.
    device: Url,
    /// How it was to be reached and logged in to when this began.
    source: OnvifSource,
    plain: bool,
    /// The newest challenge for HTTP digest, and how often it was used.
    challenge: Option<(Challenge, u32)>,
    /// What is known of it.
    pub(super) memory: Memory,
}

impl Talk {
    /// Begins; nothing is sent yet.
    pub(super) fn new(
        device: Url,
        source: &OnvifSource,
        memory: Memory,
    ) -> Result<Self, TalkError> {
        let client = Client::new(&Settings {
            trust: source.rtsp.trust.clone(),
            timeout: source.rtsp.timeout,
            max_answer: LARGEST,
        })?;
        // TLS keeps the password from all but the camera, if the camera has proved itself.
        let protected = device.scheme() == "https" && !source.rtsp.trust.is_insecure();
        Ok(Self {
            client,
            device,
            source: source.clone(),
            plain: source.plain_password || protected,
            challenge: None,
            memory,
        })
    }

    /// How the camera was to be reached and logged in to when this began.
    pub(super) const fn source(&self) -> &OnvifSource {
        &self.source
    }

    /// The device service's URL.
    pub(super) const fn device(&self) -> &Url {
        &self.device
    }

    /// Reads the camera's clock, which its log-in depends on. A camera that wants a log-in even for that tells its time in
    /// its answer's header, or not at all.
    pub(super) fn read_clock(&mut self) -> Result<(), TalkError> {
        let call = super::calls::device::get_time();
        let asked = SystemTime::now();
        let answer = self.post(&self.device.clone(), &call, Way::Anonymous)?;
        let answered = SystemTime::now();
        let header = || login::http_date(answer.header(header::DATE)?);
        let time = match read(&call, &answer) {
            Ok(Message::Answer(node)) => {
                let node = expect(&call, node)?;
                login::camera_time(&node).or_else(header)
            }
            Ok(Message::Fault(_)) => header(),
            // A refusal by HTTP has no SOAP in it.
            Err(_) if answer.status == 401 => header(),
            Err(error) => return Err(error),
        };
        let offset = time.map(|time| Offset::between(asked, answered, time));
        if let (Some(old), Some(new)) = (self.memory.offset, offset)
            && new.moved(old)
        {
            tracing::debug!(camera = %self.device, offset_ms = new.0, "the camera's clock was set");
        }
        self.memory.offset = offset.or(self.memory.offset);
        Ok(())
    }

    /// Asks the device service.
    pub(super) fn ask_device(&mut self, call: &Call, login: Login) -> Result<Node, TalkError> {
        let url = self.device.clone();
        self.ask(&url, call, login)
    }

    /// Asks a service.
    pub(super) fn ask(&mut self, url: &Url, call: &Call, login: Login) -> Result<Node, TalkError> {
        let mut attempt = self.attempt(login)?;
        loop {
            let way = attempt.way();
            let answer = self.post(url, call, way)?;
            let (reply, message) = self.judge(call, &answer)?;
            match attempt.take(reply) {
                Step::Done => {
                    if way != Way::Anonymous {
                        self.memory.way = Some(way);
                    }
                    return match message {
                        Some(Message::Answer(node)) => expect(call, node),
                        Some(Message::Fault(fault)) => Err(TalkError::Fault {
                            call: call.name,
                            fault,
                        }),
                        None => Err(TalkError::Status {
                            call: call.name,
                            status: answer.status,
                        }),
                    };
                }
                Step::Ask(_) if login == Login::AnyWay => {}
                Step::Ask(_) | Step::Denied => return Err(self.denied(login)),
            }
        }
    }

    fn attempt(&self, login: Login) -> Result<Attempt, TalkError> {
        if self.memory.denied && login == Login::AnyWay {
            return Err(TalkError::Denied {
                plain_left: !self.plain,
            });
        }
        // Without its challenge there is nothing to answer to: the request without a log-in brings it.
        let usable = |way: &Way| *way != Way::HttpDigest || self.challenge.is_some();
        Ok(Attempt::begin(
            self.allowed(),
            self.memory.way.filter(usable),
        ))
    }

    fn allowed(&self) -> Allowed {
        Allowed {
            credentials: self.source.rtsp.user.is_some() && self.source.rtsp.password.is_some(),
            plain: self.plain,
        }
    }

    fn denied(&mut self, login: Login) -> TalkError {
        if !self.allowed().credentials {
            return TalkError::NoCredentials;
        }
        if login == Login::AnyWay {
            self.memory.way = None;
            self.memory.denied = true;
        }
        TalkError::Denied {
            plain_left: !self.plain,
        }
    }

    /// What an answer says to the log-in, and what is in it.
    fn judge(
        &mut self,
        call: &Call,
        answer: &Answer,
    ) -> Result<(Reply, Option<Message>), TalkError> {
        let message = read(call, answer);
        let refused = answer.status == 401
            || matches!(&message, Ok(Message::Fault(fault)) if fault.is_refusal());
        if !refused {
            return Ok((Reply::Accepted, Some(message?)));
        }
        let challenge = Challenge::of(answer.header_all(header::WWW_AUTHENTICATE));
        let reply = Reply::Refused {
            http_digest: challenge.is_some(),
            stale: challenge.as_ref().is_some_and(|challenge| challenge.stale),
        };
        if let Some(challenge) = challenge {
            self.challenge = Some((challenge, 0));
        }
        Ok((reply, None))
    }

    fn post(&mut self, url: &Url, call: &Call, way: Way) -> Result<Answer, TalkError> {
        let mut request = Request::new(Method::POST, url.clone());
        // A token in the body is for this camera and nobody that it names.
        request.follow = false;
        let kind = format!(
            "application/soap+xml; charset=utf-8; action=\"{}\"",
            call.action()
        );
        if let Ok(kind) = kind.parse() {
            request.headers.insert(header::CONTENT_TYPE, kind);
        }
        request.authorization = self.authorization(url, way);
        request.body = soap::envelope(&self.token(way), &call.body()).into_bytes();
        Ok(self.client.send_blocking(request)?)
    }

    /// The value of `Authorization`.
    fn authorization(&mut self, url: &Url, way: Way) -> Option<Secret> {
        if way != Way::HttpDigest {
            return None;
        }
        let (user, password) = (
            self.source.rtsp.user.as_ref()?,
            self.source.rtsp.password.as_ref()?,
        );
        let (challenge, count) = self.challenge.as_mut()?;
        *count += 1;
        let uri = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let cnonce = random::hex::<8>();
        let answer = login::answer(challenge, user, password, &uri, *count, &cnonce);
        Some(Secret::new(answer))
    }

    /// The header's token.
    fn token(&self, way: Way) -> String {
        let plain = match way {
            Way::Anonymous | Way::HttpDigest => return String::new(),
            Way::TokenDigest => false,
            Way::TokenText => true,
        };
        let (Some(user), Some(password)) = (&self.source.rtsp.user, &self.source.rtsp.password)
        else {
            return String::new();
        };
        let now = self
            .memory
            .offset
            .unwrap_or_default()
            .apply(SystemTime::now());
        let created = login::iso8601(now);
        login::username_token(user, password, random::bytes(), &created, plain)
    }
}

fn read(call: &Call, answer: &Answer) -> Result<Message, TalkError> {
    let call = call.name;
    match soap::read(&answer.body) {
        Ok(message) => Ok(message),
        // An error page is no broken SOAP.
        Err(_) if !answer.is_success() => Err(TalkError::Status {
            call,
            status: answer.status,
        }),
        Err(error) => Err(TalkError::Soap { call, error }),
    }
}

fn expect(call: &Call, node: Node) -> Result<Node, TalkError> {
    soap::expect(node, call.answer).map_err(|error| TalkError::Soap {
        call: call.name,
        error,
    })
}
