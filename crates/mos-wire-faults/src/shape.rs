//! What a wire does to packets, in the terms of `tc netem` (tc-netem(8)).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::dice::Dice;

/// How a wire treats what goes over it, the same in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Shape {
    /// Percent of the packets that are lost, each for itself.
    pub loss: f64,
    /// How long a packet takes.
    pub delay: Duration,
    /// By how much that differs from packet to packet, evenly spread to both sides. It does not reorder packets.
    pub jitter: Duration,
    /// Percent of the packets that overtake: they are not delayed at all.
    pub reorder: f64,
}

impl Shape {
    /// A wire that lets everything pass at once.
    pub const CLEAN: Self = Self {
        loss: 0.0,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        reorder: 0.0,
    };
    /// A wire that was cut: both ends still have a link.
    pub const CUT: Self = Self {
        loss: 100.0,
        ..Self::CLEAN
    };
}

impl fmt::Display for Shape {
    /// As [`FromStr`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "loss={} delay={} jitter={} reorder={}",
            self.loss,
            self.delay.as_millis(),
            self.jitter.as_millis(),
            self.reorder
        )
    }
}

impl FromStr for Shape {
    type Err = String;

    /// `loss=PERCENT delay=MS jitter=MS reorder=PERCENT`, in any order; what is not named is 0.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut shape = Self::CLEAN;
        for word in text.split_whitespace() {
            let (key, value) = word
                .split_once('=')
                .ok_or_else(|| format!("`{word}` is not KEY=NUMBER"))?;
            let number: f64 = value
                .parse()
                .ok()
                .filter(|number: &f64| number.is_finite() && *number >= 0.0)
                .ok_or_else(|| format!("`{value}` of `{key}` is no number from 0 on"))?;
            let percent = || {
                (number <= 100.0)
                    .then_some(number)
                    .ok_or_else(|| format!("`{key}` is more than 100 %"))
            };
            let time = || {
                Duration::try_from_secs_f64(number / 1000.0)
                    .map_err(|_| format!("`{key}` is too long"))
            };
            match key {
                "loss" => shape.loss = percent()?,
                "reorder" => shape.reorder = percent()?,
                "delay" => shape.delay = time()?,
                "jitter" => shape.jitter = time()?,
                _ => return Err(format!("no key `{key}`: loss, delay, jitter, reorder")),
            }
        }
        Ok(shape)
    }
}

/// What is under way in one direction. Times count from any epoch.
#[derive(Debug)]
pub struct Direction<P> {
    shape: Shape,
    dice: Dice,
    /// When the newest packet that kept its place is due: none of its successors is before it.
    last: Duration,
    sent: u64,
    under_way: BinaryHeap<Reverse<Due<P>>>,
}

#[derive(Debug)]
struct Due<P> {
    at: Duration,
    number: u64,
    packet: P,
}

impl<P> Due<P> {
    const fn key(&self) -> (Duration, u64) {
        (self.at, self.number)
    }
}

impl<P> PartialEq for Due<P> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<P> Eq for Due<P> {}

impl<P> PartialOrd for Due<P> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<P> Ord for Due<P> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl<P> Direction<P> {
    /// A clean wire.
    pub fn new() -> Self {
        Self {
            shape: Shape::CLEAN,
            dice: Dice::new(0),
            last: Duration::ZERO,
            sent: 0,
            under_way: BinaryHeap::new(),
        }
    }

    /// From now on `shape`, by the chance of `seed`. What is under way arrives as it would have.
    pub fn set(&mut self, shape: Shape, seed: u64) {
        self.shape = shape;
        self.dice = Dice::new(seed);
    }

