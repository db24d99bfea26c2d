//! How values read.

use std::time::Duration;

use mos_camera_api::v1::{
    Capability, Control, ControlKind, Framerate, NormalisePlan, OnViolation, Profile, Size, State,
    StreamConfig, Transport, Violations,
};

/// A dash where there is nothing to say.
pub(crate) const NONE: &str = "-";

/// Whether an enum's generated name minus its prefix, in lower case: `STATE_BACKOFF` gives `backoff`.
pub(crate) fn enum_name(generated: &str, prefix: &str) -> String {
    generated
        .strip_prefix(prefix)
        .unwrap_or(generated)
        .to_lowercase()
}

/// A state's name; `unknown` for one that a newer service made up.
pub(crate) fn state(value: i32) -> String {
    State::try_from(value).map_or_else(
        |_| "unknown".to_owned(),
        |s| enum_name(s.as_str_name(), "STATE_"),
    )
}

/// A transport's name; `unknown` for one that a newer service made up.
pub(crate) fn transport(value: i32) -> String {
    Transport::try_from(value).map_or_else(
        |_| "unknown".to_owned(),
        |t| enum_name(t.as_str_name(), "TRANSPORT_"),
    )
}

pub(crate) fn size(size: Option<&Size>) -> String {
    size.map_or_else(|| NONE.to_owned(), |s| format!("{}x{}", s.width, s.height))
}

/// Frames per second as `30` or `30000/1001`.
pub(crate) fn framerate(rate: Option<&Framerate>) -> String {
    match rate {
        None => NONE.to_owned(),
        Some(Framerate {
            numerator,
            denominator: 0 | 1,
        }) => numerator.to_string(),
        Some(Framerate {
            numerator,
            denominator,
        }) => format!("{numerator}/{denominator}"),
    }
}

/// What a plan costs for each frame: `1 copy by the CPU, software (development build only)`.
pub(crate) fn copies(plan: &NormalisePlan) -> String {
    let count = |n, by| match n {
        0 => None,
        1 => Some(format!("1 copy by {by}")),
        n => Some(format!("{n} copies by {by}")),
    };
    let by_all = [
        count(plan.cpu_copies, "the CPU"),
        count(plan.hardware_copies, "hardware"),
    ];
    let mut parts: Vec<String> = by_all.into_iter().flatten().collect();
    if parts.is_empty() {
        parts.push("no copy".to_owned());
    }
    if plan.software {
        parts.push("software (development build only)".to_owned());
    }
    parts.join(", ")
}

/// One format with all that it comes in: `NV12 640x480, 320x240 at 15, 30 fps`.
pub(crate) fn capability(capability: &Capability) -> String {
    let (sizes, rates) = (sizes(capability), rates(capability));
    let rates = if rates.is_empty() {
        rates
    } else {
        format!(" at {rates} fps")
    };
    format!("{} {sizes}{rates}", capability.format)
}

/// A control as `brightness: -64 to 64, default 0`.
pub(crate) fn control(control: &Control) -> String {
    let takes = match control.kind() {
        ControlKind::Boolean => "0 or 1".to_owned(),
        ControlKind::Menu => control
            .items
            .iter()
            .map(|item| format!("{} ({})", item.value, item.name))
            .collect::<Vec<_>>()
            .join(" or "),
        _ => numbers(control),
    };
    let read_only = if control.read_only { ", read only" } else { "" };
    let default = control
        .default
        .map(|default| format!(", default {default}"))
        .unwrap_or_default();
    format!("{}: {takes}{default}{read_only}", control.name)
}

/// As `0 to 255 in steps of 5` or `0 or more, in 1/1000`.
fn numbers(control: &Control) -> String {
    let range = match (control.min, control.max) {
        (i64::MIN, i64::MAX) => "any number".to_owned(),
        (i64::MIN, max) => format!("{max} or less"),
        (min, i64::MAX) => format!("{min} or more"),
        (min, max) => format!("{min} to {max}"),
    };
    let steps = Some(control.step).filter(|&step| step > 1);
    let steps = steps.map(|step| format!(" in steps of {step}"));
    let part = Some(control.divisor).filter(|&divisor| divisor > 1);
    let part = part.map(|divisor| format!(", in 1/{divisor}"));
    format!(
        "{range}{}{}",
        steps.unwrap_or_default(),
        part.unwrap_or_default()
    )
}

