//! The scenarios. The first three groups run against a real producer, the others against the scripted one.

mod delivery;
mod holding;
mod sessions;

mod buffers;
mod handshake;
mod leases;
mod messages;

use crate::Scenario;

/// Every scenario with its name.
pub fn all() -> impl Iterator<Item = (String, Scenario)> {
    let groups = [
        ("delivery", delivery::ALL),
        ("holding", holding::ALL),
        ("sessions", sessions::ALL),
        ("handshake", handshake::ALL),
        ("messages", messages::ALL),
        ("buffers", buffers::ALL),
        ("leases", leases::ALL),
    ];
    groups.into_iter().flat_map(|(group, scenarios)| {
        scenarios
            .iter()
            .map(move |&(name, scenario)| (format!("{group}::{name}"), scenario))
    })
}
