//! One element for each camera, kept open between streams.
//!
//! libcamera's element connects to the camera's signal of completed requests when it opens it (NULL to READY), and does not take that
//! back when it closes it (`gst_libcamera_src_open`, `gst_libcamera_src_close` in `gstlibcamerasrc.cpp`, libcamera 0.4 to 0.7). If the
//! camera lives on, since another element keeps libcamera up or a frame is still out, the next element of it has its requests told to
//! the one that is gone, too, and the process aborts. Between READY and PLAYING an element goes up and down as often as one likes: its
//! task's end (`gst_libcamera_src_task_leave`) stops the camera, which ends all its requests.
//!
//! So an element whose stream ends is *parked* in READY, and the camera's next stream gets it again. It is closed when no stream has any,
//! all together: then libcamera goes down, and no camera of it is left.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gst::prelude::*;
use mos_camera_core::{DeviceId, Fault, FaultKind};

use super::frames::Frames;
use crate::kept::{Keeper, Kept};

/// What the element of a camera does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// It is in NULL, and may be replaced.
    Closed,
    /// It has the camera open, and waits for the next stream.
    Parked,
    /// A stream has it.
    Streams,
    /// That stream comes down.
    Falls,
    /// It could not be brought down.
    Lost,
}

/// Why a stream does not get a camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// Another stream has it.
    Streams,
    /// The stream that had it does not come down.
    Falls,
    /// It is open in an element that is not the stream's.
    Parked,
    /// An element that is of no use has it, until the process ends.
    Lost,
}

/// Whether a stream gets a camera with the element that it was built with.
fn take(now: Option<Use>, is_the_cameras: bool) -> Result<(), Refusal> {
    match now {
        None | Some(Use::Closed) => Ok(()),
        Some(Use::Parked) if is_the_cameras => Ok(()),
        Some(Use::Parked) => Err(Refusal::Parked),
        Some(Use::Streams) => Err(Refusal::Streams),
        Some(Use::Falls) => Err(Refusal::Falls),
        Some(Use::Lost) => Err(Refusal::Lost),
    }
}

/// What becomes of an element whose stream has ended.
fn landed(down: bool, state: gst::State) -> Use {
    match (down, state) {
        (false, _) => Use::Lost,
        // Its camera was not there, or somebody else's.
        (true, gst::State::Null) => Use::Closed,
        (true, _) => Use::Parked,
    }
}

/// The element that a stream is built with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// A new one.
    New,
    /// The one that is parked.
    Parked,
    /// A new one, if it can open the camera: what is parked may have one that is gone.
    Ask,
}

fn choose(now: Option<Use>, in_doubt: bool) -> Choice {
    match now {
        Some(Use::Parked) if in_doubt => Choice::Ask,
        Some(Use::Parked) => Choice::Parked,
        _ => Choice::New,
    }
}

/// Whether elements may be closed, all of them: by each its use, and whether a frame of it is out. Whatever keeps libcamera up keeps up
/// the cameras of the others.
fn may_close(all: impl IntoIterator<Item = (Use, bool)>) -> bool {
    all.into_iter().all(|(now, frame_out)| match now {
        Use::Closed => true,
        Use::Parked => !frame_out,
        Use::Streams | Use::Falls | Use::Lost => false,
    })
}

#[derive(Debug)]
struct Slot {
    element: gst::Element,
    frames: Frames,
    now: Use,
    /// An error said that its camera is gone.
    in_doubt: bool,
}

impl Slot {
    fn new(element: &gst::Element, now: Use) -> Self {
        Self {
            element: element.clone(),
            frames: Frames::of(element),
            now,
            in_doubt: false,
        }
    }

    /// Closes the camera. Going down to NULL can't fail (`GstElement`'s documentation).
    fn close(&mut self) {
        let _down = self.element.set_state(gst::State::Null);
        self.now = Use::Closed;
    }

    /// Takes the element out of the pipeline that had it.
    fn detach(&self) {
        let parent = self.element.parent().and_downcast::<gst::Bin>();
        // A bin refuses to give away only what is not in it any more.
        let _detached = parent.map(|bin| bin.remove(&self.element));
    }
}

/// The elements of all cameras.
#[derive(Debug, Default)]
pub(super) struct Parking {
    /// Held while somebody else than an element of a stream has libcamera up, and while elements are closed: taken before `slots`.
    library: Mutex<()>,
    slots: Mutex<HashMap<DeviceId, Slot>>,
}

impl Parking {
    /// Asks libcamera something, at a time when no element is being closed; then closes what can be.
    pub(super) fn ask<T>(&self, ask: impl FnOnce() -> T) -> T {
        let library = lock(&self.library);
        let answer = ask();
        self.settle(&library);
        answer
    }

    /// Opens and closes a camera, if none is open; else there is no answer.
    pub(super) fn alone<T>(&self, ask: impl FnOnce() -> T) -> Option<T> {
        let library = lock(&self.library);
        self.settle(&library);
        let slots = lock(&self.slots);
        let closed = slots.values().all(|slot| slot.now == Use::Closed);
        closed.then(ask)
    }

    /// Whether any camera is open.
    pub(super) fn any_open(&self) -> bool {
        lock(&self.slots)
            .values()
            .any(|slot| slot.now != Use::Closed)
    }

    /// An error said that the camera is gone: before the element is used again, libcamera is asked whether it is.
    pub(super) fn doubt(&self, id: &DeviceId) {
        if let Some(slot) = lock(&self.slots).get_mut(id) {
            slot.in_doubt = true;
        }
    }

