//! The times of WebRTC frames against the server's own word: by arrival until its first sender report, by its clock from then on.

use mos_frame::ClockSource::{Arrival, Ntp, NtpRelative};
use mos_frame::{FrameFlags, FrameMeta, Subscriber};
use mos_testkit::{WhepServer, wait_until};

use crate::conformance::{PATIENCE, next};
use crate::rig::{of, server, streams};

/// How far a carried-over time may be from the server's, in ns: RTP timestamps count 11 µs, and NTP's fraction is cut by
/// both sides.
const EXACT: i64 = 50_000;
/// A picture's way through the server's encoder and its own queue, on a machine that does much else.
const LONGEST_WAY: i64 = 2_000_000_000;
/// Two readings of one moment on a busy machine.
const CLOSE: i64 = 5_000_000;

/// When a picture was made: time of day and `CLOCK_MONOTONIC`, in ns; and its RTP timestamp, from the first picture's on.
fn made(server: &WhepServer, number: u32) -> (i64, i64, i64) {
    let prefix = format!("made {number} ");
    let line = wait_until("the server's word", PATIENCE, || {
        let lines = server.lines();
        lines.into_iter().find(|line| line.starts_with(&prefix))
    });
    let words: Vec<i64> = numbers(&line.unwrap());
    (words[1], words[2], words[3])
}

/// What the server's reports said: a time of day, and how many ticks after the first picture it was.
fn reports(server: &WhepServer) -> Vec<(i64, i64)> {
    let lines = server.lines();
    let reports = lines.iter().filter(|line| line.starts_with("report "));
    reports
        .map(|line| numbers(line))
        .map(|words| (words[0], words[1]))
        .collect()
}

fn numbers(line: &str) -> Vec<i64> {
    let words = line.split(' ').skip(1);
    words.map(|word| word.parse().unwrap()).collect()
}

/// Frames up to `count` by the camera's clock, with their numbers.
fn shots(frames: &mut Subscriber, count: usize) -> Vec<(FrameMeta, u32)> {
    let mut shots: Vec<(FrameMeta, u32)> = Vec::new();
    let (mut by_camera, mut seen) = (0, 0);
    while by_camera < count {
        seen += 1;
        assert!(seen < 30 * 30, "no word of the server: {:?}", shots.last());
        let frame = next(frames);
        let number = gstmos::counter::read_frame(&frame).unwrap();
        // The first pictures of a session may be too coarse to read.
        let Some(number) = number else { continue };
        by_camera += usize::from(frame.meta().clock_source != Arrival);
        shots.push((*frame.meta(), number));
    }
    shots
}

#[test]
fn webrtc_frames_are_by_arrival_until_the_first_sender_report_and_by_the_servers_clock_from_then_on()
 {
    let test = "webrtc_frames_are_by_arrival_until_the_first_sender_report_and_by_the_servers_clock_from_then_on";
    for codec in ["--codec=VP8", "--codec=H264"] {
        let Some(server) = server(test, &[codec, "--times"]) else {
            return;
        };
        let running = streams(of(&server));
        let shots = shots(&mut running.subscribe(), 90);
        for pair in shots.windows(2) {
            let [(before, _), (after, _)] = pair else {
                unreachable!()
            };
            assert!(before.capture_ns < after.capture_ns, "{pair:?}");
            let changed = before.clock_source != after.clock_source;
            let flagged = after.flags.contains(FrameFlags::RETIMED);
            assert!(!changed || flagged, "{pair:?}");
        }
        let reports = reports(&server);
        for (meta, number) in &shots {
            let (made_wall, made_monotonic, at_ticks) = made(&server, *number);
            let late = meta.capture_ns.cast_signed() - made_monotonic;
            assert!((-CLOSE..LONGEST_WAY).contains(&late), "{late}: {meta:?}");
            if meta.clock_source == Arrival {
                // A frame that was sent again arrived after the one behind it, which is held then; one whose packets are not
                // found again is by arrival after those by the clock. Both say so.
                let told = meta.flags.contains(FrameFlags::RETIMED);
                let by_rule = (meta.wall_ns, meta.clock_error_ns) == (None, 0);
                assert!(told || by_rule, "{meta:?}");
                continue;
            }
            assert!([Ntp, NtpRelative].contains(&meta.clock_source), "{meta:?}");
            let wall = meta.wall_ns.unwrap().cast_signed();
            // By one of its reports: which was the newest on the way of this frame is not told.
            let said = |&(at, ticks): &(i64, i64)| at + (at_ticks - ticks) * 100_000 / 9;
            let nearest = reports.iter().map(|report| wall - said(report));
            let nearest = nearest.min_by_key(|apart| apart.abs()).unwrap();
            assert!(nearest.abs() <= EXACT, "{nearest}: {number} {meta:?}");
            // aiortc dates a frame by when it went out, that is later than it was made.
            let apart = wall - made_wall;
            assert!((-CLOSE..LONGEST_WAY).contains(&apart), "{apart}: {number}");
        }
        let bound = shots.last().unwrap().0.clock_error_ns;
        assert!(bound > 0, "not known after {} frames", shots.len());
    }
}
