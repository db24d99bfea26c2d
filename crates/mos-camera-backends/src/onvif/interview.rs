//! What a camera is asked before anything else: what it is, and which profiles it has.

use mos_camera_core::{OnvifSource, Profile, RtspTransport};

use super::address;
use super::calls::device::{get_capabilities, get_information, get_services};
use super::calls::encoder::{self, Setting};
use super::calls::media::{CameraProfile, Media, profiles, stream_uri};
use super::calls::{Info, Services};
use super::soap::SoapError;
use super::talk::{Login, Talk, TalkError};
use crate::http::Url;

/// Profiles whose encoders are asked what they can be set to; a recorder has hundreds.
const ENCODERS: usize = 16;

/// A media service of a camera.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct MediaService {
    media: Media,
    url: Url,
}

/// What a camera said.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said {
    /// Maker and model; empty if it did not say.
    pub(super) model: String,
    /// Its media service.
    pub(super) service: MediaService,
    /// Its profiles.
    pub(super) profiles: Vec<CameraProfile>,
}

impl Said {
    /// The profiles without what only the camera understands.
    pub(super) fn profiles(&self) -> Vec<Profile> {
        self.profiles.iter().map(|p| p.profile.clone()).collect()
    }
}

/// Asks what a stream needs: the clock first, then the media service, then its profiles.
pub(super) fn profiles_of(talk: &mut Talk) -> Result<Said, TalkError> {
    talk.read_clock()?;
    let mut last = None;
    for service in services(talk)? {
        match talk.ask(&service.url, &service.media.get_profiles(), Login::AnyWay) {
            Ok(answer) => {
                return Ok(Said {
                    model: String::new(),
                    profiles: profiles(service.media, &answer),
                    service,
                });
            }
            // Media2 of some cameras is there in name only.
            Err(
                error @ (TalkError::Fault { .. }
                | TalkError::Status { .. }
                | TalkError::Soap { .. }),
            ) => {
                last = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or(TalkError::Soap {
        call: "GetServices",
        error: SoapError::Missing("media service"),
    }))
}

/// Asks for all that a listing shows.
pub(super) fn everything(talk: &mut Talk) -> Result<Said, TalkError> {
    let mut said = profiles_of(talk)?;
    match talk.ask_device(&get_information(), Login::AsBefore) {
        Ok(answer) => said.model = Info::of(&answer).unwrap_or_default().model,
        Err(error) => {
            tracing::debug!(camera = %talk.device(), %error, "the camera does not say what it is");
        }
    }
    let service = said.service.clone();
    for profile in said.profiles.iter_mut().take(ENCODERS) {
        profile.profile.settable = options(talk, &service, profile);
    }
    Ok(said)
}

/// What the profile's encoder can be set to; nothing if the camera does not say.
fn options(
    talk: &mut Talk,
    service: &MediaService,
    profile: &CameraProfile,
) -> Vec<mos_camera_core::Capability> {
    let token = profile
        .encoder
        .as_ref()
        .and_then(|node| node.attribute("token"));
    let Some(token) = token else {
        return Vec::new();
    };
    let call = encoder::get_options(service.media, token, &profile.profile.token);
    match talk.ask(&service.url, &call, Login::AsBefore) {
        Ok(answer) => encoder::options(service.media, &answer),
        Err(error) => {
            tracing::debug!(camera = %talk.device(), %error, "the camera does not say what its encoder can be set to");
            Vec::new()
        }
    }
}

/// Asks what every profile's encoder can be set to, where a stream needs that.
pub(super) fn add_options(talk: &mut Talk, said: &mut Said) {
    let service = said.service.clone();
    for profile in said.profiles.iter_mut().take(ENCODERS) {
        profile.profile.settable = options(talk, &service, profile);
    }
}

/// Sets the encoder of a profile.
pub(super) fn set_encoder(
    talk: &mut Talk,
    said: &Said,
    token: &str,
    setting: Setting,
) -> Result<(), TalkError> {
    let service = &said.service;
    let profile = said.profiles.iter().find(|p| p.profile.token == token);
    let encoder = profile.and_then(|profile| profile.encoder.as_ref());
    let call = encoder
        .and_then(|encoder| encoder::set(service.media, encoder, setting))
        .ok_or(TalkError::Soap {
            call: "GetProfiles",
            error: SoapError::Missing("VideoEncoderConfiguration"),
        })?;
    talk.ask(&service.url, &call, Login::AnyWay).map(drop)
}

/// The URL of a profile's stream, on the host that answers: cameras behind a router name addresses that only they can reach.
pub(super) fn stream_url(
    talk: &mut Talk,
    said: &Said,
    token: &str,
    source: &OnvifSource,
) -> Result<String, TalkError> {
    let MediaService { media, url } = &said.service;
    // What carries the media is agreed on in RTSP's own set-up; cameras that can't do the one asked for here refuse it.
    let transport = match source.rtsp.transport {
        RtspTransport::Udp => RtspTransport::Udp,
        _ => RtspTransport::Tcp,
    };
    let call = media.get_stream_uri(token, transport);
    let answer = talk.ask(url, &call, Login::AnyWay)?;
    let missing = |error| TalkError::Soap {
        call: call.name,
        error,
    };
    let uri = stream_uri(*media, &answer).map_err(missing)?;
    address::stream_url(talk.device(), &uri).ok_or(missing(SoapError::Missing("Uri")))
}

/// The camera's media services, the better first.
fn services(talk: &mut Talk) -> Result<Vec<MediaService>, TalkError> {
    let found = match talk.ask_device(&get_services(), Login::AnyWay) {
        Ok(answer) => Services::of_services(&answer),
        Err(TalkError::Fault { fault, .. }) if fault.is_unknown_action() => {
            let answer = talk.ask_device(&get_capabilities(), Login::AnyWay)?;
            Services::of_capabilities(&answer)
        }
        Err(error) => return Err(error),
    };
    let both = [(Media::Two, found.media2), (Media::One, found.media)];
    let service = |(media, url): (Media, Option<String>)| {
        let url = address::service_url(talk.device(), &url?)?;
        Some(MediaService { media, url })
    };
    Ok(both.into_iter().filter_map(service).collect())
}
