//! `mosctl frames`.

use std::time::Duration;

use mos_frame::tokio::AsyncSubscriber;
use mos_frame::{Frame, MemoryKind, RecvError, SubscriberOptions, SubscriberStats, monotonic_ns};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};

use super::subscribe::subscribe;
use crate::cli::{Frames, Global};
use crate::exit::{Exit, Failure, Result};
use crate::frames::{Arrival, HEADER, Kind, Measure, Report};
use crate::output::Out;
use crate::signals::Stop;

/// Time between two lines.
const INTERVAL: Duration = Duration::from_secs(1);

/// Lines between two headers.
const HEADER_EVERY: u64 = 20;

/// A time that no run reaches: no end was asked for.
const FOR_EVER: Duration = Duration::from_hours(24 * 365);

pub(super) async fn run(global: &Global, args: &Frames, out: &Out) -> Result<()> {
    let options = SubscriberOptions {
        name: args.name.clone(),
        window: args.window,
        hold: args.hold,
        ..SubscriberOptions::default()
    };
    let subscriber = subscribe(&global.bus_socket(&args.stream), &options, args.wait)?;
    let subscriber = AsyncSubscriber::new(subscriber)
        .map_err(|e| Failure::new(Exit::Other, format!("can't wait for frames: {e}"), ""))?;
    let mut run = Run::new(args, out, subscriber);
    let ended = run.until_end(Stop::new()?).await;
    run.report_total()?;
    ended
}

/// A running measurement.
struct Run<'a> {
    args: &'a Frames,
    out: &'a Out,
    subscriber: AsyncSubscriber,
    began: Instant,
    interval_began: Instant,
    interval: Measure,
    total: Measure,
    lines: u64,
    /// The frame that is worked on, and when that is done.
    at_work: Option<(Frame, Instant)>,
    /// The producer's session that the last frame came from.
    session: Option<u64>,
    /// Changes of session.
    reconnects: u64,
}

/// What the loop woke up for.
enum Woken {
    Stopped,
    Ticked,
    Worked,
    Received(std::result::Result<Frame, RecvError>),
}

impl<'a> Run<'a> {
    fn new(args: &'a Frames, out: &'a Out, subscriber: AsyncSubscriber) -> Self {
        let (now, stats) = (Instant::now(), subscriber.stats());
        Self {
            args,
            out,
            subscriber,
            began: now,
            interval_began: now,
            interval: Measure::new(stats),
            total: Measure::new(stats),
            lines: 0,
            at_work: None,
            session: None,
            reconnects: 0,
        }
    }

    /// Receives until the user, the clock or the count ends it.
    async fn until_end(&mut self, mut stop: Stop) -> Result<()> {
        let end = self.began + self.args.seconds.unwrap_or(FOR_EVER);
        let mut ticks = interval_at(self.began + INTERVAL, INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while !self.has_enough() {
            match self.wake(&mut stop, &mut ticks, end).await {
                Woken::Stopped => break,
                Woken::Ticked => self.report_interval()?,
                Woken::Worked => self.at_work = None,
                Woken::Received(frame) => self.receive(frame?)?,
            }
        }
        Ok(())
    }

    fn has_enough(&self) -> bool {
        self.args
            .count
            .is_some_and(|count| self.total.frames() >= count)
    }

    async fn wake(&mut self, stop: &mut Stop, ticks: &mut Interval, end: Instant) -> Woken {
        let work_done = self.at_work.as_ref().map(|(_, done)| *done);
        tokio::select! {
            biased;
            () = stop.asked() => Woken::Stopped,
            () = sleep_until(end) => Woken::Stopped,
            _ = ticks.tick() => Woken::Ticked,
            () = sleep_until(work_done.unwrap_or(end)), if work_done.is_some() => Woken::Worked,
            frame = take(&mut self.subscriber, self.args.latest), if work_done.is_none() => Woken::Received(frame),
        }
    }

    fn receive(&mut self, frame: Frame) -> Result<()> {
        let received = monotonic_ns();
        let arrival = Arrival {
            captured: frame.meta().capture_ns,
            published: frame.publish_ns(),
            received,
            clock: (frame.meta().clock_source, frame.meta().clock_error_ns),
        };
        self.interval.frame(arrival);
        self.total.frame(arrival);
        self.introduce(&frame)?;
        if self.args.work_ms > 0 {
            self.at_work = Some((
                frame,
                Instant::now() + Duration::from_millis(self.args.work_ms),
            ));
        }
        Ok(())
    }

    /// Says what the frames are like when the first is there, and notes whom they come from.
    fn introduce(&mut self, frame: &Frame) -> Result<()> {
        match self.session.replace(frame.session()) {
            None => self.out.say(&introduction(self.args, frame))?,
            Some(before) => self.reconnects += u64::from(before != frame.session()),
        }
        Ok(())
    }

    /// The subscriber's counters. It counts each try to reach a producer that is back; what is told is how often one came
    /// back and gave frames.
    fn stats(&self) -> SubscriberStats {
        SubscriberStats {
            reconnects: self.reconnects,
            ..self.subscriber.stats()
        }
    }

    fn report_interval(&mut self) -> Result<()> {
        let (stats, now) = (self.stats(), Instant::now());
        let report = self.report(Kind::Interval, &self.interval, now - self.interval_began);
        if self.lines.is_multiple_of(HEADER_EVERY) {
            self.out.say(HEADER)?;
        }
        self.lines += 1;
        self.interval.restart(stats);
        self.interval_began = now;
        self.out.result(&report, |r| r.line(now - self.began))
    }

    fn report_total(&self) -> Result<()> {
        let report = self.report(Kind::Total, &self.total, self.began.elapsed());
        self.out.result(&report, Report::summary)
    }

    fn report(&self, kind: Kind, measure: &Measure, span: Duration) -> Report {
        let names = (self.args.stream.as_str(), self.args.name.as_str());
        Report::new(kind, names, measure, span, self.stats())
    }
}

async fn take(
    subscriber: &mut AsyncSubscriber,
    latest: bool,
) -> std::result::Result<Frame, RecvError> {
    if latest {
        subscriber.latest().await
    } else {
        subscriber.next().await
    }
}

fn introduction(args: &Frames, frame: &Frame) -> String {
    let format = frame.format();
    let rate = match format.framerate {
        (0, _) => "a varying rate".to_owned(),
        (num, 0 | 1) => format!("{num} fps"),
        (num, den) => format!("{num}/{den} fps"),
    };
    let memory = match format.memory {
        MemoryKind::Memfd => "memfd (development fallback)",
        MemoryKind::DmaBuf => "dma-buf",
    };
    format!(
        "{}: {} {}x{} at {rate} in {memory}; received as `{}`, window {}, hold {}\n",
        args.stream, format.fourcc, format.width, format.height, args.name, args.window, args.hold
    )
}
