//! What a process costs, from /proc (proc(5)).

use std::fs;
use std::time::Duration;

use crate::error::Error;

/// A look at a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Processor time since its start, user and system.
    pub(crate) cpu: Duration,
    /// Memory that is in RAM, in bytes.
    pub(crate) rss: u64,
    /// Open file descriptors.
    pub(crate) fds: usize,
    /// Threads.
    pub(crate) threads: usize,
}

/// Looks at process `pid`.
pub(crate) fn usage(pid: u32) -> Result<Usage, Error> {
    let folder = format!("/proc/{pid}");
    let read = |name: &str| {
        fs::read_to_string(format!("{folder}/{name}"))
            .map_err(Error::path("read", format!("{folder}/{name}")))
    };
    let unexpected = |what: &str| Error::Unexpected {
        what: format!("{folder}/{what}"),
        why: "not as proc(5) has it".to_owned(),
    };
    let entries = |name: &str| {
        fs::read_dir(format!("{folder}/{name}"))
            .map(Iterator::count)
            .map_err(Error::path("read", format!("{folder}/{name}")))
    };
    let (fds, threads) = (entries("fd")?, entries("task")?);
    let ticks = cpu_ticks(&read("stat")?).ok_or_else(|| unexpected("stat"))?;
    let pages = resident_pages(&read("statm")?).ok_or_else(|| unexpected("statm"))?;
    let cpu =
        Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64);
    Ok(Usage {
        cpu,
        rss: pages * rustix::param::page_size() as u64,
        fds,
        threads,
    })
}

/// Fields 14 and 15, utime and stime; field 2 is the name, which may hold spaces and brackets.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_name, rest) = stat.rsplit_once(')')?;
    let field = |number: usize| rest.split_whitespace().nth(number - 3)?.parse::<u64>().ok();
    Some(field(14)? + field(15)?)
}

/// The second field of statm.
fn resident_pages(statm: &str) -> Option<u64> {
    statm.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_brackets_do_not_shift_the_fields() {
        let stat = "42 (a) (b) S 1 2 3 4 5 6 7 8 9 10 70 30 0 0 20 0 1 0 5 6 7";
        assert_eq!(cpu_ticks(stat), Some(100));
        assert_eq!(cpu_ticks("42 (x) S 1"), None);
    }

    #[test]
    fn this_process_costs_something() {
        let usage = usage(std::process::id()).unwrap();
        assert!(usage.rss > 100_000 && usage.fds >= 3 && usage.threads >= 1);
    }
}
