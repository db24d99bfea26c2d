//! The producer's real books against a subscriber that claims on one thread and releases on another.

use std::sync::Arc;

use loom::thread;

use super::explore::{HALF, NONE, Pixels, breaks_without, holds};
use crate::books::Book;
use crate::shm::{Holds, LeasePage, LeaseView, Step};

/// With a hold of 1 and full speed: no look at the page may ever count two.
fn two_threads() {
    let page = LeasePage::new().unwrap();
    let view = LeaseView::new(page.fd()).unwrap();
    let mut book = Book::new(2, 1);
    let subscriber = thread::spawn(move || {
        let mut holds = Holds::new(view, 1, ());
        if let Some(hold) = holds.claim(0, 1) {
            thread::spawn(move || drop(hold));
        }
        // Kept to the end, so that the producer may count it.
        std::mem::forget(holds.claim(1, 2));
    });
    for seq in [1, 2] {
        book.offer(&page, seq as usize - 1, seq);
        book.sweep(&page, seq, drop).expect("it is honest");
    }
    book.sweep(&page, 2, drop).expect("it is honest");
    subscriber.join().unwrap();
}

/// Window and recall by the books: what they call ended is written again at once.
fn recall() {
    let pixels = Arc::new(Pixels::default());
    let page = LeasePage::new().unwrap();
    let view = LeaseView::new(page.fd()).unwrap();
    let seen = Arc::clone(&pixels);
    let subscriber = thread::spawn(move || {
        let mut holds = Holds::new(view, 1, ());
        for seq in [1, 2] {
            if let Some(hold) = holds.claim(0, seq) {
                assert_eq!(seen.read(), seq);
                assert!(hold.stands());
            }
        }
    });
    let mut book = Book::new(1, 1);
    pixels.write(1);
    book.offer(&page, 0, 1);
    let mut ended = false;
    for _ in 0..2 {
        book.sweep(&page, 2, |_| ended = true)
            .expect("it is honest");
    }
    if ended {
        pixels.write(2);
        book.offer(&page, 0, 2);
    }
    subscriber.join().unwrap();
    book.sweep(&page, 3, drop).expect("it is honest");
    let counters = book.counters();
    assert!(!ended || book.is_empty());
    assert_eq!(
        counters.offered,
        counters.claimed + counters.recalled,
        "{counters:?}"
    );
}

#[test]
fn an_honest_subscriber_is_never_evicted() {
    holds(two_threads);
}

#[test]
fn the_orderings_of_the_hold_are_needed() {
    let steps = [
        (Step::Claim, &HALF[..1]),
        (Step::HoldsLook, NONE),
        (Step::HoldsLess, NONE),
    ];
    breaks_without(&steps, two_threads);
}

#[test]
fn what_the_books_call_ended_may_be_written() {
    holds(recall);
}

#[test]
fn the_orderings_of_the_sweep_are_needed() {
    let steps = [
        (Step::Offer, NONE),
        (Step::Claim, &HALF[1..]),
        (Step::Release, NONE),
        (Step::RecallFailed, NONE),
        (Step::Look, NONE),
    ];
    breaks_without(&steps, recall);
}
