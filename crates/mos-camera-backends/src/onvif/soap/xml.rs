//! A small XML tree of what a camera sent: names, attributes, text. What is no plain document is refused.

use quick_xml::escape::unescape;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::{NsReader, XmlVersion};

use super::shown;

/// Deepest nesting; ONVIF's own answers have about fifteen.
const DEPTH: usize = 64;
/// Most elements of a document: a recorder with 64 channels has some ten thousand.
const ELEMENTS: usize = 100_000;

/// An element. Text between child elements is kept, but means nothing in SOAP.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::onvif) struct Node {
    /// Its namespace's URI; empty if it has none, or its prefix is not declared (some cameras forget to).
    pub(in crate::onvif) namespace: String,
    /// Its name without the prefix.
    pub(in crate::onvif) name: String,
    /// Attributes by name without prefix, each name once; declarations of namespaces are left out.
    pub(in crate::onvif) attributes: Vec<(String, String)>,
    /// Elements in it.
    pub(in crate::onvif) children: Vec<Node>,
    /// Its text, entities replaced.
    pub(in crate::onvif) text: String,
}

/// Why something is no document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::onvif) enum XmlError {
    /// Not even text.
    #[error("it is no UTF-8 text")]
    NotUtf8,
    /// The XML is broken.
    #[error("it is no well-formed XML: {0}")]
    Broken(String),
    /// A document type can define entities that grow without bound; SOAP forbids it.
    #[error("it has a document type, which SOAP forbids")]
    DocumentType,
    /// An entity that XML does not have.
    #[error("it uses an entity that is not defined")]
    Entity,
    /// The parser takes any bytes for a name; what is sent back has to be XML.
    #[error("it has a name that XML does not allow: `{0}`")]
    Name(String),
    /// More than anything sane.
    #[error("it is nested too deeply or has too many elements")]
    TooLarge,
}

impl Node {
    /// Reads a document.
    pub(in crate::onvif) fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let text = std::str::from_utf8(bytes).map_err(|_| XmlError::NotUtf8)?;
        Builder::default().read(text.trim_start_matches('\u{feff}'))
    }

    /// The first child of this name.
    pub(in crate::onvif) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The first child of this name, to change it.
    pub(in crate::onvif) fn child_mut(&mut self, name: &str) -> Option<&mut Self> {
        self.children.iter_mut().find(|child| child.name == name)
    }

    /// Every child of this name.
    pub(in crate::onvif) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first descendant along these names.
    pub(in crate::onvif) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, name| node.child(name))
    }

    /// The trimmed text along these names, if there is any.
    pub(in crate::onvif) fn text_at(&self, path: &[&str]) -> Option<&str> {
        self.at(path)
            .map(|node| node.text.trim())
            .filter(|text| !text.is_empty())
    }

    /// The number along these names.
    pub(in crate::onvif) fn number_at<T: std::str::FromStr>(&self, path: &[&str]) -> Option<T> {
        self.text_at(path)?.parse().ok()
    }

    /// An attribute.
    pub(in crate::onvif) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Writes the element as `name`, each element with its own declaration of its namespace.
    pub(in crate::onvif) fn write(&self, out: &mut String) {
        let (name, namespace) = (&self.name, escape_attribute(&self.namespace));
        if self.namespace.is_empty() {
            put(out, &["<", name]);
        } else {
            put(out, &["<n:", name, " xmlns:n=\"", &namespace, "\""]);
        }
        for (key, value) in &self.attributes {
            put(out, &[" ", key, "=\"", &escape_attribute(value), "\""]);
        }
        out.push('>');
        if self.children.is_empty() {
            out.push_str(&escape(&self.text));
        }
        self.children.iter().for_each(|child| child.write(out));
        let prefix = if self.namespace.is_empty() { "" } else { "n:" };
        put(out, &["</", prefix, name, ">"]);
    }
}

fn put(out: &mut String, parts: &[&str]) {
    out.extend(parts.iter().copied());
}

/// Text as it may stand in an element or attribute. Control characters, which XML 1.0 can't hold at all, are left out.
pub(in crate::onvif) fn escape(text: &str) -> String {
    let allowed = |c: &char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
    let clean: String = text.chars().filter(allowed).collect();
    quick_xml::escape::escape(&clean).into_owned()
}

/// The same for attributes, where a reader takes line ends and tabs for spaces (XML 1.0, section 3.3.3).
fn escape_attribute(text: &str) -> String {
    escape(text).replace('\n', "&#10;").replace('\t', "&#9;")
}

