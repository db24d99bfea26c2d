//! A copy of the test's program that plays a part, with the faults that only a process can have.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// Tells a copy of this program which part to play.
pub const PART: &str = "MOS_FRAME_TEST_PART";

/// A process of this test. It ends with its handle, and with this process.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    stopped: bool,
}

impl Peer {
    /// Starts a copy of this program; `part` is what its `main` makes of [`PART`].
    pub fn start(part: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env(PART, part)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            child,
            stdin,
            lines,
            stopped: false,
        }
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// What the peer says next; waits for it.
    pub fn line(&mut self) -> String {
        let line = self.lines.next().expect("the peer goes on");
        line.unwrap()
    }

    /// Tells the peer a line.
    pub fn ask(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("its input is open");
        writeln!(stdin, "{line}").unwrap();
    }

    /// What the peer says until it ends.
    pub fn rest(mut self) -> Vec<String> {
        self.stdin = None;
        let said = self.lines.by_ref().map(Result::unwrap).collect();
        let status = self.child.wait().unwrap();
        assert!(
            status.success(),
            "the peer failed: {status}; it said {said:?}"
        );
        said
    }

    /// Stops the process in whatever it does, and waits until it stands still.
    pub fn stop(&mut self) {
        if self.stopped {
            return;
        }
        self.signal(Signal::STOP);
        let stands = waitid(WaitId::Pid(self.id()), WaitIdOptions::STOPPED).unwrap();
        assert!(
            stands.is_some_and(|s| s.stopped()),
            "the peer ended instead"
        );
        self.stopped = true;
    }

    pub fn resume(&mut self) {
        self.signal(Signal::CONT);
        self.stopped = false;
    }

    /// Kills the process and waits for its end.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn id(&self) -> Pid {
        Pid::from_raw(self.pid()).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.id(), signal).unwrap();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Fails if it is dead already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a part tells its scenario, at once.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).unwrap();
}
