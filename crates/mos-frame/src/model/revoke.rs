//! A hold of 0: the frame is taken away while it is read, and the reader knows.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use loom::sync::atomic::AtomicU64;
use loom::thread;

use super::explore::{HALF, NONE, breaks_without, holds};
use crate::books::Book;
use crate::shm::{Holds, LeasePage, LeaseView, Step};

/// Two pixels, since this reader may race with the writer.
type Picture = [AtomicU64; 2];

fn write(picture: &Picture, seq: u64) {
    picture.iter().for_each(|pixel| pixel.store(seq, Relaxed));
}

fn model() {
    let picture: Arc<Picture> = Arc::default();
    let page = LeasePage::new().unwrap();
    let view = Arc::new(LeaseView::new(page.fd()).unwrap());
    let seen = Arc::clone(&picture);
    let subscriber = thread::spawn(move || {
        if let Some(hold) = Holds::new(view, 1).claim(0, 1) {
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
    holds(model);
}

#[test]
fn the_orderings_of_revoking_are_needed() {
    let steps = [
        (Step::Offer, NONE),
        (Step::Claim, &HALF[1..]),
        (Step::RevokeFence, NONE),
        (Step::ValidFence, NONE),
        (Step::RevokeFailed, NONE),
    ];
    breaks_without(&steps, model);
}
