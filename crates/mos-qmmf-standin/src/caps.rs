//! The pad templates' caps, and what is made of what a peer allows.

/// Caps feature of Qualcomm's GBM buffers.
const GBM: &str = "memory:GBM";

/// Limits where the service tells none, in pixels and frames per second (`camera_source_utils.cc`).
const LIMITS: &str = "width=(int)[16,8192],height=(int)[16,5440],framerate=(fraction)[0/1,120/1]";

/// Formats of raw video; those that depend on the chip are left out.
const RAW: &str = "video/x-raw{},format=(string){NV12,NV16,NV12_Q08C,RGB},";

/// Fields that the element reads or sets, of raw video.
const FIELDS: [&str; 9] = [
    "format",
    "width",
    "height",
    "framerate",
    "max-framerate",
    "colorimetry",
    "pixel-aspect-ratio",
    "multiview-mode",
    "views",
];

/// What `video_%u` pads offer: plain caps, and GBM caps on a machine whose GBM is the vendor's.
pub(crate) fn template(gbm: bool) -> String {
    let raw = |feature: &str| format!("{}{LIMITS}", RAW.replace("{},", &format!("{feature},")));
    let mut caps = vec![
        format!("image/jpeg,{LIMITS}"),
        raw(""),
        format!(
            "video/x-bayer,format=(string){{bggr,rggb,gbrg,grbg,mono}},bpp=(string){{8,10,12,16}},{LIMITS}"
        ),
    ];
    if gbm {
        // RGB is not among them.
        caps.push(raw(&format!("({GBM})")).replace(",RGB", ""));
    }
    caps.join(";")
}

/// What `image_%u` pads offer.
pub(crate) fn image_template() -> String {
    format!("image/jpeg,{LIMITS};video/x-raw,format=(string){{NV21}},{LIMITS}")
}

/// A field that the element knows nothing of, in fixed caps.
pub(crate) fn unlisted(caps: &gst::CapsRef) -> Option<String> {
    let structure = caps.structure(0)?;
    let fields: Vec<_> = structure.fields().map(ToString::to_string).collect();
    let odd = |field: &String| !FIELDS.contains(&field.as_str());
    fields
        .into_iter()
        .find(|field| structure.name() == "video/x-raw" && odd(field))
}

/// Fixes what a peer leaves open as the element does: 640x480, 30 fps, NV12, square pixels.
pub(crate) fn fixate(mut caps: gst::Caps) -> Option<gst::Caps> {
    if caps.is_fixed() {
        return Some(caps);
    }
    if caps.is_empty() {
        return None;
    }
    caps.truncate();
    let structure = caps.make_mut().structure_mut(0)?;
    for (field, default) in [("width", 640), ("height", 480)] {
        if structure.get::<i32>(field).is_err() {
            structure.set(field, default);
        }
    }
    structure.fixate_field_nearest_fraction("framerate", gst::Fraction::new(30, 1));
    structure.fixate_field_str("format", "NV12");
    structure.set("pixel-aspect-ratio", gst::Fraction::new(1, 1));
    caps.fixate();
    Some(caps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps(text: &str) -> gst::Caps {
        gst::init().unwrap();
        text.parse().unwrap()
    }

    #[test]
    fn gbm_caps_are_there_on_a_machine_with_the_vendors_gbm_only() {
        let wanted =
            caps("video/x-raw(memory:GBM),format=NV12,width=640,height=480,framerate=30/1");
        let plain = caps("video/x-raw,format=NV12,width=640,height=480,framerate=30/1");
        for gbm in [true, false] {
            let offered = caps(&template(gbm));
            assert_eq!(offered.can_intersect(&wanted), gbm);
            assert!(offered.can_intersect(&plain));
        }
        assert!(!caps(&template(true)).can_intersect(&caps("video/x-raw(memory:GBM),format=RGB")));
    }

    #[test]
    fn what_is_left_open_is_fixed_as_documented() {
        let open =
            caps("video/x-raw,format={NV12,NV16},width=[16,8192],height=720,framerate=[0/1,120/1]");
        let fixed = fixate(open).unwrap();
        let expected =
            "video/x-raw,format=NV12,width=640,height=720,framerate=30/1,pixel-aspect-ratio=1/1";
        assert_eq!(fixed, caps(expected));
        assert_eq!(fixate(gst::Caps::new_empty()), None);
        assert_eq!(unlisted(&fixed), None);
        let odd = caps("video/x-raw,format=NV12,width=2,height=2,framerate=1/1,stride=(int)64");
        assert_eq!(unlisted(&odd).as_deref(), Some("stride"));
    }
}
