//! Why there was no answer, and what that means for a camera.

use std::error::Error;
use std::fmt;
use std::io;

use mos_camera_core::{Fault, FaultKind, TlsProblem};
use rustls::{AlertDescription, CertificateError, InvalidMessage, PeerIncompatible};

use super::root;
use super::trust::OtherCertificate;

/// Why a request got no answer. None of the texts holds a URL or credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The URL is none of HTTP.
    #[error("the camera's URL is no HTTP URL")]
    NotHttp,
    /// The URL holds a user name or password.
    #[error("the camera's URL holds a user name or password")]
    CredentialsInUrl,
    /// The user's credentials can't be sent.
    #[error("the credentials hold characters that no HTTP header can carry, such as a line end")]
    UnusableCredentials,
    /// The authorities that are to be believed could not be read.
    #[error("can't read the certificates of the authorities: {0}")]
    Authorities(String),
    /// The client could not be made.
    #[error("can't make an HTTP client: {0}")]
    Client(String),
    /// Name, route or port.
    #[error("can't connect: {0}")]
    Connect(String),
    /// No answer in time.
    #[error("no answer within the camera's timeout")]
    Timeout,
    /// The TLS connection was not made.
    #[error("no TLS connection ({problem:?}): {detail}")]
    Tls {
        /// What was wrong.
        problem: TlsProblem,
        /// In the words of the TLS library.
        detail: String,
    },
    /// The connection ended before the answer did.
    #[error("the server closed the connection before it answered")]
    Closed,
    /// What came is no HTTP.
    #[error("what came back is no HTTP answer: {0}")]
    Malformed(String),
    /// The answer is larger than anything that was asked for.
    #[error("the answer is larger than {limit} bytes")]
    TooLarge {
        /// What is taken.
        limit: usize,
    },
    /// A redirect that is not followed.
    #[error("the server redirects, but {0}")]
    BadRedirect(&'static str),
    /// Redirects without end.
    #[error("the server redirects again and again")]
    TooManyRedirects,
}

impl HttpError {
    /// The fault of the device at `location`.
    pub fn fault(&self, device: &impl fmt::Display, location: &str) -> Fault {
        if let Self::Tls { problem, detail } = self {
            return problem.fault(device, location, detail);
        }
        let (kind, hint) = self.advice();
        Fault::new(kind, format!("{device} at {location}: {self}"), hint)
    }

    const fn advice(&self) -> (FaultKind, &'static str) {
        match self {
            Self::NotHttp => (
                FaultKind::Unsupported,
                "write it as http://host[:port]/path, or https:// for TLS",
            ),
            Self::CredentialsInUrl => (
                FaultKind::Unsupported,
                "name them by the camera's own keys, as references to files or variables, so that no status or log shows them",
            ),
            Self::UnusableCredentials => (
                FaultKind::Unsupported,
                "look at the file or variable that the secret is in: one line, without spaces around it",
            ),
            Self::Authorities(_) => (
                FaultKind::Missing,
                "correct `tls_ca_file`: a PEM file that the service may read",
            ),
            Self::Connect(_) => (
                FaultKind::Unreachable,
                "check host and port in the camera's URL, and that the camera is on",
            ),
            Self::Timeout => (
                FaultKind::Unreachable,
                "check that the camera is on, that the port is right and that no firewall drops the connection",
            ),
            Self::Closed => (
                FaultKind::Unreachable,
                "check that the port is the camera's HTTP port, and whether it wants https",
            ),
            Self::Malformed(_) => (
                FaultKind::Unreachable,
                "what listens there speaks another protocol: check host and port in the camera's URL",
            ),
            Self::BadRedirect(_) | Self::TooManyRedirects => (
                FaultKind::NotFound,
                "put the URL that it leads to into the configuration",
            ),
            Self::TooLarge { .. } | Self::Client(_) | Self::Tls { .. } => (
                FaultKind::Internal,
                "the log of the service has the details",
            ),
        }
    }
}

impl From<reqwest::Error> for HttpError {
    fn from(error: reqwest::Error) -> Self {
        // It may hold a URL, whose query may hold a secret.
        let error = error.without_url();
        if let Some(tls) = find::<rustls::Error>(&error) {
            return Self::of_tls(tls);
        }
        if error.is_timeout() {
            return Self::Timeout;
        }
        if let Some(io) = find::<io::Error>(&error) {
            return Self::of_io(io, error.is_connect());
        }
        if error.is_connect() {
            return Self::Connect(root(&error));
        }
        match find::<hyper::Error>(&error) {
            Some(hyper) if hyper.is_incomplete_message() || hyper.is_closed() => Self::Closed,
            _ => Self::Malformed(root(&error)),
        }
    }
}

impl HttpError {
    fn of_io(error: &io::Error, connecting: bool) -> Self {
        use io::ErrorKind as K;
        match error.kind() {
            // Only the TLS handshake reads while a connection is made.
            K::UnexpectedEof if connecting => Self::Tls {
                problem: TlsProblem::Other,
                detail: "the server closed the connection in the handshake".to_owned(),
            },
            _ if connecting => Self::Connect(error.to_string()),
            K::TimedOut => Self::Timeout,
            _ => Self::Closed,
        }
    }

    pub(super) fn of_tls(error: &rustls::Error) -> Self {
        Self::Tls {
            problem: problem(error),
            detail: detail(error),
        }
    }
}

/// What was wrong, of the causes that a person can mend.
fn problem(error: &rustls::Error) -> TlsProblem {
    use rustls::Error as E;
    match error {
        E::InvalidCertificate(error) => of_certificate(error),
        E::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::InvalidEmptyPayload,
        ) => TlsProblem::PlainServer,
        E::AlertReceived(AlertDescription::ProtocolVersion)
        | E::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => {
            TlsProblem::TooOld
        }
        E::PeerIncompatible(_)
        | E::AlertReceived(
            AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity,
        ) => TlsProblem::NothingInCommon,
        _ => TlsProblem::Other,
    }
}

fn of_certificate(error: &CertificateError) -> TlsProblem {
    use CertificateError as C;
    match error {
        C::Expired | C::ExpiredContext { .. } => TlsProblem::Expired,
        C::NotValidYet | C::NotValidYetContext { .. } => TlsProblem::NotYetValid,
        C::NotValidForName | C::NotValidForNameContext { .. } => TlsProblem::WrongHost,
        C::UnknownIssuer | C::BadSignature => TlsProblem::UnknownIssuer,
        C::Revoked => TlsProblem::Revoked,
        C::Other(other) if other.0.is::<OtherCertificate>() => TlsProblem::OtherFingerprint,
        // A certificate that the camera made for itself, marked as an authority's: webpki takes none such for a server's.
        C::Other(other) if other.0.to_string().contains("CaUsedAsEndEntity") => {
            TlsProblem::UnknownIssuer
        }
        _ => TlsProblem::Other,
    }
}

fn detail(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) => other.0.to_string(),
        rustls::Error::InvalidCertificate(error) => error.to_string(),
        error => error.to_string(),
    }
}

/// The first error of a type in a chain of causes. What an `io::Error` wraps is not among its sources.
pub(super) fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match wrapped {
            Some(inner) => {
                let inner: &(dyn Error + 'static) = inner;
                Some(inner)
            }
            None => error.source(),
        };
    }
    None
}
