//! What the service tells systemd (`sd_notify(3)`); a no-op where nobody listens.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::MissedTickBehavior;

/// Sends a notification. That it can't be sent is worth a line in the log and nothing more.
fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd could not be notified");
    }
}

/// The control socket listens, and every stream that is wanted is on its way.
pub fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The service has begun to stop.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// The configuration is being read anew; [`ready`] ends that.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "no monotonic clock"),
    }
}

/// Tells the watchdog, if there is one, that the service lives: at half its time-out, after `alive` answered.
///
/// `alive` is what has to work for the service to be of use; while it hangs the watchdog is not fed.
pub async fn feed_watchdog<F: Future<Output = ()>>(alive: impl Fn() -> F) {
    let Some(timeout) = sd_notify::watchdog_enabled() else {
        return;
    };
    let mut interval = tokio::time::interval((timeout / 2).max(Duration::from_millis(10)));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        alive().await;
        notify(&[NotifyState::Watchdog]);
    }
}