    /// An element for the next stream of a camera, in no pipeline: the one that is parked, or a new one from `make`. `open` brings one to
    /// READY.
    pub(super) fn element(
        &self,
        id: &DeviceId,
        make: impl FnOnce() -> Result<gst::Element, Fault>,
        open: impl FnOnce(&gst::Element) -> Result<(), Fault>,
    ) -> Result<gst::Element, Fault> {
        let mut slots = lock(&self.slots);
        let slot = slots.get_mut(id);
        let (now, in_doubt) = slot
            .as_ref()
            .map_or((None, false), |slot| (Some(slot.now), slot.in_doubt));
        match (slot, choose(now, in_doubt)) {
            (None, _) | (_, Choice::New) => make(),
            (Some(slot), Choice::Parked) => {
                slot.detach();
                Ok(slot.element.clone())
            }
            (Some(slot), Choice::Ask) => {
                let new = make()?;
                // The camera that the parked element has is refused to any other, before that listens to its requests.
                match open(&new) {
                    Ok(()) => {
                        slot.detach();
                        slot.close();
                        *slot = Slot::new(&new, Use::Parked);
                    }
                    Err(fault) if fault.kind == FaultKind::Busy => {
                        slot.in_doubt = false;
                        slot.detach();
                    }
                    Err(fault) => return Err(fault),
                }
                Ok(slot.element.clone())
            }
        }
    }

    /// An element as a source has it; `rivals` are cameras that use the same way to memory.
    pub(super) fn kept(
        self: &Arc<Self>,
        id: &DeviceId,
        rivals: Vec<DeviceId>,
        element: &gst::Element,
    ) -> Kept {
        let berth = Berth {
            parking: Arc::clone(self),
            id: id.clone(),
            rivals,
        };
        Kept::new(element, Arc::new(berth))
    }

    fn settle(&self, _library: &MutexGuard<'_, ()>) {
        let mut slots = lock(&self.slots);
        let all = slots.values().map(|slot| (slot.now, slot.frames.any_out()));
        if may_close(all) {
            let parked = slots.values_mut().filter(|slot| slot.now == Use::Parked);
            parked.for_each(Slot::close);
        }
    }
}

/// With whoever kept them the elements end. Of a stream none is left: it would hold on to this.
impl Drop for Parking {
    fn drop(&mut self) {
        let slots = lock(&self.slots).drain().collect::<Vec<_>>();
        for (_, mut slot) in slots {
            if slot.now == Use::Parked {
                slot.close();
            }
        }
    }
}

/// The place of one camera.
#[derive(Debug)]
struct Berth {
    parking: Arc<Parking>,
    id: DeviceId,
    /// Only one of them and this camera can stream at a time.
    rivals: Vec<DeviceId>,
}

impl Berth {
    fn becomes(&self, element: &gst::Element, now: Use) {
        let mut slots = lock(&self.parking.slots);
        if let Some(slot) = slots.get_mut(&self.id).filter(|s| s.element == *element) {
            slot.now = now;
        }
    }
}

impl Keeper for Berth {
    fn take(&self, element: &gst::Element) -> Result<(), Fault> {
        let mut slots = lock(&self.parking.slots);
        let streams = |id: &&DeviceId| {
            let now = slots.get(id).map(|slot| slot.now);
            matches!(now, Some(Use::Streams | Use::Falls | Use::Lost))
        };
        if let Some(rival) = self.rivals.iter().find(streams) {
            return Err(one_way(&self.id, rival));
        }
        let slot = slots.get_mut(&self.id);
        let is_the_cameras = slot.as_ref().is_some_and(|slot| slot.element == *element);
        take(slot.as_ref().map(|slot| slot.now), is_the_cameras)
            .map_err(|refusal| refused(&self.id, refusal))?;
        match slot {
            Some(slot) if is_the_cameras => slot.now = Use::Streams,
            _ => {
                slots.insert(self.id.clone(), Slot::new(element, Use::Streams));
            }
        }
        Ok(())
    }

    fn falls(&self, element: &gst::Element) {
        self.becomes(element, Use::Falls);
    }

    fn landed(&self, element: &gst::Element, down: bool) {
        self.becomes(element, landed(down, element.current_state()));
        let library = lock(&self.parking.library);
        self.parking.settle(&library);
    }
}

fn refused(id: &DeviceId, refusal: Refusal) -> Fault {
    let (kind, what, hint) = match refusal {
        Refusal::Streams => (
            FaultKind::Busy,
            "another stream of this service has the camera",
            "stop the other stream of the camera",
        ),
        Refusal::Falls => (
            FaultKind::Busy,
            "the stream that had the camera is not down yet",
            "if it stays so, libcamera or the driver hangs: the kernel's log may say why, and a restart of the service ends it",
        ),
        Refusal::Parked => (
            FaultKind::Busy,
            "another stream of this service had the camera just now",
            "the service builds the stream again by itself",
        ),
        Refusal::Lost => (
            FaultKind::Internal,
            "libcamera's element could not be brought down and still has the camera",
            "restart the service; the kernel's log may say what hangs",
        ),
    };
    Fault::new(kind, format!("{id}: {what}"), hint)
}

fn one_way(id: &DeviceId, other: &DeviceId) -> Fault {
    Fault::new(
        FaultKind::Busy,
        format!(
            "{id}: its image signal processor has one way for pictures, which the stream of {other} uses"
        ),
        format!("stop the stream of {other}, or put the sensor on a receiver of its own"),
    )
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "parking_tests.rs"]
mod tests;
