//! The elements of a WebRTC stream: `webrtcbin ! <depayloader> ! <decoder to NV12>`.

use std::sync::Arc;

use gst::prelude::*;
use mos_camera_core::plan::{Explanation, Plan, Wish, validate};
use mos_camera_core::{Fault, FaultKind, Secret, SessionFacts, StreamConfig};

use super::Camera;
use super::call::WhepCall;
use super::decoder::{Decoder, front};
use super::peer::Peer;
use super::signalling::Endpoint;
use super::{codecs, identity};
use crate::backend::Source;
use crate::elements::{make, make_steps, source_bin};

use crate::http::{Client, Settings, parse_url};
use crate::session::Session;
use crate::{guard, stamps};

/// Largest answer of a server, in bytes: descriptions have some thousands.
const LARGEST_ANSWER: usize = 64 * 1024;

/// Builds the source, for the codec that costs least; the session's own takes its place if it is another.
pub(super) fn build(camera: &Camera, config: &StreamConfig) -> Result<Source, Fault> {
    let url = parse_url(&camera.source.url).map_err(|error| error.fault(&camera.id, "its URL"))?;
    validate(config, &[]).map_err(|error| {
        Fault::new(
            FaultKind::Unsupported,
            error.to_string(),
            "change the stream's configuration",
        )
    })?;
    // The plan of the cheapest codec, or why there is none at all.
    let plan = explain(camera, config).into_plan(&config.device)?;
    let decodable = codecs::decodable(Wish::from(config));
    let offered: Vec<_> = decodable.iter().map(|(codec, _)| *codec).collect();
    let Some((first, _)) = decodable.iter().find(|(_, other)| other.rule == plan.rule) else {
        return Err(Fault::new(
            FaultKind::Internal,
            format!("{}: no codec goes with the plan {}", camera.id, plan.rule),
            "report this",
        ));
    };
    let identity = identity::identity()?;
    let client = Client::new(&Settings {
        trust: camera.source.trust.clone(),
        timeout: camera.source.timeout,
        max_answer: LARGEST_ANSWER,
    })
    .map_err(|error| error.fault(&camera.id, "its URL"))?;
    make("nicesrc")?;
    let webrtc = Peer::element(camera.source.latency)?;
    let elements: Vec<_> = [front(*first)?]
        .into_iter()
        .chain(make_steps(&plan)?)
        .collect();
    let session = Session::new(SessionFacts {
        protocol: "WebRTC (WHEP)".to_owned(),
        security: security(camera, url.scheme()),
        insecure: camera.source.trust.is_insecure(),
        ..SessionFacts::default()
    });
    let mut source = source_bin(&config.device, &elements, plan.clone())?;
    // It gets its pads in its session, and is linked then.
    put_in_front(&source, &webrtc, plan)?;
    let decoder = Decoder::new(
        &source,
        camera.clone(),
        *first,
        decodable.clone(),
        &elements,
        &session,
    );
    source.session = session.clone();
    let stamps = stamps::WebRtc::default();
    source.origins = Some(stamps.origins());
    source.call = Some(Arc::new(WhepCall::new(
        camera.clone(),
        Endpoint {
            device: camera.id.to_string(),
            url,
            authorization: camera.source.token.as_ref().map(bearer),
            token: camera.source.token.clone(),
            ice_servers: camera.source.ice_servers.clone(),
            link_servers: camera.source.link_servers,
            timeout: camera.source.timeout,
            codecs: offered.iter().map(|codec| codec.encoding).collect(),
            certificate: identity.fingerprint,
        },
        client,
        codecs::caps(&offered),
        &identity.pem,
        decoder,
        &source.bin,
        session,
        stamps,
    )));
    guard::install(&source, config);
    Ok(source)
}

fn put_in_front(source: &Source, webrtc: &gst::Element, plan: Plan) -> Result<(), Fault> {
    source.bin.add(webrtc).map_err(|error| {
        Fault::new(
            FaultKind::Internal,
            format!("can't put webrtcbin into its bin: {error}"),
            "report this",
        )
    })?;
    let mut chain = source.built.chain();
    chain.insert(0, "webrtcbin".to_owned());
    source.built.replace(chain, plan);
    Ok(())
}

/// Which codec it will be is the server's choice; it is known only from a session before.
pub(super) fn explain(camera: &Camera, config: &StreamConfig) -> Explanation {
    codecs::explain(*camera.codec(), Wish::from(config))
}

/// RFC 6750, section 2.1.
fn bearer(token: &Secret) -> Secret {
    Secret::new(format!("Bearer {}", token.reveal()))
}

/// How signalling and media are protected: the media's keys are worth what vouches for the signalling.
fn security(camera: &Camera, scheme: &str) -> String {
    if scheme == "https" {
        format!("{}; media by DTLS-SRTP", camera.source.trust.describe())
    } else {
        "plain signalling; media by DTLS-SRTP, with a peer that nobody vouches for".to_owned()
    }
}
