//! `mosctl bus` and `mosctl bus doctor`.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mos_camera_core::StreamName;
use mos_frame::{ConnectError, Inspection};
use tokio::task::JoinSet;

use crate::bus::{Diagnosis, Look, Process, diagnose};
use crate::cli::{Bus, BusCommand, Doctor, Global};
use crate::exit::{Exit, Failure, Result};
use crate::output::Out;
use crate::signals::Stop;

/// Longest wait for one producer's report; all are asked at once.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) async fn run(global: &Global, args: &Bus, out: &Out) -> Result<()> {
    let dir = global.bus_dir();
    match &args.command {
        Some(BusCommand::Doctor(doctor)) => examine(&dir, doctor, out).await,
        None => show(&dir, args, out).await,
    }
}

/// What each producer answered, by stream.
type Answers = BTreeMap<String, std::result::Result<Inspection, ConnectError>>;

async fn show(dir: &Path, args: &Bus, out: &Out) -> Result<()> {
    let mut stop = Stop::new()?;
    let mut before = Answers::new();
    loop {
        let answers = ask(dir, &args.streams.streams).await?;
        for (stream, answer) in &answers {
            match answer {
                Ok(report) => {
                    let before = before.get(stream).and_then(|a| a.as_ref().ok());
                    out.result(&Look::new(stream, before, report), Look::render)?;
                }
                // One producer that is away is no reason not to show the others, unless it was the one that was asked for.
                Err(error) if args.once && answers.len() == 1 => return Err(error.into()),
                Err(error) => out.result(
                    &serde_json::json!({ "stream": stream, "error": error.to_string() }),
                    |_| format!("{stream}: {error}\n"),
                )?,
            }
        }
        if answers.is_empty() {
            out.say(&nothing(dir))?;
        }
        if args.once {
            return Ok(());
        }
        before = answers;
        out.say("\n")?;
        if rest(&mut stop, args.interval).await {
            return Ok(());
        }
    }
}

async fn examine(dir: &Path, args: &Doctor, out: &Out) -> Result<()> {
    let mut stop = Stop::new()?;
    let before = ask(dir, &args.streams.streams).await?;
    if before.is_empty() {
        return out.say(&nothing(dir));
    }
    if rest(&mut stop, args.watch).await {
        return Ok(());
    }
    for (stream, answer) in ask(dir, &args.streams.streams).await? {
        let diagnosis = match &answer {
            Ok(now) => {
                let first = before.get(&stream).and_then(|a| a.as_ref().ok());
                Diagnosis::new(&stream, diagnose(first, now, &processes(now)))
            }
            Err(error) => Diagnosis::unreachable(&stream, error),
        };
        out.result(&diagnosis, Diagnosis::render)?;
    }
    Ok(())
}

/// Waits; true if the user has had enough.
async fn rest(stop: &mut Stop, time: Duration) -> bool {
    tokio::select! {
        () = stop.asked() => true,
        () = tokio::time::sleep(time) => false,
    }
}

fn nothing(dir: &Path) -> String {
    format!(
        "No stream is published in {}. Start one, or name the bus's folder with --frame-dir if it is another.\n",
        dir.display()
    )
}

/// Asks the producers of these streams, or all there are.
async fn ask(dir: &Path, streams: &[StreamName]) -> Result<Answers> {
    let mut asked = JoinSet::new();
    for stream in select(dir, streams)? {
        let path = mos_frame::socket_path(dir, &stream);
        asked.spawn_blocking(move || (stream, mos_frame::inspect(&path, PATIENCE)));
    }
    let mut answers = Answers::new();
    while let Some(answer) = asked.join_next().await {
        let (stream, answer) = answer
            .map_err(|e| Failure::new(Exit::Other, format!("can't ask a producer: {e}"), ""))?;
        answers.insert(stream, answer);
    }
    Ok(answers)
}

fn select(dir: &Path, streams: &[StreamName]) -> Result<Vec<String>> {
    if streams.is_empty() {
        sockets(dir).map_err(|e| unreadable(dir, &e))
    } else {
        Ok(super::names(streams))
    }
}

/// Streams that have a socket in the folder; none if the folder is not there.
fn sockets(dir: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(stream_of(&entry?.path()));
    }
    Ok(names)
}

fn stream_of(path: &Path) -> Option<String> {
    let is_socket = path.extension().is_some_and(|e| e == "sock");
    let name = path.file_stem().filter(|_| is_socket)?;
    name.to_str().map(str::to_owned)
}

fn unreadable(dir: &Path, error: &io::Error) -> Failure {
    let (code, hint) = if error.kind() == io::ErrorKind::PermissionDenied {
        (Exit::Permission, "ask for access to the service")
    } else {
        (Exit::Other, "")
    };
    Failure::new(code, format!("{}: {error}", dir.display()), hint)
}

/// What the kernel says of the subscribers' processes, as far as we may know it.
fn processes(report: &Inspection) -> HashMap<i32, Process> {
    let pids = report
        .subscribers
        .iter()
        .map(|s| s.pid)
        .filter(|pid| *pid > 0);
    pids.filter_map(|pid| {
        let path = PathBuf::from(format!("/proc/{pid}/stat"));
        let stat = fs::read_to_string(path).ok()?;
        Some((pid, Process::from_stat(&stat)?))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_told_from_other_files() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["front.sock", "left.cam.sock", "front.lock", "readme"] {
            fs::write(dir.path().join(file), "").unwrap();
        }
        let mut names = sockets(dir.path()).unwrap();
        names.sort();
        assert_eq!(names, ["front", "left.cam"]);
    }

    #[test]
    fn a_folder_that_is_not_there_has_no_streams() {
        assert!(
            sockets(Path::new("/nonexistent/frames"))
                .unwrap()
                .is_empty()
        );
    }
}
