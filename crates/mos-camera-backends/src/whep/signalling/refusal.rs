//! What a WHEP server's refusals mean.

use mos_camera_core::{Fault, FaultKind};

use crate::http::{Answer, header};

/// The fault of an answer to `POST` that is no 201; `location` is the endpoint as it may be shown.
pub(super) fn fault(device: &str, location: &str, answer: &Answer, secrets: &[&str]) -> Fault {
    let (kind, what, hint) = words(answer);
    let status = answer.status;
    let reason = reason(answer, secrets);
    let wait = match retry_after(answer) {
        Some(seconds) => format!("; it asks to be left alone for {seconds} s"),
        None => String::new(),
    };
    Fault::new(
        kind,
        format!("{device} at {location}: {what} ({status}){reason}{wait}"),
        hint,
    )
}

fn words(answer: &Answer) -> (FaultKind, &'static str, &'static str) {
    match answer.status {
        401 | 403 if answer.withheld => (
            FaultKind::Unauthorized,
            "the server redirects to another host, which wants a token and was not given this one",
            "put the URL that it redirects to into the configuration; then reset the stream",
        ),
        401 => (
            FaultKind::Unauthorized,
            "the server refuses the token",
            "correct the camera's token and reset the stream; it is not retried by itself",
        ),
        403 => (
            FaultKind::Unauthorized,
            "the token does not allow to play this stream",
            "use another token, or give this one the right; then reset the stream",
        ),
        404 | 410 => (
            FaultKind::NotFound,
            "the server has no stream here",
            "check the path of the camera's URL; it is tried again, since the stream may only not be published yet",
        ),
        300..=399 | 405 | 501 => (
            FaultKind::NotFound,
            "what is there is no WHEP endpoint",
            "check the path of the camera's URL: WHEP's often ends in /whep",
        ),
        406 | 415 | 422 | 400 => (
            FaultKind::Unsupported,
            "the server does not take the offer",
            "mostly it has none of the codecs that this machine decodes: publish H.264 or VP8, and see `mosctl explain` for the codecs",
        ),
        409 => (
            FaultKind::Busy,
            "nobody publishes this stream now, or the server has enough viewers",
            "it is tried again; if this goes on, look whether the stream is published",
        ),
        429 | 503 => (
            FaultKind::Busy,
            "the server can't serve another viewer now",
            "it is tried again; if this goes on, disconnect other viewers or look at the server",
        ),
        500..=599 => (
            FaultKind::Unreachable,
            "the server failed",
            "it is tried again; if this goes on, look at the server's log",
        ),
        _ => (
            FaultKind::NotFound,
            "the answer is none of WHEP",
            "check the camera's URL",
        ),
    }
}

/// Longest time that a server is left alone.
const LONGEST_WAIT: u64 = 300;

/// How many seconds the server asks to be left alone (RFC 9110, section 10.2.3), as far as that is heeded.
pub(super) fn retry_after(answer: &Answer) -> Option<u64> {
    if !matches!(answer.status, 409 | 429 | 503) {
        return None;
    }
    let seconds: u64 = answer.header(header::RETRY_AFTER)?.trim().parse().ok()?;
    Some(seconds.min(LONGEST_WAIT))
}

/// Characters of a server's reason that are shown.
const SHOWN: usize = 120;

/// What the server says itself: the first line of a short text. One that repeats a secret is not shown.
fn reason(answer: &Answer, secrets: &[&str]) -> String {
    let is_text = answer.header(header::CONTENT_TYPE).is_none_or(|kind| {
        kind.starts_with("text/plain") || kind.starts_with("application/problem")
    });
    let text = answer.text();
    let line = text.lines().next().unwrap_or_default().trim();
    let is_secret = secrets.iter().any(|secret| line.contains(secret));
    if !is_text || line.is_empty() || is_secret || line.chars().any(char::is_control) {
        return String::new();
    }
    let shown: String = line.chars().take(SHOWN).collect();
    format!(": {shown}")
}
