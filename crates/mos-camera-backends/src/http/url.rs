//! URLs of cameras.

pub use reqwest::Url;

use super::HttpError;

/// Takes a camera's URL, without credentials in it. The error repeats nothing of it.
pub fn parse_url(text: &str) -> Result<Url, HttpError> {
    let url = Url::parse(text).map_err(|_| HttpError::NotHttp)?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(HttpError::NotHttp);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(HttpError::CredentialsInUrl);
    }
    Ok(url)
}

/// What may be shown of a URL: cameras and servers take secrets in the query, so it is left out.
pub fn shown(url: &Url) -> String {
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    let host = url.host_str().unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_shown_without_their_query() {
        for (url, expected) in [
            ("http://cam/whep?token=x#y", "http://cam/whep"),
            ("https://cam:8443/a/b", "https://cam:8443/a/b"),
            ("http://[fe80::1]:81/", "http://[fe80::1]:81/"),
            ("https://cam:443", "https://cam/"),
        ] {
            assert_eq!(shown(&parse_url(url).unwrap()), expected);
        }
    }

    #[test]
    fn what_is_no_plain_http_url_is_refused_without_repeating_it() {
        for url in [
            "",
            "s3cret",
            "rtsp://s3cret/",
            "http://",
            "https://u:s3cret@cam/",
            "http://s3cret@cam",
        ] {
            let error = parse_url(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{url}");
        }
    }
}
