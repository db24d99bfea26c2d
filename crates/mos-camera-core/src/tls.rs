//! Whom a TLS client of a camera believes, and what can be wrong with the camera's certificate.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::fault::{Fault, FaultKind};

/// How a camera has to prove that it is itself. There is no silent way around it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Trust {
    /// A certificate for its host name or address, from an authority that this machine trusts.
    #[default]
    System,
    /// The same, from an authority of this PEM file instead.
    CaFile(PathBuf),
    /// Exactly this certificate, whatever it says of names, dates and authorities: what cameras with a certificate of
    /// their own making need.
    Pinned(Fingerprint),
    /// Anybody is believed. Only by an explicit key of the configuration, and the status shows it.
    Anybody,
}

impl Trust {
    /// The words for a status, such as `certificate not checked`.
    pub fn describe(&self) -> String {
        match self {
            Self::System => "certificate checked by the system's authorities".to_owned(),
            Self::CaFile(path) => {
                format!(
                    "certificate checked by the authorities of {}",
                    path.display()
                )
            }
            Self::Pinned(fingerprint) => format!("certificate pinned: {fingerprint}"),
            Self::Anybody => "INSECURE: certificate not checked".to_owned(),
        }
    }

    /// Whether the peer may be anybody.
    pub const fn is_insecure(&self) -> bool {
        matches!(self, Self::Anybody)
    }
}

/// SHA-256 of a certificate in DER: 64 hexadecimal digits, with or without colons between the bytes, as `openssl x509
/// -noout -fingerprint -sha256` prints them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Wraps a digest.
    pub const fn new(sha256: [u8; 32]) -> Self {
        Self(sha256)
    }

    /// The digest.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    /// As `SHA256 1F:2E:...`, upper case.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SHA256 ")?;
        for (n, byte) in self.0.iter().enumerate() {
            let colon = if n == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl FromStr for Fingerprint {
    type Err = InvalidFingerprint;

    fn from_str(text: &str) -> Result<Self, InvalidFingerprint> {
        let digits: String = text.chars().filter(|c| *c != ':').collect();
        let mut sha256 = [0; 32];
        if digits.len() != 64 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(InvalidFingerprint);
        }
        for (byte, pair) in sha256.iter_mut().zip(digits.as_bytes().chunks(2)) {
            *byte = std::str::from_utf8(pair)
                .ok()
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
                .ok_or(InvalidFingerprint)?;
        }
        Ok(Self(sha256))
    }
}

/// The text is no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected the certificate's SHA-256 as 64 hexadecimal digits, as `openssl x509 -noout -fingerprint -sha256` prints it"
)]
pub struct InvalidFingerprint;

/// Why a TLS connection was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TlsProblem {
    /// The certificate's time is over.
    Expired,
    /// The certificate's time has not come.
    NotYetValid,
    /// The certificate is for another name or address.
    WrongHost,
    /// Nobody who is trusted issued the certificate; also one that the camera made for itself.
    UnknownIssuer,
    /// The issuer took the certificate back.
    Revoked,
    /// Another certificate than the pinned one.
    OtherFingerprint,
    /// What listens there does not speak TLS.
    PlainServer,
    /// It speaks TLS, but no version from 1.2 on; older ones are broken (RFC 8996).
    TooOld,
    /// Both speak TLS, but have no cipher or the like in common.
    NothingInCommon,
    /// Anything else.
    Other,
}

