//! Session descriptions (RFC 8866) as text, as far as signalling looks into them: what is offered, whether an answer fits,
//! and the fragments by which candidates are trickled (RFC 8840).
//!
//! An answer is checked here, before anything else sees it: what gets through has the one video that was offered.

use std::fmt::Write as _;
use std::net::IpAddr;

use mos_camera_core::Fingerprint;
use mos_camera_core::rfc7273::MediaClock;

/// Largest description or fragment that is looked at, in bytes.
pub(crate) const LARGEST: usize = 64 * 1024;
/// Candidates of an answer that are tried; every one is sent checks.
const CANDIDATES: usize = 64;

/// The offer: one video, received only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offer {
    text: String,
    mid: String,
    ufrag: String,
    password: String,
}

impl Offer {
    /// Takes what `webrtcbin` made, for the certificate of this fingerprint; none if it lacks what ICE needs.
    pub(crate) fn new(text: &str, certificate: &Fingerprint) -> Option<Self> {
        // Candidates that are in it already are told with all others.
        let lines = lines(text).filter(|line| !is_candidate(line));
        let text = lines.fold(String::new(), |all, line| {
            if line.starts_with("a=fingerprint:") {
                let digits = certificate.to_string();
                let digits = digits.rsplit(' ').next().unwrap_or_default();
                return all + "a=fingerprint:sha-256 " + digits + "\r\n";
            }
            all + line + "\r\n"
        });
        Some(Self {
            mid: attribute(&text, "mid")?.to_owned(),
            ufrag: attribute(&text, "ice-ufrag")?.to_owned(),
            password: attribute(&text, "ice-pwd")?.to_owned(),
            text,
        })
    }

    /// The offer with candidates, and whether those are all.
    pub(crate) fn with(&self, candidates: &[String], complete: bool) -> String {
        let mut text = self.text.clone();
        push(&mut text, candidates, complete);
        text
    }

    /// A fragment that tells of further candidates.
    pub(crate) fn fragment(&self, candidates: &[String], complete: bool) -> String {
        let mut text = format!(
            "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\nm=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:{}\r\n",
            self.ufrag, self.password, self.mid
        );
        push(&mut text, candidates, complete);
        text
    }
}

fn push(text: &mut String, candidates: &[String], complete: bool) {
    for candidate in candidates {
        // Writing to a string can't fail.
        let _written = write!(text, "a={candidate}\r\n");
    }
    if complete {
        text.push_str("a=end-of-candidates\r\n");
    }
}

/// Why an answer can't be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("it is empty")]
    Empty,
    #[error("it is larger than {LARGEST} bytes")]
    TooLarge,
    #[error("it does not begin with `v=0`")]
    NoSdp,
    #[error("a line of it is none of SDP: `{0}`")]
    Line(String),
    #[error("it has {0} media where one was offered")]
    Media(usize),
    #[error("it takes something else than the video that was offered")]
    NotVideo,
    /// The server has the video, but in no codec that was offered.
    #[error("it refuses the video")]
    Refused,
    #[error("it names no codec that was offered")]
    NoCodec,
    #[error("it does not say that it sends")]
    NotSending,
    #[error("it has no `{0}`")]
    Missing(&'static str),
    #[error("its `{0}` is malformed")]
    Malformed(&'static str),
}

/// An answer that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The description, without candidates that are not to be tried, and without the clock.
    pub(crate) text: String,
    /// Encoding names in the order of the server's preference, such as `H264`.
    pub(crate) codecs: Vec<String>,
    /// Candidates that are tried.
    pub(crate) candidates: usize,
    /// The clock of the RTP timestamps, where the server names one that can be read (RFC 7273).
    pub(crate) clock: Option<MediaClock>,
}

