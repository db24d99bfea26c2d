//! The program: command line, commands from standard input, events to standard output. Everything else is in the library.

use std::io::{self, BufRead, Write};
use std::process::ExitCode;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use clap::Parser;
use mos_virtual_uvc::{Camera, CameraConfig, Error, Fault, FormatSpec, Observer, Stats};

/// Plugs a software USB camera into this machine, for tests.
///
/// It needs root and the kernel modules `vhci_hcd` and `uvcvideo`. It reads commands from standard input, one a line: "fault NAME",
/// "fault none", "stats", "unplug". It prints a line for each event. The end of the input, SIGINT or SIGTERM unplug the camera. Faults:
/// stall, short-frames, corrupt-jpeg, no-eoi, wrong-size, error-bit, vanish:REQUESTS, slow-controls:MILLISECONDS,
/// control-stall:NAME, lie:NAME.
///
/// Ends with code 0 when it was unplugged, 1 if it can't be plugged in or failed, 2 on wrong usage.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// High-speed port of the host `vhci_hcd.0`; by default the first that is free.
    #[arg(long)]
    port: Option<u8>,
    /// Serial number; without it the camera has none.
    #[arg(long, value_name = "TEXT")]
    serial: Option<String>,
    /// Name of the product.
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Vendor of the device, in hexadecimal.
    #[arg(long, value_name = "HEX", value_parser = hexadecimal)]
    vendor: Option<u16>,
    /// Product of the vendor, in hexadecimal.
    #[arg(long, value_name = "HEX", value_parser = hexadecimal)]
    product: Option<u16>,
    /// A format, as in mjpeg:640x480,320x240@30,15 (mjpeg, nv12 or yuyv); can be repeated.
    #[arg(long = "format", value_name = "FORMAT")]
    formats: Vec<FormatSpec>,
    /// What goes wrong from the start; can be repeated.
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<Fault>,
    /// V of every pixel, so that pictures of like cameras can be told apart.
    #[arg(long, value_name = "0..255")]
    tint: Option<u8>,
}

/// What the main thread acts on.
enum Event {
    Line(String),
    End,
    Change(Box<Stats>),
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("mos-virtual-uvc: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<(), Box<dyn std::error::Error>> {
    let (sender, events) = channel();
    let signals = sender.clone();
    ctrlc::set_handler(move || {
        // The main thread is gone only if the process ends already.
        let _ = signals.send(Event::End);
    })?;
    let camera = Camera::plug(&args.config())?;
    let port = camera
        .port()
        .map_or(String::new(), |port| format!(" port={port}"));
    say(&format!("plugged{port}"))?;

    let mut seen = camera.stats();
    let (observer, changes, first) = (camera.observer(), sender.clone(), seen.clone());
    thread::spawn(move || watch(&observer, first, &changes));
    thread::spawn(move || read(&sender));
    for event in events {
        match event {
            Event::Line(line) => match command(&camera, line.trim()) {
                Ok(Some(answer)) => say(&answer)?,
                Ok(None) => break,
                Err(why) => say(&format!("error {why}"))?,
            },
            Event::Change(stats) => {
                changes_of(&seen, &stats)
                    .iter()
                    .try_for_each(|line| say(line))?;
                seen = *stats;
                if let Some(why) = &seen.ended {
                    say(&format!("gone: {why}"))?;
                    return Ok(());
                }
            }
            Event::End => break,
        }
    }
    let stats = camera.unplug()?;
    say(&format!("unplugged frames={}", stats.frames))?;
    Ok(())
}

impl Args {
    fn config(self) -> CameraConfig {
        let usual = CameraConfig::default();
        CameraConfig {
            port: self.port,
            serial: self.serial,
            name: self.name.unwrap_or(usual.name),
            vendor: self.vendor.unwrap_or(usual.vendor),
            product: self.product.unwrap_or(usual.product),
            formats: if self.formats.is_empty() {
                usual.formats
            } else {
                self.formats
            },
            tint: self.tint.unwrap_or(usual.tint),
            faults: self.faults,
            ..usual
        }
    }
}

/// The answer to a command; `None` is to unplug.
fn command(camera: &Camera, line: &str) -> Result<Option<String>, String> {
    let text = |why: Error| why.to_string();
    match line.split_once(' ').unwrap_or((line, "")) {
        ("unplug", "") => Ok(None),
        ("stats", "") => Ok(Some(format!("stats {}", camera.stats()))),
        ("fault", "none") => {
            camera.clear_faults().map_err(text)?;
            Ok(Some("fault none".to_owned()))
        }
        ("fault", name) => {
            let fault: Fault = name.parse()?;
            camera.set_fault(fault).map_err(text)?;
            Ok(Some(format!("fault {fault}")))
        }
        _ => Err(format!(
            "there is no command {line:?}; there are: fault NAME, fault none, stats, unplug"
        )),
    }
}

/// A line for each thing that changed; frames alone are none.
fn changes_of(old: &Stats, new: &Stats) -> Vec<String> {
    let mut lines = Vec::new();
    if old.streaming != new.streaming {
        lines.push(match &new.streaming {
            Some(streaming) => format!("streaming {streaming}"),
            None => format!("stopped frames={}", new.frames),
        });
    }
    let changed = new
        .controls
        .iter()
        .filter(|(id, value)| old.controls.get(id) != Some(*value));
    lines.extend(changed.map(|(id, value)| format!("control {id}={value}")));
    lines
}

fn watch(observer: &Observer, mut seen: Stats, events: &Sender<Event>) {
    const LONG: Duration = Duration::from_hours(1);
    let differs =
        |old: &Stats, new: &Stats| !changes_of(old, new).is_empty() || new.ended.is_some();
    loop {
        // Nothing for an hour is no error.
        if let Ok(stats) = observer.wait("changing", LONG, |stats| differs(&seen, stats)) {
            let ended = stats.ended.is_some();
            seen = stats.clone();
            if events.send(Event::Change(Box::new(stats))).is_err() || ended {
                return;
            }
        }
    }
}

fn read(events: &Sender<Event>) {
    let lines = io::stdin().lock().lines().map_while(Result::ok);
    for line in lines.filter(|line| !line.trim().is_empty()) {
        if events.send(Event::Line(line)).is_err() {
            return;
        }
    }
    // Whoever held the other end of the input is done with the camera.
    let _ = events.send(Event::End);
}

/// One line, at once: who reads it waits for it.
fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

fn hexadecimal(text: &str) -> Result<u16, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u16::from_str_radix(digits, 16).map_err(|_| "a hexadecimal number up to ffff".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_well_formed() {
        use clap::CommandFactory;
        Args::command().debug_assert();
        let args = Args::parse_from([
            "x",
            "--format",
            "nv12:64x48@5",
            "--fault",
            "lie:zero-size",
            "--vendor",
            "0x46d",
        ]);
        let config = args.config();
        assert_eq!(
            (config.formats.len(), config.faults.len(), config.vendor),
            (1, 1, 0x46d)
        );
    }

    #[test]
    fn changes_are_told_one_a_line() {
        let old = Stats::default();
        let mut new = Stats {
            frames: 3,
            ..Stats::default()
        };
        assert!(changes_of(&old, &new).is_empty());
        new.controls.insert(mos_virtual_uvc::ControlId::Gain, 5);
        assert_eq!(changes_of(&old, &new), ["control gain=5"]);
    }
}
