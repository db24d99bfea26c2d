//! Subscribers in processes of their own that are stopped, killed or forked, while others go on undisturbed.
//!
//! This file's program starts itself again as a subscriber, so it brings its own `main`.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use common::{PATIENCE, Stream, assert_whole, wait_until};
use libtest_mimic::{Arguments, Failed, Trial};
use mos_frame::{Subscriber, SubscriberOptions};
use rustix::process::{Pid, Signal, kill_process};

/// Tells a copy of this program which part to play: `<part> <socket>`.
const PART: &str = "MOS_FRAME_TEST_PART";

fn main() -> ExitCode {
    if let Ok(part) = std::env::var(PART) {
        let (part, path) = part.split_once(' ').unwrap();
        play(part, Path::new(path));
        return ExitCode::SUCCESS;
    }
    let scenarios: [(&str, fn()); 5] = [
        ("a_stopped_subscriber_costs_nobody_a_frame", stopped),
        ("a_killed_subscriber_gives_its_frames_back", killed),
        ("a_forked_child_with_the_socket_hides_no_death", forked),
        (
            "a_stopped_subscriber_resumes_with_the_newest_frames",
            resumed,
        ),
        ("killing_at_random_moments_leaks_nothing", killed_at_random),
    ];
    let trials = scenarios.map(|(name, scenario)| Trial::test(name, move || run(scenario)));
    // One after the other: descriptors of the whole process are counted.
    let arguments = Arguments {
        test_threads: Some(1),
        ..Arguments::from_args()
    };
    libtest_mimic::run(&arguments, trials.into()).exit_code()
}

fn run(scenario: fn()) -> Result<(), Failed> {
    std::panic::catch_unwind(scenario).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
            .unwrap_or_default()
            .into()
    })
}

// ---- the subscriber's part -------------------------------------------------------------------------------------------

fn play(part: &str, path: &Path) {
    let options = SubscriberOptions {
        name: part.to_owned(),
        hold: 2,
        ..Default::default()
    };
    let mut subscriber = Subscriber::connect(path, options).unwrap();
    let frame = subscriber.next().unwrap();
    assert_whole(&frame);
    let heir = if part == "fork" { fork() } else { 0 };
    say(&format!("holding {} {heir}", frame.seq()));
    if part == "follow" {
        drop(frame);
        loop {
            say(&subscriber.next().unwrap().seq().to_string());
        }
    }
    // Holds its frame until it is killed.
    loop {
        std::thread::park();
    }
}

/// A child that holds copies of all descriptors, the socket among them, and does nothing.
fn fork() -> i32 {
    // SAFETY: the child calls nothing but pause(2) and _exit(2), which are async-signal-safe, so no lock that another thread
    // held at the fork is ever taken.
    unsafe {
        match libc::fork() {
            0 => {
                libc::pause();
                libc::_exit(0)
            }
            child => child,
        }
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).unwrap();
}

// ---- the producer's part ---------------------------------------------------------------------------------------------

struct Peer {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Peer {
    fn start(part: &str, path: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env(PART, format!("{part} {}", path.display()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The process and its first frame are there.
    fn started(part: &str, stream: &Stream) -> Self {
        let mut peer = Self::start(part, &stream.path);
        if stream.publisher.newest_seq() == 0 {
            stream.publish();
        }
        assert!(peer.line().starts_with("holding"));
        peer
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("the subscriber goes on").unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id() as i32).unwrap(), signal).unwrap();
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Fails if it is dead already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn own_fds() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn stopped() {
    let stream = Stream::new(12);
    let mut healthy = stream.subscribe(2, 1);
    let victim = Peer::started("hold", &stream);
    drop(healthy.next().unwrap());
    victim.signal(Signal::STOP);
    let (fds, buffers) = (own_fds(), stream.publisher.stats().buffers);
    for _ in 0..2000 {
        let seq = stream.publish();
        let frame = healthy.next_timeout(PATIENCE).unwrap().expect("a frame");
        assert_eq!(frame.seq(), seq, "the healthy subscriber lost a frame");
        assert_whole(&frame);
    }
    assert_eq!(
        (own_fds(), stream.publisher.stats().buffers),
        (fds, buffers)
    );
    let info = stream
        .info()
        .into_iter()
        .find(|i| i.name == "hold")
        .unwrap();
    assert_eq!(info.counters.held, 1, "its frame is kept for it");
    assert_eq!(stream.publisher.stats().evicted, 0);
}

fn resumed() {
    let stream = Stream::new(12);
    let mut follower = Peer::started("follow", &stream);
    let first = stream.publish();
    assert_eq!(follower.line(), first.to_string());
    follower.signal(Signal::STOP);
    stream.burst(100);
    follower.signal(Signal::CONT);
    let newest = stream.publisher.newest_seq();
    // It may have been inside a claim when it was stopped; from then on it sees the newest two and nothing older.
    let mut seen = vec![follower.line().parse::<u64>().unwrap()];
    while *seen.last().unwrap() < newest {
        seen.push(follower.line().parse().unwrap());
    }
    assert_eq!(seen[seen.len() - 2..], [newest - 1, newest]);
    assert!(seen.len() <= 3 && seen.is_sorted(), "{seen:?}");
}

fn killed() {
    let stream = Stream::new(6);
    let mut healthy = stream.subscribe(2, 1);
    for _ in 0..10 {
        let victim = Peer::started("hold", &stream);
        victim.kill();
        stream.wait_for_subscribers(1);
        let seq = stream.publish();
        while healthy
            .next_timeout(PATIENCE)
            .unwrap()
            .expect("a frame")
            .seq()
            < seq
        {}
    }
    wait_until("all frames but the newest to be back", || {
        stream.publisher.reap();
        stream.pool.free_count() == 5
    });
}

fn forked() {
    let stream = Stream::new(6);
    let mut victim = Peer::start("fork", &stream.path);
    stream.publish();
    let line = victim.line();
    let heir: i32 = line.rsplit(' ').next().unwrap().parse().unwrap();
    let heir = Pid::from_raw(heir).expect("a child");
    victim.kill();
    let gone = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        stream.wait_for_subscribers(0);
    }));
    kill_process(heir, Signal::KILL).expect("the child outlived its parent");
    assert!(gone.is_ok(), "the producer did not notice the death");
}

fn killed_at_random() {
    let stream = Stream::new(6);
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let fds = own_fds();
    for _ in 0..40 {
        let mut victim = Peer::start("hold", &stream.path);
        // A random number of steps of ours is a random moment of its handshake or its first frame.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        for _ in 0..seed >> 52 {
            stream.publish();
        }
        victim.child.kill().unwrap();
        victim.child.wait().unwrap();
    }
    stream.wait_for_subscribers(0);
    wait_until("all descriptors to be closed", || own_fds() <= fds);
    stream.publish();
    stream.publisher.reap();
    assert_eq!(stream.pool.free_count(), 5);
}
