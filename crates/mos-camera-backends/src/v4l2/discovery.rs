//! What capture nodes there are.

use std::fs;
use std::path::{Path, PathBuf};

use mos_camera_core::{Device, DeviceId, Fault, FaultKind, Health, Transport, V4l2Source};

use super::V4l2Backend;
use super::capabilities;
use super::identity::{self, Node};
use super::probe::{Probe, probe};

/// A node to open.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// Its camera.
    pub(super) id: DeviceId,
    /// The device node.
    pub(super) path: PathBuf,
}

/// The backend's cameras, sorted by id.
pub(super) fn devices(backend: &V4l2Backend) -> Result<Vec<Device>, Fault> {
    let mut devices: Vec<Device> = Vec::new();
    for (node, id) in nodes(backend)? {
        if !is_named(backend, &node) {
            let target = Target {
                id,
                path: node.path(),
            };
            devices.extend(device(&target, backend.transport, &node.label)?);
        }
    }
    for (id, source) in &backend.named {
        devices.extend(named_device(id, source)?);
    }
    devices.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(devices)
}

/// The node of a camera, wherever it is today.
pub(super) fn find(backend: &V4l2Backend, id: &DeviceId) -> Result<Target, Fault> {
    if let Some((_, source)) = backend.named.iter().find(|(known, _)| known == id) {
        return named_target(id, source);
    }
    let found = nodes(backend)?.into_iter().find(|(_, known)| known == id);
    found
        .map(|(node, id)| Target {
            id,
            path: node.path(),
        })
        .ok_or_else(|| absent(id))
}

/// All nodes of the backend's transport with their ids.
fn nodes(backend: &V4l2Backend) -> Result<Vec<(Node, DeviceId)>, Fault> {
    let nodes = identity::nodes(&backend.sysfs).map_err(|error| {
        Fault::new(
            FaultKind::Internal,
            format!("can't read {}: {error}", backend.sysfs.display()),
            "the service needs sysfs mounted and readable",
        )
    })?;
    let ids = identity::ids(&nodes);
    let all = nodes.into_iter().zip(ids);
    Ok(all
        .filter(|(node, _)| node.transport() == backend.transport)
        .collect())
}

/// Whether the operator gave a node a name of its own, under which it is listed.
fn is_named(backend: &V4l2Backend, node: &Node) -> bool {
    let path = node.path();
    backend
        .named
        .iter()
        .any(|(_, source)| fs::canonicalize(&source.path).is_ok_and(|named| named == path))
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

fn named_device(id: &DeviceId, source: &V4l2Source) -> Result<Option<Device>, Fault> {
    match named_target(id, source) {
        Ok(target) => device(&target, Transport::V4l2, &source.path.to_string_lossy()),
        // Not there today.
        Err(_) => Ok(None),
    }
}

/// Opens a node to see what it is; `None` if it captures no pictures or went away.
fn device(target: &Target, transport: Transport, model: &str) -> Result<Option<Device>, Fault> {
    let (capabilities, health) = match probe(&target.id, &target.path)? {
        Probe::NoCapture => return Ok(None),
        Probe::Fault(fault) if fault.kind == FaultKind::Absent => return Ok(None),
        Probe::Fault(fault) => (Vec::new(), health(&fault)),
        Probe::Caps(caps) => (capabilities::read(&caps), Health::Ready),
    };
    Ok(Some(Device {
        id: target.id.clone(),
        transport,
        model: model.to_owned(),
        location: location(&target.path),
        capabilities,
        health,
    }))
}

fn location(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn health(fault: &Fault) -> Health {
    match fault.kind {
        FaultKind::Busy => Health::Busy(fault.to_string()),
        FaultKind::NoPermission => Health::NoPermission(fault.to_string()),
        _ => Health::Unusable(fault.to_string()),
    }
}

fn absent(id: &DeviceId) -> Fault {
    Fault::new(
        FaultKind::Absent,
        format!("{id} is not there"),
        "plug the camera in, or list the devices to see the ids of those that are there",
    )
}
