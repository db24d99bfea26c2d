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
            Some(0) => self.vanish(),
            Some(left) => *left -= 1,
            None => {}
        }
        if self.vanished {
            return self.answer(submit.seq, now, gone(submit.seq));
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

    /// Fails all that is open. A host would wait for answers for seconds else, since nothing tells it of the device's end
    /// but the socket's; a pulled plug fails transfers at once.
    fn vanish(&mut self) {
        self.vanished = true;
        self.stream = None;
        for answer in &mut self.answers {
            answer.due = Duration::ZERO;
            answer.head = gone(answer.seq);
            answer.body.clear();
        }
        while let Some(room) = self.rooms.pop_front() {
            self.answer(room.seq, Duration::ZERO, gone(room.seq));
        }
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
        if self.answers.front().is_some_and(|answer| answer.due <= now) {
            if let Some(answer) = self.answers.pop_front() {
                self.head[..usbip::HEADER].copy_from_slice(&answer.head);
                self.body = answer.body;
            }
            return Step::Send(&self.head[..usbip::HEADER], &self.body);
        }
        if self.vanished {
            return Step::Vanish;
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

fn gone(seq: u32) -> [u8; usbip::HEADER] {
    ret_submit(seq, usbip::GONE, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::ControlId;
    use crate::usbip::Reply;

    const GET_STATUS: [u8; 8] = [0x80, 0, 0, 0, 0, 0, 2, 0];
    const CLEAR_HALT: [u8; 8] = [2, 1, 0, 0, 0x81, 0, 0, 0];
    const MS: Duration = Duration::from_millis(1);
    const NOW: Duration = Duration::ZERO;

    fn session(faults: &[Fault]) -> Session {
        Session::new(&CameraConfig {
            faults: faults.to_vec(),
            ..CameraConfig::default()
        })
    }

    fn control(seq: u32, setup: [u8; 8], data: &[u8]) -> Request {
        let direction = if setup[0] & 0x80 == 0 {
            Direction::Out
        } else {
            Direction::In
        };
        Request::Submit(Submit {
            seq,
            direction,
            endpoint: 0,
            length: data.len() as u32,
            setup,
            data: data.to_vec(),
        })
    }

    fn room(seq: u32) -> Request {
        Request::Submit(Submit {
            seq,
            direction: Direction::In,
            endpoint: 1,
            length: 16_384,
            setup: [0; 8],
            data: Vec::new(),
        })
    }

    /// Commits to the second format, NV12 at 320x240 and 30 fps, and takes the answer.
    fn commit(session: &mut Session) {
        let mut wish = vec![1, 0, 2, 1];
        wish.extend(333_333_u32.to_le_bytes());
        wish.resize(34, 0);
        session.request(control(1, [0x21, 1, 0, 2, 1, 0, 34, 0], &wish), NOW);
        assert_eq!(sent(session, NOW).unwrap(), (1, usbip::OK, 34));
    }

    /// Number, status and length of the answer that is due.
    fn sent(session: &mut Session, now: Duration) -> Option<(u32, i32, u32)> {
        match session.step(now) {
            Step::Send(head, body) => {
                let reply = Reply::decode(head.first_chunk().unwrap());
                let more = head.len() - usbip::HEADER + body.len();
                assert!(more == 0 || more == reply.length as usize);
                Some((reply.seq, reply.status, reply.length))
            }
            Step::Wait(_) | Step::Vanish => None,
        }
    }

    #[test]
    fn requests_are_answered_in_their_order() {
        let mut session = session(&[]);
        session.request(control(7, GET_STATUS, &[]), NOW);
        session.request(control(8, [0x80, 6, 0, 0x0f, 0, 0, 9, 0], &[]), NOW);
        assert_eq!(sent(&mut session, NOW), Some((7, usbip::OK, 2)));
        assert_eq!(sent(&mut session, NOW), Some((8, usbip::STALLED, 0)));
        assert_eq!(session.step(NOW), Step::Wait(None));
        assert_eq!(session.stats().control_requests, 2);
    }

    #[test]
    fn pictures_go_out_once_committed_and_until_the_host_stops() {
        let mut session = session(&[]);
        session.request(room(2), NOW);
        assert_eq!(session.step(NOW), Step::Wait(None), "not committed yet");
        commit(&mut session);
        assert_eq!(session.stats().streaming, None, "no request since");
        for seq in 3..10 {
            session.request(room(seq), NOW);
        }
        let lengths: Vec<_> = (2..10)
            .map(|seq| {
                let (answered, status, length) = sent(&mut session, NOW).unwrap();
                assert_eq!((answered, status), (seq, usbip::OK));
                length
            })
            .collect();
        let whole = 320 * 240 * 3 / 2;
        assert_eq!(lengths[..7], [16_384; 7]);
        assert_eq!(lengths.iter().sum::<u32>(), whole + 8 * 2);
        let stats = session.stats();
        assert_eq!(stats.frames, 1);
        assert_eq!(
            stats.streaming.unwrap().to_string(),
            "nv12 320x240 at 30.0 fps"
        );

        session.request(room(10), NOW);
        assert_eq!(
            session.step(NOW),
            Step::Wait(Some(Duration::from_nanos(33_333_300)))
        );
        session.request(control(11, CLEAR_HALT, &[]), NOW);
        assert_eq!(sent(&mut session, NOW), Some((11, usbip::OK, 0)));
        assert_eq!(session.step(MS * 1000), Step::Wait(None));
        assert_eq!(session.stats().streaming, None);
    }

    #[test]
    fn what_is_taken_back_is_answered_once() {
        let mut session = session(&[]);
        commit(&mut session);
        session.set_fault(Fault::Stall);
        session.request(room(2), NOW);
        session.request(room(3), NOW);
        session.request(Request::Unlink { seq: 4, target: 2 }, NOW);
        assert_eq!(sent(&mut session, NOW), Some((4, usbip::UNLINKED, 0)));
        assert!(session.stats().streaming.is_some(), "one request is left");
        session.request(Request::Unlink { seq: 5, target: 3 }, NOW);
        session.request(Request::Unlink { seq: 6, target: 1 }, NOW);
        let mut answers = [
            sent(&mut session, NOW).unwrap(),
            sent(&mut session, NOW).unwrap(),
        ];
        answers.sort_unstable();
        // The commitment was answered before.
        assert_eq!(answers, [(5, usbip::UNLINKED, 0), (6, usbip::OK, 0)]);
        assert_eq!(session.stats().streaming, None);
        session.clear_faults();
        assert_eq!(session.step(NOW), Step::Wait(None));
    }

    #[test]
    fn a_frame_that_was_cut_off_is_not_gone_on_with() {
        let mut session = session(&[]);
        commit(&mut session);
        session.request(room(2), NOW);
        let parity = |session: &mut Session, now| match session.step(now) {
            Step::Send(head, _) => head[49] & 1,
            other => panic!("{other:?}"),
        };
        assert_eq!(parity(&mut session, NOW), 0);
        session.request(room(3), NOW);
        session.request(Request::Unlink { seq: 4, target: 3 }, NOW);
        sent(&mut session, NOW);
        session.request(room(5), MS * 50);
        assert_eq!(parity(&mut session, MS * 50), 1, "a new frame");
    }

    #[test]
    fn slow_controls_are_late_and_pictures_are_not() {
        let mut session = session(&[Fault::SlowControls { delay: MS * 5 }]);
        session.request(control(7, GET_STATUS, &[]), MS);
        assert_eq!(session.step(MS), Step::Wait(Some(MS * 6)));
        session.request(Request::Unlink { seq: 8, target: 6 }, MS);
        assert_eq!(sent(&mut session, MS), Some((8, usbip::OK, 0)));
        assert_eq!(sent(&mut session, MS * 6), Some((7, usbip::OK, 2)));
        session.request(control(9, GET_STATUS, &[]), MS);
        session.request(Request::Unlink { seq: 10, target: 9 }, MS);
        assert_eq!(sent(&mut session, MS), Some((10, usbip::UNLINKED, 0)));
        assert_eq!(session.step(MS * 99), Step::Wait(None));
    }

    #[test]
    fn it_vanishes_when_told_to() {
        let mut session = session(&[Fault::VanishDuringEnumeration { after_requests: 1 }]);
        session.request(room(6), NOW);
        session.request(control(7, GET_STATUS, &[]), NOW);
        assert_eq!(sent(&mut session, NOW), Some((7, usbip::OK, 2)));
        session.set_fault(Fault::SlowControls { delay: MS });
        session.request(control(8, GET_STATUS, &[]), NOW);
        // What is open fails at once.
        let mut failed = [
            sent(&mut session, NOW).unwrap(),
            sent(&mut session, NOW).unwrap(),
        ];
        failed.sort_unstable();
        assert_eq!(failed, [(6, usbip::GONE, 0), (8, usbip::GONE, 0)]);
        assert_eq!(session.step(NOW), Step::Vanish);
        assert!(!session.stats().attached);
    }

    #[test]
    fn endpoints_that_there_are_not_stall() {
        let mut session = session(&[]);
        let Request::Submit(picture) = room(7) else {
            panic!()
        };
        let cases = [
            Submit {
                endpoint: 2,
                ..picture.clone()
            },
            Submit {
                direction: Direction::Out,
                ..picture.clone()
            },
            // Not even a header fits.
            Submit {
                length: 2,
                ..picture
            },
        ];
        for submit in cases {
            session.request(Request::Submit(submit), NOW);
            assert_eq!(sent(&mut session, NOW), Some((7, usbip::STALLED, 0)));
        }
    }

    #[test]
    fn values_are_in_the_stats() {
        let mut session = session(&[]);
        session.request(control(1, [0x21, 1, 0, 2, 0, 2, 2, 0], &[9, 0]), NOW);
        assert_eq!(sent(&mut session, NOW), Some((1, usbip::OK, 2)));
        assert_eq!(session.stats().controls[&ControlId::Brightness], 9);
    }

    proptest::proptest! {
        /// Whatever the host asks for, it is answered once, and the camera goes on.
        #[test]
        fn any_request_is_answered(
            setups in proptest::collection::vec(proptest::array::uniform8(proptest::num::u8::ANY), 1..60),
            data in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
            format in 0_u8..5,
        ) {
            let mut session = session(&[]);
            for (seq, mut setup) in (1..).zip(setups) {
                // Half of them to the video function, most of these to entities and selectors that there are.
                if setup[0] & 1 == 1 {
                    setup = [
                        if setup[1] & 1 == 1 { 0x21 } else { 0xa1 },
                        if setup[1] & 1 == 1 { 1 } else { 0x80 | setup[2] & 7 },
                        0, setup[3] & 15, setup[4] & 1, setup[5] & 3, setup[6], 0,
                    ];
                }
                let body = if setup[0] & 0x80 == 0 { &data[..] } else { &[] };
                session.request(control(seq, setup, body), NOW);
                let (answered, status, length) = sent(&mut session, NOW).unwrap();
                proptest::prop_assert_eq!(answered, seq);
                proptest::prop_assert!(matches!(status, usbip::OK | usbip::STALLED));
                if setup[0] & 0x80 != 0 {
                    proptest::prop_assert!(length <= u32::from(u16::from_le_bytes([setup[6], setup[7]])));
                }
            }
            let mut wish = vec![1, 0, format, 1];
            wish.extend(333_333_u32.to_le_bytes());
            wish.resize(34, 0);
            session.request(control(100, [0x21, 1, 0, 2, 1, 0, 34, 0], &wish), NOW);
            let (_, status, _) = sent(&mut session, NOW).unwrap();
            proptest::prop_assert_eq!(status == usbip::OK, (1..=3).contains(&format));
        }
    }
}