    /// A packet comes in at `now`. It is the same number of dice whatever the packet: a seed repeats its losses.
    pub fn enter(&mut self, now: Duration, packet: P) {
        let lost = self.dice.chance(self.shape.loss);
        let overtakes = self.dice.chance(self.shape.reorder);
        let spread = self.shape.jitter.mul_f64(2.0 * self.dice.share());
        if lost {
            return;
        }
        let at = if overtakes {
            now
        } else {
            let late = (self.shape.delay + spread).saturating_sub(self.shape.jitter);
            self.last = self.last.max(now + late);
            self.last
        };
        self.sent += 1;
        self.under_way.push(Reverse(Due {
            at,
            number: self.sent,
            packet,
        }));
    }

    /// A packet that has arrived by `now`.
    pub fn leave(&mut self, now: Duration) -> Option<P> {
        if self.next_due()? > now {
            return None;
        }
        self.under_way.pop().map(|Reverse(due)| due.packet)
    }

    /// When the next packet arrives.
    pub fn next_due(&self) -> Option<Duration> {
        self.under_way.peek().map(|Reverse(due)| due.at)
    }
}

impl<P> Default for Direction<P> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Sends packets 0 to 999, one a millisecond, and answers (packet, how long it took).
    fn thousand(shape: Shape, seed: u64) -> Vec<(u64, u64)> {
        let (mut wire, mut out) = (Direction::new(), Vec::new());
        wire.set(shape, seed);
        for now in 0..2_000 {
            if now < 1_000 {
                wire.enter(ms(now), now);
            }
            while let Some(packet) = wire.leave(ms(now)) {
                out.push((packet, now - packet));
            }
        }
        out
    }

    #[test]
    fn a_clean_wire_passes_everything_at_once_in_order() {
        let all: Vec<_> = (0..1_000).map(|packet| (packet, 0)).collect();
        assert_eq!(thousand(Shape::CLEAN, 1), all);
        assert!(thousand(Shape::CUT, 1).is_empty());
    }

    #[test]
    fn loss_is_what_was_asked_for_and_repeats_with_its_seed() {
        let lossy = Shape {
            loss: 10.0,
            ..Shape::CLEAN
        };
        let arrived = thousand(lossy, 3);
        assert!((870..930).contains(&arrived.len()), "{}", arrived.len());
        assert_eq!(thousand(lossy, 3), arrived);
        assert_ne!(thousand(lossy, 4), arrived);
    }

    #[test]
    fn jitter_spreads_the_delay_and_keeps_the_order() {
        let shape = Shape {
            delay: ms(100),
            jitter: ms(40),
            ..Shape::CLEAN
        };
        let arrived = thousand(shape, 5);
        assert_eq!(arrived.len(), 1_000);
        assert!(arrived.is_sorted_by_key(|(packet, _)| *packet));
        let (least, most) = (
            arrived.iter().map(|a| a.1).min().unwrap(),
            arrived.iter().map(|a| a.1).max().unwrap(),
        );
        assert!(
            (60..100).contains(&least) && (130..=141).contains(&most),
            "{least} {most}"
        );
    }

    #[test]
    fn reordered_packets_overtake_the_delayed() {
        let shape = Shape {
            delay: ms(50),
            reorder: 25.0,
            ..Shape::CLEAN
        };
        let arrived = thousand(shape, 6);
        let early = arrived.iter().filter(|(_, took)| *took == 0).count();
        assert!((200..300).contains(&early), "{early}");
        assert!(arrived.iter().all(|(_, took)| *took == 0 || *took == 50));
        assert!(!arrived.is_sorted_by_key(|(packet, _)| *packet));
    }

    #[test]
    fn shapes_are_text_and_back() {
        let shape = Shape {
            loss: 2.5,
            delay: ms(100),
            jitter: ms(20),
            reorder: 25.0,
        };
        assert_eq!(shape.to_string().parse(), Ok(shape));
        assert_eq!("".parse(), Ok(Shape::CLEAN));
        for wrong in [
            "loss",
            "loss=x",
            "loss=101",
            "delay=-1",
            "delay=inf",
            "speed=1",
        ] {
            assert!(wrong.parse::<Shape>().is_err(), "{wrong}");
        }
    }
}
