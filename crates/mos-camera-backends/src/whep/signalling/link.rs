//! STUN and TURN servers in `Link` headers (RFC 8288), as WHEP servers name them: `rel="ice-server"`.
//!
//! GStreamer's own server, `whepserversink` 0.15, leaves the relation of STUN servers out, and writes `credential:"..."`: both are
//! understood, since neither can mean anything else.

use mos_camera_core::{IceServer, Secret};

/// The servers of all `Link` headers of an answer. What is no such link, or can't be used, is left out.
pub(crate) fn ice_servers<'a>(headers: impl IntoIterator<Item = &'a str>) -> Vec<IceServer> {
    let links = headers.into_iter().flat_map(links);
    links.filter_map(|link| server(&link)).take(MOST).collect()
}

/// Servers of one answer that are looked at.
const MOST: usize = 8;

/// One link of a header.
#[derive(Debug, Default, PartialEq, Eq)]
struct Link {
    target: String,
    /// Names in lower case; the first of each counts (RFC 8288, section 3).
    parameters: Vec<(String, String)>,
}

impl Link {
    fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(known, _)| known == name)?;
        Some(&found.1)
    }
}

fn server(link: &Link) -> Option<IceServer> {
    let is_it = |rel: &str| rel.eq_ignore_ascii_case("ice-server");
    let relations = link.parameter("rel");
    if relations.is_some_and(|all| !all.split_ascii_whitespace().any(is_it)) {
        return None;
    }
    let address: mos_camera_core::IceAddress = link.target.parse().ok()?;
    let oauth = link
        .parameter("credential-type")
        .is_some_and(|kind| !kind.eq_ignore_ascii_case("password"));
    let login = match (link.parameter("username"), link.parameter("credential")) {
        (Some(user), Some(password)) if !oauth => Some((user.to_owned(), Secret::new(password))),
        _ => None,
    };
    // A relay without a login serves nobody.
    (login.is_some() || !address.kind.relays()).then_some(IceServer { address, login })
}

/// The links of a header's value, up to the first thing that is none (RFC 8288, appendix B.2).
fn links(header: &str) -> Vec<Link> {
    let mut links = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let Some((target, after)) = rest.strip_prefix('<').and_then(|r| r.split_once('>')) else {
            return links;
        };
        let mut link = Link {
            target: target.trim().to_owned(),
            ..Link::default()
        };
        rest = parameters(after, &mut link.parameters);
        links.push(link);
    }
}

/// Reads `;name=value` as often as it is there; gives what follows.
fn parameters<'a>(mut rest: &'a str, found: &mut Vec<(String, String)>) -> &'a str {
    loop {
        let Some(after) = rest.trim_start().strip_prefix(';') else {
            return rest;
        };
        let after = after.trim_start();
        let end = after
            .find(|c: char| matches!(c, '=' | ':' | ';' | ',') || c.is_ascii_whitespace())
            .unwrap_or(after.len());
        let (name, after) = after.split_at(end);
        let (value, after) = match after.trim_start().strip_prefix(['=', ':']) {
            Some(after) => value(after.trim_start()),
            None => (String::new(), after),
        };
        if !name.is_empty() {
            found.push((name.to_ascii_lowercase(), value));
        }
        rest = after;
    }
}

/// A token or a quoted string.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ',']).unwrap_or(text.len());
        let (token, rest) = text.split_at(end);
        return (token.trim_end().to_owned(), rest);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(headers: &[&str]) -> Vec<String> {
        let servers = ice_servers(headers.iter().copied());
        servers
            .iter()
            .map(|server| match &server.login {
                Some((user, password)) => {
                    format!("{} {user} {}", server.address, password.reveal())
                }
                None => server.address.to_string(),
            })
            .collect()
    }

    #[test]
    fn servers_are_read_as_whep_servers_write_them() {
        let turn = "turn:turn.example:3478?transport=udp";
        for (headers, expected) in [
            (
                vec![r#"<stun:stun.example>; rel="ice-server""#],
                vec!["stun:stun.example:3478"],
            ),
            (vec!["<stun:s>;rel=ice-server"], vec!["stun:s:3478"]),
            (
                vec!["<stun:s> ; REL = \"x ICE-server\" ; a"],
                vec!["stun:s:3478"],
            ),
            (
                vec![
                    r#"<turn:turn.example?transport=udp>; rel="ice-server"; username="u,;s"; credential="p\"w\\"; credential-type="password""#,
                ],
                vec![r#"turn:turn.example:3478?transport=udp u,;s p"w\"#],
            ),
            (
                vec![
                    r#"<stun:a>; rel="ice-server", <turn:turn.example>; rel=ice-server; username=u; credential=p"#,
                    "<stun:b>; rel=ice-server",
                ],
                vec![
                    "stun:a:3478",
                    "turn:turn.example:3478?transport=udp u p",
                    "stun:b:3478",
                ],
            ),
            // No link to such a server, or of no use.
            (
                vec![
                    r#"<stun:s>; rel="ice-servers""#,
                    r#"</sse>; rel="urn:x""#,
                    "</other>",
                ],
                vec![],
            ),
            // As whepserversink writes them.
            (
                vec![
                    "<stun:s:19302>",
                    r#"<turn:t:3478>; rel="ice-server"; username="u"; credential:"p:w"; credential-type:"password";"#,
                ],
                vec!["stun:s:19302", "turn:t:3478?transport=udp u p:w"],
            ),
            (
                vec!["<https://h>; rel=ice-server", "<turn:t>; rel=ice-server"],
                vec![],
            ),
            (
                vec!["<turn:t>; rel=ice-server; username=u; credential=p; credential-type=oauth"],
                vec![],
            ),
            (
                vec![
                    "stun:s; rel=ice-server",
                    "<stun:s; rel=ice-server",
                    "<stun:s>; rel=\"ice-serv",
                ],
                vec![],
            ),
            (vec!["", ",,,", "<", "<>", "<>;", "<>;;=", "<>;=\""], vec![]),
        ] {
            assert_eq!(shown(&headers), expected, "{headers:?}");
        }
        let _ = turn;
    }

    #[test]
    fn there_is_a_limit() {
        let many = "<stun:s>; rel=ice-server,".repeat(1000);
        assert_eq!(shown(&[&many]).len(), MOST);
    }

    proptest::proptest! {
        #[test]
        fn any_header_ends(text in "[<>;,=\" \\\\a-z:ä]{0,80}") {
            let _servers = ice_servers([text.as_str()]);
        }
    }
}
