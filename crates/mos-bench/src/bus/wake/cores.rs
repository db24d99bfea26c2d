//! Who runs on which core.
//!
//! A process that is woken on its waker's core waits for the waker to sleep; on another core it waits for that core to wake up. The
//! scheduler decides by habit: each listening thread settles on a core, and for minutes one way seems faster than another (6 us
//! against 40 us were seen between threads of one process). So the producer has a core, listeners have the others in turn, and all
//! threads of a listener stay together.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::contender::Error;

/// Cores of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cores {
    /// The producer's, which publishes and wakes by all ways.
    pub(super) producer: usize,
    /// The listeners', in turn.
    pub(super) listeners: Vec<usize>,
}

/// Cores that this thread may use.
pub(super) fn allowed() -> Result<Vec<usize>, Error> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU)
        .filter(|core| set.is_set(*core))
        .collect())
}

/// Keeps this thread, and threads and processes that it starts from now on, on these cores.
pub(super) fn stay_on(cores: &[usize]) -> Result<(), Error> {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core);
    }
    Ok(sched_setaffinity(None, &set)?)
}

impl Cores {
    /// The first core for the producer, the rest for listeners; a single core for everybody.
    pub(super) fn of(allowed: &[usize]) -> Option<Self> {
        let (producer, rest) = allowed.split_first()?;
        let listeners = if rest.is_empty() { allowed } else { rest };
        Some(Self {
            producer: *producer,
            listeners: listeners.to_vec(),
        })
    }

    /// Core of listener `n`.
    pub(super) fn of_listener(&self, n: u32) -> usize {
        self.listeners[n as usize % self.listeners.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_leave_the_producer_its_core_where_they_can() {
        let cases: [(&[usize], usize, [usize; 3]); 3] = [
            (&[3], 3, [3, 3, 3]),
            (&[0, 1], 0, [1, 1, 1]),
            (&[2, 5, 7], 2, [5, 7, 5]),
        ];
        for (allowed, producer, listeners) in cases {
            let cores = Cores::of(allowed).unwrap();
            assert_eq!(cores.producer, producer, "{allowed:?}");
            assert_eq!([0, 1, 2].map(|n| cores.of_listener(n)), listeners);
        }
        assert_eq!(Cores::of(&[]), None);
    }

    #[test]
    fn a_thread_stays_where_it_is_put() {
        let all = allowed().unwrap();
        // Affinity is the thread's own.
        let seen = std::thread::spawn(move || {
            stay_on(&all[..1]).unwrap();
            (allowed().unwrap(), all)
        });
        let (now, all) = seen.join().unwrap();
        assert_eq!(now, all[..1]);
    }
}
