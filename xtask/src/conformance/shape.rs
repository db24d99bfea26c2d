//! How a wire treats packets, for the two programs that can do it.

/// The same in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Percent of the packets that are lost.
    pub(crate) loss: u32,
    /// How long a packet takes.
    pub(crate) delay_ms: u32,
    /// By how much that differs, to both sides.
    pub(crate) jitter_ms: u32,
    /// Percent of the packets that are not delayed.
    pub(crate) reorder: u32,
}

impl Shape {
    /// Everything passes at once.
    pub(crate) const CLEAN: Self = Self {
        loss: 0,
        delay_ms: 0,
        jitter_ms: 0,
        reorder: 0,
    };
    /// Nothing passes.
    pub(crate) const CUT: Self = Self {
        loss: 100,
        ..Self::CLEAN
    };

    /// As `mos-wire` reads it.
    pub(crate) fn for_wire(self) -> String {
        let Self {
            loss,
            delay_ms,
            jitter_ms,
            reorder,
        } = self;
        format!("loss={loss} delay={delay_ms} jitter={jitter_ms} reorder={reorder}")
    }

    /// As `tc ... netem` reads it (tc-netem(8)).
    pub(crate) fn for_netem(self) -> Vec<String> {
        let mut words = Vec::new();
        let mut add = |text: String| words.extend(text.split(' ').map(str::to_owned));
        if self.loss > 0 {
            add(format!("loss {}%", self.loss));
        }
        if self.delay_ms > 0 {
            add(format!("delay {}ms {}ms", self.delay_ms, self.jitter_ms));
        }
        // Without a delay there is nothing to overtake, which netem takes for a mistake.
        if self.reorder > 0 && self.delay_ms > 0 {
            add(format!("reorder {}%", self.reorder));
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_programs_get_the_same() {
        let shape = Shape {
            loss: 5,
            delay_ms: 60,
            jitter_ms: 20,
            reorder: 25,
        };
        for (shape, wire, netem) in [
            (Shape::CLEAN, "loss=0 delay=0 jitter=0 reorder=0", ""),
            (
                Shape::CUT,
                "loss=100 delay=0 jitter=0 reorder=0",
                "loss 100%",
            ),
            (
                shape,
                "loss=5 delay=60 jitter=20 reorder=25",
                "loss 5% delay 60ms 20ms reorder 25%",
            ),
        ] {
            assert_eq!(shape.for_wire(), wire);
            assert_eq!(shape.for_netem().join(" "), netem);
        }
    }
}
