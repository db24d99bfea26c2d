//! GStreamer's own transports, and the bus's elements beside them: the same source, caps, pace and settings for all.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::baseline::Baseline;
use super::course::Course;
use super::pipeline::END;
use super::process::Peer;
use super::system::System;
use crate::contender::{self, Contender, Error, Lane, Load, Run, StopPlan, StopStory};

/// Settings of every sink. Pace is the source's matter, and nobody keeps a frame for a later look.
const SINK: &str = "sync=false enable-last-sample=false";
/// Frames on offer, and frames that a subscriber of the bus may hold.
const WINDOW_AND_HOLD: &str = "window=2 hold=2";
/// Frames that fit into the shared memory of `shmsink`: its pool, and as many again on their way.
const SHM_FRAMES: u64 = 16;

/// What carries the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `shmsink` and `shmsrc`.
    Shm,
    /// `unixfdsink` and `unixfdsrc`.
    UnixFd,
    /// `mosframesink` and `mosframesrc`.
    Bus,
    /// `mosframesink` and a program that subscribes by the bus's library.
    BusToProgram,
}

impl Kind {
    /// Stock elements that it needs; ours come from our plugin.
    pub(super) fn needs(self) -> &'static [&'static str] {
        match self {
            Self::Shm => &["shmsink", "shmsrc"],
            Self::UnixFd => &["unixfdsink", "unixfdsrc"],
            Self::Bus | Self::BusToProgram => &[],
        }
    }

    /// Name in tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Shm => contender::SHM,
            Self::UnixFd => contender::UNIXFD,
            Self::Bus => contender::BUS_ELEMENTS,
            Self::BusToProgram => "mosframesink to program",
        }
    }

    /// Whether it needs our plugin.
    pub(super) fn is_ours(self) -> bool {
        matches!(self, Self::Bus | Self::BusToProgram)
    }

    fn sink(self, socket: &Path, load: &Load) -> String {
        let socket = socket.display();
        match self {
            Self::Shm => {
                let size = frame_bytes(load) * SHM_FRAMES;
                format!("shmsink socket-path={socket} shm-size={size} wait-for-connection=false")
            }
            Self::UnixFd => format!("unixfdsink socket-path={socket}"),
            Self::Bus | Self::BusToProgram => format!(
                "mosframesink socket-path={socket} expected-subscribers={} {WINDOW_AND_HOLD}",
                load.subscribers
            ),
        }
    }

    fn source(self, socket: &Path, load: &Load) -> Option<String> {
        let socket = socket.display();
        match self {
            // It sends bytes without saying what they are.
            Self::Shm => Some(format!(
                "shmsrc socket-path={socket} is-live=true ! {}",
                caps(load)
            )),
            Self::UnixFd => Some(format!("unixfdsrc socket-path={socket}")),
            Self::Bus => Some(format!(
                "mosframesrc socket-path={socket} {WINDOW_AND_HOLD}"
            )),
            Self::BusToProgram => None,
        }
    }
}

/// Where a producer's frames come from.
#[derive(Debug, Clone, Copy)]
enum Picture {
    /// Nothing is painted: what is left is the transport.
    Free,
    /// `videotestsrc` writes every byte, so that memory that piles up is there to be seen.
    Painted,
}

/// One transport on one GStreamer.
#[derive(Debug)]
pub(super) struct Elements {
    kind: Kind,
    system: System,
    version: String,
    plugin: Option<PathBuf>,
    baseline: Rc<Baseline>,
}

impl Elements {
    /// `plugin` is the file of our own elements.
    pub(super) fn new(
        kind: Kind,
        system: System,
        version: String,
        plugin: Option<PathBuf>,
        baseline: Rc<Baseline>,
    ) -> Self {
        Self {
            kind,
            system,
            version,
            plugin,
            baseline,
        }
    }

    fn pipeline(&self, name: &str, launch: &str) -> Result<Peer, Error> {
        let mut command = self.system.peer();
        command.arg("pipeline");
        if let Some(plugin) = self.plugin.as_ref().filter(|_| self.kind.is_ours()) {
            command.arg("--plugin").arg(plugin);
        }
        Peer::start(name, command.arg(launch))
    }

    fn subscriber(&self, socket: &Path, load: &Load) -> Result<Peer, Error> {
        let name = format!("{}'s subscriber", self.kind.name());
        match self.kind.source(socket, load) {
            Some(source) => self.pipeline(&name, &format!("{source} ! fakesink name={END} {SINK}")),
            None => Peer::start(&name, self.system.peer().arg("subscriber").arg(socket)),
        }
    }

    fn start(&self, socket: &Path, load: &Load, picture: Picture) -> Result<Course, Error> {
        let launch = producer(picture, load, &self.kind.sink(socket, load));
        let producer = self.pipeline(self.kind.name(), &launch)?;
        Course::start(producer, load.subscribers, |_| {
            self.subscriber(socket, load)
        })
    }

    /// CPU of a frame that goes nowhere, nanoseconds.
    fn bare(&self, load: &Load) -> Result<f64, Error> {
        let launch = producer(Picture::Free, load, "fakesink");
        let mut course = Course::start(self.pipeline("bare source", &launch)?, 0, |_| {
            Err("nobody subscribes to a bare source".into())
        })?;
        let seen = course.stretch(load)?.producer;
        Ok(seen.cpu_ns as f64 / seen.times_ns.len().max(1) as f64)
    }
}