/// Checks an answer to an offer and takes out what would make us ask others: candidates that are names lead to a name
/// server, and a clock that is named to an NTP server, if it gets to GStreamer's jitter buffer (`webrtcbin` of 1.22 keeps it
/// back, which nothing promises).
pub(crate) fn answer(text: &str, offered: &[&str]) -> Result<Answer, Unfit> {
    if text.len() > LARGEST {
        return Err(Unfit::TooLarge);
    }
    if text.trim().is_empty() {
        return Err(Unfit::Empty);
    }
    let all: Vec<&str> = lines(text).collect();
    if all.first() != Some(&"v=0") {
        return Err(Unfit::NoSdp);
    }
    if let Some(line) = all.iter().find(|line| !is_line(line)) {
        let shown = line.chars().filter(|c| !c.is_control());
        return Err(Unfit::Line(shown.take(40).collect()));
    }
    media(&all)?;
    if all.contains(&"a=recvonly") || all.contains(&"a=inactive") {
        return Err(Unfit::NotSending);
    }
    ice_and_dtls(text)?;
    let codecs = codecs(&all, offered);
    if codecs.is_empty() {
        return Err(Unfit::NoCodec);
    }
    let mut tried = 0;
    let clock = attribute(text, "ts-refclk")
        .zip(attribute(text, "mediaclk"))
        .and_then(|(refclk, media)| MediaClock::parse(refclk, media));
    let kept = all.into_iter().filter(|line| {
        if line.starts_with("a=ts-refclk") {
            return false;
        }
        let keep = !is_candidate(line) || (tried < CANDIDATES && is_tried(line));
        tried += usize::from(keep && is_candidate(line));
        keep
    });
    let text = kept.fold(String::new(), |all, line| all + line + "\r\n");
    Ok(Answer {
        text,
        codecs,
        candidates: tried,
        clock,
    })
}

/// The one video, and that it is taken.
fn media(all: &[&str]) -> Result<(), Unfit> {
    let media: Vec<&str> = all
        .iter()
        .filter_map(|line| line.strip_prefix("m="))
        .collect();
    let [video] = media[..] else {
        return Err(Unfit::Media(media.len()));
    };
    let words: Vec<&str> = video.split_ascii_whitespace().collect();
    match words[..] {
        ["video", port, profile, _, ..] if profile.ends_with("RTP/SAVPF") => {
            match port.parse::<u16>() {
                Ok(0) => Err(Unfit::Refused),
                Ok(_) => Ok(()),
                Err(_) => Err(Unfit::Malformed("m=")),
            }
        }
        _ => Err(Unfit::NotVideo),
    }
}

/// What ICE (RFC 8839) and DTLS (RFC 8842) can't do without.
fn ice_and_dtls(text: &str) -> Result<(), Unfit> {
    let get = |name| attribute(text, name).ok_or(Unfit::Missing(name));
    let is_ice = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_' | b'='))
    };
    let (ufrag, password) = (get("ice-ufrag")?, get("ice-pwd")?);
    if !(4..=256).contains(&ufrag.len()) || !is_ice(ufrag) {
        return Err(Unfit::Malformed("ice-ufrag"));
    }
    if !(22..=256).contains(&password.len()) || !is_ice(password) {
        return Err(Unfit::Malformed("ice-pwd"));
    }
    if !matches!(get("setup")?, "active" | "passive") {
        return Err(Unfit::Malformed("setup"));
    }
    // There may be several, of which one of a hash that is known here is enough.
    let mut prints = lines(text).filter_map(|line| line.strip_prefix("a=fingerprint:"));
    let first = prints.next().ok_or(Unfit::Missing("fingerprint"))?;
    if !is_fingerprint(first) {
        return Err(Unfit::Malformed("fingerprint"));
    }
    Ok(())
}

fn is_fingerprint(text: &str) -> bool {
    let Some((hash, digits)) = text.split_once(' ') else {
        return false;
    };
    let length = match hash.to_ascii_lowercase().as_str() {
        "sha-1" => 20,
        "sha-224" => 28,
        "sha-256" => 32,
        "sha-384" => 48,
        "sha-512" => 64,
        _ => return false,
    };
    let pairs: Vec<&str> = digits.trim_end().split(':').collect();
    pairs.len() == length
        && pairs
            .iter()
            .all(|pair| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The encodings of the answer that were offered, in its order; repair and error correction are none.
fn codecs(all: &[&str], offered: &[&str]) -> Vec<String> {
    let video = all.iter().find_map(|line| line.strip_prefix("m="));
    let types = video
        .into_iter()
        .flat_map(|m| m.split_ascii_whitespace().skip(3));
    let mut codecs: Vec<String> = Vec::new();
    for number in types {
        let name = all.iter().find_map(|line| {
            let (n, rest) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
            (n == number).then(|| {
                rest.split('/')
                    .next()
                    .unwrap_or_default()
                    .to_ascii_uppercase()
            })
        });
        if let Some(name) = name
            && offered.contains(&name.as_str())
            && !codecs.contains(&name)
        {
            codecs.push(name);
        }
    }
    codecs
}

/// The first value of an attribute, wherever it stands.
pub(crate) fn attribute<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    lines(text).find_map(|line| {
        line.strip_prefix("a=")?
            .strip_prefix(name)?
            .strip_prefix(':')
    })
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line))
        .filter(|line| !line.is_empty())
}

