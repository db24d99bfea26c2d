//! What a server answered.

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName};

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status, such as 201.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, whole.
    pub body: Vec<u8>,
    /// The URL that answered, after redirects: what relative locations in the answer start from.
    pub url: Url,
    /// Whether credentials were kept back because a redirect led to another origin.
    pub withheld: bool,
}

impl Answer {
    /// Whether the status is one of success (2xx).
    pub const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    /// The text of a header; none if it is missing or no text.
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// All texts of a header that may be repeated.
    pub fn header_all(&self, name: HeaderName) -> Vec<&str> {
        let values = self.headers.get_all(name).into_iter();
        values.filter_map(|value| value.to_str().ok()).collect()
    }

    /// The body as text; what is no UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