impl TlsProblem {
    /// The fault of the device at `location`; `detail` is what the TLS library said, or the fingerprint that was seen.
    ///
    /// It is transient: a camera's new certificate, or a clock that was set, mends it without anybody here.
    pub fn fault(self, device: &impl fmt::Display, location: &str, detail: &str) -> Fault {
        let (what, hint) = self.words();
        let detail = if detail.is_empty() {
            String::new()
        } else {
            format!(": {detail}")
        };
        Fault::new(
            FaultKind::Certificate,
            format!("{device} at {location}: {what}{detail}"),
            hint,
        )
    }

    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Expired => (
                "the camera's certificate has expired",
                "give the camera a new certificate; if its dates are good, set this machine's clock",
            ),
            Self::NotYetValid => (
                "the camera's certificate is not valid yet",
                "set the clock of this machine; if it is right, set the camera's and make its certificate again",
            ),
            Self::WrongHost => (
                "the camera's certificate is for another host",
                "use the name or address that the certificate is for in the URL, or pin the certificate by `tls_fingerprint`",
            ),
            Self::UnknownIssuer => (
                "the camera's certificate is from an authority that is not trusted",
                "name the authority's certificate by `tls_ca_file`, or pin the camera's own by `tls_fingerprint`",
            ),
            Self::Revoked => (
                "the camera's certificate was revoked",
                "give the camera a new certificate",
            ),
            Self::OtherFingerprint => (
                "the camera's certificate is not the pinned one",
                "if the camera's certificate was replaced, put the new fingerprint into `tls_fingerprint`; if not, somebody else answers for it",
            ),
            Self::PlainServer => (
                "what listens there does not speak TLS",
                "check the port (RTSPS has 322 or a port of the camera's own), or use the URL's scheme without TLS",
            ),
            Self::TooOld => (
                "the camera's TLS is too old: it speaks no version from 1.2 on",
                "update the camera's firmware, or switch TLS 1.2 on in its settings; where it has none, use the URL's scheme without TLS in a network that nobody else is in",
            ),
            Self::NothingInCommon => (
                "the camera's TLS has no cipher that is accepted here",
                "update the camera's firmware",
            ),
            Self::Other => (
                "the TLS connection was not made",
                "the log of the service has the details",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_as_openssl_prints_them() {
        let plain = "0123456789abcdef".repeat(4);
        let colons = "01:23:45:67:89:AB:CD:EF:".repeat(4);
        let colons = colons.trim_end_matches(':');
        let fingerprint: Fingerprint = plain.parse().unwrap();
        assert_eq!(colons.parse(), Ok(fingerprint));
        assert_eq!(fingerprint.to_string(), format!("SHA256 {colons}"));
        for wrong in ["", "01:23", &plain[1..], &plain.replace('0', "g"), "ä"] {
            assert_eq!(wrong.parse::<Fingerprint>(), Err(InvalidFingerprint));
        }
    }

    #[test]
    fn every_problem_is_named_and_says_what_to_do() {
        use TlsProblem as P;
        let all = [
            P::Expired,
            P::NotYetValid,
            P::WrongHost,
            P::UnknownIssuer,
            P::Revoked,
            P::OtherFingerprint,
            P::PlainServer,
            P::TooOld,
            P::NothingInCommon,
            P::Other,
        ];
        let mut messages: Vec<_> = all
            .into_iter()
            .map(|problem| {
                let fault = problem.fault(&"rtsp:door", "rtsps://door/", "");
                assert_eq!(fault.kind, FaultKind::Certificate);
                assert!(!fault.hint.is_empty());
                fault.message
            })
            .collect();
        messages.sort();
        messages.dedup();
        assert_eq!(messages.len(), all.len());
        let fault = P::Expired.fault(&"rtsp:door", "rtsps://door/", "on 2026-01-01");
        assert_eq!(
            fault.message,
            "rtsp:door at rtsps://door/: the camera's certificate has expired: on 2026-01-01"
        );
    }

    #[test]
    fn only_one_kind_of_trust_is_insecure_and_shouts() {
        for trust in [
            Trust::System,
            Trust::CaFile("/ca.pem".into()),
            Trust::Pinned(Fingerprint::new([0; 32])),
            Trust::Anybody,
        ] {
            assert_eq!(trust.is_insecure(), trust.describe().contains("INSECURE"));
        }
    }
}
