//! The faults, as data: how each is brought about, for how long, how it is lifted, and what has to come of it.

use std::time::Duration;

use super::shape::Shape;
use super::transport::Transport;

/// A fault of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Loss,
    Delay,
    Jitter,
    Reorder,
    Partition,
    AddressChange,
    ServerKilled,
    ServerSilent,
    Reset,
    SlowLoris,
    WrongPassword,
    ExpiredCertificate,
    CodecChange,
    ResolutionChange,
    RateChange,
    BrokenSps,
    BackwardTime,
    LongHeader,
}

/// Something that is done to a camera or to its wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// The wire treats packets so.
    Shape(Shape),
    /// The camera gets another address under its old name.
    Move,
    /// The server dies without a word.
    Kill,
    /// A server starts, with this picture.
    Serve(Picture),
    /// The server stands still; its sockets stay open.
    Freeze,
    /// It goes on.
    Thaw,
    /// The server in front misbehaves, by the name of `mos-rtsp-faults`.
    Misbehave(&'static str),
    /// Later connections in TLS see this certificate, by the name of `mos-rtsp-faults`.
    Certificate(&'static str),
    /// All connections end by RST.
    ResetConnections,
    /// The picture gets another size, in mid-stream.
    Resize,
    /// The picture gets another rate, in mid-stream.
    Rerate,
    /// The operator writes the right password down and has the service read it.
    CorrectPassword,
}

/// What a camera sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Picture {
    /// H.264.
    Usual,
    /// Another codec.
    Other,
}

/// How the camera is when its stream is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// As it should be: the fault comes when frames flow.
    Good,
    /// The service was given a wrong password: the fault is there from the start.
    WrongPassword,
}

/// The course of a fault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course {
    /// How it begins.
    pub(crate) beginning: Beginning,
    /// What brings it about.
    pub(crate) inject: &'static [Act],
    /// How long it lasts.
    pub(crate) lasts: Duration,
    /// What ends it; nothing if it is an event, not a condition.
    pub(crate) lift: &'static [Act],
}

/// What has to come of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expectation {
    /// The states from before the fault to the end, as [`super::sequence::Pattern`] reads it.
    pub(crate) states: &'static str,
    /// Longest time from the end of the fault to frames at a subscriber.
    pub(crate) within: Duration,
}

