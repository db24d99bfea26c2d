//! Which elements leave pixels to hardware, by their names: GStreamer itself does not tell.

use super::rules::canonical;

/// Who works on the pixels that pass an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Touch {
    /// Hardware, or nobody.
    Hardware,
    /// The CPU.
    Cpu,
    /// Not known.
    Unknown,
}

/// Elements of GStreamer's own plugins that map frames, or may.
const CPU: &[&str] = &[
    "alpha",
    "appsink",
    "appsrc",
    "autovideoconvert",
    "compositor",
    "decodebin",
    "decodebin3",
    "deinterlace",
    "gamma",
    "gldownload",
    "jpegdec",
    "jxldec",
    "pngdec",
    "qtivoverlay",
    "uridecodebin",
    "v4l2sink",
    "v4l2src",
    "webpdec",
];
/// Beginnings of names of the same.
const CPU_FAMILIES: &[&str] = &[
    "avdec_", "video", "openh264", "vp8", "vp9", "av1", "dav1d", "libde265", "opencv", "cv",
];

/// Elements that leave pixels to hardware, beside those of [`HARDWARE_FAMILIES`].
const HARDWARE: &[&str] = &[
    "qtic2vdec",
    "qtivtransform",
    "vpudec",
    "capsfilter",
    "queue",
    "identity",
];
/// Beginnings and ends of names of elements that leave pixels to hardware.
const HARDWARE_FAMILIES: &[(&str, &str)] = &[
    ("v4l2", "dec"),
    ("v4l2", "convert"),
    ("va", "dec"),
    ("va", "postproc"),
    ("imxvideoconvert_", ""),
    ("omx", "dec"),
    ("mppvideodec", ""),
    ("mppjpegdec", ""),
    ("nvv4l2decoder", ""),
    ("msdk", "dec"),
    ("qsv", "dec"),
    // Parsers find where pictures begin; they read bitstreams, not pixels.
    ("", "parse"),
];

pub(super) fn touch(factory: &str) -> Touch {
    let factory = canonical(factory);
    let begins_and_ends =
        |(begin, end): &(&str, &str)| factory.starts_with(begin) && factory.ends_with(end);
    if CPU.contains(&factory.as_str()) {
        Touch::Cpu
    } else if HARDWARE.contains(&factory.as_str()) || HARDWARE_FAMILIES.iter().any(begins_and_ends)
    {
        Touch::Hardware
    } else if CPU_FAMILIES.iter().any(|begin| factory.starts_with(begin)) {
        Touch::Cpu
    } else {
        Touch::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_known_by_their_names() {
        for (factory, expected) in [
            ("v4l2h264dec", Touch::Hardware),
            ("v4l2video5convert", Touch::Hardware),
            ("v4l2slvideo2h265dec", Touch::Hardware),
            ("imxvideoconvert_ocl", Touch::Hardware),
            ("vajpegdec", Touch::Hardware),
            ("vp8parse", Touch::Hardware),
            ("h264parse", Touch::Hardware),
            ("vp8dec", Touch::Cpu),
            ("videoconvert", Touch::Cpu),
            ("videoconvertscale", Touch::Cpu),
            ("avdec_h264", Touch::Cpu),
            ("appsink", Touch::Cpu),
            ("valve", Touch::Unknown),
            ("acmedec", Touch::Unknown),
        ] {
            assert_eq!(touch(factory), expected, "{factory}");
        }
    }
}
