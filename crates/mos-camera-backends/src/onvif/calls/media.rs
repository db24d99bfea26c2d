//! The media services: Media (ver10) and Media2 (ver20), which differ in names more than in meaning.

use mos_camera_core::{Framerate, Profile, RtspTransport};

use super::super::soap::{SoapError, shown, text_element, xml::Node};
use super::{Call, ns};

/// Most profiles that are looked at; a recorder has some for each of its channels.
const PROFILES: usize = 256;
/// Longest token of a profile in bytes.
const LONGEST_TOKEN: usize = 256;

/// Which of the two services is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::onvif) enum Media {
    /// ver10.
    One,
    /// ver20.
    Two,
}

impl Media {
    pub(in crate::onvif) const fn namespace(self) -> &'static str {
        match self {
            Self::One => ns::MEDIA,
            Self::Two => ns::MEDIA2,
        }
    }

    /// Every profile, with its encoder.
    pub(in crate::onvif) fn get_profiles(self) -> Call {
        let content = match self {
            Self::One => String::new(),
            Self::Two => "<q:Type>VideoEncoder</q:Type>".to_owned(),
        };
        Call::new(
            self.namespace(),
            "GetProfiles",
            "GetProfilesResponse",
            content,
        )
    }

    /// Where the profile's stream is.
    pub(in crate::onvif) fn get_stream_uri(self, profile: &str, transport: RtspTransport) -> Call {
        let token = text_element("q", "ProfileToken", profile);
        let content = match self {
            Self::One => {
                let protocol = match transport {
                    RtspTransport::Udp => "UDP",
                    _ => "RTSP",
                };
                format!(
                    "<q:StreamSetup><tt:Stream>RTP-Unicast</tt:Stream><tt:Transport><tt:Protocol>{protocol}</tt:Protocol></tt:Transport></q:StreamSetup>{token}"
                )
            }
            Self::Two => {
                let protocol = match transport {
                    RtspTransport::Udp => "RtspUnicast",
                    _ => "RTSP",
                };
                format!("<q:Protocol>{protocol}</q:Protocol>{token}")
            }
        };
        Call::new(
            self.namespace(),
            "GetStreamUri",
            "GetStreamUriResponse",
            content,
        )
    }
}

/// A profile, and its encoder's configuration as the camera has it.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::onvif) struct CameraProfile {
    /// What it gives.
    pub(in crate::onvif) profile: Profile,
    /// Its encoder; none if it has no video.
    pub(in crate::onvif) encoder: Option<Node>,
}

/// The profiles of a `GetProfilesResponse` that have video, in the camera's order.
pub(in crate::onvif) fn profiles(media: Media, answer: &Node) -> Vec<CameraProfile> {
    let found = answer.all("Profiles").take(PROFILES);
    found
        .filter_map(|node| profile(media, node))
        .filter(|found| found.encoder.is_some())
        .collect()
}

fn profile(media: Media, node: &Node) -> Option<CameraProfile> {
    let token = node.attribute("token").filter(|token| is_token(token))?;
    let encoder = match media {
        Media::One => node.child("VideoEncoderConfiguration"),
        Media::Two => node.at(&["Configurations", "VideoEncoder"]),
    };
    let name = node.text_at(&["Name"]).map(shown).unwrap_or_default();
    let size = encoder.and_then(size);
    Some(CameraProfile {
        profile: Profile {
            token: token.to_owned(),
            name,
            format: encoder.map(format).unwrap_or_default(),
            size,
            rate: encoder.and_then(rate),
            settable: Vec::new(),
        },
        encoder: encoder.cloned(),
    })
}

/// Whether a profile can be asked for by this: what can't be sent or shown is none. ONVIF allows 64 characters.
fn is_token(token: &str) -> bool {
    token.len() <= LONGEST_TOKEN && !token.contains(char::is_control)
}

/// In GStreamer's terms. Media says `H264`, Media2 has the media subtypes that IANA lists.
pub(in crate::onvif) fn format(encoder: &Node) -> String {
    format_of(encoder.text_at(&["Encoding"]).unwrap_or_default())
}

pub(in crate::onvif) fn format_of(encoding: &str) -> String {
    match encoding.to_ascii_uppercase().as_str() {
        "H264" | "H.264" => "video/x-h264".to_owned(),
        "H265" | "H.265" | "HEVC" => "video/x-h265".to_owned(),
        "JPEG" | "MJPEG" => "image/jpeg".to_owned(),
        "MPEG4" | "MPV4-ES" => "video/mpeg".to_owned(),
        other => format!("video/x-{}", shown(&other.to_ascii_lowercase())),
    }
}

fn size(encoder: &Node) -> Option<(u32, u32)> {
    let number = |name| encoder.number_at(&["Resolution", name]);
    let size = (number("Width")?, number("Height")?);
    (size.0 > 0 && size.1 > 0).then_some(size)
}

/// The encoder's own limit; Media2's is a decimal fraction.
fn rate(encoder: &Node) -> Option<Framerate> {
    decimal(encoder.text_at(&["RateControl", "FrameRateLimit"])?)
}

