//! The program: plugged in while it runs, told by lines what to do.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use mos_testkit::wait_until;
use mos_virtual_uvc::FormatKind;
use rustix::process::{Pid, Signal, kill_process};

use crate::host::{Taking, WITHIN, ready};

struct Program {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let path = std::env::var_os("MOS_VIRTUAL_UVC");
        let mut child = Command::new(path.unwrap_or(env!("CARGO_BIN_EXE_mos-virtual-uvc").into()))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            input,
            output,
        }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// The next line that starts so.
    fn hear(&mut self, start: &str) -> String {
        let mut heard = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(
                self.output.read_line(&mut line).unwrap(),
                0,
                "no {start:?} after:\n{heard}"
            );
            if line.starts_with(start) {
                return line.trim().to_owned();
            }
            heard.push_str(&line);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_program_tells_what_happens_and_does_as_it_is_told() {
    if !ready("the_program_tells_what_happens_and_does_as_it_is_told") {
        return;
    }
    let mut program = Program::start(&[
        "--port",
        "5",
        "--serial",
        "PROGRAM",
        "--format",
        "yuyv:320x240@10",
    ]);
    assert_eq!(program.hear("plugged"), "plugged port=5");
    let link =
        std::path::Path::new("/dev/v4l/by-id/usb-mos_mos_virtual_camera_PROGRAM-video-index0");
    wait_until("link to the node", WITHIN, || link.exists().then_some(())).unwrap();
    let taking = Taking::start(link, FormatKind::Yuyv);
    assert_eq!(
        program.hear("streaming"),
        "streaming yuyv 320x240 at 10.0 fps"
    );
    program.say("fault stall");
    assert_eq!(program.hear("fault"), "fault stall");
    program.say("fault none");
    assert_eq!(program.hear("fault"), "fault none");
    program.say("fault nonsense");
    assert!(program.hear("error").contains("short-frames"));
    drop(taking);
    program.hear("stopped");
    program.say("stats");
    assert!(program.hear("stats").contains(" idle brightness=0"));
    program.say("unplug");
    program.hear("unplugged");
    assert!(program.child.wait().unwrap().success());
    wait_until("link to go", WITHIN, || (!link.exists()).then_some(())).unwrap();
}

#[test]
fn the_end_of_the_input_and_a_signal_unplug() {
    if !ready("the_end_of_the_input_and_a_signal_unplug") {
        return;
    }
    for by_signal in [true, false] {
        let mut program = Program::start(&["--port", "6"]);
        program.hear("plugged");
        if by_signal {
            kill_process(Pid::from_child(&program.child), Signal::TERM).unwrap();
        } else {
            program.input = None;
        }
        program.hear("unplugged");
        assert!(program.child.wait().unwrap().success());
    }
}
