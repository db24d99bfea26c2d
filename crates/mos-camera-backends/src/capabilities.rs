//! What a camera offers, read from the caps of its source.

use mos_camera_core::plan::MAX_SIDE;
use mos_camera_core::{Capability, Framerate, Range, Rates, Sizes};

use crate::machine::texts;

/// The capabilities in caps; formats that name no size are left out, and those that name no rate may come in any.
pub(crate) fn read(caps: &gst::CapsRef) -> Vec<Capability> {
    let mut found: Vec<Capability> = Vec::new();
    for structure in caps.iter() {
        let Some(rates) = rates(structure) else {
            continue;
        };
        for sizes in sizes(structure) {
            for format in formats(structure) {
                let (sizes, rates) = (sizes.clone(), rates.clone());
                add(
                    &mut found,
                    Capability {
                        format,
                        sizes,
                        rates,
                    },
                );
            }
        }
    }
    found
}

/// Adds a capability, joining the sizes of one format and rate.
pub(crate) fn add(found: &mut Vec<Capability>, new: Capability) {
    let same = found
        .iter_mut()
        .find(|c| c.format == new.format && c.rates == new.rates);
    match (same, new.sizes) {
        (
            Some(Capability {
                sizes: Sizes::Discrete(known),
                ..
            }),
            Sizes::Discrete(sizes),
        ) => {
            known.extend(sizes);
            known.sort_unstable();
            known.dedup();
        }
        (Some(Capability { sizes: known, .. }), sizes) if *known == sizes => {}
        (_, sizes) => found.push(Capability { sizes, ..new }),
    }
}

/// Descriptors may lie: nothing has no pixels, and nothing has more than [`MAX_SIDE`] in a row.
pub(crate) const fn is_sane(side: u32) -> bool {
    side > 0 && side <= MAX_SIDE
}

/// A raw format by its name, anything else by its media type.
fn formats(structure: &gst::StructureRef) -> Vec<String> {
    match structure.name().as_str() {
        "video/x-raw" => match texts(structure, "format") {
            // Of the forms that are labelled as dma-bufs only this one can be used, and it is called the same. The others come
            // a second time, under GStreamer's names.
            labelled if labelled == ["DMA_DRM"] => {
                let mut formats = texts(structure, "drm-format");
                formats.retain(|format| format == "NV12");
                formats
            }
            formats => formats,
        },
        other => vec![other.to_owned()],
    }
}

/// The sizes of a structure. Simplified caps have several in one, as `width=640, height={360,480}`.
fn sizes(structure: &gst::StructureRef) -> Vec<Sizes> {
    let (widths, heights) = (sides(structure, "width"), sides(structure, "height"));
    let mut found = Vec::new();
    for &width in &widths {
        for &height in &heights {
            if width.min == width.max && height.min == height.max {
                found.push(Sizes::Discrete(vec![(width.min, height.min)]));
            } else {
                found.push(Sizes::Stepwise { width, height });
            }
        }
    }
    found
}

/// The widths or heights of a structure, single ones as ranges of one value.
fn sides(structure: &gst::StructureRef, field: &str) -> Vec<Range> {
    let single = |value: i32| {
        let value = u32::try_from(value).ok()?;
        Some(Range {
            min: value,
            max: value,
            step: 1,
        })
    };
    let range = |range: gst::IntRange<i32>| {
        Some(Range {
            min: u32::try_from(range.min()).ok()?,
            max: u32::try_from(range.max()).ok()?,
            step: u32::try_from(range.step()).ok()?,
        })
    };
    let of = |value: &gst::glib::SendValue| match value.get::<i32>() {
        Ok(value) => single(value),
        Err(_) => range(value.get().ok()?),
    };
    let all: Vec<_> = match structure.get::<gst::List>(field) {
        Ok(list) => list.iter().filter_map(of).collect(),
        Err(_) => structure
            .value(field)
            .ok()
            .and_then(of)
            .into_iter()
            .collect(),
    };
    all.into_iter().filter(|side| is_sane(side.min)).collect()
}