/// A document that is being read.
#[derive(Default)]
struct Builder {
    /// Elements that are open, the outermost first.
    open: Vec<Node>,
    root: Option<Node>,
    elements: usize,
}

impl Builder {
    fn read(mut self, text: &str) -> Result<Node, XmlError> {
        let mut reader = NsReader::from_str(text);
        loop {
            let event = reader.read_event().map_err(|e| broken(&e))?;
            match event {
                Event::Start(start) => self.begin(&reader, &start)?,
                Event::Empty(start) => {
                    self.begin(&reader, &start)?;
                    self.end()?;
                }
                Event::End(_) => self.end()?,
                Event::Text(text) => self.text(&text.xml10_content())?,
                Event::CData(text) => self.text(&text.xml10_content())?,
                Event::GeneralRef(reference) => self.text(&entity(&reference)?)?,
                Event::DocType(_) => return Err(XmlError::DocumentType),
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) => {}
                Event::Eof => break,
            }
        }
        match self.root {
            Some(root) if self.open.is_empty() => Ok(root),
            _ => Err(XmlError::Broken("it ends too early".to_owned())),
        }
    }

    fn begin(&mut self, reader: &NsReader<&[u8]>, start: &BytesStart<'_>) -> Result<(), XmlError> {
        self.elements += 1;
        if self.open.len() >= DEPTH || self.elements > ELEMENTS {
            return Err(XmlError::TooLarge);
        }
        if self.root.is_some() {
            return Err(XmlError::Broken("it goes on after its end".to_owned()));
        }
        let (namespace, name) = reader.resolver().resolve_element(start.name());
        let namespace = match namespace {
            // As it stands in the declaration.
            ResolveResult::Bound(namespace) => {
                unescape(namespace.0).map_err(|_| XmlError::Entity)?
            }
            ResolveResult::Unbound | ResolveResult::Unknown(_) => "".into(),
        };
        let namespace = if RESERVED.contains(&&*namespace) {
            String::new()
        } else {
            namespace.into_owned()
        };
        self.open.push(Node {
            namespace,
            name: checked(name.into_inner())?,
            attributes: attributes(start)?,
            ..Node::default()
        });
        Ok(())
    }

    fn end(&mut self) -> Result<(), XmlError> {
        let Some(node) = self.open.pop() else {
            return Err(XmlError::Broken(
                "it closes what it did not open".to_owned(),
            ));
        };
        match self.open.last_mut() {
            Some(parent) => parent.children.push(node),
            None => self.root = Some(node),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), XmlError> {
        match self.open.last_mut() {
            Some(node) => node.text.push_str(text),
            None if text.trim().is_empty() => {}
            None => return Err(XmlError::Broken("it has text outside of it".to_owned())),
        }
        Ok(())
    }
}

/// Namespaces that no prefix can be declared for (Namespaces in XML 1.0, section 3): no element of a message is of them.
const RESERVED: [&str; 2] = [
    "http://www.w3.org/XML/1998/namespace",
    "http://www.w3.org/2000/xmlns/",
];

fn attributes(start: &BytesStart<'_>) -> Result<Vec<(String, String)>, XmlError> {
    let mut found: Vec<(String, String)> = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|e| broken(&e))?;
        if attribute.key.as_namespace_binding().is_some() {
            continue;
        }
        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
        let value = value.map_err(|_| XmlError::Entity)?.into_owned();
        let name = checked(attribute.key.local_name().into_inner())?;
        match found.iter_mut().find(|(known, _)| *known == name) {
            // `token` and `x:token` are two: what has no prefix is the one that is meant.
            Some(known) if attribute.key.prefix().is_none() => known.1 = value,
            Some(_) => {}
            // Without its prefix it would declare something.
            None if name == "xmlns" => {}
            None => found.push((name, value)),
        }
    }
    Ok(found)
}

/// A name without prefix, if it is one: near enough to XML 1.0, section 2.3.
fn checked(name: &str) -> Result<String, XmlError> {
    let rest = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let first = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    if first && name.chars().all(rest) {
        return Ok(name.to_owned());
    }
    Err(XmlError::Name(shown(name)))
}

/// The five entities of XML and characters by number; no others, since there is no document type.
fn entity(reference: &BytesRef<'_>) -> Result<String, XmlError> {
    if let Some(character) = reference.resolve_char_ref().map_err(|_| XmlError::Entity)? {
        return Ok(character.to_string());
    }
    quick_xml::escape::resolve_xml_entity(reference)
        .map(str::to_owned)
        .ok_or(XmlError::Entity)
}

