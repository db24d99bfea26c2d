//! `demo`: several cameras, five subscriber processes each (one a GStreamer pipeline, one a Python program), live figures, a picture of all at the end.

mod cameras;
mod consumers;
mod result;
mod session;
mod view;

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use crate::cargo::Profile;
use crate::error::Error;
use crate::paths;
use crate::rig::{self, service, service::Service};
use crate::setup::{self, Group};
use crate::signals;
use crate::ui::say;

use self::consumers::Consumers;
use self::result::Outcome;
use self::session::Session;
use self::view::View;

/// How long the demo runs where nobody is at a terminal to end it.
const UNATTENDED: Duration = Duration::from_secs(20);
const REFRESH: Duration = Duration::from_secs(1);
const SHEET: &str = "mos-demo.png";

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// End after this many seconds of frames [default: at Ctrl-C; 20 without a terminal]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,
    /// Print the figures as one JSON object, as the last line
    #[arg(long)]
    json: bool,
    /// Don't check or install system packages
    #[arg(long)]
    no_setup: bool,
}

impl Args {
    fn limit(&self) -> Option<Duration> {
        let given = self.seconds.map(Duration::from_secs);
        given.or_else(|| (!stderr().is_terminal()).then_some(UNATTENDED))
    }
}

/// Runs the demo; fails if a camera gave no frames.
pub(crate) fn run(args: &Args) -> Result<(), Error> {
    if !args.no_setup {
        setup::ensure(&[Group::Build, Group::Run, Group::Test])?;
    }
    rig::build(Profile::Dev)?;
    let (outcome, stopped) = show(args)?;
    print!("{}", outcome.text());
    if args.json {
        println!("{}", outcome.json());
    }
    stopped.and(outcome.verdict())
}

/// What was found, and how the service ended after it.
fn show(args: &Args) -> Result<(Outcome, Result<(), Error>), Error> {
    let folder = service::folder()?;
    let consumers = Consumers::ready(folder.path())?;
    say("starting an RTSP server as a network camera, and the capture service");
    // Declared before the service, so that it outlives it: the service should not see its camera vanish at the end.
    let rtsp = cameras::RtspCamera::start(folder.path())?;
    let cameras = cameras::all(&rtsp);
    let mut service = Service::start(Profile::Dev, folder, &cameras, "demo/service.log")?;
    let ctl = service.ctl();
    let mut sources = cameras::sources(&cameras);
    sources.extend(cameras::add_real(&ctl)?);

    let mut session = Session::new(ctl, consumers, sources);
    session.wait_for_frames(&mut service)?;
    watch(args, &mut session, &mut service)?;
    let sheet = paths::invoked_from().join(SHEET);
    let sheet = session.snapshot(&sheet)?.then_some(sheet);
    let outcome = session.finish(sheet)?;
    Ok((outcome, service.stop()))
}

/// Shows the figures until the time is over or Ctrl-C.
fn watch(args: &Args, session: &mut Session, service: &mut Service) -> Result<(), Error> {
    let (started, limit) = (Instant::now(), args.limit());
    let until = limit.map_or("until Ctrl-C".to_owned(), |limit| {
        format!("for {} s", limit.as_secs())
    });
    say(format!(
        "five subscribers a camera; the one called slow works 200 ms on each frame; {until}"
    ));
    let mut view = View::new();
    loop {
        let left = limit.map_or(REFRESH, |limit| {
            limit.saturating_sub(started.elapsed()).min(REFRESH)
        });
        if left.is_zero() || signals::pause(left) {
            view.end();
            return Ok(());
        }
        service.check()?;
        view.show(&session.rows()?);
    }
}
