//! Answers to INSPECT: what the producer did, as JSON in STATS packets, then the end of the connection.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::allowance::Allowance;
use super::control::{Control, Phase};
use crate::socket::{self, Sent};
use crate::wire::{MAX_STATS, Message, Reason, VERSION};

/// Reports made at once, and how soon one more may be: each takes the lock that publishing takes. Whoever asks more often
/// gets the last one again.
const REPORTS: u32 = 8;
const REPORT_EVERY: Duration = Duration::from_millis(20);

/// The last report, and when there may be another.
#[derive(Debug)]
pub(super) struct Reports {
    allowance: Allowance,
    last: Option<Arc<[u8]>>,
}

impl Reports {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            allowance: Allowance::new(REPORTS, REPORT_EVERY, now),
            last: None,
        }
    }
}

/// A report on its way to one peer.
#[derive(Debug)]
pub(super) struct Outpour {
    text: Arc<[u8]>,
    sent: usize,
}

impl Outpour {
    /// The next packet and where it ends; `None` after the last.
    fn next(&self) -> Option<(Message, usize)> {
        let rest = self.text.get(self.sent..).filter(|r| !r.is_empty())?;
        let part = &rest[..rest.len().min(MAX_STATS)];
        let message = Message::Stats {
            more: part.len() < rest.len(),
            part: part.to_vec(),
        };
        Some((message, self.sent + part.len()))
    }
}

impl<K: Send + 'static> Control<K> {
    /// Answers a peer that asks instead of subscribing.
    pub(super) fn inspect(&mut self, id: u64, versions: (u16, u16)) {
        if !(versions.0..=versions.1).contains(&VERSION) {
            return self.refuse_version(id, versions);
        }
        let text = match self.report() {
            Ok(text) => text,
            Err(error) => {
                let text = format!("the producer can't write its report: {error}");
                return self.refuse_greeting(id, Reason::Resources, &text);
            }
        };
        if let Some(connection) = self.connections.get_mut(&id)
            && let Phase::Greeting { until } = connection.phase
        {
            let report = Outpour { text, sent: 0 };
            connection.phase = Phase::Reporting { until, report };
        }
        self.pour(id);
    }

    fn report(&mut self) -> serde_json::Result<Arc<[u8]>> {
        let fresh = self.reports.allowance.take(Instant::now());
        if let Some(last) = self.reports.last.as_ref().filter(|_| !fresh) {
            return Ok(Arc::clone(last));
        }
        let text: Arc<[u8]> = serde_json::to_vec(&self.shared.report())?.into();
        self.reports.last = Some(Arc::clone(&text));
        Ok(text)
    }

    /// Sends as much of a report as the peer's socket takes; the rest when it has read.
    pub(super) fn pour(&mut self, id: u64) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let Phase::Reporting { report, .. } = &mut connection.phase else {
            return;
        };
        while let Some((message, end)) = report.next() {
            match socket::send(connection.socket.as_fd(), &message.encode(), &[]) {
                Ok(Sent::Done) => report.sent = end,
                Ok(Sent::Full) => return,
                Ok(Sent::Gone) => break,
                Ok(Sent::Short) => {
                    tracing::debug!(path = %self.shared.path.display(), "a report was cut short: the kernel is out of memory");
                    break;
                }
                Err(error) => {
                    tracing::debug!(path = %self.shared.path.display(), %error, "a report was cut short");
                    break;
                }
            }
        }
        self.gone(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publisher::{PublisherOptions, Shared};
    use crate::socket::{Listener, Received, Wait};

    /// A control thread's state without the thread, and the path of its socket.
    fn control(dir: &tempfile::TempDir) -> (Control<()>, std::path::PathBuf) {
        let path = crate::socket_path(dir.path(), "inspected");
        let listener = Listener::bind(&path, 0o600, None).unwrap();
        let shared = Shared::new(&path, PublisherOptions::default()).unwrap();
        (Control::new(Arc::new(shared), listener).unwrap(), path)
    }

    #[test]
    fn a_report_larger_than_the_socket_goes_out_as_the_peer_reads() {
        let dir = tempfile::tempdir().unwrap();
        let (mut control, path) = control(&dir);
        let peer = socket::connect(&path, None).unwrap();
        control.accept();
        let id = *control.connections.keys().next().unwrap();
        let text: Arc<[u8]> = (0..1_000_000_u32).map(|i| i as u8).collect();
        let connection = control.connections.get_mut(&id).unwrap();
        connection.phase = Phase::Reporting {
            until: Instant::now() + Duration::from_mins(1),
            report: Outpour {
                text: Arc::clone(&text),
                sent: 0,
            },
        };
        let mut got = Vec::new();
        let mut rounds = 0;
        while !control.connections.is_empty() {
            control.pour(id);
            rounds += 1;
            while let Received::Packet(packet) = socket::receive(peer.as_fd(), Wait::No).unwrap() {
                let message = Message::decode(&packet.bytes).unwrap();
                let Some(Message::Stats { more, part }) = message else {
                    panic!("{message:?}")
                };
                got.extend(part);
                assert_eq!(more, got.len() < text.len());
            }
        }
        assert!(rounds > 1, "it fitted at once, which shows nothing");
        assert!(got == *text);
    }

    #[test]
    fn who_asks_very_often_gets_the_last_report_again() {
        let dir = tempfile::tempdir().unwrap();
        let (mut control, _path) = control(&dir);
        let reports: Vec<_> = (0..1000).map(|_| control.report().unwrap()).collect();
        let fresh = reports.windows(2).filter(|w| !Arc::ptr_eq(&w[0], &w[1]));
        assert!(fresh.count() < 500, "each took the publisher's lock");
    }
}
