//! Which stream an element works on: the properties that sink and source share.

use std::path::{Path, PathBuf};

use gst::glib;
use gst::prelude::*;

/// A stream by its name, or by its socket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Address {
    stream: Option<String>,
    directory: Option<String>,
    socket_path: Option<String>,
}

impl Address {
    pub(crate) fn properties() -> Vec<glib::ParamSpec> {
        [
            ("stream", "Name of the stream"),
            (
                "directory",
                "Folder of the streams' sockets; by default that of the service",
            ),
            (
                "socket-path",
                "Socket of the stream; overrides stream and directory",
            ),
        ]
        .map(|(name, blurb)| {
            glib::ParamSpecString::builder(name)
                .blurb(blurb)
                .mutable_ready()
                .build()
        })
        .into()
    }

    /// Sets a property if it is one of these.
    pub(crate) fn set(&mut self, name: &str, value: &glib::Value) -> bool {
        let field = match name {
            "stream" => &mut self.stream,
            "directory" => &mut self.directory,
            "socket-path" => &mut self.socket_path,
            _ => return false,
        };
        *field = value
            .get::<Option<String>>()
            .unwrap_or_default()
            .filter(|text| !text.is_empty());
        true
    }

    /// The value of one of these properties.
    pub(crate) fn get(&self, name: &str) -> glib::Value {
        match name {
            "stream" => self.stream.to_value(),
            "directory" => self.directory.to_value(),
            "socket-path" => self.socket_path.to_value(),
            name => unreachable!("GObject asks only for installed properties, not for {name}"),
        }
    }

    /// The stream's socket; `None` if neither a stream nor a socket is named.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        self.socket_path.as_ref().map(PathBuf::from).or_else(|| {
            let directory = self
                .directory
                .as_ref()
                .map_or_else(mos_frame::default_dir, PathBuf::from);
            self.stream
                .as_deref()
                .filter(|name| is_file_name(name))
                .map(|name| mos_frame::socket_path(&directory, name))
        })
    }
}

/// A stream's name becomes a file name, so it must not lead out of the folder.
fn is_file_name(name: &str) -> bool {
    Path::new(name).file_name().is_some_and(|file| file == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let cases = [
            (None, Some("/d"), None, None),
            (Some("front"), Some("/d"), None, Some("/d/front.sock")),
            (
                Some("front"),
                Some("/d"),
                Some("/elsewhere/x"),
                Some("/elsewhere/x"),
            ),
            (None, None, Some("/elsewhere/x"), Some("/elsewhere/x")),
            (Some("../front"), Some("/d"), None, None),
            (Some("a/b"), Some("/d"), None, None),
            (Some(".."), Some("/d"), None, None),
            (Some(""), Some("/d"), None, None),
        ];
        for (stream, directory, socket_path, expected) in cases {
            let mut address = Address::default();
            for (name, value) in [
                ("stream", stream),
                ("directory", directory),
                ("socket-path", socket_path),
            ] {
                assert!(address.set(name, &value.to_value()));
            }
            assert_eq!(address.path(), expected.map(PathBuf::from), "{address:?}");
        }
    }
}