/// What the table has for a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    /// It is tried.
    Applies(Expectation),
    /// It makes no sense, for this reason.
    NotApplicable(&'static str),
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn after(lasts: Duration, inject: &'static [Act], lift: &'static [Act]) -> Course {
    Course {
        beginning: Beginning::Good,
        inject,
        lasts,
        lift,
    }
}

const CLEAN: Act = Act::Shape(Shape::CLEAN);

/// Nothing is noticed but in the picture.
const STAYS: &str = "streaming";
/// The service notices by itself that frames stopped. Where the old session takes longer to end than the wait before the
/// next attempt, there is no wait to be seen.
const STALLS: &str =
    "streaming -> stalled -> backoff? -> starting -> (backoff -> starting)* -> streaming";
/// The service is told, by the connection.
const IS_TOLD: &str = "streaming -> (backoff -> starting)+ -> streaming";
/// It is lost and comes back as often as it likes, so long as it comes back in the end.
const COMES_AND_GOES: &str = "streaming -> (stalled? -> (backoff -> starting)+ -> streaming)+";
/// Either, by chance of what comes first.
const EITHER: &str = "streaming -> (stalled -> backoff? | backoff) -> starting -> (backoff -> starting)* -> streaming";

impl Fault {
    /// All of them, in the table's order.
    pub(crate) const ALL: [Self; 18] = [
        Self::Loss,
        Self::Delay,
        Self::Jitter,
        Self::Reorder,
        Self::Partition,
        Self::AddressChange,
        Self::ServerKilled,
        Self::ServerSilent,
        Self::Reset,
        Self::SlowLoris,
        Self::WrongPassword,
        Self::ExpiredCertificate,
        Self::CodecChange,
        Self::ResolutionChange,
        Self::RateChange,
        Self::BrokenSps,
        Self::BackwardTime,
        Self::LongHeader,
    ];

    /// Its name in the table and for `--only`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Loss => "packet loss",
            Self::Delay => "delay",
            Self::Jitter => "jitter",
            Self::Reorder => "reorder",
            Self::Partition => "partition",
            Self::AddressChange => "address change",
            Self::ServerKilled => "server killed",
            Self::ServerSilent => "server silent",
            Self::Reset => "reset",
            Self::SlowLoris => "slow loris",
            Self::WrongPassword => "wrong password",
            Self::ExpiredCertificate => "expired certificate",
            Self::CodecChange => "codec change",
            Self::ResolutionChange => "resolution change",
            Self::RateChange => "rate change",
            Self::BrokenSps => "broken SPS",
            Self::BackwardTime => "backward time",
            Self::LongHeader => "long header",
        }
    }

    /// What it is, for people.
    pub(crate) const fn what(self) -> &'static str {
        match self {
            Self::Loss => "one packet in twenty is lost, for 10 s",
            Self::Delay => "every packet takes 300 ms, for 10 s",
            Self::Jitter => "every packet takes from 50 to 350 ms, for 10 s",
            Self::Reorder => "one packet in four overtakes others, which take 60 ms, for 10 s",
            Self::Partition => "nothing passes for 30 s; both ends keep their link",
            Self::AddressChange => "the camera gets another address; its name says so at once",
            Self::ServerKilled => "the server is killed and started again after 4 s",
            Self::ServerSilent => "the server stands still for 8 s, its sockets open",
            Self::Reset => {
                "the connection ends by RST; WHEP's media go by another way, so its server is killed and started again"
            }
            Self::SlowLoris => {
                "after an RST every answer comes at a byte a second, until the camera is power-cycled after 24 s"
            }
            Self::WrongPassword => {
                "the service has a wrong password; 3 s after it was refused it is corrected, and the service told to reload"
            }
            Self::ExpiredCertificate => {
                "the connection ends by RST, and the certificate has expired when the next begins; it is renewed after 6 s"
            }
            Self::CodecChange => {
                "the server starts anew with MJPEG, and after 5 s with H.264 again"
            }
            Self::ResolutionChange => "the picture gets another size within the session",
            Self::RateChange => "the picture gets a third of its rate within the session",
            Self::BrokenSps => {
                "after an RST all sequence parameter sets are noise, in the description and in the stream, for 14 s"
            }
            Self::BackwardTime => {
                "time stamps of one picture in three are up to 2 s too early, for 10 s"
            }
            Self::LongHeader => {
                "after an RST every answer has a header line of 10,000 bytes, for 6 s"
            }
        }
    }

    /// How it goes.
    pub(crate) const fn course(self) -> Course {
        match self {
            Self::Loss => after(
                s(10),
                &[Act::Shape(Shape {
                    loss: 5,
                    ..Shape::CLEAN
                })],
                &[CLEAN],
            ),
            Self::Delay => after(
                s(10),
                &[Act::Shape(Shape {
                    delay_ms: 300,
                    ..Shape::CLEAN
                })],
                &[CLEAN],
            ),
            Self::Jitter => after(
                s(10),
                &[Act::Shape(Shape {
                    delay_ms: 200,
                    jitter_ms: 150,
                    ..Shape::CLEAN
                })],
                &[CLEAN],
            ),
            Self::Reorder => after(
                s(10),
                &[Act::Shape(Shape {
                    delay_ms: 60,
                    reorder: 25,
                    ..Shape::CLEAN
                })],
                &[CLEAN],
            ),
            Self::Partition => after(s(30), &[Act::Shape(Shape::CUT)], &[CLEAN]),
            Self::AddressChange => after(s(0), &[Act::Move], &[]),
            Self::ServerKilled => after(s(4), &[Act::Kill], &[Act::Serve(Picture::Usual)]),
            Self::ServerSilent => after(s(8), &[Act::Freeze], &[Act::Thaw]),
            Self::Reset => after(s(0), &[Act::ResetConnections], &[]),
            Self::SlowLoris => after(
                s(24),
                &[Act::Misbehave("slow-loris"), Act::ResetConnections],
                &[Act::Misbehave("clean"), Act::ResetConnections],
            ),
            Self::WrongPassword => Course {
                beginning: Beginning::WrongPassword,
                inject: &[],
                lasts: s(3),
                lift: &[Act::CorrectPassword],
            },
            Self::ExpiredCertificate => after(
                s(6),
                &[Act::Certificate("expired"), Act::ResetConnections],
                &[Act::Certificate("good")],
            ),
            Self::CodecChange => after(s(0), &[Act::Kill, Act::Serve(Picture::Other)], &[]),
            Self::ResolutionChange => after(s(0), &[Act::Resize], &[]),
            Self::RateChange => after(s(0), &[Act::Rerate], &[]),
            Self::BrokenSps => misbehaves(
                s(14),
                &[Act::Misbehave("broken-sps"), Act::ResetConnections],
            ),
            Self::BackwardTime => misbehaves(s(10), &[Act::Misbehave("backward-time")]),
            Self::LongHeader => misbehaves(
                s(6),
                &[Act::Misbehave("long-header"), Act::ResetConnections],
            ),
        }
    }

    /// What a person has to do before the stream can go on; nothing in most cases.
    pub(crate) const fn person(self) -> Option<&'static str> {
        match self {
            Self::SlowLoris => Some("power-cycle the camera"),
            Self::WrongPassword => Some("correct the password, reload"),
            Self::ExpiredCertificate => Some("renew the certificate"),
            _ => None,
        }
    }

    /// What has to come of it over a transport.
    pub(crate) const fn over(self, transport: Transport) -> Cell {
        use Transport::{Onvif, RtspTcp, RtspUdp, Rtsps, Whep};
        let (states, within) = match (self, transport) {
            (Self::BrokenSps | Self::BackwardTime, Whep) => {
                return Cell::NotApplicable(
                    "media are encrypted by the server: nobody else can change them",
                );
            }
            (Self::RateChange, Whep) => {
                return Cell::NotApplicable("the server, aiortc, has one rate");
            }
            (
                Self::SlowLoris
                | Self::ServerKilled
                | Self::Reset
                | Self::CodecChange
                | Self::ExpiredCertificate,
                Whep,
            )
            | (Self::LongHeader, _) => (EITHER, s(25)),
            (
                Self::Loss
                | Self::Delay
                | Self::Jitter
                | Self::Reorder
                | Self::ResolutionChange
                | Self::RateChange
                | Self::BackwardTime,
                _,
            ) => (STAYS, s(10)),
            (Self::Partition, _) => (STALLS, s(30)),
            (Self::AddressChange | Self::ServerSilent, _) => (STALLS, s(20)),
            (Self::ServerKilled | Self::Reset | Self::CodecChange, RtspTcp | Rtsps | Onvif)
            | (Self::ExpiredCertificate, Rtsps) => (IS_TOLD, s(15)),
            (Self::ServerKilled | Self::Reset | Self::CodecChange, RtspUdp) => (EITHER, s(15)),
            // Noise may pass for a parameter set, and frames come for a while.
            (Self::BrokenSps, _) => (COMES_AND_GOES, s(25)),
            // What came of a message is not let go by GStreamer's client before the rest is there or the connection ends: of the first
            // session's farewell, or of the attempt after it.
            (Self::SlowLoris, _) => (
                "streaming -> (backoff -> starting)? -> backoff -> failed? -> starting -> streaming",
                s(10),
            ),
            (Self::ExpiredCertificate, RtspTcp | RtspUdp) => {
                return Cell::NotApplicable("there is no certificate without TLS");
            }
            (Self::ExpiredCertificate, Onvif) => {
                return Cell::NotApplicable("the table's ONVIF cameras are asked without TLS");
            }
            (Self::WrongPassword, _) => (
                "configured -> starting -> unauthorized -> starting -> streaming",
                s(10),
            ),
        };
        Cell::Applies(Expectation { states, within })
    }
}

