//! One pair of the table: a camera of its own is started, gets its fault, and is watched until its stream is well again.

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mos_testkit::certificates::Authority;
use rustix::process::Signal;

use super::console::Console;
use super::faults::{Act, Beginning, Cell, Course, Expectation, Fault, Picture};
use super::net::{self, Net};
use super::sequence::{Pattern, State};
use super::transport::{self, PASSWORD, Transport};
use crate::cargo::{Profile, program};
use crate::error::Error;
use crate::exec::GRACE;
use crate::rig::ctl::Ctl;
use crate::rig::service::Service;
use crate::rig::subscriber::Subscriber;
use crate::rig::watch::{Entry, Watch};
use crate::signals;

/// Longest time from the start of a stream to where its fault can begin.
const BEGIN: Duration = Duration::from_secs(40);
/// How long a stream has to stay as it is, with frames, before it counts as well: longer than its watchdog's time.
const SETTLE: Duration = Duration::from_secs(4);

/// A transport and a fault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    /// How the picture comes.
    pub(crate) transport: Transport,
    /// What goes wrong.
    pub(crate) fault: Fault,
    /// How it goes wrong.
    pub(crate) course: Course,
    /// What has to come of it.
    pub(crate) expectation: Expectation,
    /// The camera's number, from 1.
    pub(crate) number: u16,
    /// Decides what is left to chance.
    pub(crate) seed: u64,
}

impl Pair {
    /// The stream's name.
    pub(crate) fn stream(&self) -> String {
        format!(
            "{}.{}",
            self.transport.name(),
            self.fault.name().replace(' ', "-")
        )
    }

    /// Whether another server stands in front of the real one.
    pub(crate) fn needs_front(&self) -> bool {
        self.transport.is_tls() || self.course.needs_front()
    }

    /// Where the service has its password from.
    pub(crate) fn password_file(&self, folder: &std::path::Path) -> PathBuf {
        folder.join(format!("{}.password", self.stream()))
    }

    /// What the service is given as a password when it starts.
    pub(crate) const fn first_password(&self) -> &'static str {
        match self.course.beginning {
            Beginning::Good => PASSWORD,
            Beginning::WrongPassword => "not the password",
        }
    }
}

/// Pairs to try of what is asked for, numbered, and what does not apply with its reason.
pub(crate) fn pairs(
    transports: &[Transport],
    faults: &[Fault],
    seed: u64,
) -> (Vec<Pair>, Vec<(Transport, Fault, &'static str)>) {
    let (mut pairs, mut rest) = (Vec::new(), Vec::new());
    for &fault in faults {
        for &transport in transports {
            match fault.over(transport) {
                Cell::NotApplicable(why) => rest.push((transport, fault, why)),
                Cell::Applies(expectation) => pairs.push(Pair {
                    transport,
                    fault,
                    course: fault.course(),
                    expectation,
                    number: u16::try_from(pairs.len() + 1).unwrap_or(u16::MAX),
                    seed: mixed(seed, transport, fault),
                }),
            }
        }
    }
    (pairs, rest)
}

/// A pair's own seed, which does not depend on what else runs (FNV-1a over the names).
fn mixed(seed: u64, transport: Transport, fault: Fault) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ seed;
    let names = transport.name().bytes().chain(fault.name().bytes());
    names.fold(start, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

/// What came of a pair.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// The states, from before the fault to the end.
    pub(crate) seen: Vec<State>,
    /// What the service last said was wrong.
    pub(crate) said: Option<String>,
    /// From the end of the fault to the last time that the stream came up, with frames at a subscriber; 0 if it was up all
    /// the time, none if it never came up.
    pub(crate) recovered: Option<Duration>,
    /// Why it is not as expected.
    pub(crate) wrong: Option<String>,
}

/// What all pairs share.
#[derive(Debug)]
pub(crate) struct Lab {
    /// Follows the service.
    pub(crate) watch: Watch,
    /// Calls it.
    pub(crate) ctl: Ctl,
    /// The one service for all.
    pub(crate) service: Mutex<Service>,
    /// Issued the cameras' certificates.
    pub(crate) authority: Authority,
    /// The programs' build.
    pub(crate) profile: Profile,
    /// The last to go.
    pub(crate) net: Mutex<Net>,
}

impl Lab {
    fn net(&self) -> MutexGuard<'_, Net> {
        lock(&self.net)
    }
}

/// A lock that outlives a thread that broke down: each use of what is behind it stands for itself.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tries a pair. What goes wrong with the lab itself, not with the stream, is an error.
pub(crate) fn run(lab: &Lab, pair: &Pair) -> Result<Outcome, Error> {
    let mut trial = Trial::begin(lab, pair)?;
    let result = trial.go();
    let entries = trial.entries();
    let wrong = match result {
        Ok(()) => None,
        Err(Stop::Wrong(why)) => Some(why),
        Err(Stop::Lab(error)) => return Err(error),
    };
    // A pipeline that can't be stopped is a fault of the service, too.
    let stopped = lab.ctl.run(&["stop", &pair.stream()]);
    let wrong = wrong.or_else(|| stopped.err().map(|error| error.to_string()));
    net::leave(pair.number)?;
    let ended = trial.ended.unwrap_or_else(Instant::now);
    let up = entries.iter().rfind(|entry| entry.state == "streaming");
    Ok(Outcome {
        recovered: up
            .filter(|_| wrong.is_none())
            .map(|entry| entry.at.saturating_duration_since(ended)),
        said: said(&entries),
        seen: states(&entries),
        wrong,
    })
}

