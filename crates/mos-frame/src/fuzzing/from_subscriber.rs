//! `wire_from_subscriber`: any packets, with any descriptors, from a peer to a producer.

use std::os::fd::AsFd;

use super::input::Input;
use super::scene::Scene;
use crate::memory;
use crate::wire::MAX_LEN;

/// Packets of one input; more show nothing new and take time.
const MOST: usize = 64;

/// Each step is a byte that says what to do, and what that needs.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let mut scene = Scene::new();
    let mut peer = scene.connect();
    let gift = memory::memfd("gift", 64).expect("a memfd");
    for _ in 0..MOST {
        if input.is_empty() {
            break;
        }
        match input.u8() {
            // A packet, with up to five descriptors. The high bits choose how many.
            what @ 0..=0x9f => {
                let len = usize::from(input.u16()) % (MAX_LEN + 16);
                let fds = [gift.as_fd(); 4];
                let count = usize::from(what >> 5).min(fds.len());
                let packet = input.bytes(len);
                // An empty packet is the end of the connection to whoever reads it.
                peer.send(packet, &fds[..count]);
            }
            0xa0..=0xbf => scene.turn(),
            0xc0..=0xcf => {
                scene.publish();
            }
            0xd0..=0xdf => while peer.receive().is_some() {},
            _ => peer = scene.connect(),
        }
    }
    drop(peer);
    scene.end();
}
