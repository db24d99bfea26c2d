//! What the sink is told by its properties.

use std::path::PathBuf;
use std::sync::LazyLock;

use gst::glib;
use gst::prelude::*;

use super::access::{self, StreamAccess};
use super::outlet::Demand;
use crate::address::Address;
use crate::budget::{self, MAX_BUFFERS};
use crate::origins::Origins;

/// Values of the properties.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) address: Address,
    slots: u32,
    in_flight: u32,
    window: u32,
    expected_subscribers: u32,
    hold: u32,
    pub(super) access: StreamAccess,
    /// Where frames of a network camera are told from.
    pub(super) origins: Option<Origins>,
    /// The property whose text is no list of ids, if any.
    pub(super) bad_list: Option<&'static str>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: Address::default(),
            slots: 0,
            in_flight: 4,
            window: 2,
            expected_subscribers: 8,
            hold: 1,
            access: StreamAccess::default(),
            origins: None,
            bad_list: None,
        }
    }
}

impl Settings {
    /// What the stream needs.
    pub(super) fn demand(&self) -> Demand {
        let needed = budget::needed(
            self.in_flight,
            self.window,
            self.expected_subscribers,
            self.hold,
        );
        Demand {
            slots: self.slots,
            in_flight: self.in_flight,
            needed,
        }
    }

    pub(super) fn set(&mut self, name: &str, value: &glib::Value) {
        if self.address.set(name, value) || self.set_access(name, value) {
            return;
        }
        let field = match name {
            "slots" => &mut self.slots,
            "in-flight" => &mut self.in_flight,
            "window" => &mut self.window,
            "expected-subscribers" => &mut self.expected_subscribers,
            "hold" => &mut self.hold,
            name => unreachable!("GObject sets only installed properties, not {name}"),
        };
        if let Ok(value) = value.get() {
            *field = value;
        }
    }

    fn set_access(&mut self, name: &str, value: &glib::Value) -> bool {
        match name {
            "allow-uids" => self.set_ids("allow-uids", value),
            "allow-gids" => self.set_ids("allow-gids", value),
            "socket-mode" => self.access.mode = value.get().unwrap_or(self.access.mode),
            "socket-gid" => {
                self.access.gid = value.get::<i64>().ok().and_then(|gid| gid.try_into().ok());
            }
            _ => return false,
        }
        true
    }

    fn set_ids(&mut self, name: &'static str, value: &glib::Value) {
        let ids = access::ids(
            &value
                .get::<Option<String>>()
                .ok()
                .flatten()
                .unwrap_or_default(),
        );
        self.bad_list = ids
            .is_none()
            .then_some(name)
            .or(self.bad_list.filter(|&bad| bad != name));
        let list = if name == "allow-uids" {
            &mut self.access.uids
        } else {
            &mut self.access.gids
        };
        *list = ids.unwrap_or_default();
    }

    pub(super) fn get(&self, name: &str) -> glib::Value {
        match name {
            "slots" => self.slots.to_value(),
            "in-flight" => self.in_flight.to_value(),
            "window" => self.window.to_value(),
            "expected-subscribers" => self.expected_subscribers.to_value(),
            "hold" => self.hold.to_value(),
            "allow-uids" => access::text(&self.access.uids).to_value(),
            "allow-gids" => access::text(&self.access.gids).to_value(),
            "socket-mode" => self.access.mode.to_value(),
            "socket-gid" => self.access.gid.map_or(-1, i64::from).to_value(),
            name => self.address.get(name),
        }
    }

    /// Where the stream's socket is to be; `None` if no stream was named.
    pub(super) fn path(&self) -> Option<PathBuf> {
        self.address.path()
    }
}

pub(super) fn properties() -> &'static [glib::ParamSpec] {
    static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
        let mut all = Address::properties();
        all.extend([
            number(
                "slots",
                "Buffers that the stream can have; 0 asks upstream's pool",
                MAX_BUFFERS,
                0,
            ),
            number(
                "in-flight",
                "Buffers that the camera, decoder or converter needs for itself",
                MAX_BUFFERS,
                4,
            ),
            number(
                "window",
                "Newest frames on offer that the buffers are counted for",
                64,
                2,
            ),
            number(
                "expected-subscribers",
                "Subscribers that the buffers are counted for",
                MAX_BUFFERS,
                8,
            ),
            number(
                "hold",
                "Frames that each expected subscriber may hold",
                64,
                1,
            ),
            ids(
                "allow-uids",
                "Users who may subscribe, beside our own and root: ids separated by commas",
            ),
            ids(
                "allow-gids",
                "Groups whose members may subscribe: ids separated by commas",
            ),
            number(
                "socket-mode",
                "Permissions of the stream's socket",
                0o777,
                0o660,
            ),
            glib::ParamSpecInt64::builder("socket-gid")
                .blurb("Group of the stream's socket; -1 leaves ours")
                .minimum(-1)
                .maximum(i64::from(u32::MAX))
                .default_value(-1)
                .mutable_ready()
                .build(),
            glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
                .nick("Statistics")
                .blurb("What was published so far and to whom")
                .read_only()
                .build(),
        ]);
        all
    });
    PROPERTIES.as_slice()
}

fn number(name: &str, blurb: &str, maximum: u32, default: u32) -> glib::ParamSpec {
    glib::ParamSpecUInt::builder(name)
        .blurb(blurb)
        .maximum(maximum)
        .default_value(default)
        .mutable_ready()
        .build()
}

fn ids(name: &str, blurb: &str) -> glib::ParamSpec {
    glib::ParamSpecString::builder(name)
        .blurb(blurb)
        .default_value("")
        .mutable_ready()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_list_is_remembered_until_it_is_set_right() {
        let mut settings = Settings::default();
        settings.set("allow-gids", &"44,video".to_value());
        settings.set("allow-uids", &"1000".to_value());
        assert_eq!(settings.bad_list, Some("allow-gids"));
        settings.set("allow-gids", &"44".to_value());
        assert_eq!(settings.bad_list, None);
        assert_eq!(
            (settings.access.uids, settings.access.gids),
            (vec![1000], vec![44])
        );
    }

    #[test]
    fn the_group_of_the_socket_may_stay_ours() {
        let mut settings = Settings::default();
        settings.set("socket-gid", &44_i64.to_value());
        assert_eq!(settings.access.gid, Some(44));
        settings.set("socket-gid", &(-1_i64).to_value());
        assert_eq!(settings.access.gid, None);
    }
}
