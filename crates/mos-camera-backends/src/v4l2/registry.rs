//! What is known of the nodes that are there, so that a listing does not ask each camera again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mos_camera_core::{DeviceId, Transport};

use super::identity::{self, Given, Instance, Node};
use super::node::Look;

/// Known nodes. One registry serves both V4L2 backends, and outlives them when the configuration is read anew.
#[derive(Debug, Default)]
pub struct Registry(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    known: HashMap<Instance, Known>,
    given: Given,
}

#[derive(Debug, Default)]
struct Known {
    id: Option<DeviceId>,
    look: Option<Look>,
}

/// Which nodes to ask what they offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// All but those that were asked before and stay what they are: a USB camera until it is unplugged, and what is no camera. A
    /// capture card follows what is connected to it.
    All,
    /// Those that were not asked before.
    NewOnes,
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the nodes that are gone.
    pub(super) fn retain(&self, nodes: &[Node]) {
        self.lock()
            .known
            .retain(|instance, _| nodes.iter().any(|node| node.instance == *instance));
    }

    /// What a node is, if it was asked before and that is enough.
    pub(super) fn look(&self, node: &Node, ask: Ask) -> Option<Look> {
        let inner = self.lock();
        let look = inner.known.get(&node.instance)?.look.clone()?;
        let stays = node.transport() == Transport::UsbUvc || matches!(look, Look::Other(_));
        (stays || ask == Ask::NewOnes).then_some(look)
    }

    /// Keeps what a node is. A fault is not kept, and what was known before is not any more.
    pub(super) fn keep(&self, node: &Node, look: &Look) {
        let mut inner = self.lock();
        let known = inner.known.entry(node.instance.clone()).or_default();
        known.look = Some(look.clone()).filter(|look| !matches!(look, Look::Fault(_)));
    }

    /// The ids of cameras; a USB camera keeps its for as long as it is there.
    pub(super) fn ids(&self, nodes: &[Node]) -> Vec<DeviceId> {
        let mut inner = self.lock();
        let Inner { known, given } = &mut *inner;
        let kept = |node: &Node| {
            let usb = node.transport() == Transport::UsbUvc;
            known.get(&node.instance)?.id.clone().filter(|_| usb)
        };
        let ids = identity::ids(nodes, kept, given);
        for (node, id) in nodes.iter().zip(&ids) {
            known.entry(node.instance.clone()).or_default().id = Some(id.clone());
        }
        ids
    }

    /// The node among these that was given an id before. To find it no camera is asked, so none that hangs is in the way.
    pub(super) fn find<'a>(&self, nodes: &'a [Node], id: &DeviceId) -> Option<&'a Node> {
        let inner = self.lock();
        nodes.iter().find(|node| {
            let known = inner.known.get(&node.instance);
            known.and_then(|known| known.id.as_ref()) == Some(id)
        })
    }
}
