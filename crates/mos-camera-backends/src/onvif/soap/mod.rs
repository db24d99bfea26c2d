//! SOAP 1.2: requests as text, answers as trees, faults as what they mean.

pub(super) mod xml;

use xml::{Node, XmlError, escape};

const ENVELOPE: &str = "http://www.w3.org/2003/05/soap-envelope";

/// A request: a header's elements, a body's element, both as XML.
pub(super) fn envelope(header: &str, body: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><s:Envelope xmlns:s=\"{ENVELOPE}\"><s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )
}

/// An element of a namespace with text in it; for requests.
pub(super) fn text_element(prefix: &str, name: &str, text: &str) -> String {
    format!("<{prefix}:{name}>{}</{prefix}:{name}>", escape(text))
}

/// What a SOAP message holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// The body's element.
    Answer(Node),
    /// A fault.
    Fault(SoapFault),
}

/// A fault as a camera gives it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct SoapFault {
    /// Codes from the outermost on, without prefixes, such as `Sender`, `NotAuthorized`.
    pub(super) codes: Vec<String>,
    /// The camera's words, without what can't be shown; at most [`SHOWN`] characters.
    pub(super) reason: String,
}

/// Of a camera's words as many as a message can show.
const SHOWN: usize = 200;

/// Why an answer can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SoapError {
    /// It is no XML that is accepted.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// It is XML, but no SOAP.
    #[error("it is XML, but no SOAP message: it is `{0}`")]
    NoEnvelope(String),
    /// Nothing in it.
    #[error("the SOAP message has no body")]
    NoBody,
    /// Another answer than the one to what was asked.
    #[error("the answer is `{found}`, not `{wanted}`")]
    Other {
        /// What it is.
        found: String,
        /// What would have been right.
        wanted: &'static str,
    },
    /// Something that every answer of its kind has.
    #[error("the answer has no usable `{0}`")]
    Missing(&'static str),
}

/// Reads a message.
pub(super) fn read(bytes: &[u8]) -> Result<Message, SoapError> {
    let body = body(bytes)?;
    Ok(if body.name == "Fault" {
        Message::Fault(SoapFault::of(&body))
    } else {
        Message::Answer(body)
    })
}

fn body(bytes: &[u8]) -> Result<Node, SoapError> {
    let mut root = Node::parse(bytes)?;
    if root.name != "Envelope" {
        return Err(SoapError::NoEnvelope(shown(&root.name)));
    }
    let body = root.child_mut("Body").map(std::mem::take);
    let first = body.and_then(|body| body.children.into_iter().next());
    first.ok_or(SoapError::NoBody)
}

/// The header and the body's element of a discovery message.
pub(super) fn header_and_body(bytes: &[u8]) -> Result<(Node, Node), SoapError> {
    let mut root = Node::parse(bytes)?;
    if root.name != "Envelope" {
        return Err(SoapError::NoEnvelope(shown(&root.name)));
    }
    let header = root.child_mut("Header").map(std::mem::take);
    let body = root.child_mut("Body").map(std::mem::take);
    let first = body.and_then(|body| body.children.into_iter().next());
    Ok((header.unwrap_or_default(), first.ok_or(SoapError::NoBody)?))
}

/// The answer of this name.
pub(super) fn expect(answer: Node, wanted: &'static str) -> Result<Node, SoapError> {
    if answer.name == wanted {
        Ok(answer)
    } else {
        let found = shown(&answer.name);
        Err(SoapError::Other { found, wanted })
    }
}

impl SoapFault {
    /// Reads SOAP 1.2's fault, and 1.1's, which some cameras answer with.
    fn of(fault: &Node) -> Self {
        let mut codes = Vec::new();
        let mut code = fault.child("Code");
        while let Some(node) = code {
            codes.extend(node.text_at(&["Value"]).map(local));
            code = node.child("Subcode");
        }
        codes.extend(fault.text_at(&["faultcode"]).map(local));
        let reason = fault
            .text_at(&["Reason", "Text"])
            .or_else(|| fault.text_at(&["faultstring"]))
            .unwrap_or_default();
        Self {
            codes,
            reason: shown(reason),
        }
    }

