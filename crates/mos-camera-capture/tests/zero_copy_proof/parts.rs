//! Bad subscribers, as processes of their own: each does what the proof says that nobody does, so that it is seen to be seen.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use mos_frame::{Frame, Subscriber, SubscriberOptions};

use crate::proc;
use crate::subject::{Demand, PATIENCE, Process, Subject};

/// Names the part that this process is to play.
pub(crate) const PART: &str = "MOS_PROOF_PART";
const SOCKET: &str = "MOS_PROOF_SOCKET";

/// Starts a part and waits for its first line.
pub(crate) fn start(part: &str, subject: &Subject) -> (Process, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env(PART, part).env(SOCKET, subject.socket());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = child.stdout.take().unwrap();
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    (Process(child), line.trim().to_owned())
}

/// Plays a part.
pub(crate) fn play(part: &str) {
    let socket = std::env::var_os(SOCKET).unwrap();
    let usual = SubscriberOptions {
        name: part.to_owned(),
        ..SubscriberOptions::default()
    };
    let options = Demand::options(Demand::least(), usual);
    let mut subscriber = Subscriber::await_stream(Path::new(&socket), options).unwrap();
    let mut next = || subscriber.next_timeout(PATIENCE).unwrap().expect("a frame");
    match part {
        "mapper" => hold_a_mapping(&next()),
        "hoarder" => hold_memory(&next()),
        "copier" => say(&copy_frames(&mut next)),
        _ => panic!("no such part: {part}"),
    }
}

fn say(line: &str) {
    println!("{line}");
    std::io::stdout().flush().unwrap();
}

/// Maps a frame until it is told to end.
fn hold_a_mapping(frame: &Frame) {
    let mapped = frame.map().unwrap();
    say("mapped");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    drop(mapped);
}

/// Has memory of its own that a frame would fit in, until it is told to end.
fn hold_memory(frame: &Frame) {
    let size = frame.layout().bytes_of(0);
    let memory = mos_frame::memory::memfd("copy", size).unwrap();
    say("holds");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    drop(memory);
}

/// Frames that are copied.
const COPIED: u32 = 30;

/// Copies every pixel of some frames into memory of its own, and tells the CPU time of a frame in microseconds.
fn copy_frames(next: &mut impl FnMut() -> Frame) -> String {
    let mut copy = Vec::new();
    // The first ones find cold caches.
    (0..3).for_each(|_| copy_frame(&next(), &mut copy));
    let before = proc::cpu_time(std::process::id());
    (0..COPIED).for_each(|_| copy_frame(&next(), &mut copy));
    let spent = proc::cpu_time(std::process::id()).saturating_sub(before);
    (spent / COPIED).as_micros().to_string()
}

/// One `memcpy` for each plane.
fn copy_frame(frame: &Frame, copy: &mut Vec<u8>) {
    let mapped = frame.map().unwrap();
    copy.clear();
    (0..)
        .map_while(|index| mapped.plane(index))
        .for_each(|plane| copy.extend_from_slice(plane));
    std::hint::black_box(copy);
}