fn sizes(capability: &Capability) -> String {
    let Some(range) = &capability.size_range else {
        return capability
            .sizes
            .iter()
            .map(|s| size(Some(s)))
            .collect::<Vec<_>>()
            .join(", ");
    };
    let steps = range.step.as_ref().filter(|s| s.width > 1 || s.height > 1);
    let steps = steps.map_or_else(String::new, |s| {
        format!(" in steps of {}x{}", s.width, s.height)
    });
    format!(
        "{} to {}{steps}",
        size(range.min.as_ref()),
        size(range.max.as_ref())
    )
}

fn rates(capability: &Capability) -> String {
    if let (Some(low), Some(high)) = (&capability.min_framerate, &capability.max_framerate) {
        return format!("{} to {}", framerate(Some(low)), framerate(Some(high)));
    }
    capability
        .framerates
        .iter()
        .map(|r| framerate(Some(r)))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The two or three figures of a duration that matter: `0.4 µs`, `850 µs`, `33 ms`, `2.5 s`, `3 min`, `2 h`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        s if s > 0.0 && s < 0.000_01 => format!("{:.1} µs", s * 1e6),
        s if s < 0.001 => format!("{:.0} µs", s * 1e6),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 120.0 => format!("{} s", trim(s)),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.0} h", s / 3600.0),
    }
}

