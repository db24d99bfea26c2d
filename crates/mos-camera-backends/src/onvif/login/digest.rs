//! HTTP digest (RFC 7616), as cameras use it: MD5 or SHA-256, with or without `qop=auth`.

use md5::Md5;
use mos_camera_core::Secret;
use sha2::{Digest as _, Sha256};

use super::super::random::digits;

/// What a server asks for in `WWW-Authenticate: Digest ...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::onvif) struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// The server takes `qop=auth`.
    auth: bool,
    /// Only the nonce was too old.
    pub(in crate::onvif) stale: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Algorithm {
    /// None is named: MD5, and the answer names none either.
    Implied,
    Md5,
    Sha256,
}

impl Challenge {
    /// The best that the headers' values offer: SHA-256 before MD5. None if there is no digest that is known here.
    pub(in crate::onvif) fn of<'a>(headers: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let challenges = headers.into_iter().filter_map(Self::parse);
        challenges.max_by_key(|challenge| challenge.algorithm)
    }

    fn parse(header: &str) -> Option<Self> {
        let rest = strip_scheme(header)?;
        let mut challenge = Self {
            realm: String::new(),
            nonce: String::new(),
            opaque: None,
            algorithm: Algorithm::Implied,
            auth: false,
            stale: false,
        };
        let mut has_qop = false;
        for (key, value) in Parameters(rest) {
            match key.to_ascii_lowercase().as_str() {
                "realm" => challenge.realm = value,
                "nonce" => challenge.nonce = value,
                "opaque" => challenge.opaque = Some(value),
                "stale" => challenge.stale = value.eq_ignore_ascii_case("true"),
                "algorithm" => challenge.algorithm = algorithm(&value)?,
                "qop" => {
                    has_qop = true;
                    let auth = |qop: &str| qop.trim().eq_ignore_ascii_case("auth");
                    challenge.auth = value.split(',').any(auth);
                }
                _ => {}
            }
        }
        // `auth-int` alone would need the body's digest; nobody asks for it.
        let usable = !challenge.nonce.is_empty() && (challenge.auth || !has_qop);
        usable.then_some(challenge)
    }
}

fn strip_scheme(header: &str) -> Option<&str> {
    let (scheme, rest) = header.trim_start().split_once(' ')?;
    scheme.eq_ignore_ascii_case("digest").then_some(rest)
}

fn algorithm(name: &str) -> Option<Algorithm> {
    match name.to_ascii_lowercase().as_str() {
        "md5" => Some(Algorithm::Md5),
        "sha-256" => Some(Algorithm::Sha256),
        _ => None,
    }
}

/// `key=value` and `key="value"`, separated by commas; what is neither ends them.
struct Parameters<'a>(&'a str);

impl Iterator for Parameters<'_> {
    type Item = (String, String);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, rest) = self.0.split_once('=')?;
        let key = key.trim_matches([' ', '\t', ',']).to_owned();
        let rest = rest.trim_start();
        let (value, rest) = if let Some(quoted) = rest.strip_prefix('\"') {
            unquote(quoted)?
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            (rest[..end].trim().to_owned(), &rest[end..])
        };
        self.0 = rest;
        Some((key, value))
    }
}

/// The text up to the closing quote, and what follows it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            _ => value.push(character),
        }
    }
    None
}

