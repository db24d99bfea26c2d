//! A session that ends without keep-alive is kept alive.

use std::time::Duration;

use mos_camera_core::{RtspSource, RtspTransport};
use mos_testkit::{RtspServer, RtspServerOptions, wait_until};

use crate::conformance::PATIENCE;
use crate::rig::{backend, streams};

/// Seconds that the server gives a session.
const SESSION: u32 = 2;

#[test]
fn streams_outlive_several_session_timeouts() {
    let options = RtspServerOptions {
        session_timeout: Some(SESSION),
        fps: 10,
        ..RtspServerOptions::default()
    };
    let server = RtspServer::start(&options).unwrap();
    let of = |transport| RtspSource {
        transport,
        ..RtspSource::new(server.url(0))
    };
    let both =
        [RtspTransport::Tcp, RtspTransport::Udp].map(|transport| streams(&backend(of(transport))));
    // Only so many frames tell that so much time has passed; the server looks for dead sessions every two seconds.
    let enough = u64::from(4 * SESSION * options.fps);
    for running in &both {
        let seen = wait_until("frames beyond several time-outs", PATIENCE, || {
            (running.pipeline.stats().frames >= enough).then_some(())
        });
        seen.unwrap();
        assert_eq!(running.events.drain(), []);
        let age = mos_frame::monotonic_ns() - running.pipeline.progress().1.unwrap();
        assert!(Duration::from_nanos(age) < Duration::from_secs(2));
    }
}
