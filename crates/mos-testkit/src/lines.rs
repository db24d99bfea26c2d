//! What a peer prints, line by line as it comes.

use std::io::{self, BufRead as _, BufReader, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The lines of a peer's output; they are read on a thread of its own, so that the peer never waits for a reader.
#[derive(Debug)]
pub struct Lines {
    who: &'static str,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    new: Receiver<String>,
    all: Vec<String>,
}

impl Lines {
    /// Reads `output`, which is that of `who`, to its end.
    pub fn of(who: &'static str, output: impl Read + Send + 'static) -> Self {
        let (sender, new) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let all = Vec::new();
        Self {
            who,
            seen: Mutex::new(Seen { new, all }),
        }
    }

    /// Waits for a line that is so, also one that came before; `what` names it for the error.
    pub fn wait_for(
        &self,
        what: &str,
        patience: Duration,
        is_it: impl Fn(&str) -> bool,
    ) -> io::Result<String> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let deadline = Instant::now() + patience;
        let mut looked_at = 0;
        loop {
            if let Some(line) = seen.all[looked_at..].iter().find(|line| is_it(line)) {
                return Ok(line.clone());
            }
            looked_at = seen.all.len();
            let left = deadline.saturating_duration_since(Instant::now());
            match seen.new.recv_timeout(left) {
                Ok(line) => seen.all.push(line),
                Err(error) => {
                    let how = match error {
                        RecvTimeoutError::Disconnected => "ended",
                        RecvTimeoutError::Timeout => "did not say it in time",
                    };
                    let (who, all) = (self.who, &seen.all);
                    let text = format!("`{what}`: the {who} {how}; it said {all:?}");
                    return Err(io::Error::other(text));
                }
            }
        }
    }

    /// The lines so far.
    pub fn all(&self) -> Vec<String> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let new: Vec<String> = seen.new.try_iter().collect();
        seen.all.extend(new);
        seen.all.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_mins(1);

    #[test]
    fn lines_are_found_again_and_an_end_is_told() {
        let lines = Lines::of("peer", &b"ready 1\noffer\n"[..]);
        let found = |what: &str| lines.wait_for(what, PATIENCE, |line| line.starts_with(what));
        assert_eq!(found("offer").unwrap(), "offer");
        assert_eq!(found("ready").unwrap(), "ready 1");
        let error = found("gone").unwrap_err().to_string();
        assert!(error.contains("the peer ended") && error.contains("ready 1"));
        assert_eq!(lines.all(), ["ready 1", "offer"]);
    }
}
