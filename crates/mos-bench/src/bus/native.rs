//! The bus as a contender: a program that publishes, programs that subscribe.

use std::collections::BTreeMap;

use rustix::process::Signal;

use super::process::Process;
use super::producer::{Place, Producer, Shape, open_fds, resident_kib};
use super::scenario::timeline;
use super::subscriber::{self, Seen};
use crate::contender::{BUS, Contender, Error, Lane, Load, Run, StopPlan, StopStory};

/// The bus itself.
#[derive(Debug)]
pub(super) struct Native;

impl Contender for Native {
    fn name(&self) -> String {
        BUS.to_owned()
    }

    fn lane(&self) -> Lane {
        Lane::Native
    }

    fn conditions(&self) -> BTreeMap<String, String> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let how = "memfds of the bus's pool; window 2, hold 1; each frame is taken by the blocking call and dropped";
        BTreeMap::from([
            ("version".to_owned(), version),
            ("how".to_owned(), how.to_owned()),
        ])
    }

    fn run(&mut self, load: &Load) -> Result<Run, Error> {
        let place = Place::new()?;
        let shape = Shape::for_subscribers((load.width, load.height), load.subscribers);
        let producer = Producer::new(&place.path, shape)?;
        let processes = subscriber::start_many(&place.path, "duel", load.subscribers, &[])?;
        producer.wait_for(processes.len())?;
        let stretch = producer.publish(load.frames, load.fps, |_| Ok(()))?;
        producer.wait_until_taken("duel")?;
        // As for the others: the source alone, here the pace and the stamps, is not the transport's.
        let alone = producer.only_pace(load.frames, load.fps)?;
        drop(producer);
        let seen = subscriber::finish_all(processes)?;
        Ok(Run {
            deliveries: seen.iter().map(|s| s.frames).sum(),
            cpu_ns: stretch.cpu.as_nanos() as u64 + seen.iter().map(|s| s.cpu_ns).sum::<u64>(),
            baseline_ns: alone.as_nanos() as u64,
            wake_ns: seen.into_iter().flat_map(|s| s.wake_ns).collect(),
            torn: None,
        })
    }

    fn stop(&mut self, plan: &StopPlan) -> Result<Option<StopStory>, Error> {
        let load = plan.load;
        let place = Place::new()?;
        let shape = Shape::for_subscribers((load.width, load.height), load.subscribers);
        let producer = Producer::new(&place.path, shape)?;
        let check = &["--check"];
        let healthy = subscriber::start_many(&place.path, "healthy", load.subscribers - 1, check)?;
        let mut victim = Some(Process::start(&subscriber::arguments(
            &place.path,
            "victim",
            check,
        ))?);
        producer.wait_for(load.subscribers as usize)?;
        let frames = |time: std::time::Duration| (time.as_secs_f64() * f64::from(load.fps)) as u64;
        let stop_at = frames(plan.before);
        let kill_at = stop_at + frames(plan.stopped);
        let (mut at_stop, mut at_kill) = ((0, 0), (0, 0));
        let usage = || -> Result<(i64, i64), Error> {
            Ok((
                resident_kib()?.cast_signed(),
                open_fds()?.cast_signed() as i64,
            ))
        };
        let stretch = producer.publish(kill_at + frames(plan.after_kill), load.fps, |n| {
            if n == stop_at
                && let Some(victim) = &victim
            {
                at_stop = usage()?;
                victim.signal(Signal::STOP)?;
            }
            if n == kill_at
                && let Some(victim) = victim.take()
            {
                at_kill = usage()?;
                victim.kill()?;
            }
            Ok(())
        })?;
        producer.wait_until_taken("healthy")?;
        drop(producer);
        let seen: Vec<Seen> = subscriber::finish_all(healthy)?;
        Ok(Some(StopStory {
            timeline: timeline(&stretch, &seen),
            rss_growth_kib: Some(at_kill.0 - at_stop.0),
            fd_growth: Some(at_kill.1 - at_stop.1),
            torn: Some(seen.iter().map(|s| s.torn).sum()),
        }))
    }
}
