//! This machine's time of day, and whether the kernel holds it to be right.

use rustix::time::{ClockId, clock_gettime};

use super::camera::Realtime;

/// How long an answer of the kernel about its clock holds.
const ASK_EVERY_NS: u64 = 1_000_000_000;

/// Asks the kernel now and then.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// When it was asked, and the bound of the clock's error if it is synchronised.
    asked: Option<(u64, Option<u64>)>,
}

impl Watch {
    /// The time of day at `now` (`CLOCK_MONOTONIC`), if it is synchronised.
    pub(crate) fn read(&mut self, now: u64) -> Option<Realtime> {
        let error = match self.asked {
            Some((at, error)) if now.saturating_sub(at) < ASK_EVERY_NS => error,
            _ => {
                let error = error_ns();
                self.asked = Some((now, error));
                error
            }
        }?;
        let (ahead_ns, gap) = ahead();
        Some(Realtime {
            ahead_ns,
            error_ns: error + gap,
        })
    }
}

/// `CLOCK_REALTIME` less `CLOCK_MONOTONIC`, and how long it took to read both.
pub(crate) fn ahead() -> (i64, u64) {
    let before = mos_frame::monotonic_ns();
    let now = clock_gettime(ClockId::Realtime);
    let gap = mos_frame::monotonic_ns() - before;
    let real = now.tv_sec * 1_000_000_000 + now.tv_nsec;
    (real - (before + gap / 2).cast_signed(), gap)
}

/// Bound of the error of `CLOCK_REALTIME` if a daemon keeps it synchronised (adjtimex(2): `maxerror`, `STA_UNSYNC`). It grows
/// by 500 µs a second from one correction to the next.
fn error_ns() -> Option<u64> {
    let state = adjtimex()?;
    let synchronised = state.status & libc::STA_UNSYNC == 0;
    let micros = u64::try_from(state.maxerror).ok()?;
    synchronised.then_some(micros * 1000)
}

/// TAI less UTC in seconds, if a daemon told the kernel.
pub(crate) fn tai_seconds() -> Option<i32> {
    adjtimex().map(|state| state.tai).filter(|&tai| tai > 0)
}

/// The state of the kernel's clock; `None` where a sandbox forbids to ask (systemd's `ProtectClock=`).
fn adjtimex() -> Option<libc::timex> {
    // SAFETY: `timex` is plain numbers, for which all bits zero is a value.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live `timex`; with `modes` 0 the kernel only fills it in.
    let answer = unsafe { libc::adjtimex(&raw mut state) };
    // What is not negative is a state of the clock, such as a leap second or TIME_ERROR.
    (answer >= 0).then_some(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_asked_once_a_second() {
        let mut watch = Watch {
            asked: Some((1_000_000_000, Some(5))),
        };
        let fresh = watch.read(1_999_999_999).map(|here| here.error_ns);
        assert!(
            fresh.is_some_and(|error| (5..10_000_000).contains(&error)),
            "{fresh:?}"
        );
        watch.read(2_000_000_000);
        assert_eq!(watch.asked.map(|(at, _)| at), Some(2_000_000_000));
    }

    #[test]
    fn the_clock_of_the_day_is_that_much_ahead() {
        let (ahead, gap) = ahead();
        let day = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let apart = mos_frame::monotonic_ns().cast_signed() + ahead - day.as_nanos() as i64;
        assert!(apart.abs() < 1_000_000_000, "{apart}");
        assert!(gap < 1_000_000_000);
    }
}
