//! A plugged camera: requests of the kernel in, answers out, without I/O and without a clock.

use std::collections::VecDeque;
use std::time::Duration;

use crate::config::CameraConfig;
use crate::device::{Answer, Device, Effect, Setup};
use crate::fault::{Fault, Faults};
use crate::stats::{Stats, Streaming};
use crate::stream::{self, Next, Streamer};
use crate::usbip::{self, Direction, Request, Submit, ret_submit, ret_unlink};

const HEAD: usize = usbip::HEADER + stream::HEADER;

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// Send these, one after the other.
    Send(&'a [u8], &'a [u8]),
    /// Nothing until then; `None` is until the kernel or a command comes.
    Wait(Option<Duration>),
    /// Be unplugged.
    Vanish,
}

/// A request for a part of a picture.
#[derive(Debug, Clone, Copy)]
struct Room {
    seq: u32,
    bytes: usize,
}

/// An answer that waits for its time.
#[derive(Debug)]
struct Waiting {
    due: Duration,
    /// Of the request that it answers.
    seq: u32,
    head: [u8; usbip::HEADER],
    body: Vec<u8>,
}

/// A plugged camera. Times are since any start.
#[derive(Debug)]
pub(crate) struct Session {
    device: Device,
    faults: Faults,
    tint: u8,
    stream: Option<Streamer>,
    rooms: VecDeque<Room>,
    answers: VecDeque<Waiting>,
    vanished: bool,
    frames: u64,
    control_requests: u64,
    /// Whether the host took a part of a picture since it committed, and did not stop.
    taking: bool,
    // What is being sent.
    head: [u8; HEAD],
    body: Vec<u8>,
}

impl Session {
    pub(crate) fn new(config: &CameraConfig) -> Self {
        let faults = Faults::new(&config.faults);
        Self {
            device: Device::new(config, faults.lie),
            faults,
            tint: config.tint,
            stream: None,
            rooms: VecDeque::new(),
            answers: VecDeque::new(),
            vanished: false,
            frames: 0,
            control_requests: 0,
            taking: false,
            head: [0; HEAD],
            body: Vec::new(),
        }
    }

    pub(crate) fn set_fault(&mut self, fault: Fault) {
        self.faults.set(fault);
    }

    pub(crate) fn clear_faults(&mut self) {
        self.faults.clear();
    }

    pub(crate) fn stats(&self) -> Stats {
        let stream = self.stream.as_ref().filter(|_| self.taking);
        Stats {
            attached: !self.vanished,
            frames: self.frames,
            control_requests: self.control_requests,
            streaming: stream.map(|stream| Streaming::of(&stream.agreed())),
            controls: self.device.controls().clone(),
            ended: None,
        }
    }

    /// Takes a request of the kernel.
    pub(crate) fn request(&mut self, request: Request, now: Duration) {
        match request {
            Request::Submit(submit) if submit.endpoint == 0 => self.control(&submit, now),
            Request::Submit(submit) => self.picture(&submit, now),
            Request::Unlink { seq, target } => self.unlink(seq, target, now),
        }
    }

    fn control(&mut self, submit: &Submit, now: Duration) {
        match &mut self.faults.vanish_after {
            Some(0) => {
                self.vanished = true;
                return;
            }
            Some(left) => *left -= 1,
            None => {}
        }
        self.control_requests += 1;
        let setup = Setup::decode(submit.setup);
        let (answer, effect) = self
            .device
            .control(setup, &submit.data, &self.faults.stalled);
        match effect {
            Effect::None => {}
            Effect::Commit(agreed) => {
                self.stream = Some(Streamer::new(agreed, self.tint, now));
                self.taking = false;
            }
            Effect::Stop => {
                self.stream = None;
                self.taking = false;
            }
        }
        let (head, body) = match (answer, submit.direction) {
            (Answer::Stall, _) => (ret_submit(submit.seq, usbip::STALLED, 0), Vec::new()),
            (Answer::Data(body), Direction::In) => {
                (ret_submit(submit.seq, usbip::OK, body.len()), body)
            }
            (Answer::Data(_), Direction::Out) => (
                ret_submit(submit.seq, usbip::OK, submit.data.len()),
                Vec::new(),
            ),
        };
        self.answers.push_back(Waiting {
            due: now + self.faults.delay,
            seq: submit.seq,
            head,
            body,
        });
    }

    fn picture(&mut self, submit: &Submit, now: Duration) {
        let room = Room {
            seq: submit.seq,
            bytes: submit.length as usize,
        };
        if submit.endpoint == 1 && submit.direction == Direction::In && room.bytes > stream::HEADER
        {
            self.taking |= self.stream.is_some();
            self.rooms.push_back(room);
        } else {
            self.answer(submit.seq, now, ret_submit(submit.seq, usbip::STALLED, 0));
        }
    }

    /// Takes a request back if it is not answered yet (`usbip_protocol.rst`, `USBIP_CMD_UNLINK`).
    fn unlink(&mut self, seq: u32, target: u32, now: Duration) {
        let open = (self.rooms.len(), self.answers.len());
        self.rooms.retain(|room| room.seq != target);
        self.answers.retain(|answer| answer.seq != target);
        let found = (self.rooms.len(), self.answers.len()) != open;
        if self.rooms.is_empty() && open.0 > 0 {
            // The host takes its requests back when it stops.
            self.taking = false;
            self.stream.iter_mut().for_each(Streamer::interrupt);
        }
        let status = if found { usbip::UNLINKED } else { usbip::OK };
        self.answer(seq, now, ret_unlink(seq, status));
    }

    fn answer(&mut self, seq: u32, due: Duration, head: [u8; usbip::HEADER]) {
        // Before those that are late on purpose.
        self.answers.push_front(Waiting {
            due,
            seq,
            head,
            body: Vec::new(),
        });
    }

    /// What is to be done now.
    pub(crate) fn step(&mut self, now: Duration) -> Step<'_> {
        if self.vanished {
            return Step::Vanish;
        }
        if self.answers.front().is_some_and(|answer| answer.due <= now) {
            if let Some(answer) = self.answers.pop_front() {
                self.head[..usbip::HEADER].copy_from_slice(&answer.head);
                self.body = answer.body;
            }
            return Step::Send(&self.head[..usbip::HEADER], &self.body);
        }
        let late = self.answers.front().map(|answer| answer.due);
        let (Some(room), Some(stream)) = (self.rooms.front().copied(), &mut self.stream) else {
            return Step::Wait(late);
        };
        match stream.advance(now, room.bytes, self.frames as u32, &self.faults) {
            Next::Wait(until) => Step::Wait(late.into_iter().chain(until).min()),
            Next::Send(chunk) => {
                self.rooms.pop_front();
                let length = stream::HEADER + chunk.range.len();
                let (head, header) = self.head.split_at_mut(usbip::HEADER);
                head.copy_from_slice(&ret_submit(room.seq, usbip::OK, length));
                header.copy_from_slice(&chunk.header);
                if chunk.last {
                    self.frames += 1;
                    stream.end_frame();
                }
                Step::Send(&self.head, stream.bytes(chunk.range))
            }
        }
    }
}