/// A type of one letter and a value without characters of control.
fn is_line(line: &str) -> bool {
    let bytes = line.as_bytes();
    bytes.len() >= 2
        && bytes[0].is_ascii_lowercase()
        && bytes[1] == b'='
        && !line.chars().any(|c| c.is_control() && c != '\t')
}

fn is_candidate(line: &str) -> bool {
    line.starts_with("a=candidate:") || line == "a=end-of-candidates"
}

/// Whether a candidate's address is a number (RFC 8839, section 5.1), and so nobody has to be asked for it.
fn is_tried(line: &str) -> bool {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    match words[..] {
        ["a=end-of-candidates"] => true,
        [_, component, _, _, address, port, "typ", _, ..] => {
            component.parse::<u16>().is_ok()
                && address
                    .parse::<IpAddr>()
                    .is_ok_and(|ip| !ip.is_unspecified() && !ip.is_multicast())
                && port.parse::<u16>().is_ok()
        }
        _ => false,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) const OURS: Fingerprint = Fingerprint::new([0xAB; 32]);

    pub(crate) const OFFER: &str = "v=0\r\no=- 1 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE video0\r\n\
        m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\na=setup:actpass\r\na=ice-ufrag:ours\r\n\
        a=ice-pwd:0123456789012345678901\r\na=mid:video0\r\na=rtpmap:96 H264/90000\r\na=rtpmap:97 VP8/90000\r\na=recvonly\r\n";

    /// As aiortc answers.
    pub(crate) const ANSWER: &str = "v=0\r\no=- 3973 3973 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE video0\r\na=msid-semantic:WMS *\r\n\
        m=video 40000 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 127.0.0.1\r\na=sendonly\r\na=mid:video0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=rtcp-mux\r\n\
        a=rtpmap:96 H264/90000\r\na=candidate:1 1 udp 2130706431 127.0.0.1 40000 typ host\r\na=candidate:2 1 udp 1 cam.local 40000 typ host\r\n\
        a=end-of-candidates\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n\
        a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\na=setup:active\r\n";

    #[test]
    fn an_offer_carries_the_candidates_that_are_known() {
        let with_candidate = format!("{OFFER}a=candidate:9 1 UDP 1 10.0.0.1 9 typ host\r\n");
        let offer = Offer::new(&with_candidate, &OURS).unwrap();
        let candidates = ["candidate:1 1 UDP 1 10.0.0.2 5 typ host".to_owned()];
        assert_eq!(offer.with(&[], false), OFFER);
        assert_eq!(
            offer.with(&candidates, true),
            format!("{OFFER}a={}\r\na=end-of-candidates\r\n", candidates[0])
        );
        assert_eq!(
            offer.fragment(&candidates, false),
            format!(
                "a=ice-ufrag:ours\r\na=ice-pwd:0123456789012345678901\r\nm=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:video0\r\na={}\r\n",
                candidates[0]
            )
        );
        for part in [
            "a=mid:video0\r\n",
            "a=ice-ufrag:ours\r\n",
            "a=ice-pwd:0123456789012345678901\r\n",
        ] {
            assert_eq!(Offer::new(&OFFER.replace(part, ""), &OURS), None);
        }
    }

    #[test]
    fn an_answer_that_fits_is_taken_without_candidates_that_are_names() {
        let taken = answer(ANSWER, &["H264", "VP8"]).unwrap();
        assert_eq!(taken.codecs, ["H264"]);
        assert_eq!(taken.candidates, 2);
        assert!(taken.text.contains("127.0.0.1 40000 typ host"));
        assert!(!taken.text.contains("cam.local"));
        let bare = ANSWER.replace("\r\n", "\n");
        assert_eq!(
            answer(&bare, &["H264"]).unwrap().text,
            answer(ANSWER, &["H264"]).unwrap().text
        );
        let many = "a=candidate:1 1 udp 1 10.0.0.1 1 typ host\r\n".repeat(1000);
        assert_eq!(
            answer(&format!("{ANSWER}{many}"), &["H264"])
                .unwrap()
                .candidates,
            CANDIDATES
        );
    }

    #[test]
    fn a_clock_that_the_server_names_is_read_and_kept_from_gstreamer() {
        let named = format!("{ANSWER}a=ts-refclk:ntp=192.0.2.1:123\r\na=mediaclk:direct=5\r\n");
        let taken = answer(&named, &["H264"]).unwrap();
        assert_eq!(
            taken.clock,
            MediaClock::parse("ntp=192.0.2.1:123", "direct=5")
        );
        assert!(taken.clock.is_some() && !taken.text.contains("192.0.2.1"));
        for other in ["a=ts-refclk:local\r\n", "a=mediaclk:direct=5\r\n"] {
            let taken = answer(&format!("{ANSWER}{other}"), &["H264"]).unwrap();
            assert_eq!(taken.clock, None, "{other}");
            assert!(!taken.text.contains("ts-refclk"), "{other}");
        }
    }

    #[test]
    fn codecs_are_told_in_the_server_s_order_and_repair_is_none() {
        let two = ANSWER
            .replace("SAVPF 96", "SAVPF 98 97 99 96 100")
            .replace("a=rtpmap:96 H264/90000", "a=rtpmap:97 rtx/90000\r\na=rtpmap:98 vp8/90000\r\na=rtpmap:96 H264/90000\r\na=rtpmap:99 H264/90000");
        assert_eq!(
            answer(&two, &["H264", "VP8"]).unwrap().codecs,
            ["VP8", "H264"]
        );
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let change = |from: &str, to: &str| {
            assert!(ANSWER.contains(from), "{from}");
            ANSWER.replace(from, to)
        };
        let second = format!("{ANSWER}m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n");
        for (text, expected) in [
            (String::new(), Unfit::Empty),
            (" \r\n".to_owned(), Unfit::Empty),
            ("<html>".to_owned(), Unfit::NoSdp),
            (
                format!("{ANSWER}rubbish\r\n"),
                Unfit::Line("rubbish".to_owned()),
            ),
            (format!("{ANSWER}a=\u{0}\r\n"), Unfit::Line("a=".to_owned())),
            ("v=0\r\n".to_owned(), Unfit::Media(0)),
            (second, Unfit::Media(2)),
            (change("m=video", "m=audio"), Unfit::NotVideo),
            (change("UDP/TLS/RTP/SAVPF", "RTP/AVP"), Unfit::NotVideo),
            (change("m=video 40000", "m=video 0"), Unfit::Refused),
            (change("m=video 40000", "m=video x"), Unfit::Malformed("m=")),
            (change("SAVPF 96", "SAVPF"), Unfit::NotVideo),
            (change("SAVPF 96", "SAVPF 97"), Unfit::NoCodec),
            (change("H264", "AV1"), Unfit::NoCodec),
            (change("sendonly", "recvonly"), Unfit::NotSending),
            (change("sendonly", "inactive"), Unfit::NotSending),
            (
                change("a=ice-ufrag:abcd\r\n", ""),
                Unfit::Missing("ice-ufrag"),
            ),
            (
                change("ufrag:abcd", "ufrag:abc"),
                Unfit::Malformed("ice-ufrag"),
            ),
            (
                change("ufrag:abcd", "ufrag:ab d"),
                Unfit::Malformed("ice-ufrag"),
            ),
            (
                change("pwd:0123456789012345678901", "pwd:short"),
                Unfit::Malformed("ice-pwd"),
            ),
            (
                change("fingerprint", "finger"),
                Unfit::Missing("fingerprint"),
            ),
            (
                change("sha-256 00:", "sha-256 "),
                Unfit::Malformed("fingerprint"),
            ),
            (change("sha-256", "md5"), Unfit::Malformed("fingerprint")),
            (change("a=setup:active\r\n", ""), Unfit::Missing("setup")),
            (
                change("setup:active", "setup:actpass"),
                Unfit::Malformed("setup"),
            ),
            ("v=0\r\n".repeat(LARGEST), Unfit::TooLarge),
        ] {
            assert_eq!(answer(&text, &["H264"]), Err(expected), "{text:.200}");
        }
    }

    proptest::proptest! {
        /// Lines lost, doubled and garbled: an answer or an error, never more lines than there were.
        #[test]
        fn any_answer_ends(
            edits in proptest::collection::vec((0..30usize, 0..4u8, "[ -~ä\r\n]{0,20}"), 0..6)
        ) {
            let mut all: Vec<String> = ANSWER.lines().map(str::to_owned).collect();
            for (at, what, text) in edits {
                let at = at % all.len();
                match what {
                    0 => drop(all.remove(at)),
                    1 => all.insert(at, all[at].clone()),
                    2 => all[at].push_str(&text),
                    _ => all[at] = text,
                }
                if all.is_empty() {
                    break;
                }
            }
            let text = all.join("\r\n");
            if let Ok(taken) = answer(&text, &["H264", "VP8"]) {
                proptest::prop_assert!(taken.text.matches("m=").count() >= 1);
                proptest::prop_assert!(!taken.codecs.is_empty() && taken.candidates <= CANDIDATES);
                proptest::prop_assert!(!taken.text.contains("cam.local"));
            }
        }
    }
}
