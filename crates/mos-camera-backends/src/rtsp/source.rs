//! The elements of an RTSP camera: `rtspsrc ! rtph264depay ! <decoder to NV12>`.

use std::time::Duration;

use gst::prelude::*;
use mos_camera_core::plan::{self, Explanation, Wish, validate};
use mos_camera_core::{Fault, FaultKind, RtspSource, RtspTransport, SessionFacts, StreamConfig};

use super::url::Url;
use super::{Camera, Offer};
use crate::backend::Source;
use crate::elements::{make, make_steps, source_bin};
use crate::{guard, machine, stamps};

/// Builds the source.
pub(super) fn build(camera: &Camera, config: &StreamConfig) -> Result<Source, Fault> {
    Url::parse(&camera.source.url)?;
    validate(config, &[]).map_err(|error| {
        Fault::new(
            FaultKind::Unsupported,
            error.to_string(),
            "change the stream's configuration",
        )
    })?;
    let plan = explain(config).into_plan(&config.device)?;
    let session = make("rtspsrc")?;
    set_up(&session, &camera.source);
    let depay = make("rtph264depay")?;
    // Wait for an IDR after loss instead of showing smeared pictures.
    depay.set_property("wait-for-keyframe", true);
    choose_streams(&session, &camera.offer);
    let origins = stamps::follow(&session);
    link_when_there(&session, &depay)?;
    let elements: Vec<_> = [session, depay]
        .into_iter()
        .chain(make_steps(&plan)?)
        .collect();
    let mut source = source_bin(&config.device, &elements, plan)?;
    source.origins = Some(origins);
    guard::install(&source, config);
    source
        .session
        .update(|facts| *facts = known(&camera.source));
    Ok(source)
}

/// What the configuration tells of the session.
fn known(source: &RtspSource) -> SessionFacts {
    let tls = source.url.starts_with("rtsps:");
    let protocol = if tls { "RTSPS" } else { "RTSP" };
    let carrier = match source.transport {
        RtspTransport::Tcp => "TCP",
        RtspTransport::Udp => "UDP",
    };
    let security = if tls {
        format!("TLS, {}", source.trust.describe())
    } else {
        "plain".to_owned()
    };
    SessionFacts {
        protocol: format!("{protocol} over {carrier}"),
        security,
        insecure: tls && source.trust.is_insecure(),
        ..SessionFacts::default()
    }
}

/// What only an open session tells is left open; that it has to be H.264 is known.
pub(super) fn explain(config: &StreamConfig) -> Explanation {
    machine::explained(&plan::Offer::unknown(H264), Wish::from(config))
}

/// The only codec that is taken.
pub(super) const H264: &str = "video/x-h264";

/// What the operator said goes in by properties only, never by a pipeline description.
fn set_up(session: &gst::Element, source: &RtspSource) {
    let protocol = match source.transport {
        RtspTransport::Tcp => "tcp",
        RtspTransport::Udp => "udp",
    };
    session.set_property("location", &source.url);
    session.set_property("user-id", &source.user);
    session.set_property(
        "user-pw",
        source
            .password
            .as_ref()
            .map(mos_camera_core::Secret::reveal),
    );
    // One protocol: no silent change to another when the first does not work.
    session.set_property_from_str("protocols", protocol);
    session.set_property(
        "latency",
        u32::try_from(source.latency.as_millis()).unwrap_or(u32::MAX),
    );
    session.set_property("tcp-timeout", micros(source.timeout));
    session.set_property("timeout", micros(source.timeout));
    // An old picture is worth nothing: what comes later than `latency` is dropped, and nothing is asked for again.
    session.set_property("drop-on-latency", true);
    session.set_property("do-retransmission", false);
    // What sender reports say, for the frames' times.
    session.set_property("add-reference-timestamp-meta", true);
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Sets up the first H.264 video only, and notes all that the camera has.
fn choose_streams(session: &gst::Element, offer: &Offer) {
    let offer = offer.clone();
    session.connect("select-stream", false, move |values| {
        let index: u32 = values.get(1)?.get().ok()?;
        let caps: gst::Caps = values.get(2)?.get().ok()?;
        if index == 0 {
            offer.begin();
        }
        let taken = offer.list().iter().any(|stream| stream == WANTED);
        let stream = describe(&caps);
        let wanted = stream == WANTED && !taken;
        offer.add(stream);
        Some(wanted.to_value())
    });
}

/// How [`describe`] names what is taken.
const WANTED: &str = "video H264";

/// Media and encoding name of a stream as its SDP has them (RFC 8866).
fn describe(caps: &gst::CapsRef) -> String {
    let field = |name| {
        caps.structure(0)
            .and_then(|s| s.get::<&str>(name).ok())
            .unwrap_or("unknown")
    };
    format!(
        "{} {}",
        field("media"),
        field("encoding-name").to_ascii_uppercase()
    )
}

/// Links the stream when its session has made a pad for it.
fn link_when_there(session: &gst::Element, depay: &gst::Element) -> Result<(), Fault> {
    let sink = depay.static_pad("sink").ok_or_else(|| {
        Fault::new(
            FaultKind::Internal,
            "rtph264depay has no sink pad",
            "check the installed GStreamer",
        )
    })?;
    let sink = sink.downgrade();
    session.connect_pad_added(move |session, pad| {
        let Some(sink) = sink.upgrade().filter(|sink| !sink.is_linked()) else {
            return;
        };
        if let Err(error) = pad.link(&sink) {
            gst::element_error!(
                session,
                gst::StreamError::WrongType,
                ("Can't take the camera's stream"),
                ["{error}"]
            );
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use mos_camera_core::Secret;

    use super::*;

    #[test]
    fn streams_are_described_by_media_and_encoding() {
        gst::init().unwrap();
        for (caps, text) in [
            (
                "application/x-unknown,media=video,encoding-name=H264",
                WANTED,
            ),
            (
                "application/x-unknown,media=audio,encoding-name=PCMA",
                "audio PCMA",
            ),
            ("application/x-unknown,media=video", "video UNKNOWN"),
        ] {
            let caps: gst::Caps = caps.parse().unwrap();
            assert_eq!(describe(&caps), text);
        }
    }

    #[test]
    fn settings_become_properties() {
        gst::init().unwrap();
        let session = make("rtspsrc").unwrap();
        let source = RtspSource {
            user: Some("u ! fakesink".to_owned()),
            password: Some(Secret::new("p\" ! x")),
            transport: RtspTransport::Udp,
            latency: Duration::from_millis(70),
            timeout: Duration::from_secs(3),
            ..RtspSource::new("rtsp://cam/live")
        };
        set_up(&session, &source);
        assert_eq!(session.property::<String>("location"), "rtsp://cam/live");
        assert_eq!(session.property::<String>("user-id"), "u ! fakesink");
        assert_eq!(session.property::<String>("user-pw"), "p\" ! x");
        assert_eq!(session.property::<u32>("latency"), 70);
        assert_eq!(session.property::<u64>("tcp-timeout"), 3_000_000);
        assert!(session.property::<bool>("drop-on-latency"));
    }
}
