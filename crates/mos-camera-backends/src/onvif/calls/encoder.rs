//! What an encoder can be set to, and setting it.

use mos_camera_core::{Capability, Framerate, Rates, Sizes};

use super::super::soap::{text_element, xml::Node};
use super::Call;
use super::media::{Media, decimal, format_of};

/// Most codecs, sizes or rates of one encoder that are looked at.
const MANY: usize = 256;

/// What the encoder of a profile can be set to.
pub(in crate::onvif) fn get_options(media: Media, encoder: &str, profile: &str) -> Call {
    let content = text_element("q", "ConfigurationToken", encoder)
        + &text_element("q", "ProfileToken", profile);
    Call::new(
        media.namespace(),
        "GetVideoEncoderConfigurationOptions",
        "GetVideoEncoderConfigurationOptionsResponse",
        content,
    )
}

/// The answer's formats with their sizes and rates.
pub(in crate::onvif) fn options(media: Media, answer: &Node) -> Vec<Capability> {
    match media {
        Media::One => options_of_one(answer),
        Media::Two => {
            let options = answer.all("Options").take(MANY);
            options.filter_map(option_of_two).collect()
        }
    }
}

/// Media has one element a codec, named after it; H.265 is not among them.
fn options_of_one(answer: &Node) -> Vec<Capability> {
    let Some(options) = answer.child("Options") else {
        return Vec::new();
    };
    let codecs = [("H264", "H264"), ("JPEG", "JPEG"), ("MPEG4", "MPEG4")];
    let found = codecs.iter().filter_map(|(element, encoding)| {
        // What is in the extension replaces what is outside: it has the bit rates too.
        let extended = options.at(&["Extension", element]);
        let node = extended.or_else(|| options.child(element))?;
        let rates = node.child("FrameRateRange");
        let bound = |name| rates.and_then(|rates| decimal(rates.text_at(&[name])?));
        let rates = match (bound("Min"), bound("Max")) {
            (Some(low), Some(high)) if low <= high => Rates::Continuous(low, high),
            _ => Rates::Discrete(Vec::new()),
        };
        capability(encoding, node, rates)
    });
    found.collect()
}

fn option_of_two(node: &Node) -> Option<Capability> {
    let listed = node.attribute("FrameRatesSupported").unwrap_or_default();
    let rates: Vec<Framerate> = listed
        .split_whitespace()
        .take(MANY)
        .filter_map(decimal)
        .collect();
    capability(node.text_at(&["Encoding"])?, node, Rates::Discrete(rates))
}

fn capability(encoding: &str, node: &Node, rates: Rates) -> Option<Capability> {
    let size = |node: &Node| {
        let size = (node.number_at(&["Width"])?, node.number_at(&["Height"])?);
        (size.0 > 0 && size.1 > 0).then_some(size)
    };
    let sizes: Vec<(u32, u32)> = node
        .all("ResolutionsAvailable")
        .take(MANY)
        .filter_map(size)
        .collect();
    (!sizes.is_empty()).then(|| Capability {
        format: format_of(encoding),
        sizes: Sizes::Discrete(sizes),
        rates,
    })
}

/// What an encoder is to be set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::onvif) struct Setting {
    /// Width and height in pixels.
    pub(in crate::onvif) size: Option<(u32, u32)>,
    /// Frames per second.
    pub(in crate::onvif) rate: Option<Framerate>,
}

/// Sets the encoder: its configuration as it was, but for size and rate. `None` if the camera did not say what it is now.
pub(in crate::onvif) fn set(media: Media, encoder: &Node, setting: Setting) -> Option<Call> {
    let mut encoder = encoder.clone();
    "Configuration".clone_into(&mut encoder.name);
    media.namespace().clone_into(&mut encoder.namespace);
    if let Some((width, height)) = setting.size {
        let resolution = encoder.child_mut("Resolution")?;
        write(resolution, "Width", &width.to_string())?;
        write(resolution, "Height", &height.to_string())?;
    }
    if let Some(rate) = setting.rate {
        let control = encoder.child_mut("RateControl")?;
        write(control, "FrameRateLimit", &in_words(media, rate))?;
    }
    let mut content = String::new();
    encoder.write(&mut content);
    if media == Media::One {
        content.push_str("<q:ForcePersistence>true</q:ForcePersistence>");
    }
    Some(Call::new(
        media.namespace(),
        "SetVideoEncoderConfiguration",
        "SetVideoEncoderConfigurationResponse",
        content,
    ))
}

