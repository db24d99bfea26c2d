//! Bad subscribers, as processes of their own: each does what the proof says that nobody does, so that it is seen to be seen.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use mos_frame::{Frame, Subscriber, SubscriberOptions};

use crate::proc;
use crate::subject::{PATIENCE, Process, Subject};

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
    let options = SubscriberOptions {
        name: part.to_owned(),
        ..SubscriberOptions::default()
    };
    let mut subscriber = Subscriber::await_stream(Path::new(&socket), options).unwrap();
    let mut next = || subscriber.next_timeout(PATIENCE).unwrap().expect("a frame");
    match part {
        "mapper" => hold_a_mapping(&next()),
        "hoarder" => hold_memory(&next()),
        "reader" => say(&read_frames(&mut next)),
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

/// Frames that are read.
const READ: u32 = 20;

/// Reads every pixel of some frames, and tells the CPU time of a frame in microseconds.
fn read_frames(next: &mut impl FnMut() -> Frame) -> String {
    let mut sum = 0;
    // The first ones find cold caches.
    for _ in 0..3 {
        sum ^= read_frame(&next());
    }
    let before = proc::cpu_time(std::process::id());
    for _ in 0..READ {
        sum ^= read_frame(&next());
    }
    let spent = proc::cpu_time(std::process::id()).saturating_sub(before);
    std::hint::black_box(sum);
    (spent / READ).as_micros().to_string()
}

/// Adds up all pixels, eight at a time.
fn read_frame(frame: &Frame) -> u64 {
    let mapped = frame.map().unwrap();
    let planes = (0..).map_while(|index| mapped.plane(index));
    let words = planes.flat_map(|plane| plane.as_chunks::<8>().0);
    words.fold(0, |sum, word| sum.wrapping_add(u64::from_ne_bytes(*word)))
}
