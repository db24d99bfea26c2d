//! Going to sleep against publishing: no wake-up is lost, and no rings pile up.

use std::sync::Arc;

use loom::sync::{Condvar, Mutex};
use loom::thread;

use super::explore::{NONE, breaks_without, holds};
use crate::shm::{LeasePage, LeaseView, Step, publish_fence};

const FRAMES: u64 = 2;

/// The rings in a subscriber's socket.
#[derive(Default)]
struct Socket {
    rings: Mutex<u32>,
    more: Condvar,
}

impl Socket {
    fn ring(&self) {
        *self.rings.lock().unwrap() += 1;
        self.more.notify_one();
    }

    /// Reads one ring; sleeps until there is one.
    fn read(&self) {
        let mut rings = self.rings.lock().unwrap();
        while *rings == 0 {
            rings = self.more.wait(rings).unwrap();
        }
        *rings -= 1;
    }
}

/// As `Subscriber::wait` does it. loom fails if it sleeps for ever.
fn receive_all(view: &LeaseView, socket: &Socket) {
    let mut next = 1;
    while next <= FRAMES {
        let slot = next as usize - 1;
        if view.claim(slot, next) {
            next += 1;
            continue;
        }
        view.arm();
        if view.is_offered(slot, next) {
            if view.disarm() {
                socket.read();
            }
            continue;
        }
        socket.read();
    }
}

fn model() {
    let page = LeasePage::new().unwrap();
    let view = LeaseView::new(page.fd()).unwrap();
    let socket = Arc::new(Socket::default());
    let bell = Arc::clone(&socket);
    let producer = thread::spawn(move || {
        for seq in 1..=FRAMES {
            page.offer(seq as usize - 1, seq);
            publish_fence();
            if page.take_armed() {
                bell.ring();
            }
        }
    });
    receive_all(&view, &socket);
    producer.join().unwrap();
    assert_eq!(*socket.rings.lock().unwrap(), 0, "a ring was left unread");
}

#[test]
fn no_wake_up_is_lost_and_no_ring_is_left() {
    holds(model);
}

#[test]
fn the_orderings_of_the_doorbell_are_needed() {
    let steps = [(Step::ArmFence, NONE), (Step::PublishFence, NONE)];
    breaks_without(&steps, model);
}