/// The value of the `Authorization` header for a POST to `uri` (path and query).
///
/// `count` is how often the challenge's nonce was used, this time included; `cnonce` is ours, of hexadecimal digits.
pub(in crate::onvif) fn answer(
    challenge: &Challenge,
    user: &str,
    password: &Secret,
    uri: &str,
    count: u32,
    cnonce: &str,
) -> String {
    let hash = |parts: &[&str]| hash(challenge.algorithm, &parts.join(":"));
    let who = hash(&[user, &challenge.realm, password.reveal()]);
    let what = hash(&["POST", uri]);
    let count = format!("{count:08x}");
    let response = if challenge.auth {
        hash(&[&who, &challenge.nonce, &count, cnonce, "auth", &what])
    } else {
        hash(&[&who, &challenge.nonce, &what])
    };
    let mut text = format!(
        "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\"",
        quoted(user),
        quoted(&challenge.realm),
        quoted(&challenge.nonce),
        quoted(uri)
    );
    match challenge.algorithm {
        Algorithm::Implied => {}
        Algorithm::Md5 => text.push_str(", algorithm=MD5"),
        Algorithm::Sha256 => text.push_str(", algorithm=SHA-256"),
    }
    if let Some(opaque) = &challenge.opaque {
        text = text + ", opaque=" + &quoted(opaque);
    }
    if challenge.auth {
        text = text + ", qop=auth, nc=" + &count + ", cnonce=" + &quoted(cnonce);
    }
    text
}

/// Without what can't stand in a header.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars().filter(|c| !c.is_control()) {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

fn hash(algorithm: Algorithm, text: &str) -> String {
    match algorithm {
        Algorithm::Implied | Algorithm::Md5 => digits(&Md5::digest(text)),
        Algorithm::Sha256 => digits(&Sha256::digest(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
    const CNONCE: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

    /// The examples of RFC 7616, section 3.9.1, are of a GET; the hashes of the parts are checked by them, the whole by
    /// what Python's `requests` makes of the same challenge for a POST.
    #[test]
    fn the_hashes_are_those_of_the_rfc() {
        for (algorithm, response) in [
            (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (
                Algorithm::Sha256,
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
        ] {
            let hash = |parts: &[&str]| hash(algorithm, &parts.join(":"));
            let who = hash(&["Mufasa", "http-auth@example.org", "Circle of Life"]);
            let what = hash(&["GET", "/dir/index.html"]);
            assert_eq!(
                hash(&[&who, NONCE, "00000001", CNONCE, "auth", &what]),
                response
            );
        }
    }

    #[test]
    fn the_best_challenge_is_taken() {
        let md5 =
            format!("Digest realm=\"a\", qop=\"auth, auth-int\", algorithm=MD5, nonce=\"{NONCE}\"");
        let sha = format!(
            "digest realm=\"a\",qop=\"auth\",algorithm=SHA-256,nonce=\"{NONCE}\",opaque=\"o\""
        );
        let best = Challenge::of([md5.as_str(), "Basic realm=\"x\"", sha.as_str()]).unwrap();
        assert_eq!(best.algorithm, Algorithm::Sha256);
        let text = answer(&best, "u\"", &Secret::new("p"), "/onvif", 1, "c0");
        for part in [
            "username=\"u\\\"\"",
            "uri=\"/onvif\"",
            "algorithm=SHA-256",
            "opaque=\"o\"",
            "qop=auth, nc=00000001, cnonce=\"c0\"",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn challenges_are_read_as_they_come() {
        for (header, known) in [
            (
                "Digest realm=\"IP Camera(C1)\", nonce=\"4f\", stale=\"FALSE\"",
                true,
            ),
            ("Digest nonce=4f,realm=x", true),
            ("Digest realm=\"a, b=c\", nonce=\"\\\"\"", true),
            ("Digest realm=\"a\"", false),
            ("Digest nonce=\"4f\", qop=\"auth-int\"", false),
            ("Digest nonce=\"4f\", algorithm=MD5-sess", false),
            ("Digest nonce=\"4f", false),
            ("Basic realm=\"x\"", false),
            ("Digest", false),
            ("", false),
        ] {
            assert_eq!(Challenge::of([header]).is_some(), known, "{header}");
        }
        let stale = Challenge::of(["Digest nonce=\"1\", stale=true"]).unwrap();
        assert!(stale.stale);
        let old = answer(&stale, "u", &Secret::new("p"), "/", 1, "c");
        assert!(!old.contains("qop") && !old.contains("algorithm"), "{old}");
    }
}
