//! HTTP for the cameras that speak it: one client a camera, made from whom the camera has to prove itself to.
//!
//! What it does that a bare client does not: it believes certificates only as [`Trust`] says and names what was wrong with
//! one, hands credentials to the origin that they were meant for and to nobody else, follows redirects only where the
//! request stays the same, and takes no answer that is larger than expected. No proxy is asked, whatever the environment
//! says: cameras are reached directly.

mod answer;
mod error;
mod look;
mod redirect;
mod runtime;
mod trust;
mod url;

use std::error::Error as _;
use std::time::Duration;

use mos_camera_core::{Secret, Trust};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION};
pub use reqwest::{Method, header};

pub use answer::Answer;
pub use error::HttpError;
pub(crate) use look::tls_problem;
pub use runtime::spawn;
pub use url::{Url, parse_url, shown};

/// How a camera's HTTP server is spoken to.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whom to believe at the other end of an `https://` URL.
    pub trust: Trust,
    /// Longest time for a whole exchange, from looking the name up to the last byte of the answer.
    pub timeout: Duration,
    /// Largest body of an answer, in bytes.
    pub max_answer: usize,
}

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Where it goes: `http://` or `https://`, without credentials.
    pub url: Url,
    /// Headers that any server may see.
    pub headers: HeaderMap,
    /// The value of `Authorization`: for the origin of `url` and no other.
    pub authorization: Option<Secret>,
    /// Its body; empty for none.
    pub body: Vec<u8>,
    /// Whether redirects are followed; not where the body holds credentials, which would go to another origin with it.
    pub follow: bool,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            authorization: None,
            body: Vec::new(),
            follow: true,
        }
    }
}

/// A camera's HTTP client. Copies share what they know of the server.
///
/// Connections are not kept: the requests are few, and one that was kept over a camera's restart fails when it is needed.
#[derive(Debug, Clone)]
pub struct Client {
    inner: reqwest::Client,
    max_answer: usize,
}

impl Client {
    /// Reads the authorities that are to be believed; blocks on the file system.
    pub fn new(settings: &Settings) -> Result<Self, HttpError> {
        let inner = reqwest::Client::builder()
            .tls_backend_preconfigured(trust::config(&settings.trust)?)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(0)
            .connect_timeout(settings.timeout)
            .timeout(settings.timeout)
            .build()
            .map_err(|error| HttpError::Client(error.to_string()))?;
        Ok(Self {
            inner,
            max_answer: settings.max_answer,
        })
    }

    /// Sends a request and follows redirects; any status is an answer, not an error. Has to run on [`spawn`]'s runtime.
    pub async fn send(&self, request: Request) -> Result<Answer, HttpError> {
        let Request {
            method,
            mut url,
            headers,
            authorization,
            body,
            follow,
        } = request;
        let mut authorization = authorization;
        let mut withheld = false;
        for _ in 0..=redirect::LIMIT {
            let mut builder = self
                .inner
                .request(method.clone(), url.clone())
                .headers(headers.clone());
            if let Some(secret) = &authorization {
                builder = builder.header(AUTHORIZATION, sensitive(secret)?);
            }
            if !body.is_empty() {
                builder = builder.body(body.clone());
            }
            let response = builder.send().await.map_err(HttpError::from)?;
            let status = response.status().as_u16();
            let location = response.headers().get(LOCATION);
            let next = if follow {
                redirect::follow(&url, &method, status, location)?
            } else {
                None
            };
            let Some(next) = next else {
                return self.finish(url, withheld, response).await;
            };
            if authorization.is_some() && !redirect::same_origin(&url, &next) {
                authorization = None;
                withheld = true;
            }
            url = next;
        }
        Err(HttpError::TooManyRedirects)
    }

    /// The same, from a thread that may block.
    pub fn send_blocking(&self, request: Request) -> Result<Answer, HttpError> {
        let client = self.clone();
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        spawn(async move {
            // Nobody waits any more only if the waiting thread is gone.
            let _unheard = sender.send(client.send(request).await);
        })?;
        receiver.recv().unwrap_or(Err(HttpError::Closed))
    }

    async fn finish(
        &self,
        url: Url,
        withheld: bool,
        mut response: reqwest::Response,
    ) -> Result<Answer, HttpError> {
        let limit = self.max_answer;
        let announced = response.content_length().unwrap_or_default();
        if announced > limit as u64 {
            return Err(HttpError::TooLarge { limit });
        }
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(HttpError::from)? {
            if body.len() + chunk.len() > limit {
                return Err(HttpError::TooLarge { limit });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            status,
            headers,
            body,
            url,
            withheld,
        })
    }
}

/// A header's value that no debug print shows.
fn sensitive(secret: &Secret) -> Result<HeaderValue, HttpError> {
    let mut value =
        HeaderValue::from_str(secret.reveal()).map_err(|_| HttpError::UnusableCredentials)?;
    value.set_sensitive(true);
    Ok(value)
}

/// The innermost words of an error.
fn root(error: &reqwest::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        words = error.to_string();
        source = error.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_that_no_header_can_hold_are_refused_without_repeating_them() {
        let error = sensitive(&Secret::new("s3cret\r\nHost: elsewhere")).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"));
        assert!(!format!("{:?}", sensitive(&Secret::new("s3cret")).unwrap()).contains("s3cret"));
    }
}