fn write(node: &mut Node, child: &str, text: &str) -> Option<()> {
    let child = node.child_mut(child)?;
    text.clone_into(&mut child.text);
    Some(())
}

/// Media has whole frames only; 29.97 is 30 there.
fn in_words(media: Media, rate: Framerate) -> String {
    let exact = f64::from(rate.num()) / f64::from(rate.den());
    match media {
        Media::One => format!("{exact:.0}"),
        Media::Two if rate.den() == 1 => rate.num().to_string(),
        Media::Two => format!("{exact:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> Node {
        Node::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn options_of_both_services_are_read() {
        let one = node(
            "<R><Options><H264><ResolutionsAvailable><Width>640</Width><Height>480</Height></ResolutionsAvailable><ResolutionsAvailable><Width>1280</Width><Height>720</Height></ResolutionsAvailable><FrameRateRange><Min>1</Min><Max>30</Max></FrameRateRange></H264><JPEG/></Options></R>",
        );
        let two = node(
            "<R><Options FrameRatesSupported='30 25 x'><Encoding>H265</Encoding><ResolutionsAvailable><Width>640</Width><Height>480</Height></ResolutionsAvailable></Options><Options/></R>",
        );
        let show = |options: Vec<Capability>| {
            let shown: Vec<_> = options.iter().map(Capability::to_string).collect();
            shown.join("; ")
        };
        assert_eq!(
            show(options(Media::One, &one)),
            "video/x-h264 640x480, 1280x720 at 1 to 30 fps"
        );
        assert_eq!(
            show(options(Media::Two, &two)),
            "video/x-h265 640x480 at 30, 25 fps"
        );
        assert!(options(Media::One, &Node::default()).is_empty());
    }

    #[test]
    fn setting_an_encoder_keeps_all_else() {
        let encoder = node(
            "<t:VideoEncoderConfiguration xmlns:t='http://www.onvif.org/ver10/schema' token='e'><t:Name>x</t:Name><t:Encoding>H264</t:Encoding><t:Resolution><t:Width>1920</t:Width><t:Height>1080</t:Height></t:Resolution><t:Quality>4</t:Quality><t:RateControl><t:FrameRateLimit>25</t:FrameRateLimit><t:BitrateLimit>4096</t:BitrateLimit></t:RateControl></t:VideoEncoderConfiguration>",
        );
        let setting = Setting {
            size: Some((640, 480)),
            rate: Framerate::new(30_000, 1001),
        };
        let call = set(Media::One, &encoder, setting).unwrap();
        let body = node(&call.body());
        let sent = body.child("Configuration").unwrap();
        assert_eq!(sent.namespace, Media::One.namespace());
        assert_eq!(sent.attribute("token"), Some("e"));
        for (path, text) in [
            (&["Resolution", "Width"][..], "640"),
            (&["Resolution", "Height"], "480"),
            (&["RateControl", "FrameRateLimit"], "30"),
            (&["RateControl", "BitrateLimit"], "4096"),
            (&["Quality"], "4"),
        ] {
            assert_eq!(sent.text_at(path), Some(text), "{path:?}");
        }
        assert_eq!(body.text_at(&["ForcePersistence"]), Some("true"));
        let call = set(Media::Two, &encoder, setting).unwrap();
        assert!(call.content.contains(">29.970<"), "{}", call.content);
        assert_eq!(set(Media::One, &Node::default(), setting), None);
    }
}