fn rates(structure: &gst::StructureRef) -> Option<Rates> {
    if !structure.has_field("framerate") {
        return Some(Rates::Discrete(Vec::new()));
    }
    if let Ok(rate) = structure.get::<gst::Fraction>("framerate") {
        return Some(Rates::Discrete(vec![framerate(rate)?]));
    }
    if let Ok(list) = structure.get::<gst::List>("framerate") {
        let rates = list.iter().filter_map(|value| framerate(value.get().ok()?));
        return Some(Rates::Discrete(rates.collect()));
    }
    let range = structure.get::<gst::FractionRange>("framerate").ok()?;
    // A range from 0/1 on: the slowest that is a rate at all.
    let slowest = framerate(range.min()).or_else(|| Framerate::new(1, 1))?;
    Some(Rates::Continuous(slowest, framerate(range.max())?))
}

fn framerate(fraction: gst::Fraction) -> Option<Framerate> {
    Framerate::new(
        u32::try_from(fraction.numer()).ok()?,
        u32::try_from(fraction.denom()).ok()?,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(caps: &str) -> Vec<String> {
        gst::init().unwrap();
        read(&caps.parse::<gst::Caps>().unwrap())
            .iter()
            .map(|c| format!("{} {:?} {:?}", c.format, c.sizes, c.rates))
            .collect()
    }

    fn capability(caps: &str) -> Vec<Capability> {
        gst::init().unwrap();
        read(&caps.parse::<gst::Caps>().unwrap())
    }

    #[test]
    fn discrete_sizes_of_one_format_are_joined() {
        let found = capability(
            "video/x-raw,format=YUY2,width=640,height=480,framerate={(fraction)30/1,(fraction)15/1};\
             video/x-raw,format=YUY2,width=320,height=240,framerate={(fraction)30/1,(fraction)15/1};\
             image/jpeg,width=1280,height=720,framerate=30/1",
        );
        assert_eq!(found.len(), 2);
        assert_eq!(
            found[0].sizes,
            Sizes::Discrete(vec![(320, 240), (640, 480)])
        );
        assert_eq!(
            found[0].rates,
            Rates::Discrete(vec![
                Framerate::new(30, 1).unwrap(),
                Framerate::new(15, 1).unwrap()
            ])
        );
        assert_eq!(found[1].format, "image/jpeg");
    }

    #[test]
    fn sizes_that_caps_have_in_one_are_taken_apart() {
        let found = capability(
            "video/x-raw,format=NV12,width=640,height={(int)360,480},framerate=30/1;\
             video/x-raw,format=NV12,width=320,height=180,framerate=30/1",
        );
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].sizes,
            Sizes::Discrete(vec![(320, 180), (640, 360), (640, 480)])
        );
    }

    #[test]
    fn ranges_stay_ranges() {
        let found = capability(
            "video/x-raw,format=NV12,width=[16,4096,2],height=[16,2160,2],framerate=[0/1,60/1]",
        );
        let Sizes::Stepwise { width, height } = found[0].sizes else {
            panic!("{found:?}")
        };
        assert_eq!(
            (width.min, width.max, width.step, height.max),
            (16, 4096, 2, 2160)
        );
        assert_eq!(
            found[0].rates,
            Rates::Continuous(
                Framerate::new(1, 1).unwrap(),
                Framerate::new(60, 1).unwrap()
            )
        );
    }

    #[test]
    fn dma_drm_caps_are_named_by_their_drm_format() {
        let found = shown(
            "video/x-raw(memory:DMABuf),format=DMA_DRM,drm-format=NV12,width=640,height=480,framerate=30/1",
        );
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("NV12 "), "{found:?}");
        let others = "video/x-raw(memory:DMABuf),format=DMA_DRM,drm-format={YUYV,NV12,XR24},width=640,height=480,framerate=30/1";
        assert_eq!(shown(others), found);
    }

    #[test]
    fn a_rate_that_is_not_told_may_be_any() {
        let found = capability("video/x-raw,format=NV12,width=640,height=480");
        assert_eq!(found[0].rates, Rates::Discrete(Vec::new()));
    }

    #[test]
    fn formats_without_size_are_left_out() {
        assert!(shown("video/x-raw,format=NV12").is_empty());
        assert!(shown("video/mpegts").is_empty());
        for absurd in ["0", "65535"] {
            let caps = format!("video/x-raw,format=NV12,width={absurd},height=480,framerate=30/1");
            assert!(shown(&caps).is_empty(), "{absurd}");
        }
    }
}
