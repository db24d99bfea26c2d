//! What a source is made of now: one that learns only in its session what to decode is finished while it runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mos_camera_core::plan::Plan;

/// The elements of a source and the plan that they follow. Clones are of the same source.
#[derive(Debug, Clone)]
pub struct Built(Arc<Mutex<Parts>>);

#[derive(Debug)]
struct Parts {
    chain: Vec<String>,
    plan: Plan,
}

impl Built {
    /// Factory names of the elements, from the source on, and the plan that they follow or will follow.
    pub fn new(chain: Vec<String>, plan: Plan) -> Self {
        Self(Arc::new(Mutex::new(Parts { chain, plan })))
    }

    /// The source was built anew.
    pub fn replace(&self, chain: Vec<String>, plan: Plan) {
        *self.parts() = Parts { chain, plan };
    }

    /// Factory names of its elements, from the source on; elements that those make for themselves are not named.
    pub fn chain(&self) -> Vec<String> {
        self.parts().chain.clone()
    }

    /// The plan that it follows.
    pub fn plan(&self) -> Plan {
        self.parts().plan.clone()
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
