//! Cameras that come and go, as the kernel tells.
//!
//! udev is asked where it runs: its events come when its rules have given a node its permissions. A node that this process
//! may open without them, or that is gone, is not waited for: devtmpfs tells of it first. Where udev does not run
//! (containers, small systems), or where its events do not arrive (its netlink group does not reach into the network
//! namespace of a container that only has `/run/udev` mounted), inotify(7) on `/dev` is the source: devtmpfs makes and
//! removes the nodes there itself.

mod inotify;
mod settle;
mod udev;

use std::io;
use std::time::Instant;

use settle::{Due, Settle, Told};

/// How cameras that are plugged in are noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hotplug {
    /// By udev's events.
    Udev,
    /// By inotify on `/dev`; with the reason why not by udev.
    Inotify(String),
    /// Only when devices are listed; with the reason.
    Off(String),
}

impl Default for Hotplug {
    fn default() -> Self {
        Self::Off("nothing is watched yet".to_owned())
    }
}

/// Changes of `/dev` that concern cameras.
#[derive(Debug)]
pub(super) struct Changes {
    source: Hotplug,
    udev: Option<udev::Watch>,
    inotify: Option<inotify::Watch>,
    settle: Settle,
}

/// Begins to watch: what happens from now on is told, also if nobody waits for it yet.
///
/// Call it within the async runtime.
pub(super) fn watch() -> Changes {
    watch_by(udev::start(), inotify::start())
}

fn watch_by(udev: Result<udev::Watch, String>, inotify: io::Result<inotify::Watch>) -> Changes {
    let source = match (&udev, &inotify) {
        (Ok(_), _) => Hotplug::Udev,
        (Err(why), Ok(_)) => Hotplug::Inotify(why.clone()),
        (Err(why), Err(error)) => {
            Hotplug::Off(format!("{why}, and /dev can't be watched: {error}"))
        }
    };
    let changes = Changes {
        source,
        udev: udev.ok(),
        inotify: inotify.ok(),
        settle: Settle::default(),
    };
    changes.announce();
    changes
}

impl Changes {
    /// How changes are noticed now.
    pub(super) const fn source(&self) -> &Hotplug {
        &self.source
    }

    /// Returns when something has changed; `None` when no change will be told any more.
    pub(super) async fn next(&mut self) -> Option<()> {
        loop {
            if self.udev.is_none() && self.inotify.is_none() {
                return None;
            }
            let told = tokio::select! {
                event = next_of_udev(&mut self.udev) => match event {
                    Ok(()) => Told::Udev,
                    Err(why) => {
                        self.without_udev(&format!("udev's events ended: {why}"));
                        continue;
                    }
                },
                seen = next_of_inotify(&mut self.inotify) => match seen {
                    Ok(seen) => Told::Inotify(seen),
                    Err(error) => {
                        self.without_inotify(&error);
                        continue;
                    }
                },
                () = until(self.settle.deadline()) => Told::Time,
            };
            match self.settle.take(told, Instant::now(), self.udev.is_some()) {
                Due::Nothing => {}
                Due::Look => return Some(()),
                Due::LookAsUdevIsDeaf => {
                    self.without_udev("udev runs, but its events do not reach this process");
                    return Some(());
                }
            }
        }
    }

    fn without_udev(&mut self, why: &str) {
        self.udev = None;
        self.source = match self.inotify {
            Some(_) => Hotplug::Inotify(why.to_owned()),
            None => Hotplug::Off(why.to_owned()),
        };
        self.announce();
    }

    fn without_inotify(&mut self, error: &io::Error) {
        self.inotify = None;
        if let Hotplug::Inotify(why) = &self.source {
            self.source = Hotplug::Off(format!("{why}, and /dev can't be watched: {error}"));
            self.announce();
        }
    }

    fn announce(&self) {
        match &self.source {
            Hotplug::Udev => tracing::info!("cameras that are plugged in are noticed by udev"),
            Hotplug::Inotify(why) => {
                tracing::warn!(
                    why,
                    "cameras that are plugged in are noticed by inotify on /dev instead of udev"
                );
            }
            Hotplug::Off(why) => tracing::warn!(
                why,
                "cameras that are plugged in later are noticed only when the devices are listed"
            ),
        }
    }
}

async fn next_of_udev(watch: &mut Option<udev::Watch>) -> Result<(), String> {
    match watch {
        Some(watch) => watch.next().await,
        None => std::future::pending().await,
    }
}

async fn next_of_inotify(watch: &mut Option<inotify::Watch>) -> io::Result<inotify::Seen> {
    match watch {
        Some(watch) => watch.next().await,
        None => std::future::pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_udev_inotify_is_the_source_and_the_reason_is_told() {
        let changes = watch_by(Err("udev does not run here".to_owned()), inotify::start());
        assert_eq!(
            *changes.source(),
            Hotplug::Inotify("udev does not run here".to_owned())
        );
    }

    #[tokio::test]
    async fn without_any_source_the_watching_ends() {
        let mut changes = watch_by(
            Err("udev does not run here".to_owned()),
            Err(io::Error::from(io::ErrorKind::PermissionDenied)),
        );
        assert_eq!(changes.next().await, None);
        let Hotplug::Off(why) = changes.source() else {
            panic!("{changes:?}");
        };
        assert!(why.contains("udev does not run here, and /dev can't be watched"));
    }
}
