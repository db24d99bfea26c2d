//! The clock that a camera's RTP timestamps count by, where its SDP says so (RFC 7273): then each timestamp is a time of day by
//! itself, from the first packet on, and nothing has to be asked of the clock that the camera names.

/// Seconds from 1900, where NTP begins (RFC 5905), to 1970.
const NTP_TO_UNIX: i128 = 2_208_988_800;
const SECOND: i128 = 1_000_000_000;

/// What kind of clock the timestamps follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefClock {
    /// NTP: counts from 1900 UTC.
    Ntp,
    /// PTP (IEEE 1588): counts from 1970 TAI.
    Ptp,
}

/// A media clock that is locked to a reference clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaClock {
    /// The clock.
    pub reference: RefClock,
    /// RTP timestamp at the beginning of the reference clock's time.
    offset: u32,
}

impl MediaClock {
    /// The values of `a=ts-refclk` and `a=mediaclk`; `None` where they do not fix the time: clocks that only the camera
    /// knows, media clocks that are not `direct`, and rates beside the RTP clock's.
    pub fn parse(ts_refclk: &str, mediaclk: &str) -> Option<Self> {
        let reference = match ts_refclk.split_once('=')? {
            ("ntp", _) => RefClock::Ntp,
            ("ptp", version) if version.starts_with("IEEE1588-") => RefClock::Ptp,
            _ => return None,
        };
        let offset: u64 = mediaclk.strip_prefix("direct=")?.trim().parse().ok()?;
        Some(Self {
            reference,
            // Timestamps are modulo 2^32 (RFC 3550).
            offset: u32::try_from(offset & u64::from(u32::MAX)).ok()?,
        })
    }

    /// Time of day of an RTP timestamp in nanoseconds since 1970 UTC, `clock_rate` in Hz.
    ///
    /// Timestamps come round every 13 hours at 90 kHz, so `now`, this machine's time of day, has to be right to 6 hours.
    /// `tai_less_utc` in seconds, 37 since 2017. `None` without a rate and for what lies before 1970.
    pub fn utc_ns(&self, rtp: u32, clock_rate: u32, now: u64, tai_less_utc: i32) -> Option<u64> {
        let rate = i128::from(clock_rate);
        let begin = SECOND
            * match self.reference {
                RefClock::Ntp => NTP_TO_UNIX,
                RefClock::Ptp => i128::from(tai_less_utc),
            };
        let ticks = (i128::from(now) + begin).checked_mul(rate)? / SECOND;
        let expected = (ticks + i128::from(self.offset)).rem_euclid(1 << 32);
        let apart = rtp
            .wrapping_sub(u32::try_from(expected).ok()?)
            .cast_signed();
        let ticks = ticks + i128::from(apart);
        u64::try_from((ticks * SECOND).checked_div(rate)? - begin).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000_000_000;
    const HOUR: i64 = 3_600_000_000_000;

    #[test]
    fn what_fixes_the_time() {
        let clock = |reference, offset| Some(MediaClock { reference, offset });
        let rows = [
            ("ntp=/traceable/", "direct=0", clock(RefClock::Ntp, 0)),
            (
                "ntp=10.0.0.1:123",
                "direct=963214424",
                clock(RefClock::Ntp, 963_214_424),
            ),
            (
                "ntp=[fe80::1]",
                "direct=4294967297",
                clock(RefClock::Ntp, 1),
            ),
            (
                "ptp=IEEE1588-2008:39-A7-94-FF-FE-07-CB-D0:37",
                "direct=7",
                clock(RefClock::Ptp, 7),
            ),
            (
                "ptp=IEEE1588-2008:traceable",
                "direct=7",
                clock(RefClock::Ptp, 7),
            ),
            ("local", "direct=0", None),
            ("localmac=39-A7-94-FF-FE-07", "direct=0", None),
            ("ntp=/traceable/", "sender", None),
            ("ntp=/traceable/", "direct=963214424 rate=1000/1001", None),
            ("ntp=/traceable/", "direct=-1", None),
            ("ntp", "direct=0", None),
            ("", "", None),
        ];
        for (refclk, mediaclk, expected) in rows {
            assert_eq!(
                MediaClock::parse(refclk, mediaclk),
                expected,
                "{refclk} {mediaclk}"
            );
        }
    }

    /// The timestamp of a time of day, as a camera makes it.
    fn stamp(clock: MediaClock, utc_ns: u64, rate: u32) -> u32 {
        let begin = match clock.reference {
            RefClock::Ntp => NTP_TO_UNIX,
            RefClock::Ptp => 37,
        };
        let ticks = (i128::from(utc_ns) + begin * SECOND) * i128::from(rate) / SECOND;
        ((ticks + i128::from(clock.offset)) & 0xFFFF_FFFF) as u32
    }

    #[test]
    fn a_timestamp_is_a_time_of_day() {
        for reference in [RefClock::Ntp, RefClock::Ptp] {
            for offset in [0, 1, 0x8000_0000, u32::MAX] {
                let clock = MediaClock { reference, offset };
                // How far this machine's clock is off.
                for off in [0, 6 * HOUR, -6 * HOUR] {
                    for captured in [NOW, NOW - 40_000_000, NOW + 12_345 * 3_600_000_000_000] {
                        let rtp = stamp(clock, captured, 90_000);
                        let now = captured.checked_add_signed(off).unwrap();
                        let utc = clock.utc_ns(rtp, 90_000, now, 37).unwrap();
                        assert!(captured - utc < 11_112, "{clock:?} {off} {captured} {utc}");
                    }
                }
            }
        }
    }

    #[test]
    fn nonsense_is_no_time() {
        let clock = MediaClock::parse("ntp=x", "direct=0").unwrap();
        assert_eq!(clock.utc_ns(5, 0, NOW, 37), None);
        let before_1970 = stamp(clock, 0, 90_000).wrapping_sub(1);
        assert_eq!(clock.utc_ns(before_1970, 90_000, 0, 37), None);
        for rate in [1, u32::MAX] {
            for rtp in [0, u32::MAX] {
                let _any = clock.utc_ns(rtp, rate, u64::MAX, i32::MIN);
            }
        }
    }
}