/// Frames per second as `25` or `29.97`; none for what is no rate of a camera.
pub(in crate::onvif) fn decimal(text: &str) -> Option<Framerate> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part = part.trim_end_matches('0');
    if part.len() > 3 || !part.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let den = 10_u32.pow(part.len() as u32);
    let whole: u32 = whole.parse().ok().filter(|whole| *whole <= 1000)?;
    let part: u32 = if part.is_empty() {
        0
    } else {
        part.parse().ok()?
    };
    Framerate::new(whole * den + part, den)
}

/// The URL of a `GetStreamUriResponse`.
pub(in crate::onvif) fn stream_uri(media: Media, answer: &Node) -> Result<String, SoapError> {
    let found = match media {
        Media::One => answer.text_at(&["MediaUri", "Uri"]),
        Media::Two => answer.text_at(&["Uri"]),
    };
    let uri = found.ok_or(SoapError::Missing("Uri"))?;
    let rtsp = ["rtsp://", "rtsps://"];
    if rtsp.iter().any(|scheme| uri.starts_with(scheme)) && !uri.contains(char::is_control) {
        Ok(uri.to_owned())
    } else {
        Err(SoapError::Missing("Uri"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> Node {
        Node::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn profiles_of_both_services_are_read() {
        let one = node(
            "<R><Profiles token='a'><Name>Main</Name><VideoEncoderConfiguration token='e'><Encoding>H264</Encoding><Resolution><Width>1920</Width><Height>1080</Height></Resolution><RateControl><FrameRateLimit>25</FrameRateLimit></RateControl></VideoEncoderConfiguration></Profiles><Profiles token='audio'/><Profiles><Name>none</Name></Profiles></R>",
        );
        let two = node(
            "<R><Profiles token='a'><Name>Main</Name><Configurations><VideoEncoder token='e'><Encoding>H265</Encoding><Resolution><Width>1920</Width><Height>1080</Height></Resolution><RateControl><FrameRateLimit>29.970</FrameRateLimit></RateControl></VideoEncoder></Configurations></Profiles></R>",
        );
        for (media, answer, format, rate) in [
            (Media::One, one, "video/x-h264", "25"),
            (Media::Two, two, "video/x-h265", "2997/100"),
        ] {
            let found = profiles(media, &answer);
            assert_eq!(found.len(), 1, "{found:?}");
            let profile = &found[0].profile;
            assert_eq!(
                (profile.token.as_str(), profile.name.as_str()),
                ("a", "Main")
            );
            assert_eq!(
                (profile.format.as_str(), profile.size),
                (format, Some((1920, 1080)))
            );
            assert_eq!(profile.rate.unwrap().to_string(), rate);
        }
    }

    #[test]
    fn a_profile_that_can_not_be_asked_for_is_left_out() {
        for (token, there) in [("a", true), ("&#27;[1m", false), (&*"x".repeat(257), false)] {
            let answer = node(&format!(
                "<R><Profiles token='{token}'><VideoEncoderConfiguration/></Profiles></R>"
            ));
            assert_eq!(!profiles(Media::One, &answer).is_empty(), there, "{token}");
        }
    }

    #[test]
    fn odd_rates_and_sizes_are_unknown_rather_than_wrong() {
        for (text, rate) in [
            ("25", Some("25")),
            ("12.5", Some("25/2")),
            ("29.970", Some("2997/100")),
            ("0", None),
            ("-1", None),
            ("4294967295", None),
            ("1.23456789", None),
            ("1.x", None),
            ("nan", None),
            ("", None),
        ] {
            assert_eq!(
                decimal(text).map(|r| r.to_string()).as_deref(),
                rate,
                "{text}"
            );
        }
        let encoder = node("<E><Resolution><Width>0</Width><Height>9</Height></Resolution></E>");
        assert_eq!(size(&encoder), None);
    }

    #[test]
    fn only_rtsp_urls_are_taken() {
        for (uri, good) in [
            ("rtsp://a/b?c=1", true),
            ("rtsps://a/", true),
            ("http://a/", false),
            ("file:///etc/passwd", false),
            ("rtsp://a/&#10;b", false),
            ("", false),
        ] {
            let one = node(&format!("<R><MediaUri><Uri>{uri}</Uri></MediaUri></R>"));
            assert_eq!(stream_uri(Media::One, &one).is_ok(), good, "{uri}");
            let two = node(&format!("<R><Uri>{uri}</Uri></R>"));
            assert_eq!(stream_uri(Media::Two, &two).is_ok(), good, "{uri}");
        }
    }

    #[test]
    fn tokens_can_not_break_out_of_a_request() {
        let call = Media::One.get_stream_uri("a</q:ProfileToken><x/>", RtspTransport::Tcp);
        let body = node(&call.body());
        assert_eq!(
            body.text_at(&["ProfileToken"]),
            Some("a</q:ProfileToken><x/>")
        );
    }
}