fn trim(seconds: f64) -> String {
    let text = format!("{seconds:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// A protobuf duration; negative ones read as none.
pub(crate) fn proto_duration(value: Option<&prost_types::Duration>) -> String {
    to_duration(value).map_or_else(|| NONE.to_owned(), duration)
}

/// A protobuf duration as Rust's; `None` if it is absent or negative.
pub(crate) fn to_duration(value: Option<&prost_types::Duration>) -> Option<Duration> {
    value.copied().and_then(|d| Duration::try_from(d).ok())
}

/// Milliseconds of a duration that may be negative, rounded towards zero.
pub(crate) fn signed_millis(value: &prost_types::Duration) -> i64 {
    value
        .seconds
        .saturating_mul(1000)
        .saturating_add(i64::from(value.nanos / 1_000_000))
}

/// A short time where it is small, in µs up to 10 ms.
pub(crate) fn fine_duration(duration: Duration) -> String {
    match duration.as_micros() {
        us if us < 10_000 => format!("{us} µs"),
        _ => self::duration(duration),
    }
}

/// `main (MainStream): video/x-h264 1920x1080 at 25 fps`.
pub(crate) fn profile(profile: &Profile) -> String {
    let mut text = profile.token.clone();
    if !profile.name.is_empty() && profile.name != profile.token {
        text.push_str(&format!(" ({})", profile.name));
    }
    text.push_str(&format!(": {}", profile.format));
    if profile.size.is_some() {
        text.push_str(&format!(" {}", size(profile.size.as_ref())));
    }
    if profile.framerate.is_some() {
        text.push_str(&format!(
            " at {} fps",
            framerate(profile.framerate.as_ref())
        ));
    }
    text
}

/// A configuration in one line.
pub(crate) fn config(config: &StreamConfig) -> String {
    let or_any = |text: String| {
        if text == NONE {
            "the device's choice".to_owned()
        } else {
            text
        }
    };
    let mut controls: Vec<_> = config.controls.iter().collect();
    controls.sort();
    let controls = controls.iter().fold(String::new(), |text, (name, value)| {
        format!("{text}, {name} {value}")
    });
    let stops = match config.on_violation() {
        OnViolation::Stop => ", stops on a violation",
        OnViolation::Report | OnViolation::Unspecified => "",
    };
    let profile = match config.profile.as_str() {
        "" => String::new(),
        profile => format!(", profile {profile}"),
    };
    let sets = if config.set_encoder {
        ", may set the camera's encoder"
    } else {
        ""
    };
    format!(
        "device {}, size {}, framerate {}, first frame within {}, then one every {}, {}{profile}{sets}{stops}{controls}",
        config.device,
        or_any(size(config.size.as_ref())),
        or_any(framerate(config.framerate.as_ref())),
        proto_duration(config.first_frame_timeout.as_ref()),
        proto_duration(config.steady_timeout.as_ref()),
        subscribers(config.max_subscribers),
    )
}

fn subscribers(most: u32) -> String {
    match most {
        0 => "subscribers as there are buffers".to_owned(),
        most => format!("{most} subscribers"),
    }
}

/// `2 frames refused, 1 map refused, 3 mapped dma-bufs found`; empty without any.
pub(crate) fn violations(violations: &Violations) -> String {
    let parts = [
        (violations.refused_frames, "frame", "refused"),
        (violations.refused_maps, "map", "refused"),
        (violations.mapped_dmabufs, "mapped dma-buf", "found"),
    ];
    let told = parts.iter().filter(|(n, ..)| *n > 0);
    told.map(|(n, thing, what)| format!("{} {what}", count(*n, thing)))
        .collect::<Vec<_>>()
        .join(", ")
}

/// `1 stream`, `2 streams`.
pub(crate) fn count(n: u64, thing: &str) -> String {
    if n == 1 {
        format!("1 {thing}")
    } else {
        format!("{n} {thing}s")
    }
}

#[cfg(test)]
mod tests {
    use mos_camera_api::v1::SizeRange;

    use super::*;

    #[test]
    fn durations_keep_the_figures_that_matter() {
        for (micros, text) in [
            (0, "0 µs"),
            (9, "9.0 µs"),
            (850, "850 µs"),
            (33_400, "33 ms"),
            (1_000_000, "1 s"),
            (2_540_000, "2.5 s"),
            (45_000_000, "45 s"),
            (180_000_000, "3 min"),
            (7_300_000_000, "2 h"),
        ] {
            assert_eq!(duration(Duration::from_micros(micros)), text);
        }
        assert_eq!(duration(Duration::from_nanos(420)), "0.4 µs");
    }

    #[test]
    fn enums_read_in_lower_case_and_unknown_ones_do_not_fail() {
        assert_eq!(state(State::Backoff.into()), "backoff");
        assert_eq!(state(999), "unknown");
        assert_eq!(transport(Transport::MipiCsi.into()), "mipi_csi");
    }

    #[test]
    fn capabilities_read_as_lists_or_ranges() {
        let (rate, size) = (
            |numerator, denominator| Framerate {
                numerator,
                denominator,
            },
            |width, height| Size { width, height },
        );
        let list = Capability {
            format: "YUY2".into(),
            sizes: vec![size(640, 480), size(320, 240)],
            framerates: vec![rate(15, 0), rate(30_000, 1001)],
            ..Capability::default()
        };
        assert_eq!(
            capability(&list),
            "YUY2 640x480, 320x240 at 15, 30000/1001 fps"
        );
        let range = Capability {
            format: "NV12".into(),
            size_range: Some(SizeRange {
                min: Some(size(2, 2)),
                max: Some(size(4096, 2160)),
                step: Some(size(2, 2)),
            }),
            min_framerate: Some(rate(1, 1)),
            max_framerate: Some(rate(60, 1)),
            ..Capability::default()
        };
        assert_eq!(
            capability(&range),
            "NV12 2x2 to 4096x2160 in steps of 2x2 at 1 to 60 fps"
        );
    }

    #[test]
    fn a_configuration_reads_as_a_sentence() {
        let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        let config = StreamConfig {
            device: "test:front".into(),
            size: Some(Size {
                width: 640,
                height: 480,
            }),
            framerate: None,
            first_frame_timeout: seconds(45),
            steady_timeout: seconds(5),
            max_subscribers: 8,
            controls: [("hue".to_owned(), -3), ("gain".to_owned(), 7)].into(),
            on_violation: OnViolation::Stop.into(),
            profile: "main".into(),
            set_encoder: true,
        };
        assert_eq!(
            super::config(&config),
            "device test:front, size 640x480, framerate the device's choice, first frame within 45 s, then one every 5 s, 8 subscribers, profile main, may set the camera's encoder, stops on a violation, gain 7, hue -3"
        );
    }

    #[test]
    fn violations_read_as_a_list_of_what_there_was() {
        let some = |refused_frames, refused_maps, mapped_dmabufs| {
            violations(&Violations {
                refused_frames,
                refused_maps,
                mapped_dmabufs,
            })
        };
        assert_eq!(some(0, 0, 0), "");
        assert_eq!(some(0, 1, 0), "1 map refused");
        assert_eq!(
            some(1, 20, 2),
            "1 frame refused, 20 maps refused, 2 mapped dma-bufs found"
        );
    }

    #[test]
    fn counts_have_their_plural() {
        assert_eq!(
            (count(0, "event"), count(1, "event"), count(2, "event")),
            ("0 events".into(), "1 event".into(), "2 events".into())
        );
    }
}
