//! The service and the cameras of a measurement.

use std::time::{Duration, Instant};

use mos_testkit::{RtspServer, RtspServerOptions};

use super::Extent;
use crate::bench::cameras::pause;
use crate::cargo::{Profile, program};
use crate::error::Error;
use crate::rig::config::{Camera, Source};
use crate::rig::ctl::Ctl;
use crate::rig::service::{self, Service};

/// How long something that mostly takes a second may take.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(20);

/// A server with these options, its frame counter from the build that is measured.
pub(super) fn server(options: RtspServerOptions, profile: Profile) -> Result<RtspServer, Error> {
    let options = RtspServerOptions {
        pattern: "smpte",
        plugin: Some(program(profile, "libgstmos.so")),
        ..options
    };
    RtspServer::start(&options).map_err(Error::io("cannot start the RTSP server"))
}

/// A camera over TCP.
pub(super) fn camera(name: &str, url: String, latency_ms: u32) -> Camera {
    Camera {
        name: name.to_owned(),
        source: Source::OpenRtsp {
            url,
            transport: "tcp",
            latency_ms,
        },
        size: None,
        framerate: None,
    }
}

/// A service with these cameras.
pub(super) fn service(extent: &Extent, cameras: &[Camera], part: &str) -> Result<Service, Error> {
    let log = format!("bench/ip-{part}.log");
    Service::start(extent.profile, service::folder()?, cameras, &log)
}

/// Waits until `wanted` of the stream's status holds; the time that took.
pub(super) fn wait_for(
    ctl: &Ctl,
    service: &mut Service,
    what: &str,
    mut wanted: impl FnMut(&[crate::rig::ctl::Stream]) -> bool,
) -> Result<Duration, Error> {
    let began = Instant::now();
    loop {
        service.check()?;
        let status = ctl.status()?;
        if wanted(&status) {
            return Ok(began.elapsed());
        }
        if began.elapsed() > PATIENCE {
            let reasons: Vec<_> = status.iter().map(crate::rig::ctl::Stream::reason).collect();
            return Err(Error::NotMet(format!(
                "not {what} within a minute: {}",
                reasons.join("; ")
            )));
        }
        pause(LOOK)?;
    }
}
