//! Which pictures a decoder that can't keep up is spared: an old picture is worth nothing, and one that refers to a
//! picture that was dropped is worse than none.
//!
//! Everything goes to the decoder as long as it would come out soon. When it would not, all is dropped up to the next key
//! picture that would. How long the decoder takes is measured by when it takes the next picture.

use std::collections::VecDeque;
use std::time::Duration;

/// How long a picture may wait for the decoder and in it.
pub const BOUND: Duration = Duration::from_millis(300);

/// Pictures between camera and decoder. Times are of any clock that does not go back.
#[derive(Debug, Clone)]
pub struct Backlog {
    /// When those that wait arrived, oldest first.
    waiting: VecDeque<Duration>,
    /// When the decoder took the newest.
    taken: Option<Duration>,
    /// What it takes for one.
    pace: Duration,
    /// Whether all is dropped until the next key picture.
    skipping: bool,
}

/// How much of a new measurement goes into the pace: a quarter.
const WEIGHT: u32 = 4;
/// How often what was known a measurement may count for: one long pause of a busy machine is no slow decoder.
const LEAP: u32 = 3;
/// What a decoder is thought to take before it has shown it.
const GUESS: Duration = Duration::from_millis(5);

impl Default for Backlog {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            taken: None,
            pace: GUESS,
            skipping: false,
        }
    }
}

impl Backlog {
    /// Whether the picture that arrives now goes to the decoder; it waits from now on if so.
    pub fn admit(&mut self, now: Duration, key: bool) -> bool {
        if self.skipping {
            self.skipping = !(key && self.ahead() <= BOUND / 2);
        } else {
            self.skipping = self.ahead() > BOUND || self.oldest(now) > 2 * BOUND;
        }
        if !self.skipping {
            self.waiting.push_back(now);
        }
        !self.skipping
    }

    /// The decoder takes the oldest that waits: it is done with the one before.
    pub fn take(&mut self, now: Duration) {
        let arrived = self.waiting.pop_front();
        if let Some((arrived, taken)) = arrived.zip(self.taken) {
            let since = now.saturating_sub(taken);
            if arrived <= taken {
                self.slower_or_faster(since);
            } else {
                // It had nothing to do for a while, so this only says that it took no longer.
                self.pace = self.pace.min(since);
            }
        }
        self.taken = Some(now);
    }

    fn slower_or_faster(&mut self, sample: Duration) {
        let known = self.pace.max(Duration::from_millis(1));
        self.pace = (known * (WEIGHT - 1) + sample.min(LEAP * known)) / WEIGHT;
    }

    /// Forgets those that wait: they were flushed.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// How long the oldest has been waiting: what tells while the pace is not known.
    fn oldest(&self, now: Duration) -> Duration {
        self.waiting
            .front()
            .map_or(Duration::ZERO, |&arrived| now.saturating_sub(arrived))
    }

    /// Time until a picture that arrives now would be decoded.
    fn ahead(&self) -> Duration {
        let pictures = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
        self.pace.saturating_mul(pictures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// What became of a stream.
    #[derive(Debug, Default)]
    struct Outcome {
        admitted: u32,
        dropped: u32,
        /// Longest time from arrival to the end of decoding, after the first six seconds: by then the pace is known.
        oldest: Duration,
        /// Longest run of pictures that were dropped, from then on.
        gap: u32,
        /// Pictures that were admitted after a drop, and were no key pictures.
        smeared: u32,
    }

    /// Runs a camera of `every` against a decoder of `cost`, in milliseconds, for a minute; the n-th picture is held up by `pause`.
    fn run(every: u64, cost: u64, keys: u64, pause: impl Fn(u64) -> u64) -> Outcome {
        let (mut backlog, mut outcome) = (Backlog::default(), Outcome::default());
        let (mut queue, mut free, mut broken, mut gap) = (VecDeque::new(), 0, false, 0);
        for n in 0..60_000 / every {
            let now = n * every;
            while let Some(&arrived) = queue.front().filter(|_| free <= now) {
                let start: u64 = free.max(arrived);
                if start > now {
                    break;
                }
                queue.pop_front();
                backlog.take(ms(start));
                free = start + cost + pause(n);
                if now > 6000 {
                    outcome.oldest = outcome.oldest.max(ms(free - arrived));
                }
            }
            let key = n % keys == 0;
            if backlog.admit(ms(now), key) {
                outcome.smeared += u32::from(broken && !key);
                (broken, gap) = (false, 0);
                outcome.admitted += 1;
                queue.push_back(now);
            } else {
                (broken, gap) = (true, gap + 1);
                outcome.dropped += 1;
                if now > 6000 {
                    outcome.gap = outcome.gap.max(gap);
                }
            }
        }
        outcome
    }

    #[test]
    fn a_decoder_that_keeps_up_gets_everything() {
        for (every, cost) in [(33, 5), (33, 32), (16, 15), (100, 99)] {
            let outcome = run(every, cost, 30, |_| 0);
            assert_eq!(outcome.dropped, 0, "{every} {cost}");
        }
    }

    #[test]
    fn a_hiccup_of_the_machine_drops_nothing() {
        let outcome = run(33, 5, 30, |n| if n % 300 == 299 { 400 } else { 0 });
        assert_eq!(outcome.dropped, 0, "{outcome:?}");
    }

    #[test]
    fn a_slow_decoder_gives_fresh_pictures_and_no_smeared_ones() {
        for (every, cost, keys) in [
            (33, 40, 30),
            (33, 66, 30),
            (33, 200, 30),
            (16, 100, 60),
            (33, 66, 1),
        ] {
            let outcome = run(every, cost, keys, |_| 0);
            assert_eq!(outcome.smeared, 0);
            assert!(outcome.dropped > 0 && outcome.admitted > 60, "{outcome:?}");
            assert!(
                outcome.oldest <= 2 * BOUND + ms(cost),
                "{every} {cost} {keys}: {outcome:?}"
            );
            assert!(
                u64::from(outcome.gap) <= 2 * keys + 10,
                "{every} {cost} {keys}: {outcome:?}"
            );
        }
    }

    #[test]
    fn a_burst_after_a_pause_of_the_network_is_decoded_as_fast_as_that_goes() {
        let mut backlog = Backlog::default();
        for n in 0..100 {
            assert!(backlog.admit(ms(33 * n), n % 30 == 0));
            backlog.take(ms(33 * n));
        }
        // 50 pictures at once; the decoder takes 5 ms for each, and proved to be fast before.
        for n in 100..150 {
            assert!(backlog.admit(ms(10_000), n % 30 == 0), "{n}");
        }
    }

    #[test]
    fn flushing_begins_anew() {
        let mut backlog = Backlog {
            pace: ms(200),
            ..Backlog::default()
        };
        assert!(backlog.admit(ms(0), true) && backlog.admit(ms(1), false));
        assert!(!backlog.admit(ms(2), false) || !backlog.admit(ms(3), false));
        backlog.clear();
        assert!(backlog.admit(ms(4), false));
    }
}
