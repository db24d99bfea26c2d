#[path = "../../../crates/mos-camera-backends/src/http/url.rs"]
mod url;

pub(crate) use url::{Url, parse_url, shown};

/// Of the client's errors those that are about URLs.
#[derive(Debug)]
pub enum HttpError {
    NotHttp,
    CredentialsInUrl,
}
