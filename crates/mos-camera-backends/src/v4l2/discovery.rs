//! What capture nodes there are.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use mos_camera_core::{Device, DeviceId, Fault, FaultKind, Health, Transport, V4l2Source};

use super::V4l2Backend;
use super::identity::{self, Node};
use super::node::{self, Found, Look, Other};
use super::openers::{Opener, Openers};
use super::probe::{Probe, probe};
use super::registry::Ask;
use crate::capabilities;

/// A node to open.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// Its camera.
    pub(super) id: DeviceId,
    /// The device node.
    pub(super) path: PathBuf,
}

/// A node, and what it turned out to be.
struct Seen {
    node: Node,
    look: Look,
}

/// The backend's cameras, sorted by id.
pub(super) fn devices(backend: &V4l2Backend, ask: Ask) -> Result<Vec<Device>, Fault> {
    let mut devices = Vec::new();
    let cameras = cameras(backend, ask)?;
    let nodes = nodes(backend)?;
    let named = backend.named.iter();
    let named: Vec<_> = named
        .filter_map(|(id, source)| named_seen(backend, &nodes, ask, id, source))
        .collect();
    if cameras.is_empty() && named.is_empty() {
        return Ok(devices);
    }
    let openers = match ask {
        Ask::All => Openers::look(),
        Ask::NewOnes => Openers::default(),
    };
    for (Seen { node, look }, id) in cameras {
        if !is_named(backend, &node) {
            let target = Target {
                id,
                path: node.path(),
            };
            devices.push(device(
                target,
                backend.transport,
                &node.label,
                look,
                &openers,
            ));
        }
    }
    for (target, look) in named {
        let model = target.path.to_string_lossy().into_owned();
        devices.push(device(target, Transport::V4l2, &model, look, &openers));
    }
    devices.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(devices)
}

/// The node of a camera, wherever it is today.
pub(super) fn find(backend: &V4l2Backend, id: &DeviceId) -> Result<Target, Fault> {
    if let Some((_, source)) = backend.named.iter().find(|(known, _)| known == id) {
        return named_target(id, source);
    }
    if let Some(node) = backend.registry.find(&free_nodes(backend)?, id) {
        return Ok(Target {
            id: id.clone(),
            path: node.path(),
        });
    }
    let cameras = cameras(backend, Ask::NewOnes)?;
    let found = cameras.iter().find(|(_, known)| known == id);
    match found {
        Some((seen, id)) => Ok(Target {
            id: id.clone(),
            path: seen.node.path(),
        }),
        None => Err(absent(id, cameras.iter().map(|(_, known)| known))),
    }
}

/// The cameras of the backend's transport with their ids, and the nodes of which it can't be told whether they are one.
fn cameras(backend: &V4l2Backend, ask: Ask) -> Result<Vec<(Seen, DeviceId)>, Fault> {
    let ours = free_nodes(backend)?
        .into_iter()
        .filter(|node| node.transport() == backend.transport && !is_named(backend, node));
    let seen: Vec<Seen> = ours
        .map(|node| see(backend, node, ask))
        .filter(is_listed)
        .collect();
    let nodes: Vec<Node> = seen.iter().map(|seen| seen.node.clone()).collect();
    let ids = backend.registry.ids(&nodes);
    Ok(seen.into_iter().zip(ids).collect())
}

/// All video nodes that are there.
fn nodes(backend: &V4l2Backend) -> Result<Vec<Node>, Fault> {
    let nodes = identity::nodes(&backend.sysfs).map_err(|error| {
        Fault::new(
            FaultKind::Internal,
            format!("can't read {}: {error}", backend.sysfs.display()),
            "the service needs sysfs mounted and readable",
        )
    })?;
    backend.registry.retain(&nodes);
    Ok(nodes)
}

/// The nodes that no other backend drives.
fn free_nodes(backend: &V4l2Backend) -> Result<Vec<Node>, Fault> {
    let mut nodes = nodes(backend)?;
    if let Some(others) = &backend.others {
        nodes.retain(|node| {
            let number = fs::metadata(node.path()).map(|about| about.rdev());
            number.map_or(true, |number| !others.owns(number))
        });
    }
    Ok(nodes)
}

fn see(backend: &V4l2Backend, node: Node, ask: Ask) -> Seen {
    let id = DeviceId::new(node.transport(), &node.name);
    let look = look_at(backend, &node, ask, &id);
    Seen { node, look }
}

/// What a node is; asked, unless what is known of it will do.
fn look_at(backend: &V4l2Backend, node: &Node, ask: Ask, id: &DeviceId) -> Look {
    // A permission may have been taken away since.
    if let Some(look) = backend.registry.look(node, ask)
        && (may_open(&node.path()) || matches!(look, Look::Other(_)))
    {
        return look;
    }
    let look = look(id, &node.path());
    backend.registry.keep(node, &look);
    look
}

fn may_open(path: &Path) -> bool {
    use rustix::fs::Access;
    rustix::fs::access(path, Access::READ_OK | Access::WRITE_OK).is_ok()
}

/// Asks a node; where its driver does not enumerate, `v4l2src` finds out by trying.
fn look(id: &DeviceId, path: &Path) -> Look {
    match node::look(id, path) {
        Look::Camera(found) if found.capabilities.is_empty() => match probe(id, path) {
            Ok(Probe::Caps(caps)) => match capabilities::read(&caps) {
                none if none.is_empty() => Look::Fault(offers_nothing(id, path)),
                capabilities => Look::Camera(Found {
                    capabilities,
                    ..found
                }),
            },
            Ok(Probe::Fault(fault)) | Err(fault) => Look::Fault(fault),
            Ok(Probe::NoCapture) => Look::Other(Other::NoPictures),
        },
        look => look,
    }
}

