//! When to look for devices, from what the two sources tell; pure.

use std::time::{Duration, Instant};

use super::inotify::Seen;

/// Longest wait for udev's word on a node that inotify has seen come or go. Its rules may be slow; a false alarm would mean
/// to look at nodes before they have their permissions, from then on.
const GRACE: Duration = Duration::from_secs(5);

/// What was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// udev has an event.
    Udev,
    /// inotify has events.
    Inotify(Seen),
    /// The deadline has passed.
    Time,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing yet.
    Nothing,
    /// Look for devices.
    Look,
    /// Look for devices, and expect nothing more of udev: it did not tell of a node that came or went.
    LookAsUdevIsDeaf,
}

/// What inotify has seen and udev has not told yet.
#[derive(Debug, Default)]
pub(super) struct Settle {
    waiting: Option<Waiting>,
    /// udev has told something: it is not deaf, and what inotify tells late needs no second word of it.
    heard: bool,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    until: Instant,
    /// udev has to tell of it.
    udev_owes: bool,
}

impl Settle {
    /// When [`Told::Time`] is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.map(|waiting| waiting.until)
    }

    /// Takes in what was told at `now`.
    pub(super) fn take(&mut self, told: Told, now: Instant, udev_runs: bool) -> Due {
        match told {
            Told::Udev => {
                self.waiting = None;
                self.heard = true;
                Due::Look
            }
            Told::Inotify(seen) if seen == Seen::default() => Due::Nothing,
            Told::Inotify(_) if !udev_runs => Due::Look,
            Told::Inotify(seen) => {
                let waiting = self.waiting.get_or_insert(Waiting {
                    until: now + GRACE,
                    udev_owes: false,
                });
                waiting.udev_owes |= seen.nodes;
                if seen.at_once {
                    Due::Look
                } else {
                    Due::Nothing
                }
            }
            Told::Time => match self.waiting.take_if(|waiting| waiting.until <= now) {
                Some(Waiting {
                    udev_owes: true, ..
                }) if udev_runs && !self.heard => Due::LookAsUdevIsDeaf,
                Some(_) => Due::Look,
                None => Due::Nothing,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: Told = Told::Inotify(Seen {
        nodes: true,
        permissions: false,
        at_once: false,
    });
    const USABLE: Told = Told::Inotify(Seen {
        nodes: true,
        permissions: false,
        at_once: true,
    });
    const PERMISSION: Told = Told::Inotify(Seen {
        nodes: false,
        permissions: true,
        at_once: false,
    });
    const OTHERS: Told = Told::Inotify(Seen {
        nodes: false,
        permissions: false,
        at_once: false,
    });

    /// (seconds, what is told, what is due)
    fn play(udev_runs: bool, story: &[(u64, Told, Due)]) {
        let start = Instant::now();
        let mut settle = Settle::default();
        for (at, told, due) in story {
            let now = start + Duration::from_secs(*at);
            assert_eq!(
                settle.take(*told, now, udev_runs),
                *due,
                "{told:?} at {at} s"
            );
        }
    }

    #[test]
    fn udev_has_the_word_where_it_runs() {
        play(
            true,
            &[
                (0, NODE, Due::Nothing),
                (0, PERMISSION, Due::Nothing),
                (1, Told::Udev, Due::Look),
                (6, Told::Time, Due::Nothing),
                (6, OTHERS, Due::Nothing),
            ],
        );
    }

    #[test]
    fn a_node_that_may_be_opened_already_or_is_gone_is_not_waited_for() {
        play(
            true,
            &[
                (0, USABLE, Due::Look),
                (1, Told::Udev, Due::Look),
                // Read late: udev has told of it before.
                (2, USABLE, Due::Look),
                (7, Told::Time, Due::Look),
            ],
        );
    }

    #[test]
    fn a_udev_that_tells_nothing_of_a_node_is_deaf() {
        play(
            true,
            &[
                (0, NODE, Due::Nothing),
                (4, NODE, Due::Nothing),
                (4, Told::Time, Due::Nothing),
                (5, Told::Time, Due::LookAsUdevIsDeaf),
                (9, Told::Time, Due::Nothing),
            ],
        );
    }

    #[test]
    fn permissions_that_a_person_changes_are_no_matter_of_udev() {
        play(
            true,
            &[(0, PERMISSION, Due::Nothing), (5, Told::Time, Due::Look)],
        );
    }

    #[test]
    fn without_udev_everything_is_looked_at_at_once() {
        play(
            false,
            &[
                (0, NODE, Due::Look),
                (0, PERMISSION, Due::Look),
                (0, OTHERS, Due::Nothing),
            ],
        );
    }
}