    /// Whether it says that user or password are missing or wrong.
    ///
    /// ONVIF Core has `ter:NotAuthorized`, WS-Security `wsse:FailedAuthentication`, `wsse:InvalidSecurity` and
    /// `wsse:FailedCheck`. Cameras that send a bare `Sender` or `Receiver` say it in their words.
    pub(super) fn is_refusal(&self) -> bool {
        const CODES: [&str; 6] = [
            "NotAuthorized",
            "SenderNotAuthorized",
            "FailedAuthentication",
            "FailedCheck",
            "InvalidSecurity",
            "InvalidSecurityToken",
        ];
        let coded = self.codes.iter().any(|code| CODES.contains(&code.as_str()));
        let words = self.reason.to_lowercase();
        let said = [
            "not authorized",
            "unauthorized",
            "authority failure",
            "authentication",
        ];
        coded || said.iter().any(|said| words.contains(said))
    }

    /// Whether the camera says that it does not have what was asked for.
    pub(super) fn is_unknown_action(&self) -> bool {
        const CODES: [&str; 3] = [
            "ActionNotSupported",
            "UnknownAction",
            "OptionalActionNotImplemented",
        ];
        let coded = self.codes.iter().any(|code| CODES.contains(&code.as_str()));
        coded || self.reason.to_lowercase().contains("not supported")
    }
}

impl std::fmt::Display for SoapFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let code = self.codes.last().map_or("a fault", String::as_str);
        if self.reason.is_empty() {
            f.write_str(code)
        } else {
            write!(f, "{code}: {}", self.reason)
        }
    }
}

/// A qualified name without its prefix, as far as it can be shown.
fn local(name: &str) -> String {
    shown(name.rsplit(':').next().unwrap_or(name))
}

/// What a peer sent, made fit for a message: one line, no control characters, not too long.
pub(super) fn shown(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    line.chars()
        .filter(|c| !c.is_control())
        .take(SHOWN)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(body: &str) -> SoapFault {
        match read(envelope("", body).as_bytes()).unwrap() {
            Message::Fault(fault) => fault,
            Message::Answer(answer) => panic!("{answer:?}"),
        }
    }

    #[test]
    fn faults_mean_what_cameras_mean_by_them() {
        let coded = |subcode: &str, text: &str| {
            format!(
                "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>{subcode}</s:Value></s:Subcode></s:Code><s:Reason><s:Text xml:lang=\"en\">{text}</s:Text></s:Reason></s:Fault>"
            )
        };
        let bare = |text: &str| {
            format!(
                "<s:Fault><s:Code><s:Value>s:Receiver</s:Value></s:Code><s:Reason><s:Text>{text}</s:Text></s:Reason></s:Fault>"
            )
        };
        for (body, refusal, unknown) in [
            (coded("ter:NotAuthorized", "Sender not Authorized"), true, false),
            (coded("wsse:FailedAuthentication", "x"), true, false),
            (coded("wsse:FailedCheck", "x"), true, false),
            (coded("ter:ActionNotSupported", ""), false, true),
            (coded("ter:InvalidArgVal", "no such profile"), false, false),
            (bare("Sender not authorized"), true, false),
            (bare("Action not supported: x"), false, true),
            (
                "<s:Fault><faultcode>s:Client</faultcode><faultstring>Unauthorized</faultstring></s:Fault>".to_owned(),
                true,
                false,
            ),
            ("<s:Fault/>".to_owned(), false, false),
        ] {
            let fault = fault(&body);
            assert_eq!(
                (fault.is_refusal(), fault.is_unknown_action()),
                (refusal, unknown),
                "{fault:?}"
            );
        }
    }

    #[test]
    fn a_camera_s_words_are_shown_in_one_short_line() {
        let fault = fault(&format!(
            "<s:Fault><s:Reason><s:Text>a\n b\u{85}{}</s:Text></s:Reason></s:Fault>",
            "x".repeat(1000)
        ));
        assert!(fault.reason.starts_with("a b"), "{fault}");
        assert!(fault.reason.chars().count() <= SHOWN);
        assert!(!fault.reason.contains(char::is_control));
    }

    #[test]
    fn what_is_no_answer_is_told_apart() {
        for (text, error) in [
            ("<html/>", SoapError::NoEnvelope("html".to_owned())),
            ("<Envelope/>", SoapError::NoBody),
            ("<Envelope><Body/></Envelope>", SoapError::NoBody),
        ] {
            assert_eq!(read(text.as_bytes()).unwrap_err(), error, "{text}");
        }
        assert!(matches!(read(b"\x16\x03").unwrap_err(), SoapError::Xml(_)));
        let answer = Node {
            name: "A".to_owned(),
            ..Node::default()
        };
        assert_eq!(
            expect(answer, "B").unwrap_err(),
            SoapError::Other {
                found: "A".to_owned(),
                wanted: "B"
            }
        );
    }
}
