//! Which redirects are followed (RFC 9110, section 15.4), and where credentials end.

use reqwest::header::HeaderValue;
use reqwest::{Method, Url};

use super::HttpError;

/// Most redirects of one request.
pub(super) const LIMIT: usize = 5;

/// Where a request goes on; none if the answer is final.
///
/// Only where the request stays what it is: 307 and 308, and for GET, HEAD and OPTIONS also 301 and 302, which turn a POST
/// into a GET in most clients. Never from `https` to `http`.
pub(super) fn follow(
    from: &Url,
    method: &Method,
    status: u16,
    location: Option<&HeaderValue>,
) -> Result<Option<Url>, HttpError> {
    let keeps_request =
        matches!(status, 307 | 308) || (matches!(status, 301..=303) && method.is_safe());
    if !keeps_request {
        return Ok(None);
    }
    let location = location.and_then(|value| value.to_str().ok());
    let next = location.and_then(|text| from.join(text).ok());
    let next = next.ok_or(HttpError::BadRedirect("its target is missing or no URL"))?;
    if !matches!(next.scheme(), "http" | "https") || !next.has_host() {
        return Err(HttpError::BadRedirect("its target is no HTTP URL"));
    }
    if from.scheme() == "https" && next.scheme() == "http" {
        return Err(HttpError::BadRedirect("it leads from https to http"));
    }
    if !next.username().is_empty() || next.password().is_some() {
        return Err(HttpError::BadRedirect("its target holds credentials"));
    }
    Ok(Some(next))
}

/// Whether two URLs have scheme, host and port in common: credentials for the one are for the other then.
pub(super) fn same_origin(a: &Url, b: &Url) -> bool {
    a.origin() == b.origin()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn only_redirects_that_keep_the_request_are_followed() {
        let from = url("https://cam/whep/a");
        let to = |status, method: Method, location: &str| {
            let location = HeaderValue::from_str(location).unwrap();
            follow(&from, &method, status, Some(&location)).map(|url| url.map(String::from))
        };
        for (status, method, location, expected) in [
            (201, Method::POST, "/x", None),
            (301, Method::POST, "/x", None),
            (302, Method::POST, "/x", None),
            (303, Method::POST, "/x", None),
            (304, Method::GET, "/x", None),
            (301, Method::GET, "/x", Some("https://cam/x")),
            (302, Method::OPTIONS, "b", Some("https://cam/whep/b")),
            (307, Method::POST, "//other/x", Some("https://other/x")),
            (
                308,
                Method::DELETE,
                "https://cam:81/",
                Some("https://cam:81/"),
            ),
        ] {
            let next = to(status, method.clone(), location).unwrap();
            assert_eq!(next.as_deref(), expected, "{status} {method} {location}");
        }
        for location in [
            "http://cam/x",
            "ftp://cam/x",
            "data:x",
            "https://u:p@cam/",
            "https://",
        ] {
            assert!(to(307, Method::POST, location).is_err(), "{location}");
        }
        assert!(follow(&from, &Method::POST, 307, None).is_err());
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let home = url("https://cam/a");
        assert!(same_origin(&home, &url("https://cam:443/b?c")));
        for other in ["http://cam/a", "https://cam:444/a", "https://cam.example/a"] {
            assert!(!same_origin(&home, &url(other)), "{other}");
        }
    }
}
