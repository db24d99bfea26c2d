//! Sequences of a stream's states, and patterns that they have to match.
//!
//! A pattern is words in order: a state's name, or names in brackets with `|` between them, which one state has to match.
//! After it `+` means one or more, `*` any number, `?` one or none. Brackets hold sequences too: `(backoff starting)+`.
//! `->` between words is for the eye.

use std::fmt;

/// A state as the service names it, such as `streaming`.
pub(crate) type State = String;

/// A pattern that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    text: String,
    root: Node,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    State(String),
    All(Vec<Node>),
    Any(Vec<Node>),
    Repeat {
        node: Box<Node>,
        least: usize,
        most: usize,
    },
}

impl Pattern {
    /// Understands a pattern; fails with what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let words = words(text);
        let mut rest = words.as_slice();
        let root = choice(&mut rest)?;
        match rest.first() {
            None => Ok(Self {
                text: text.to_owned(),
                root,
            }),
            Some(word) => Err(format!("`{word}` where none can be, in `{text}`")),
        }
    }

    /// Whether the whole of `states` is as the pattern has it.
    pub(crate) fn matches(&self, states: &[State]) -> bool {
        ends(&self.root, states, 0).contains(&states.len())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn words(text: &str) -> Vec<String> {
    let mut spaced = String::new();
    for letter in text.replace("->", " ").chars() {
        if letter.is_ascii_lowercase() {
            spaced.push(letter);
        } else {
            spaced.extend([' ', letter, ' ']);
        }
    }
    spaced.split_whitespace().map(str::to_owned).collect()
}

fn choice(rest: &mut &[String]) -> Result<Node, String> {
    let mut options = vec![sequence(rest)?];
    while take(rest, "|") {
        options.push(sequence(rest)?);
    }
    Ok(if options.len() == 1 {
        options.remove(0)
    } else {
        Node::Any(options)
    })
}

fn sequence(rest: &mut &[String]) -> Result<Node, String> {
    let mut nodes = Vec::new();
    while rest.first().is_some_and(|word| word != "|" && word != ")") {
        nodes.push(repeated(rest)?);
    }
    if nodes.is_empty() {
        return Err("a state is missing".to_owned());
    }
    Ok(Node::All(nodes))
}

fn repeated(rest: &mut &[String]) -> Result<Node, String> {
    let node = if take(rest, "(") {
        let node = choice(rest)?;
        if !take(rest, ")") {
            return Err("a `)` is missing".to_owned());
        }
        node
    } else {
        match rest.split_first() {
            Some((word, after)) if word.bytes().all(|byte| byte.is_ascii_lowercase()) => {
                *rest = after;
                Node::State(word.clone())
            }
            other => {
                return Err(format!(
                    "a state was expected, not {:?}",
                    other.map(|o| o.0)
                ));
            }
        }
    };
    let (least, most) = match rest.first().map(String::as_str) {
        Some("+") => (1, usize::MAX),
        Some("*") => (0, usize::MAX),
        Some("?") => (0, 1),
        _ => return Ok(node),
    };
    *rest = &rest[1..];
    Ok(Node::Repeat {
        node: Box::new(node),
        least,
        most,
    })
}

fn take(rest: &mut &[String], word: &str) -> bool {
    let found = rest.first().is_some_and(|first| first == word);
    if found {
        *rest = &rest[1..];
    }
    found
}

/// All places where a match that begins at `from` can end, without doubles.
fn ends(node: &Node, states: &[State], from: usize) -> Vec<usize> {
    match node {
        Node::State(name) => {
            let found = states.get(from).is_some_and(|state| state == name);
            found.then_some(from + 1).into_iter().collect()
        }
        Node::All(nodes) => nodes.iter().fold(vec![from], |places, node| {
            unique(places.iter().flat_map(|place| ends(node, states, *place)))
        }),
        Node::Any(options) => unique(options.iter().flat_map(|node| ends(node, states, from))),
        Node::Repeat { node, least, most } => repeats(node, (*least, *most), states, from),
    }
}

fn repeats(
    node: &Node,
    (least, most): (usize, usize),
    states: &[State],
    from: usize,
) -> Vec<usize> {
    let (mut found, mut places, mut count) = (Vec::new(), vec![from], 0);
    while !places.is_empty() {
        if count >= least {
            found.extend(&places);
        }
        if count == most {
            break;
        }
        // A round that moves nowhere would go on for ever.
        places = unique(places.iter().flat_map(|place| {
            ends(node, states, *place)
                .into_iter()
                .filter(|end| end > place)
        }));
        count += 1;
    }
    unique(found.into_iter())
}

fn unique(places: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut places: Vec<_> = places.collect();
    places.sort_unstable();
    places.dedup();
    places
}

/// States in order, with those that repeat in turn written once: `streaming -> (backoff -> starting) x 3 -> streaming`.
pub(crate) fn condensed(states: &[State]) -> String {
    let (mut parts, mut at) = (Vec::new(), 0);
    while at < states.len() {
        let times = pairs(&states[at..]);
        if times > 1 {
            parts.push(format!("({} -> {}) x {times}", states[at], states[at + 1]));
            at += 2 * times;
        } else {
            parts.push(states[at].clone());
            at += 1;
        }
    }
    parts.join(" -> ")
}

/// How often the first two repeat.
fn pairs(states: &[State]) -> usize {
    let Some(first) = states.get(..2) else {
        return 0;
    };
    states.chunks(2).take_while(|pair| *pair == first).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(text: &str) -> Vec<State> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn patterns_match_what_they_say() {
        for (pattern, yes, no) in [
            (
                "streaming",
                &["streaming"][..],
                &["", "streaming streaming", "backoff"][..],
            ),
            (
                "streaming -> stalled -> (backoff -> starting)+ -> streaming",
                &[
                    "streaming stalled backoff starting streaming",
                    "streaming stalled backoff starting backoff starting streaming",
                ],
                &[
                    "streaming stalled streaming",
                    "streaming stalled backoff starting",
                    "streaming backoff starting streaming",
                    "streaming stalled backoff backoff starting streaming",
                ],
            ),
            (
                "a -> (b | c d)* -> e?",
                &["a", "a e", "a b", "a c d b e"],
                &["a c", "e", "a e e", "a b d"],
            ),
            ("(a*)* b", &["b", "a b", "a a a b"], &["a", "a c b"]),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            assert_eq!(parsed.to_string(), pattern);
            for text in yes {
                assert!(parsed.matches(&states(text)), "{pattern}: {text}");
            }
            for text in no {
                assert!(!parsed.matches(&states(text)), "{pattern}: {text}");
            }
        }
    }

    #[test]
    fn wrong_patterns_are_refused() {
        for text in ["", "(a", "a)", "a | ", "+", "a ++", "A", "a ()"] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rounds_are_written_once() {
        for (seen, text) in [
            ("", ""),
            ("a", "a"),
            ("a b c", "a -> b -> c"),
            ("a b c b c b c a", "a -> (b -> c) x 3 -> a"),
            ("a b a", "a -> b -> a"),
        ] {
            assert_eq!(condensed(&states(seen)), text);
        }
    }
}
