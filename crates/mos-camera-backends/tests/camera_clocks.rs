//! The times of a network camera's frames, against the clock of a real server: by arrival, by sender reports, by RFC 7273.

#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;

use std::sync::Arc;

use conformance::{PATIENCE, Running, next};
use mos_camera_backends::{Backend, RtspBackend};
use mos_camera_core::{RtspSource, RtspTransport, StreamConfig};
use mos_frame::ClockSource::{self, Arrival, Ntp, NtpRelative};
use mos_frame::{FrameFlags, FrameMeta, Subscriber};
use mos_testkit::{Codec, FrameTime, RtspServer, RtspServerOptions, wait_until};

/// How far two readings of one moment may be apart, in ns: a busy machine reads its clocks one after the other, and RTP
/// timestamps count 11 µs.
const CLOSE: i64 = 5_000_000;

struct Camera {
    server: RtspServer,
    /// Its pipeline lasts as long as this.
    _running: Running,
    frames: Subscriber,
}

impl Camera {
    fn start(codec: Codec, transport: RtspTransport, ntp_clock: bool) -> Self {
        let options = RtspServerOptions {
            codec,
            counter: true,
            times: true,
            ntp_clock,
            size: (320, 240),
            ..Default::default()
        };
        let server = RtspServer::start(&options).unwrap();
        mos_camera_backends::init().unwrap();
        let source = RtspSource {
            transport,
            timeout: PATIENCE,
            ..RtspSource::new(server.url(0))
        };
        let backend: Arc<dyn Backend> =
            Arc::new(RtspBackend::new(vec![("door".to_owned(), source)]));
        let config = StreamConfig::new("rtsp:door".parse().unwrap());
        let running = Running::start(&backend, &config).unwrap();
        running.first_frame();
        let frames = running.subscribe();
        Self {
            server,
            _running: running,
            frames,
        }
    }

    /// The next frame's times, and when the server says it was captured.
    fn shot(&mut self) -> (FrameMeta, FrameTime) {
        let frame = next(&mut self.frames);
        let number = gstmos::counter::read_frame(&frame).unwrap().unwrap();
        let truth = wait_until("the server's word", PATIENCE, || {
            self.server.time_of(number)
        });
        (*frame.meta(), truth.unwrap())
    }

    /// Frames up to `count` of them from the first that is not by arrival; fewer than `most` are.
    fn shots(&mut self, count: usize, most: usize) -> Vec<(FrameMeta, FrameTime)> {
        let mut shots = Vec::new();
        let mut before = 0;
        while shots.len() < before + count {
            shots.push(self.shot());
            if shots.last().unwrap().0.clock_source == Arrival {
                before = shots.len();
                assert!(before < most, "no word of the camera in {most} frames");
            }
        }
        shots
    }
}

/// The clock sources in their order.
fn sources(shots: &[(FrameMeta, FrameTime)]) -> Vec<ClockSource> {
    let mut sources: Vec<_> = shots.iter().map(|(meta, _)| meta.clock_source).collect();
    sources.dedup();
    sources
}

/// How far the camera's time of day is from the server's, for each frame that has one; what holds for every frame holds.
fn apart(shots: &[(FrameMeta, FrameTime)]) -> Vec<i64> {
    let mut apart = Vec::new();
    for pair in shots.windows(2) {
        assert!(pair[0].0.capture_ns < pair[1].0.capture_ns, "{pair:?}");
        let changed = pair[0].0.clock_source != pair[1].0.clock_source;
        assert!(
            !changed || pair[1].0.flags.contains(FrameFlags::RETIMED),
            "{pair:?}"
        );
    }
    for (meta, truth) in shots {
        if meta.clock_source == Arrival {
            assert_eq!((meta.wall_ns, meta.clock_error_ns), (None, 0), "{meta:?}");
            assert!(meta.capture_ns > truth.monotonic_ns, "{meta:?} {truth:?}");
            continue;
        }
        apart.push(meta.wall_ns.unwrap().cast_signed() - truth.wall_ns.cast_signed());
        // A frame is late by the shortest way: encoding, a loopback, and in the beginning a server that gets going. On a busy
        // machine that takes longer, and then its error bound says so.
        let late = meta.capture_ns.cast_signed() - truth.monotonic_ns.cast_signed();
        let most = (i64::from(meta.clock_error_ns) + CLOSE).max(500_000_000);
        assert!((-CLOSE..most).contains(&late), "{late}: {meta:?} {truth:?}");
    }
    let bound = shots.last().unwrap().0.clock_error_ns;
    assert!(bound > 0, "not known after {} frames", shots.len());
    apart
}

#[test]
fn frames_are_by_arrival_until_the_first_sender_report_and_by_the_cameras_clock_from_then_on() {
    for (codec, transport) in [
        (Codec::H264, RtspTransport::Tcp),
        (Codec::H264, RtspTransport::Udp),
        (Codec::H265, RtspTransport::Tcp),
        (Codec::Jpeg, RtspTransport::Udp),
    ] {
        let mut camera = Camera::start(codec, transport, false);
        let shots = camera.shots(60, 30 * 30);
        for apart in apart(&shots) {
            assert!(apart.abs() < CLOSE, "{codec:?} {transport:?}: {apart}");
        }
        let by_camera = *sources(&shots).last().unwrap();
        assert!([Ntp, NtpRelative].contains(&by_camera), "{by_camera:?}");
        assert!(sources(&shots) == [Arrival, by_camera] || sources(&shots) == [by_camera]);
    }
}

#[test]
fn rtp_timestamps_of_a_named_clock_are_times_of_day_from_the_first_frame_on() {
    for codec in [Codec::H264, Codec::H265, Codec::Jpeg] {
        let mut camera = Camera::start(codec, RtspTransport::Tcp, true);
        let shots = camera.shots(60, 1);
        assert!(
            !sources(&shots).contains(&Arrival),
            "{codec:?}: {:?}",
            sources(&shots)
        );
        let mut apart = apart(&shots);
        apart.sort_unstable();
        // The server says by what its timestamps are off, but measures that some frames away from where they are.
        let median = apart[apart.len() / 2];
        assert!(median.abs() < 250_000_000, "{codec:?}: {median}");
        let close = apart.iter().filter(|apart| (*apart - median).abs() < CLOSE);
        assert!(close.count() > 50, "{codec:?}: {apart:?}");
    }
}
