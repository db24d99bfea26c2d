//! Who may subscribe.

use mos_frame::{Access, PublisherOptions};

/// Who may subscribe to the stream, and what its socket looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamAccess {
    /// Users, beside our own and root.
    pub uids: Vec<u32>,
    /// Groups, by any membership.
    pub gids: Vec<u32>,
    /// Permissions of the socket.
    pub mode: u32,
    /// Group of the socket; `None` leaves ours.
    pub gid: Option<u32>,
}

impl Default for StreamAccess {
    fn default() -> Self {
        Self {
            uids: Vec::new(),
            gids: Vec::new(),
            mode: 0o660,
            gid: None,
        }
    }
}

impl StreamAccess {
    /// The publisher's options with this access.
    pub(super) fn apply(&self, options: PublisherOptions) -> PublisherOptions {
        let Access { mut uids, mut gids } = options.access;
        uids.extend(&self.uids);
        gids.extend(&self.gids);
        PublisherOptions {
            access: Access { uids, gids },
            mode: self.mode,
            gid: self.gid,
            ..options
        }
    }
}

/// Reads a list of ids, separated by commas; `None` if it is none.
pub(super) fn ids(text: &str) -> Option<Vec<u32>> {
    let text = text.trim();
    if text.is_empty() {
        return Some(Vec::new());
    }
    text.split(',').map(|id| id.trim().parse().ok()).collect()
}

/// A list of ids as text.
pub(super) fn text(ids: &[u32]) -> String {
    ids.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let cases = [
            ("", Some(vec![])),
            ("44", Some(vec![44])),
            (" 44, 1000 ", Some(vec![44, 1000])),
            ("44,", None),
            ("video", None),
            ("-1", None),
        ];
        for (list, expected) in cases {
            assert_eq!(ids(list), expected, "{list:?}");
        }
        assert_eq!(ids(&text(&[1, 22])), Some(vec![1, 22]));
    }

    #[test]
    fn what_is_allowed_comes_on_top_of_ourselves_and_root() {
        let access = StreamAccess {
            uids: vec![1234],
            gids: vec![44],
            mode: 0o600,
            gid: Some(44),
        };
        let options = access.apply(PublisherOptions::default());
        let own = rustix::process::geteuid().as_raw();
        assert_eq!(options.access.uids, [own, 0, 1234]);
        assert_eq!(
            (options.access.gids, options.mode, options.gid),
            (vec![44], 0o600, Some(44))
        );
    }
}