fn states(entries: &[Entry]) -> Vec<State> {
    entries.iter().map(|entry| entry.state.clone()).collect()
}

fn said(entries: &[Entry]) -> Option<String> {
    let fault = entries
        .iter()
        .rev()
        .find_map(|entry| entry.fault.as_ref())?;
    Some(format!("{} ({})", fault.message, fault.hint))
}

/// Why a trial does not go on.
#[derive(Debug)]
enum Stop {
    /// The stream is not as expected.
    Wrong(String),
    /// The lab is broken.
    Lab(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Lab(error)
    }
}

/// A pair under way.
struct Trial<'a> {
    lab: &'a Lab,
    pair: &'a Pair,
    stream: String,
    subscriber: Option<Subscriber>,
    front: Option<Console>,
    server: Option<Console>,
    /// What leads to the server, if the transport has such.
    device: Option<Console>,
    /// Where the states begin that count.
    mark: usize,
    /// When the fault was over.
    ended: Option<Instant>,
}

impl<'a> Trial<'a> {
    /// Makes the camera.
    fn begin(lab: &'a Lab, pair: &'a Pair) -> Result<Self, Error> {
        lab.net().join(pair.number)?;
        let mut trial = Self {
            lab,
            pair,
            stream: pair.stream(),
            subscriber: None,
            front: None,
            server: None,
            device: None,
            mark: 0,
            ended: None,
        };
        trial.serve(Picture::Usual)?;
        if pair.needs_front() {
            let program = program(lab.profile, "mos-rtsp-faults");
            let root = lab.authority.root();
            let folder = root.parent().filter(|_| pair.transport.is_tls());
            let mut command = transport::front(pair.number, &program, pair.seed, folder);
            trial.front = Some(Console::start(
                "mos-rtsp-faults",
                &trial.log("front"),
                &mut command,
            )?);
        }
        Ok(trial)
    }

    fn log(&self, what: &str) -> String {
        format!("conformance/{}.{what}.log", self.stream)
    }

    fn serve(&mut self, picture: Picture) -> Result<(), Error> {
        let behind = self.pair.needs_front();
        let mut command = match self.pair.transport {
            Transport::Whep => {
                let resizes = self.pair.fault == Fault::ResolutionChange;
                transport::whep_server(self.pair.number, picture, resizes)?
            }
            _ => transport::server(self.pair.number, picture, behind),
        };
        self.server = Some(Console::start(
            "the camera's server",
            &self.log("server"),
            &mut command,
        )?);
        if self.pair.transport == Transport::Onvif {
            let mut command = transport::onvif_device(self.pair.number);
            let log = self.log("device");
            self.device = Some(Console::start("the ONVIF device", &log, &mut command)?);
        }
        Ok(())
    }

    /// The states that count.
    fn entries(&self) -> Vec<Entry> {
        self.lab.watch.states(&self.stream).split_off(self.mark)
    }

    fn go(&mut self) -> Result<(), Stop> {
        self.lab.ctl.run(&["start", &self.stream])?;
        self.until_fault_can_begin()?;
        self.acts(self.pair.course.inject)?;
        self.last()?;
        self.acts(self.pair.course.lift)?;
        let ended = Instant::now();
        self.ended = Some(ended);
        self.until_well(ended + self.pair.expectation.within)
    }

    fn until_fault_can_begin(&mut self) -> Result<(), Stop> {
        let wanted = match self.pair.course.beginning {
            Beginning::Good => "streaming",
            Beginning::WrongPassword => "unauthorized",
        };
        let is = |entries: &[Entry]| entries.last().is_some_and(|entry| entry.state == wanted);
        if !self
            .lab
            .watch
            .wait(&self.stream, Instant::now() + BEGIN, is)?
        {
            return Err(Stop::Wrong(format!(
                "it was never {wanted}, before anything was done to it"
            )));
        }
        if self.pair.course.beginning == Beginning::Good {
            self.subscribe()?;
            if !self.settles(self.mark)? {
                return Err(Stop::Wrong(
                    "it did not stay well before anything was done to it".to_owned(),
                ));
            }
            self.mark = self.lab.watch.states(&self.stream).len() - 1;
        }
        Ok(())
    }

    fn subscribe(&mut self) -> Result<(), Error> {
        if self.subscriber.is_none() {
            self.subscriber = Some(Subscriber::start(
                &self.lab.ctl,
                &self.stream,
                "table",
                &[],
            )?);
        }
        Ok(())
    }

    /// Lets the fault last.
    fn last(&self) -> Result<(), Error> {
        if signals::pause(self.pair.course.lasts) {
            return Err(Error::Interrupted);
        }
        lock(&self.lab.service).check()
    }