/// The fault of a camera without a format that could be: its descriptors lie, or its driver knows none of its formats.
fn offers_nothing(id: &DeviceId, path: &Path) -> Fault {
    Fault::new(
        FaultKind::Unsupported,
        format!(
            "{id}: {} offers no format with a size and a rate that could be",
            path.display()
        ),
        "`v4l2-ctl --list-formats-ext` shows what its driver says; try it on another port, or with newer firmware",
    )
}

/// Whether a node belongs in a list of cameras. An output does, for people look for their loopback device there.
///
/// Of a node that can't be opened nothing is known; the further nodes of a USB camera mostly give metadata.
fn is_listed(seen: &Seen) -> bool {
    match &seen.look {
        Look::Camera(_) => true,
        Look::Other(other) => *other == Other::Output,
        Look::Fault(fault) if fault.kind == FaultKind::Absent => false,
        Look::Fault(_) => seen.node.transport() != Transport::UsbUvc || seen.node.index == 0,
    }
}

/// Whether the operator gave a node a name of its own, under which it is listed.
fn is_named(backend: &V4l2Backend, node: &Node) -> bool {
    let path = node.path();
    backend
        .taken
        .iter()
        .any(|taken| fs::canonicalize(taken).is_ok_and(|named| named == path))
}

fn named_target(id: &DeviceId, source: &V4l2Source) -> Result<Target, Fault> {
    match fs::canonicalize(&source.path) {
        Ok(path) => Ok(Target {
            id: id.clone(),
            path,
        }),
        Err(error) => Err(Fault::new(
            FaultKind::Absent,
            format!("{id}: {}: {error}", source.path.display()),
            "plug the camera in, or correct the path in the configuration",
        )),
    }
}

/// What a named path is, whatever that is; `None` if it is not there today.
fn named_seen(
    backend: &V4l2Backend,
    nodes: &[Node],
    ask: Ask,
    id: &DeviceId,
    source: &V4l2Source,
) -> Option<(Target, Look)> {
    let target = named_target(id, source).ok()?;
    let node = nodes.iter().find(|node| node.path() == target.path);
    let look = node.map_or_else(
        || look(id, &target.path),
        |node| look_at(backend, node, ask, id),
    );
    match look {
        Look::Fault(fault) if fault.kind == FaultKind::Absent => None,
        look => Some((target, look)),
    }
}

fn device(
    target: Target,
    transport: Transport,
    label: &str,
    look: Look,
    openers: &Openers,
) -> Device {
    let mut device = Device {
        id: target.id,
        transport,
        model: label.to_owned(),
        location: target.path.to_string_lossy().into_owned(),
        capabilities: Vec::new(),
        controls: Vec::new(),
        profiles: Vec::new(),
        health: Health::Ready,
    };
    match look {
        Look::Fault(fault) => device.health = health(&fault),
        Look::Other(other) => {
            let text = format!("{} {}", target.path.display(), other.text());
            device.health = Health::Unusable(text);
        }
        Look::Camera(found) => {
            let others = openers.others(&target.path);
            if !others.is_empty() && node::is_held(&device.id, &target.path, found.planes) {
                device.health = Health::Busy(in_use(&target.path, others));
            }
            device.capabilities = found.capabilities;
            device.controls = found.controls;
        }
    }
    device
}

fn health(fault: &Fault) -> Health {
    match fault.kind {
        FaultKind::Busy => Health::Busy(fault.to_string()),
        FaultKind::NoPermission => Health::NoPermission(fault.to_string()),
        _ => Health::Unusable(fault.to_string()),
    }
}

/// `/dev/video0 is in use by cheese (process 4711)`.
fn in_use(path: &Path, by: &[Opener]) -> String {
    let by: Vec<_> = by
        .iter()
        .map(|opener| format!("{} (process {})", opener.name, opener.pid))
        .collect();
    format!("{} is in use by {}", path.display(), by.join(", "))
}

/// The fault of a camera that is not there; `there` are those that are.
fn absent<'a>(id: &DeviceId, there: impl Iterator<Item = &'a DeviceId>) -> Fault {
    let namesakes = format!("{id}@");
    let namesakes: Vec<_> = there
        .map(DeviceId::as_str)
        .filter(|other| other.starts_with(&namesakes))
        .collect();
    if namesakes.is_empty() {
        return Fault::new(
            FaultKind::Absent,
            format!("{id} is not there"),
            "plug the camera in, or list the devices to see the ids of those that are there",
        );
    }
    Fault::new(
        FaultKind::Absent,
        format!(
            "{id} could be any of {}, which claim the same serial number",
            namesakes.join(", ")
        ),
        "configure the stream for one of them",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_camera_that_has_namesakes_is_told_of_them() {
        let id = |rest| DeviceId::new(Transport::UsbUvc, rest);
        let there = [
            id("046d:0825:1@1-1"),
            id("046d:0825:1@1-2"),
            id("046d:0825:12"),
        ];
        let fault = absent(&id("046d:0825:1"), there.iter());
        assert_eq!(fault.kind, FaultKind::Absent);
        assert!(
            fault
                .message
                .contains("usb:046d:0825:1@1-1, usb:046d:0825:1@1-2, which"),
            "{fault}"
        );
        assert!(
            absent(&id("x"), there.iter())
                .message
                .ends_with("is not there")
        );
    }

    #[test]
    fn users_of_a_camera_are_named() {
        let opener = |name: &str, pid| Opener {
            pid,
            name: name.to_owned(),
        };
        assert_eq!(
            in_use(
                Path::new("/dev/video0"),
                &[opener("cheese", 7), opener("ffmpeg", 8)]
            ),
            "/dev/video0 is in use by cheese (process 7), ffmpeg (process 8)"
        );
    }
}