const fn misbehaves(lasts: Duration, inject: &'static [Act]) -> Course {
    after(lasts, inject, &[Act::Misbehave("clean")])
}

impl Course {
    /// Whether it takes the server that misbehaves.
    pub(crate) fn needs_front(&self) -> bool {
        self.inject.iter().any(|act| {
            matches!(
                act,
                Act::Misbehave(_) | Act::Certificate(_) | Act::ResetConnections
            )
        })
    }

    /// The course for a run that has to be short.
    pub(crate) fn shortened(self) -> Self {
        Self {
            lasts: self.lasts.min(Self::SHORT),
            ..self
        }
    }

    /// Long enough for the watchdogs of the table's cameras.
    const SHORT: Duration = s(12);
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::conformance::sequence::Pattern;

    #[test]
    fn every_pair_has_a_pattern_that_ends_in_frames_or_a_reason() {
        for fault in Fault::ALL {
            for transport in Transport::ALL {
                let title = format!("{} over {}", fault.name(), transport.name());
                match fault.over(transport) {
                    Cell::NotApplicable(why) => assert!(!why.is_empty(), "{title}"),
                    Cell::Applies(Expectation { states, within }) => {
                        assert!(Pattern::parse(states).is_ok(), "{title}: {states}");
                        let last = states.trim_end_matches([')', '+']);
                        assert!(last.ends_with("streaming"), "{title}: {states}");
                        assert!(within <= Duration::from_secs(30), "{title}");
                    }
                }
            }
        }
    }

    #[test]
    fn faults_have_names_of_their_own_and_conditions_are_lifted() {
        let names: HashSet<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        assert_eq!(names.len(), Fault::ALL.len());
        for fault in Fault::ALL {
            let course = fault.course();
            assert_eq!(
                course.lasts.is_zero(),
                course.lift.is_empty(),
                "{}",
                fault.name()
            );
            let good = course.beginning == Beginning::Good;
            assert_eq!(good, !course.inject.is_empty(), "{}", fault.name());
            assert!(course.shortened().lasts <= Course::SHORT);
        }
        // What a person has to do is the end of the course.
        for fault in Fault::ALL {
            let act = match fault.course().lift.last() {
                Some(Act::CorrectPassword) => "reload",
                Some(Act::ResetConnections) => "power-cycle",
                Some(Act::Certificate(_)) => "certificate",
                _ => "",
            };
            let person = fault.person();
            assert_eq!(person.is_some(), !act.is_empty(), "{}", fault.name());
            assert!(person.is_none_or(|person| person.contains(act)));
        }
    }

    #[test]
    fn recovery_without_trouble_is_no_recovery() {
        let streaming = ["streaming".to_owned()];
        for (pattern, alone) in [
            (STAYS, true),
            (STALLS, false),
            (IS_TOLD, false),
            (EITHER, false),
        ] {
            let pattern = Pattern::parse(pattern).unwrap();
            assert_eq!(pattern.matches(&streaming), alone, "{pattern}");
        }
    }
}
