//! The camera's clock: read first, since its log-in depends on it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::super::soap::xml::Node;

/// How far a camera's clock is ahead of ours, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::onvif) struct Offset(pub(in crate::onvif) i64);

impl Offset {
    /// From the camera's time, which it read somewhere between two times of ours.
    pub(in crate::onvif) fn between(
        asked: SystemTime,
        answered: SystemTime,
        camera: SystemTime,
    ) -> Self {
        let halfway = i64::midpoint(millis(asked), millis(answered));
        Self(millis(camera) - halfway)
    }

    /// The camera's time at a time of ours.
    pub(in crate::onvif) fn apply(self, now: SystemTime) -> SystemTime {
        at(millis(now).saturating_add(self.0))
    }

    /// Whether two readings say that somebody has set the clock: the dates have whole seconds.
    pub(in crate::onvif) const fn moved(self, other: Self) -> bool {
        self.0.abs_diff(other.0) > 2_000
    }
}

/// The time in a `GetSystemDateAndTimeResponse`: UTC, or else its local time, for want of better.
pub(in crate::onvif) fn camera_time(answer: &Node) -> Option<SystemTime> {
    let all = answer.child("SystemDateAndTime")?;
    let node = all
        .child("UTCDateTime")
        .or_else(|| all.child("LocalDateTime"))?;
    let number = |part, name| node.number_at::<i64>(&[part, name]);
    date(
        [
            number("Date", "Year")?,
            number("Date", "Month")?,
            number("Date", "Day")?,
        ],
        [
            number("Time", "Hour")?,
            number("Time", "Minute")?,
            number("Time", "Second")?,
        ],
    )
}

/// The time of an HTTP `Date` header (RFC 9110, the one form that servers may send): for cameras that do not tell their
/// time without a log-in.
pub(in crate::onvif) fn http_date(text: &str) -> Option<SystemTime> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (_, rest) = text.split_once(", ")?;
    let mut parts = rest.split(' ');
    let day = parts.next()?.parse().ok()?;
    let name = parts.next()?;
    let month = MONTHS.iter().position(|month| *month == name)? as i64 + 1;
    let year = parts.next()?.parse().ok()?;
    let mut time = parts.next()?.split(':').map(str::parse);
    let mut next = || time.next()?.ok();
    date([year, month, day], [next()?, next()?, next()?])
}

/// As `xsd:dateTime` in UTC, with whole seconds: `2026-11-28T22:52:29Z`.
pub(in crate::onvif) fn iso8601(time: SystemTime) -> String {
    let seconds = millis(time).div_euclid(1000);
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The time of a date; none if there is no such date. 1970 to 9999: cameras without a battery begin in 1970.
fn date([year, month, day]: [i64; 3], [hour, minute, second]: [i64; 3]) -> Option<SystemTime> {
    let sane = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..=24).contains(&hour)
        && (0..=59).contains(&minute)
        // A leap second.
        && (0..=60).contains(&second);
    if !sane {
        return None;
    }
    let days = days(year, month, day);
    Some(at(
        ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1000
    ))
}

/// Days since 1970-01-01 of a date of the Gregorian calendar: years that begin in March, so that the leap day is the last.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The other way round.
const fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = (year + era * 400, (month + 2) % 12 + 1);
    (if month <= 2 { year + 1 } else { year }, month, day)
}

fn millis(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    }
}

/// What can't be is 1970: no camera is there.
fn at(millis: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn times_become_dates_and_back() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_284_623_445, "2010-09-16T07:50:45Z"),
            (4_102_444_799, "2099-12-31T23:59:59Z"),
        ] {
            assert_eq!(iso8601(secs(seconds)), text);
            let part = |range: std::ops::Range<usize>| text[range].parse().unwrap();
            assert_eq!(
                date(
                    [part(0..4), part(5..7), part(8..10)],
                    [part(11..13), part(14..16), part(17..19)]
                ),
                Some(secs(seconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn an_http_date_is_read() {
        for (text, seconds) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sun, 06 Foo 1994 08:49:37 GMT", None),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None),
            ("Sun, 99 Nov 1994 08:49:37 GMT", None),
            ("", None),
        ] {
            assert_eq!(http_date(text), seconds.map(secs), "{text}");
        }
    }

    #[test]
    fn a_camera_s_time_is_read_or_refused() {
        let answer = |date: &str, year: &str| {
            Node::parse(
                format!(
                    "<R><SystemDateAndTime><{date}><Time><Hour>7</Hour><Minute>50</Minute><Second>45</Second></Time><Date><Year>{year}</Year><Month>9</Month><Day>16</Day></Date></{date}></SystemDateAndTime></R>"
                )
                .as_bytes(),
            )
            .unwrap()
        };
        let good = Some(secs(1_284_623_445));
        assert_eq!(camera_time(&answer("UTCDateTime", " 2010 ")), good);
        assert_eq!(camera_time(&answer("LocalDateTime", "2010")), good);
        for year in ["", "x", "1969", "-1", "99999999999999999999"] {
            assert_eq!(camera_time(&answer("UTCDateTime", year)), None, "{year}");
        }
        assert_eq!(camera_time(&Node::default()), None);
    }

    #[test]
    fn the_offset_takes_the_middle_of_the_question() {
        let offset = Offset::between(secs(100), secs(104), secs(3702));
        assert_eq!(offset, Offset(3_600_000));
        assert_eq!(offset.apply(secs(10)), secs(3610));
        assert_eq!(Offset(-3_600_000).apply(secs(10)), secs(0));
        assert!(offset.moved(Offset::default()) && !offset.moved(Offset(3_601_500)));
    }
}
