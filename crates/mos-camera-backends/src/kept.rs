//! Elements that outlive the pipelines they are in.

use std::fmt;
use std::sync::Arc;

use gst::prelude::*;
use mos_camera_core::Fault;

/// An element of a source that stays open between pipelines: it goes down with its pipeline to READY, never to NULL.
///
/// Its state is locked whenever no pipeline has taken it, so that none brings it anywhere by accident, and its keeper may take it out
/// of a pipeline that does not have it.
#[derive(Debug, Clone)]
pub struct Kept {
    /// A child of the source's bin.
    pub element: gst::Element,
    /// Who keeps it.
    pub keeper: Arc<dyn Keeper>,
}

impl Kept {
    /// An element that its keeper gives to a source.
    pub fn new(element: &gst::Element, keeper: Arc<dyn Keeper>) -> Self {
        element.set_locked_state(true);
        Self {
            element: element.clone(),
            keeper,
        }
    }
}

/// Keeps elements, and knows what each is used for.
pub trait Keeper: Send + Sync + fmt::Debug {
    /// A pipeline is about to start with the element: from now on it is nobody else's.
    fn take(&self, element: &gst::Element) -> Result<(), Fault>;

    /// That pipeline begins to come down.
    fn falls(&self, element: &gst::Element);

    /// That pipeline is down, and the element in READY, or still in NULL if it could not be opened. `false`: it could not be brought
    /// there, and is of no use any more.
    fn landed(&self, element: &gst::Element, down: bool);
}
