//! One buffer for two frames: recalled, or claimed and released, and then written again.

use std::sync::Arc;

use loom::thread;

use super::explore::{HALF, NONE, Pixels, breaks_without, holds};
use crate::shm::{LeasePage, LeaseView, State, Step, unpack};

fn model() {
    let pixels = Arc::new(Pixels::default());
    let page = LeasePage::new().unwrap();
    let view = LeaseView::new(page.fd()).unwrap();
    let seen = Arc::clone(&pixels);
    let subscriber = thread::spawn(move || {
        for seq in [1, 2] {
            if view.claim(0, seq) {
                assert_eq!(seen.read(), seq);
                assert!(view.release(0, seq));
            }
        }
    });
    pixels.write(1);
    page.offer(0, 1);
    let is_free = |word| unpack(word) == (1, State::Free);
    let recalled = page.recall(0, 1);
    if recalled.is_ok() || recalled.is_err_and(is_free) || is_free(page.load(0)) {
        pixels.write(2);
        page.offer(0, 2);
    }
    subscriber.join().unwrap();
}

#[test]
fn a_buffer_is_not_written_while_it_is_read() {
    holds(model);
}

#[test]
fn the_orderings_of_claim_and_release_are_needed() {
    let steps = [
        (Step::Offer, NONE),
        (Step::Claim, &HALF[1..]),
        (Step::Release, NONE),
        (Step::RecallFailed, NONE),
        (Step::Look, NONE),
    ];
    breaks_without(&steps, model);
}
