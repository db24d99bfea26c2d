//! The source of an ONVIF camera: the RTSP source of the profile that the stream means.

use mos_camera_core::plan::{self, Explanation, Wish};
use mos_camera_core::profile::{Choice, choose};
use mos_camera_core::{DeviceId, Fault, OnvifSource, Profile, RtspSource, StreamConfig};

use super::calls::encoder::Setting;
use super::faults;
use super::interview::{self, Said, profiles_of};
use super::registry::Registry;
use super::talk::{Talk, TalkError};
use crate::machine;
use crate::rtsp::RtspBackend;

/// A profile's stream, ready to be opened.
#[derive(Debug)]
pub(super) struct Stream {
    /// Where and how.
    pub(super) rtsp: RtspSource,
    /// For people.
    pub(super) profile: String,
    /// How the camera was logged in to.
    pub(super) login: &'static str,
}

/// Asks the camera for the stream that a configuration means, and sets its encoder if that is asked for and has to be.
pub(super) fn find(
    registry: &Registry,
    id: &DeviceId,
    config: &StreamConfig,
) -> Result<Stream, Fault> {
    let (mut talk, source) = registry.open(id)?;
    let location = crate::http::shown(talk.device());
    let failed = |error: &TalkError| faults::fault(id, &location, error);
    let said = profiles_of(&mut talk);
    registry.learn(id, &talk, &said);
    let mut said = said.map_err(|error| failed(&error))?;
    let wish = wish(config, &source);
    if wish.set_encoder {
        interview::add_options(&mut talk, &mut said);
    }
    let profiles = said.profiles();
    let choice = choose(&profiles, &wish, decodes).map_err(|error| faults::profile(&error))?;
    let stream = open(&mut talk, &said, choice, &wish, &source);
    if let Err(error) = &stream {
        registry.learn(id, &talk, &Err(error.clone()));
    }
    stream.map_err(|error| failed(&error))
}

fn open(
    talk: &mut Talk,
    said: &Said,
    choice: Choice<'_>,
    wish: &StreamConfig,
    source: &OnvifSource,
) -> Result<Stream, TalkError> {
    let token = &choice.profile.token;
    if choice.set_encoder {
        let setting = Setting {
            size: wish.size,
            rate: wish.framerate,
        };
        tracing::info!(device = %wish.device, profile = token, ?setting, "the camera's encoder is set");
        interview::set_encoder(talk, said, token, setting)?;
    }
    let url = interview::stream_url(talk, said, token, source)?;
    Ok(Stream {
        rtsp: RtspSource {
            url,
            ..source.rtsp.clone()
        },
        profile: choice.profile.to_string(),
        login: talk
            .memory
            .way
            .map_or("no log-in", super::login::Way::describe),
    })
}

/// What the camera's table says goes for streams that say nothing else.
pub(super) fn wish(config: &StreamConfig, source: &OnvifSource) -> StreamConfig {
    StreamConfig {
        profile: config.profile.clone().or_else(|| source.profile.clone()),
        set_encoder: config.set_encoder || source.set_encoder,
        ..config.clone()
    }
}

/// How the profile's pictures would become NV12; of a camera that was never heard, of the codec that all have.
pub(super) fn explain(
    profiles: &[Profile],
    source: &OnvifSource,
    config: &StreamConfig,
) -> Result<Explanation, Fault> {
    let explained =
        |format: &str| machine::explained(&plan::Offer::unknown(format), Wish::from(config));
    if profiles.is_empty() {
        return Ok(explained("video/x-h264"));
    }
    // What is missing on this machine is the plan's to tell: it names it.
    let choice = choose(profiles, &wish(config, source), RtspBackend::takes)
        .map_err(|error| faults::profile(&error))?;
    Ok(explained(&choice.profile.format))
}

/// Whether streams of a format are taken here, and become NV12 on this machine.
fn decodes(format: &str) -> bool {
    RtspBackend::takes(format)
        && machine::explained(&plan::Offer::unknown(format), Wish::default())
            .chosen
            .is_some()
}