fn broken(error: &dyn std::fmt::Display) -> XmlError {
    // It repeats what was sent.
    XmlError::Broken(shown(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Node, XmlError> {
        Node::parse(text.as_bytes())
    }

    #[test]
    fn a_document_becomes_a_tree() {
        let root = parse(
            "\u{feff}<?xml version=\"1.0\"?>\n<!-- c --><a:A xmlns:a=\"urn:a\" t='1 &amp; 2'>\n<a:B>x &lt; <![CDATA[y & z]]> &#65;</a:B><C/></a:A>\n",
        )
        .unwrap();
        assert_eq!(
            (root.namespace.as_str(), root.name.as_str()),
            ("urn:a", "A")
        );
        assert_eq!(root.attribute("t"), Some("1 & 2"));
        assert_eq!(root.text_at(&["B"]), Some("x < y & z A"));
        assert_eq!(root.child("C").unwrap().namespace, "");
        assert_eq!(root.all("C").count(), 1);
    }

    #[test]
    fn a_prefix_that_is_not_declared_is_forgiven() {
        assert_eq!(
            parse("<x:A><y:B>1</y:B></x:A>").unwrap().number_at(&["B"]),
            Some(1)
        );
    }

    #[test]
    fn what_is_no_plain_document_is_refused() {
        let deep = "<a>".repeat(DEPTH + 1);
        let many = format!("<a>{}</a>", "<b/>".repeat(ELEMENTS));
        let laughs = "<!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><l>&b;</l>";
        for (text, error) in [
            (laughs, Some(XmlError::DocumentType)),
            ("<a>&b;</a>", Some(XmlError::Entity)),
            ("<a b='&c;'/>", Some(XmlError::Entity)),
            ("<a xmlns='&c;'/>", Some(XmlError::Entity)),
            ("<a>&#0;</a>", Some(XmlError::Entity)),
            (deep.as_str(), Some(XmlError::TooLarge)),
            (many.as_str(), Some(XmlError::TooLarge)),
            ("<a\0b/>", Some(XmlError::Name("ab".to_owned()))),
            ("<a:/>", Some(XmlError::Name(String::new()))),
            ("<a 1='x'/>", Some(XmlError::Name("1".to_owned()))),
            ("", None),
            ("text", None),
            ("<a>", None),
            ("</a>", None),
            ("<a></b>", None),
            ("<a/><b/>", None),
            ("<a b/>", None),
            ("<a b='1' b='2'/>", None),
        ] {
            let found = parse(text).unwrap_err();
            match error {
                Some(error) => assert_eq!(found, error, "{text:.40}"),
                None => assert!(matches!(found, XmlError::Broken(_)), "{text}: {found:?}"),
            }
        }
        assert_eq!(Node::parse(b"<a>\xff</a>").unwrap_err(), XmlError::NotUtf8);
    }

    #[test]
    fn a_parser_s_words_are_made_fit_for_a_message() {
        let error = parse(&format!("<a></\0\u{1b}[1m{}>", "b".repeat(1000))).unwrap_err();
        let text = error.to_string();
        assert!(
            !text.contains(char::is_control) && text.len() < 300,
            "{text}"
        );
    }

    #[test]
    fn an_attribute_has_its_name_once() {
        for (text, expected) in [
            ("<a t='1' x:t='2'/>", vec![("t", "1")]),
            ("<a x:t='2' t='1' u='3'/>", vec![("t", "1"), ("u", "3")]),
            ("<a x:xmlns='urn:a'/>", vec![]),
        ] {
            let found = parse(text).unwrap().attributes;
            let found: Vec<_> = found
                .iter()
                .map(|(k, v)| (k.as_str(), v.as_str()))
                .collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        for text in [
            "<a xmlns='urn:a'><b xmlns='urn:b' token='&lt;&quot;'>1 &amp; 2</b><c xmlns=''/></a>",
            "<a b='&#10;&#9;&#13;' xmlns='&#10;'>&#13;&#10;</a>",
            "<a xmlns='a&amp;b'><b/></a>",
            "<xml:a xml:lang='en'/>",
        ] {
            let node = parse(text).unwrap();
            let mut written = String::new();
            node.write(&mut written);
            assert_eq!(parse(&written).unwrap(), node, "{written}");
        }
    }
}
