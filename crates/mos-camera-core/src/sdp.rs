//! What media a session description offers (SDP, RFC 8866), as far as a viewer has to choose among them.
//!
//! The text is a stranger's: whatever it is, it is read without a panic, and what makes no sense is left out.

use std::fmt;

/// A video codec that a camera may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// H.264 (RFC 6184).
    H264,
    /// H.265 (RFC 7798).
    H265,
    /// VP8 (RFC 7741).
    Vp8,
    /// Motion JPEG (RFC 2435).
    Jpeg,
}

impl Codec {
    /// Every codec, in the order of preference among what costs the same.
    pub const ALL: [Self; 4] = [Self::H264, Self::H265, Self::Vp8, Self::Jpeg];

    /// The codec of an RTP encoding name (RFC 4855), whatever its case.
    pub fn from_encoding(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|codec| codec.encoding().eq_ignore_ascii_case(name))
    }

    /// Its encoding name in RTP.
    pub const fn encoding(self) -> &'static str {
        match self {
            Self::H264 => "H264",
            Self::H265 => "H265",
            Self::Vp8 => "VP8",
            Self::Jpeg => "JPEG",
        }
    }

    /// Its media type, in the terms of [`Capability::format`](crate::Capability::format).
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::H264 => "video/x-h264",
            Self::H265 => "video/x-h265",
            Self::Vp8 => "video/x-vp8",
            Self::Jpeg => "image/jpeg",
        }
    }

    /// Whether each picture stands alone.
    pub const fn is_intra(self) -> bool {
        matches!(self, Self::Jpeg)
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::H264 => "H.264",
            Self::H265 => "H.265",
            Self::Vp8 => "VP8",
            Self::Jpeg => "Motion JPEG",
        })
    }
}

/// A media section: one `m=` line and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Its place among all media sections, from 0.
    pub index: u32,
    /// `video`, `audio`, `application` ...
    pub kind: String,
    /// Encoding name of its first payload type, in upper case; `UNKNOWN` if nothing tells it.
    pub encoding: String,
    /// Its codec, if it is a video codec that is known.
    pub codec: Option<Codec>,
}

impl Media {
    /// Whether it is video.
    pub fn is_video(&self) -> bool {
        self.kind == "video"
    }
}

impl fmt::Display for Media {
    /// As `video H264`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.encoding)
    }
}

/// Media sections that are read of one description. Cameras have a handful.
const MOST: usize = 64;
/// Characters that are kept of a name.
const LONGEST: usize = 32;

/// The media sections of a description, in order; at most 64.
pub fn media(text: &str) -> Vec<Media> {
    let mut all: Vec<(Media, String)> = Vec::new();
    for line in text.lines() {
        if let Some(section) = line.strip_prefix("m=") {
            if all.len() == MOST {
                break;
            }
            all.push(section_of(all.len() as u32, section));
        } else if let Some((section, payload)) = all.last_mut()
            && let Some(name) = line
                .strip_prefix("a=rtpmap:")
                .and_then(|map| encoding_of(map, payload))
        {
            section.encoding = name;
        }
    }
    let with_codec = |(media, _): (Media, String)| Media {
        codec: Codec::from_encoding(&media.encoding).filter(|_| media.is_video()),
        ..media
    };
    all.into_iter().map(with_codec).collect()
}

/// A section with the first of its payload types: `video 0 RTP/AVP 96 97`.
fn section_of(index: u32, line: &str) -> (Media, String) {
    let mut words = line.split_ascii_whitespace();
    let kind = clean(words.next().unwrap_or_default());
    let payload = words.nth(2).unwrap_or_default().to_owned();
    let media = Media {
        index,
        kind,
        encoding: fixed(&payload).unwrap_or("UNKNOWN").to_owned(),
        codec: None,
    };
    (media, payload)
}

/// The encoding name of `96 H264/90000`, if it is about this payload type.
fn encoding_of(map: &str, payload: &str) -> Option<String> {
    let (number, encoding) = map.trim_start().split_once(' ')?;
    let name = encoding.trim_start().split('/').next()?;
    (number == payload && !name.is_empty()).then(|| clean(name).to_ascii_uppercase())
}

/// Names that go into messages: short, and nothing but visible ASCII.
fn clean(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_graphic() { c } else { '?' })
        .take(LONGEST)
        .collect()
}

/// Payload types that need no `rtpmap` (RFC 3551, section 6).
fn fixed(payload: &str) -> Option<&'static str> {
    Some(match payload {
        "0" => "PCMU",
        "8" => "PCMA",
        "14" => "MPA",
        "26" => "JPEG",
        "31" => "H261",
        "32" => "MPV",
        "33" => "MP2T",
        "34" => "H263",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CAMERA: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=cam\r\n\
        m=video 0 RTP/AVP 96\r\na=rtpmap:96 H265/90000\r\na=control:track1\r\n\
        m=audio 0 RTP/AVP 8\r\na=control:track2\r\n\
        m=video 0 RTP/AVP 26\r\n\
        m=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\n\
        m=video 0 RTP/AVP 97 98\r\na=rtpmap:98 VP8/90000\r\na=rtpmap:97 h264/90000\r\n";

    #[test]
    fn media_are_told_with_their_codecs() {
        let told: Vec<_> = media(CAMERA)
            .iter()
            .map(|media| (media.index, media.to_string(), media.codec))
            .collect();
        let expected = [
            (0, "video H265", Some(Codec::H265)),
            (1, "audio PCMA", None),
            (2, "video JPEG", Some(Codec::Jpeg)),
            (3, "application VND.ONVIF.METADATA", None),
            (4, "video H264", Some(Codec::H264)),
        ];
        assert_eq!(
            told,
            expected.map(|(n, text, codec)| (n, text.to_owned(), codec))
        );
    }

    #[test]
    fn what_makes_no_sense_is_left_out() {
        for (text, expected) in [
            ("", vec![]),
            ("a=rtpmap:96 H264/90000", vec![]),
            ("m=", vec![" UNKNOWN"]),
            ("m=video", vec!["video UNKNOWN"]),
            (
                "m=video 0 RTP/AVP 96\na=rtpmap:97 H264/90000",
                vec!["video UNKNOWN"],
            ),
            ("m=video 0 RTP/AVP 96\na=rtpmap:96", vec!["video UNKNOWN"]),
            (
                "m=video 0 RTP/AVP 96\na=rtpmap:96 /90000",
                vec!["video UNKNOWN"],
            ),
            (
                "m=video 0 RTP/AVP 96\na=rtpmap:96 H\u{1b}[1m/9",
                vec!["video H?[1M"],
            ),
        ] {
            let told: Vec<_> = media(text).iter().map(Media::to_string).collect();
            assert_eq!(told, expected, "{text:?}");
        }
        assert_eq!(media(&"m=video 0 RTP/AVP 96\n".repeat(1000)).len(), MOST);
        let long = format!("m=video 0 RTP/AVP 96\na=rtpmap:96 {}/9", "x".repeat(10_000));
        assert_eq!(media(&long)[0].encoding.len(), LONGEST);
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "(m=|a=rtpmap:|[ 0-9a-zA-Z/:\n]|\\PC){0,200}") {
            for media in media(&text) {
                prop_assert!(media.to_string().len() <= 2 * LONGEST + 1);
            }
        }
    }
}
