//! Values that several tables have: how they are checked.

use std::path::PathBuf;
use std::time::Duration;

use mos_camera_core::Trust;
use toml::Spanned;

use super::ConfigError;
use super::error::Source;

/// A daemon's paths may not depend on the folder that it was started in.
pub(super) fn absolute(
    given: Option<Spanned<PathBuf>>,
    default: PathBuf,
    source: &Source<'_>,
) -> Result<PathBuf, ConfigError> {
    match given {
        Some(path) if !path.get_ref().is_absolute() => {
            Err(source.invalid(&path.span(), "expected an absolute path"))
        }
        Some(path) => Ok(path.into_inner()),
        None => Ok(default),
    }
}

/// Watchdogs, in milliseconds: 100 ms to 10 min, as in the control service.
pub(super) const TIMEOUTS: (u64, u64) = (100, 600_000);
/// Jitter buffers, in milliseconds.
pub(super) const LATENCIES: (u64, u64) = (0, 10_000);

pub(super) fn millis(
    given: Option<&Spanned<u64>>,
    (min, max): (u64, u64),
    default: Duration,
    source: &Source<'_>,
) -> Result<Duration, ConfigError> {
    match given {
        Some(ms) if !(min..=max).contains(ms.get_ref()) => Err(source.invalid(
            &ms.span(),
            format!("expected milliseconds from {min} to {max}"),
        )),
        Some(ms) => Ok(Duration::from_millis(*ms.get_ref())),
        None => Ok(default),
    }
}

pub(super) fn even(pixels: &Spanned<u32>, source: &Source<'_>) -> Result<u32, ConfigError> {
    let n = *pixels.get_ref();
    if (2..=16384).contains(&n) && n.is_multiple_of(2) {
        Ok(n)
    } else {
        Err(source.invalid(
            &pixels.span(),
            "expected an even number of pixels from 2 to 16384 (NV12 halves both)",
        ))
    }
}

/// A relative secret file is looked for beside the configuration file.
pub(super) fn beside(source: &Source<'_>, file: &std::path::Path) -> PathBuf {
    source
        .path
        .parent()
        .map_or_else(|| file.to_owned(), |dir| dir.join(file))
}

/// What `tls_ca_file`, `tls_fingerprint` and `tls_insecure` of a camera's table come to; at most one of them is given.
pub(super) fn trust(
    ca_file: Option<&Spanned<PathBuf>>,
    fingerprint: Option<&Spanned<String>>,
    insecure: Option<&Spanned<bool>>,
    source: &Source<'_>,
) -> Result<Trust, ConfigError> {
    let insecure = insecure.filter(|insecure| *insecure.get_ref());
    let spans = [
        ca_file.map(Spanned::span),
        fingerprint.map(Spanned::span),
        insecure.map(Spanned::span),
    ];
    if spans.iter().flatten().count() > 1 {
        let last = spans.into_iter().flatten().max_by_key(|span| span.start);
        return Err(source.invalid(
            &last.unwrap_or_default(),
            "give one of `tls_ca_file`, `tls_fingerprint` and `tls_insecure`, not several",
        ));
    }
    match (ca_file, fingerprint) {
        (Some(file), _) if source.only_names && file.get_ref().is_relative() => {
            Err(source.invalid(&file.span(), "expected an absolute path"))
        }
        (Some(file), _) => Ok(Trust::CaFile(beside(source, file.get_ref()))),
        (_, Some(text)) => match text.get_ref().parse() {
            Ok(fingerprint) => Ok(Trust::Pinned(fingerprint)),
            Err(error) => Err(source.invalid(&text.span(), error.to_string())),
        },
        _ if insecure.is_some() => Ok(Trust::Anybody),
        _ => Ok(Trust::System),
    }
}
