//! The one step that a model runs with a weaker memory ordering than it needs, to see that this shows.

use std::cell::Cell;
use std::sync::atomic::Ordering;

use crate::shm::Step;

thread_local! {
    // Of the system's thread: loom runs all threads of a model on one, and tests run beside each other.
    static WEAKER: Cell<Option<(Step, Ordering)>> = const { Cell::new(None) };
}

/// From now on `step` has only this ordering, in models that this thread runs.
#[cfg(test)]
pub(super) fn set(step: Step, order: Ordering) {
    WEAKER.set(Some((step, order)));
}

/// The ordering to use instead, if `step` is the weakened one.
pub(crate) fn of(step: Step) -> Option<Ordering> {
    WEAKER
        .get()
        .filter(|(weakened, _)| *weakened == step)
        .map(|(_, order)| order)
}
