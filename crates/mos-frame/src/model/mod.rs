//! Models: the code that two processes race in, run through every interleaving and every value that a weakly ordered
//! memory may show, by loom. It is the shipped code, on loom's atomics (`shm/words_model.rs`) and with fewer slots.
//!
//! Each model also says which memory orderings of `shm/order.rs` it depends on, and fails to hold with each of them weakened:
//! so it is known to see what it is there for. `cargo xtask model` runs them, see docs/testing.md.

pub(crate) mod weaker;

#[cfg(test)]
mod board;
#[cfg(test)]
mod book;
#[cfg(test)]
mod doorbell;
#[cfg(test)]
mod lease;
#[cfg(test)]
mod revoke;

#[cfg(test)]
mod explore {
    use std::sync::atomic::Ordering::{self, Acquire, Relaxed, Release};

    use loom::cell::UnsafeCell;

    use super::weaker;
    use crate::shm::Step;

    /// How often threads may be preempted in a bounded run. Every failure that is known shows with 2.
    const PREEMPTIONS: usize = 3;

    fn run(model: impl Fn() + Send + Sync + 'static, preemptions: Option<usize>) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = preemptions;
        builder.check(model);
    }

    /// Runs `model` in every way that it can run; panics at the first that breaks it.
    pub(super) fn holds(model: impl Fn() + Send + Sync + 'static) {
        run(model, None);
    }

    /// As [`holds`], for a model that can run in too many ways: those with a few preemptions.
    pub(super) fn holds_bounded(model: impl Fn() + Send + Sync + 'static) {
        run(model, Some(PREEMPTIONS));
    }

    /// Asserts that `model` breaks with each of `steps` weakened to each ordering that is named.
    pub(super) fn breaks_without(
        steps: &[(Step, &[Ordering])],
        model: impl Fn() + Send + Sync + Copy + 'static,
    ) {
        for &(step, orders) in steps {
            for &order in orders {
                // A thread of its own, since a model that breaks leaves loom's state behind.
                let weakened = std::thread::spawn(move || {
                    weaker::set(step, order);
                    holds_bounded(model);
                });
                assert!(
                    weakened.join().is_err(),
                    "the model does not see that {step:?} is only {order:?}"
                );
            }
        }
    }

    /// Without any ordering; a fence is left out.
    pub(super) const NONE: &[Ordering] = &[Relaxed];
    /// Each half of `AcqRel`.
    pub(super) const HALF: &[Ordering] = &[Acquire, Release];

    /// The pixels of a buffer. loom fails where they are read and written with nothing in between that orders both.
    #[derive(Debug, Default)]
    pub(super) struct Pixels(UnsafeCell<u64>);

    // SAFETY: every access goes through loom's cell, which panics on one that is not exclusive.
    unsafe impl Sync for Pixels {}

    impl Pixels {
        pub(super) fn write(&self, seq: u64) {
            // SAFETY: loom panics before two threads get here at once.
            self.0.with_mut(|at| unsafe { *at = seq });
        }

        pub(super) fn read(&self) -> u64 {
            // SAFETY: as above.
            self.0.with(|at| unsafe { *at })
        }
    }
}
