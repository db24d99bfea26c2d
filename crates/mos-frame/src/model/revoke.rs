//! A hold of 0: the frame is taken away while it is read, and the reader knows.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use loom::sync::atomic::AtomicU64;
use loom::thread;

use super::explore::{HALF, NONE, Pixels, breaks_without, holds};
use crate::books::Book;
use crate::shm::{Holds, LeasePage, LeaseView, State, Step, unpack};

/// Two pixels, since this reader may race with the writer.
type Picture = [AtomicU64; 2];

fn write(picture: &Picture, seq: u64) {
    picture.iter().for_each(|pixel| pixel.store(seq, Relaxed));
}

fn torn() {
    let picture: Arc<Picture> = Arc::default();
    let page = LeasePage::new().unwrap();
    let view = LeaseView::new(page.fd()).unwrap();
    let seen = Arc::clone(&picture);
    let subscriber = thread::spawn(move || {
        if let Some(hold) = Holds::new(view, 1, ()).claim(0, 1) {
            let read = seen.each_ref().map(|pixel| pixel.load(Relaxed));
            if hold.stands() {
                assert_eq!(read, [1, 1], "a torn frame passed");
            }
        }
    });
    let mut book = Book::new(1, 0);
    write(&picture, 1);
    book.offer(&page, 0, 1);
    let mut ended = false;
    book.sweep(&page, 2, |_| ended = true)
        .expect("it is honest");
    assert!(ended, "no frame outlives the window");
    write(&picture, 2);
    book.offer(&page, 0, 2);
    subscriber.join().unwrap();
    // The reader's late release of frame 1 did not touch the offer of frame 2.
    book.sweep(&page, 2, drop).expect("it is honest");
    assert!(!book.is_empty());
}

#[test]
fn a_torn_frame_is_known_to_be_torn() {
    holds(torn);
}

#[test]
fn the_orderings_of_revoking_are_needed() {
    let steps = [
        (Step::Offer, NONE),
        (Step::Claim, &HALF[1..]),
        (Step::RevokeFence, NONE),
        (Step::ValidFence, NONE),
    ];
    breaks_without(&steps, torn);
}

/// The reader is done just before its frame would be taken away: what it read was not written yet.
fn released() {
    let pixels = Arc::new(Pixels::default());
    let page = LeasePage::new().unwrap();
    let view = LeaseView::new(page.fd()).unwrap();
    let seen = Arc::clone(&pixels);
    let subscriber = thread::spawn(move || {
        if view.claim(0, 1) {
            assert_eq!(seen.read(), 1);
            view.release(0, 1);
        }
    });
    pixels.write(1);
    page.offer(0, 1);
    if page
        .revoke(0, 1)
        .is_err_and(|word| unpack(word) == (1, State::Free))
    {
        pixels.write(2);
    }
    subscriber.join().unwrap();
}

#[test]
fn a_frame_that_was_released_may_be_written() {
    holds(released);
}

#[test]
fn the_ordering_of_a_revocation_that_is_too_late_is_needed() {
    breaks_without(&[(Step::RevokeFailed, NONE)], released);
}