impl Contender for Elements {
    fn name(&self) -> String {
        self.kind.name().to_owned()
    }

    fn lane(&self) -> Lane {
        match self.kind {
            Kind::BusToProgram => Lane::Native,
            Kind::Shm | Kind::UnixFd | Kind::Bus => Lane::Elements,
        }
    }

    fn conditions(&self) -> BTreeMap<String, String> {
        let load = Load {
            subscribers: 1,
            width: 1920,
            height: 1080,
            fps: 60,
            frames: 0,
        };
        let socket = Path::new("SOCKET");
        let subscriber = self.kind.source(socket, &load).map_or_else(
            || "mos_frame::Subscriber, window 2, hold 1".to_owned(),
            |source| format!("{source} ! fakesink {SINK}"),
        );
        let sink = self.kind.sink(socket, &load);
        [
            (
                "gstreamer",
                format!("{}, {}", self.version, self.system.place()),
            ),
            ("producer", producer(Picture::Free, &load, &sink)),
            (
                "producer, one subscriber stopped",
                producer(Picture::Painted, &load, &sink),
            ),
            ("subscriber", subscriber),
            ("deducted", producer(Picture::Free, &load, "fakesink")),
            ("source", SOURCE_NOTE.to_owned()),
        ]
        .map(|(name, text)| (name.to_owned(), text.replace(&format!(" name={END}"), "")))
        .into()
    }

    fn run(&mut self, load: &Load) -> Result<Run, Error> {
        let place = tempfile::tempdir()?;
        let mut course = self.start(&place.path().join("s"), load, Picture::Free)?;
        let stretch = course.stretch(load)?;
        let left = LeftBehind::of(course.producer_id());
        drop(course);
        left.remove()?;
        let bare = self.baseline.of(load, || self.bare(load))?;
        let baseline = bare * stretch.producer.times_ns.len() as f64;
        Ok(Run {
            deliveries: stretch.deliveries(),
            cpu_ns: stretch.cpu_ns(),
            baseline_ns: baseline as u64,
            wake_ns: stretch.wake_ns(),
            torn: stretch.torn(),
        })
    }

    fn stop(&mut self, plan: &StopPlan) -> Result<Option<StopStory>, Error> {
        if plan.load.subscribers < 2 {
            return Ok(None);
        }
        let place = tempfile::tempdir()?;
        let course = self.start(&place.path().join("s"), &plan.load, Picture::Painted)?;
        let left = LeftBehind::of(course.producer_id());
        let story = course.stop(plan);
        left.remove()?;
        story.map(Some)
    }
}

const SOURCE_NOTE: &str = "mosbenchsrc paces itself and takes buffers as a live videotestsrc does (downstream's pool, else a \
                           pool with downstream's allocator), and paints nothing";

/// `shmsink`'s memory, which stays if it has to be killed.
#[derive(Debug)]
struct LeftBehind {
    prefix: String,
}

impl LeftBehind {
    fn of(producer: u32) -> Self {
        Self {
            // As `shmpipe.c` names it: shmpipe.<pid, 5 wide>.<number>.
            prefix: format!("shmpipe.{producer:>5}."),
        }
    }

    fn remove(&self) -> Result<(), Error> {
        for entry in fs::read_dir("/dev/shm")? {
            let entry = entry?;
            if entry
                .file_name()
                .to_string_lossy()
                .starts_with(&self.prefix)
            {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

fn producer(picture: Picture, load: &Load, sink: &str) -> String {
    let source = match picture {
        Picture::Free => "mosbenchsrc",
        Picture::Painted => "videotestsrc is-live=true pattern=black",
    };
    format!("{source} ! {} ! {sink} name={END} {SINK}", caps(load))
}

fn caps(load: &Load) -> String {
    format!(
        "video/x-raw,format=NV12,width={},height={},framerate={}/1",
        load.width, load.height, load.fps
    )
}

fn frame_bytes(load: &Load) -> u64 {
    u64::from(load.width) * u64::from(load.height) * 3 / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: Load = Load {
        subscribers: 4,
        width: 1920,
        height: 1080,
        fps: 60,
        frames: 600,
    };

    #[test]
    fn all_producers_differ_only_in_their_sink() {
        let socket = Path::new("/s");
        for kind in [Kind::Shm, Kind::UnixFd, Kind::Bus] {
            let line = producer(Picture::Free, &LOAD, &kind.sink(socket, &LOAD));
            let bare = producer(Picture::Free, &LOAD, "fakesink");
            let cut = |line: &str| {
                let parts: Vec<_> = line.split(" ! ").map(str::to_owned).collect();
                (parts[..2].to_vec(), parts[2].ends_with(SINK))
            };
            assert_eq!(cut(&line), cut(&bare));
            assert!(line.contains(kind.name()) && line.contains("/s"), "{line}");
        }
    }

    #[test]
    fn only_memory_of_that_producer_is_removed() {
        assert_eq!(LeftBehind::of(77).prefix, "shmpipe.   77.");
        assert_eq!(LeftBehind::of(123_456).prefix, "shmpipe.123456.");
    }
}
