//! `lease_page`: any words in the lease page of a peer, between any operations of the producer's books.

use super::input::Input;
use super::scene::{PEER_HOLD, PEER_WINDOW, Scene};
use crate::shm::SLOTS;

/// Steps of one input; more show nothing new and take time.
const MOST: usize = 256;

/// Each step is a byte that says what to do, and what that needs.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut scene = Scene::new();
    let mut peer = None;
    let mut newest = 0_u64;
    for _ in 0..MOST {
        if input.is_empty() {
            break;
        }
        let what = input.u8();
        if peer.is_none() {
            // It comes back after each eviction.
            let (window, hold) = (u32::from(what >> 4), u32::from(what));
            peer = scene.started(window % PEER_WINDOW + 1, hold % (PEER_HOLD + 1));
        }
        let Some((connection, page)) = &peer else {
            break;
        };
        // Mostly slots and sequences that are in use.
        let slot = |input: &mut Input<'_>| match input.u8() {
            near @ 0..=0xdf => usize::from(near % 12),
            far => usize::from(far) % SLOTS,
        };
        let near = |input: &mut Input<'_>| {
            let back = u64::from(input.u8() % 8);
            newest.wrapping_sub(back).wrapping_add(1)
        };
        match what % 12 {
            0 | 1 => newest = scene.publish(),
            2 => page.poke(slot(&mut input), input.u64()),
            3 => page.poke(
                slot(&mut input),
                near(&mut input) << 2 | u64::from(what >> 6),
            ),
            4 => page.scribble(input.u64()),
            5 | 6 => _ = page.claim(slot(&mut input), near(&mut input)),
            7 => _ = page.release(slot(&mut input), near(&mut input)),
            8 => page.arm(),
            9 => scene.producer.publisher.reap(),
            10 => {
                while connection.receive().is_some() {}
                scene.turn();
                // Whoever was cut off comes back.
                if scene.producer.publisher.stats().subscribers.len() < 2 {
                    peer = None;
                }
            }
            _ => scene.change_format(16 + u32::from(what >> 6) * 16),
        }
    }
    drop(peer);
    scene.end();
}
