//! WS-Security's `UsernameToken` (OASIS WSS Username Token Profile 1.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mos_camera_core::Secret;
use sha1::{Digest as _, Sha1};

use super::super::soap::xml::escape;

const WSSE: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
const WSU: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
const PROFILE: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0";
const BASE64_BINARY: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary";

/// Random bytes that no other token of ours has.
pub(in crate::onvif) type Nonce = [u8; 16];

/// The header's element: with the password's digest, or with the password itself if `plain`.
///
/// `created` is the camera's time as `xsd:dateTime`: cameras refuse tokens that are minutes off.
pub(in crate::onvif) fn username_token(
    user: &str,
    password: &Secret,
    nonce: Nonce,
    created: &str,
    plain: bool,
) -> String {
    let (kind, proof) = if plain {
        ("PasswordText", escape(password.reveal()))
    } else {
        ("PasswordDigest", digest(nonce, created, password))
    };
    format!(
        "<wsse:Security s:mustUnderstand=\"1\" xmlns:wsse=\"{WSSE}\" xmlns:wsu=\"{WSU}\"><wsse:UsernameToken><wsse:Username>{}</wsse:Username><wsse:Password Type=\"{PROFILE}#{kind}\">{proof}</wsse:Password><wsse:Nonce EncodingType=\"{BASE64_BINARY}\">{}</wsse:Nonce><wsu:Created>{created}</wsu:Created></wsse:UsernameToken></wsse:Security>",
        escape(user),
        BASE64.encode(nonce),
    )
}

/// `Base64(SHA-1(nonce + created + password))`.
fn digest(nonce: Nonce, created: &str, password: &Secret) -> String {
    let mut sha = Sha1::new();
    sha.update(nonce);
    sha.update(created.as_bytes());
    sha.update(password.reveal().as_bytes());
    BASE64.encode(sha.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the ONVIF Application Programmer's Guide 1.0, section 6.1.1.3.
    #[test]
    fn the_digest_is_that_of_the_guide() {
        let nonce = BASE64.decode("LKqI6G/AikKCQrN0zqZFlg==").unwrap();
        let nonce = Nonce::try_from(nonce).unwrap();
        let secret = Secret::new("userpassword");
        assert_eq!(
            digest(nonce, "2010-09-16T07:50:45Z", &secret),
            "tuOSpGlFlIXsozq4HFNeeGeFLEI="
        );
        let token = username_token("u<", &secret, nonce, "2010-09-16T07:50:45Z", false);
        assert!(token.contains("u&lt;") && token.contains("#PasswordDigest"));
        assert!(token.contains("tuOSpGlFlIXsozq4HFNeeGeFLEI=") && !token.contains("userpassword"));
    }

    #[test]
    fn the_password_itself_is_sent_only_if_asked_for() {
        let token = username_token("u", &Secret::new("a&b"), [0; 16], "", true);
        assert!(token.contains("#PasswordText\">a&amp;b</"), "{token}");
    }
}