    /// Waits until the states are as expected and stay so, with frames.
    fn until_well(&mut self, deadline: Instant) -> Result<(), Stop> {
        let pattern = Pattern::parse(self.pair.expectation.states).map_err(Stop::Wrong)?;
        loop {
            let mark = self.mark;
            let as_expected = |entries: &[Entry]| pattern.matches(&states(&entries[mark..]));
            if !self.lab.watch.wait(&self.stream, deadline, as_expected)? {
                return Err(Stop::Wrong(self.what_it_is_instead()));
            }
            self.subscribe()?;
            if self.settles(self.mark)? {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Stop::Wrong(
                    "it did not stay well, or no frames came".to_owned(),
                ));
            }
        }
    }

    fn what_it_is_instead(&self) -> String {
        let entries = self.entries();
        let is = entries
            .last()
            .map_or("unknown", |entry| entry.state.as_str());
        let within = self.pair.expectation.within.as_secs();
        let said = said(&entries).unwrap_or_default();
        match is {
            "streaming" => {
                format!("it streams, but not by the states expected; it last said: {said}")
            }
            _ => format!("{within} s after the fault it is {is}: {said}"),
        }
    }

    /// Whether no state changes for a while and frames come until its end.
    fn settles(&mut self, mark: usize) -> Result<bool, Error> {
        let Some(subscriber) = &mut self.subscriber else {
            return Ok(false);
        };
        subscriber.restart()?;
        let count = self.lab.watch.states(&self.stream).len().max(mark);
        let changes = |entries: &[Entry]| entries.len() != count;
        if self
            .lab
            .watch
            .wait(&self.stream, Instant::now() + SETTLE, changes)?
        {
            return Ok(false);
        }
        lock(&self.lab.service).check()?;
        Ok(subscriber.latest()?.frames > 0)
    }

    fn acts(&mut self, acts: &[Act]) -> Result<(), Error> {
        acts.iter().try_for_each(|act| self.act(*act))
    }

    fn act(&mut self, act: Act) -> Result<(), Error> {
        let number = self.pair.number;
        match act {
            Act::Shape(shape) => self.lab.net().shape(number, shape, self.pair.seed),
            Act::Move => self.lab.net().move_camera(number),
            Act::Kill => {
                for mut program in [self.server.take(), self.device.take()]
                    .into_iter()
                    .flatten()
                {
                    program.running().stop(Signal::KILL, GRACE)?;
                }
                Ok(())
            }
            Act::Serve(picture) => self.serve(picture),
            Act::Freeze => self.signal_all(Signal::STOP),
            Act::Thaw => self.signal_all(Signal::CONT),
            // Its media don't go by the connection, and it changes its size by itself.
            Act::ResetConnections if self.pair.transport == Transport::Whep => {
                self.acts(&[Act::Kill, Act::Serve(Picture::Usual)])
            }
            Act::Resize if self.pair.transport == Transport::Whep => Ok(()),
            Act::Resize => signal(self.server.as_mut(), Signal::USR1),
            Act::Rerate => signal(self.server.as_mut(), Signal::USR2),
            Act::Misbehave(mode) => self.tell_front(&format!("mode {mode}")),
            Act::Certificate(which) => self.tell_front(&format!("certificate {which}")),
            Act::ResetConnections => self.tell_front("reset"),
            Act::CorrectPassword => {
                let mut service = lock(&self.lab.service);
                let file = self.pair.password_file(service.path());
                fs::write(&file, PASSWORD).map_err(Error::path("write", &file))?;
                service.reload()
            }
        }
    }

    fn signal_all(&mut self, which: Signal) -> Result<(), Error> {
        let programs = [&mut self.front, &mut self.server, &mut self.device];
        programs
            .into_iter()
            .try_for_each(|program| signal(program.as_mut(), which))
    }

    fn tell_front(&mut self, command: &str) -> Result<(), Error> {
        match &mut self.front {
            Some(front) => front.tell(command),
            None => Ok(()),
        }
    }
}

fn signal(program: Option<&mut Console>, signal: Signal) -> Result<(), Error> {
    program.map_or(Ok(()), |program| program.running().signal(signal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_numbered_and_have_seeds_of_their_own() {
        let (all, rest) = pairs(&Transport::ALL, &Fault::ALL, 1);
        assert_eq!(
            all.len() + rest.len(),
            Transport::ALL.len() * Fault::ALL.len()
        );
        assert!(
            all.iter()
                .zip(1..)
                .all(|(pair, number)| pair.number == number)
        );
        let mut seeds: Vec<_> = all.iter().map(|pair| pair.seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        assert_eq!(seeds.len(), all.len());
        let (one, _) = pairs(&[Transport::RtspUdp], &[Fault::Loss], 1);
        let same = all
            .iter()
            .find(|pair| pair.stream() == one[0].stream())
            .unwrap();
        assert_eq!(one[0].seed, same.seed, "whatever else runs");
        assert_ne!(
            pairs(&[Transport::RtspUdp], &[Fault::Loss], 2).0[0].seed,
            same.seed
        );
    }
}
