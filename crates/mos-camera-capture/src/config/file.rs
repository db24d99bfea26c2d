//! The shape of the file as it is written, and how it becomes a [`Config`].
//!
//! Every table refuses keys that it does not know. What has a syntax of its own is a type here, so that an error carries
//! its place in the file.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use mos_camera_core::platform::{Family, UnknownFamily};
use mos_camera_core::{
    DeviceId, Framerate, OnViolation, SourceConfig, StreamConfig, StreamName, Transport,
};
use serde::Deserialize;
use toml::Spanned;

use super::error::Source;
use super::profiles::Profiles;
use super::secret::Places;
use super::sources::{Libcamera, Onvif, OnvifCamera, Qmmf, Rtsp, Test, V4l2, Whep};
use super::values::{TIMEOUTS, absolute, even, millis};
use super::{Camera, Config, ConfigError, FileStream, LogFormat, ServiceConfig};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    service: Service,
    #[serde(default)]
    onvif: Onvif,
    #[serde(default)]
    cameras: BTreeMap<StreamName, Spanned<CameraTable>>,
}

/// `[service]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Service {
    control_socket: Option<Spanned<PathBuf>>,
    frame_dir: Option<Spanned<PathBuf>>,
    state_file: Option<Spanned<PathBuf>>,
    allow_uids: Option<Vec<u32>>,
    allow_gids: Option<Vec<u32>>,
    socket_mode: Option<SocketMode>,
    socket_gid: Option<u32>,
    secret_dir: Option<Spanned<PathBuf>>,
    log_format: Option<LogFormat>,
    log_level: Option<LogLevel>,
    platform: Option<Platform>,
    profile_dirs: Option<Vec<Spanned<PathBuf>>>,
}

/// `[cameras.NAME]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CameraTable {
    test: Option<Spanned<Test>>,
    rtsp: Option<Spanned<Rtsp>>,
    onvif: Option<Spanned<OnvifCamera>>,
    v4l2: Option<Spanned<V4l2>>,
    libcamera: Option<Spanned<Libcamera>>,
    qmmf: Option<Spanned<Qmmf>>,
    whep: Option<Spanned<Whep>>,
    stream: Option<bool>,
    start: Option<bool>,
    width: Option<Spanned<u32>>,
    height: Option<Spanned<u32>>,
    framerate: Option<Framerate>,
    first_frame_timeout_ms: Option<Spanned<u64>>,
    steady_timeout_ms: Option<Spanned<u64>>,
    max_subscribers: Option<Spanned<u32>>,
    on_violation: Option<OnViolation>,
    #[serde(default)]
    controls: BTreeMap<String, ControlValue>,
}

/// A control's value: a number, or `true` and `false` for 1 and 0.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
enum ControlValue {
    Switch(bool),
    Number(i64),
}

impl From<ControlValue> for i64 {
    fn from(value: ControlValue) -> Self {
        match value {
            ControlValue::Switch(on) => on.into(),
            ControlValue::Number(number) => number,
        }
    }
}

/// Permission bits in octal, as `chmod` takes them.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct SocketMode(u32);

impl TryFrom<String> for SocketMode {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match u32::from_str_radix(&text, 8) {
            Ok(mode) if mode <= 0o777 && mode & 0o600 == 0o600 => Ok(Self(mode)),
            _ => Err(
                "expected permission bits as octal text from \"0600\" to \"0777\" that let the owner read and write",
            ),
        }
    }
}

/// A family of chips by its name.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct Platform(Family);

impl TryFrom<String> for Platform {
    type Error = UnknownFamily;

    fn try_from(text: String) -> Result<Self, UnknownFamily> {
        text.parse().map(Self)
    }
}

/// A filter that `tracing` understands.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
struct LogLevel(String);

impl TryFrom<String> for LogLevel {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        use tracing_subscriber::filter::{LevelFilter, Targets};
        // `Targets` takes a lone word that is no level for a module; here it is a misspelt level.
        let is_level_or_pair =
            |part: &str| part.contains('=') || part.parse::<LevelFilter>().is_ok();
        if text.split(',').all(is_level_or_pair) && text.parse::<Targets>().is_ok() {
            Ok(Self(text))
        } else {
            Err(
                "expected a level (error, warn, info, debug, trace, off) or `module=level` pairs separated by commas",
            )
        }
    }
}

impl File {
    pub(super) fn resolve(self, path: &Path, text: &str) -> Result<Config, ConfigError> {
        let service = self
            .service
            .resolve(&Source::file(path, text, &Places::NONE))?;
        let places = service.secret_places();
        let source = &Source::file(path, text, &places);
        let mut cameras: BTreeMap<StreamName, Camera> = BTreeMap::new();
        for (name, table) in self.cameras {
            let span = table.span();
            let camera = resolve_camera(&name, span.clone(), table.into_inner(), source)?;
            if let Some(other) = same_device(&cameras, &camera) {
                let message =
                    format!("camera `{other}` is the same device; a device is one camera");
                return Err(source.invalid(&span, message));
            }
            cameras.insert(name, camera);
        }
        Ok(Config {
            onvif: self.onvif.resolve(source)?,
            cameras,
            profiles: Profiles::default(),
            service,
        })
    }
}

/// The camera that is the same device: the same V4L2 node, camera of libcamera's, number of Qualcomm's camera service, or endpoint
/// reference. Others are as many as their names.
fn same_device<'a>(
    cameras: &'a BTreeMap<StreamName, Camera>,
    camera: &Camera,
) -> Option<&'a StreamName> {
    let same = |other: &Camera| {
        other.device == camera.device
            || match (&camera.source, &other.source) {
                (SourceConfig::V4l2(one), SourceConfig::V4l2(two)) => one == two,
                (SourceConfig::Qmmf(one), SourceConfig::Qmmf(two)) => one.camera == two.camera,
                _ => false,
            }
    };
    cameras
        .iter()
        .find(|(_, other)| same(other))
        .map(|(name, _)| name)
}

impl Service {
    fn resolve(self, source: &Source<'_>) -> Result<ServiceConfig, ConfigError> {
        let default = ServiceConfig::default();
        let path = |given, default| absolute(given, default, source);
        Ok(ServiceConfig {
            control_socket: path(self.control_socket, default.control_socket)?,
            frame_dir: path(self.frame_dir, default.frame_dir)?,
            state_file: path(self.state_file, default.state_file)?,
            allow_uids: self.allow_uids.unwrap_or(default.allow_uids),
            allow_gids: self.allow_gids.unwrap_or(default.allow_gids),
            socket_mode: self.socket_mode.map_or(default.socket_mode, |mode| mode.0),
            socket_gid: self.socket_gid.or(default.socket_gid),
            secret_dir: path(self.secret_dir, default.secret_dir)?,
            log_format: self.log_format.unwrap_or(default.log_format),
            log_level: self.log_level.map_or(default.log_level, |level| level.0),
            platform: self.platform.map(|platform| platform.0),
            profile_dirs: profile_dirs(self.profile_dirs, default.profile_dirs, source)?,
        })
    }
}

fn profile_dirs(
    given: Option<Vec<Spanned<PathBuf>>>,
    default: Vec<PathBuf>,
    source: &Source<'_>,
) -> Result<Vec<PathBuf>, ConfigError> {
    given.map_or(Ok(default), |given| {
        let path = |dir| absolute(Some(dir), PathBuf::new(), source);
        given.into_iter().map(path).collect()
    })
}

/// The camera of a table that is at `span`.
pub(super) fn resolve_camera(
    name: &StreamName,
    span: Range<usize>,
    mut table: CameraTable,
    source: &Source<'_>,
) -> Result<Camera, ConfigError> {
    let camera = table.source(&span, source)?;
    let device = device_id(name, &camera);
    let config = table.stream_config(device.clone(), source)?;
    let start = table.start.unwrap_or(true);
    let stream = table
        .stream
        .unwrap_or(true)
        .then_some(FileStream { config, start });
    Ok(Camera {
        device,
        source: camera,
        stream,
    })
}

/// The id that the backend of the camera's transport gives it.
fn device_id(name: &StreamName, source: &SourceConfig) -> DeviceId {
    match source {
        SourceConfig::Test(_) => DeviceId::new(Transport::Test, name.as_str()),
        SourceConfig::Rtsp(_) => DeviceId::new(Transport::Rtsp, name.as_str()),
        SourceConfig::Onvif(source) => source.device(name.as_str()),
        SourceConfig::V4l2(_) => DeviceId::new(Transport::V4l2, name.as_str()),
        SourceConfig::Libcamera(source) => source.device(),
        SourceConfig::Qmmf(source) => source.device(name.as_str()),
        SourceConfig::Whep(_) => DeviceId::new(Transport::Whep, name.as_str()),
    }
}

impl CameraTable {
    /// The one transport of the camera.
    fn source(
        &mut self,
        span: &Range<usize>,
        source: &Source<'_>,
    ) -> Result<SourceConfig, ConfigError> {
        let given = (
            self.test.take(),
            self.rtsp.take(),
            self.onvif.take(),
            self.v4l2.take(),
            self.libcamera.take(),
            self.qmmf.take(),
            self.whep.take(),
        );
        match given {
            (Some(test), None, None, None, None, None, None) => Ok(test.into_inner().resolve()),
            (None, Some(rtsp), None, None, None, None, None) => rtsp.into_inner().resolve(source),
            (None, None, Some(onvif), None, None, None, None) => {
                let span = onvif.span();
                onvif.into_inner().resolve(&span, source)
            }
            (None, None, None, Some(v4l2), None, None, None) => v4l2.into_inner().resolve(source),
            (None, None, None, None, Some(named), None, None) => named.into_inner().resolve(source),
            (None, None, None, None, None, Some(qmmf), None) => qmmf.into_inner().resolve(source),
            (None, None, None, None, None, None, Some(whep)) => whep.into_inner().resolve(source),
            (None, None, None, None, None, None, None) => Err(source.invalid(
                span,
                "the camera has no transport; add one of the tables `test`, `rtsp`, `onvif`, `v4l2`, `libcamera`, `qmmf`, `whep` below it, for example `[cameras.NAME.rtsp]`",
            )),
            (test, rtsp, onvif, v4l2, libcamera, qmmf, whep) => {
                let spans = [
                    test.map(|t| t.span()),
                    rtsp.map(|t| t.span()),
                    onvif.map(|t| t.span()),
                    v4l2.map(|t| t.span()),
                    libcamera.map(|t| t.span()),
                    qmmf.map(|t| t.span()),
                    whep.map(|t| t.span()),
                ];
                let last = spans.into_iter().flatten().max_by_key(|s| s.start).unwrap_or(span.clone());
                Err(source.invalid(&last, "the camera has more than one transport; a camera is reached over exactly one"))
            }
        }
    }

    fn stream_config(
        &self,
        device: DeviceId,
        source: &Source<'_>,
    ) -> Result<StreamConfig, ConfigError> {
        let default = StreamConfig::new(device);
        Ok(StreamConfig {
            size: self.size(source)?,
            framerate: self.framerate,
            first_frame_timeout: millis(
                self.first_frame_timeout_ms.as_ref(),
                TIMEOUTS,
                default.first_frame_timeout,
                source,
            )?,
            steady_timeout: millis(
                self.steady_timeout_ms.as_ref(),
                TIMEOUTS,
                default.steady_timeout,
                source,
            )?,
            max_subscribers: self.max_subscribers(source)?,
            controls: self
                .controls
                .iter()
                .map(|(name, value)| (name.clone(), i64::from(*value)))
                .collect(),
            on_violation: self.on_violation.unwrap_or(default.on_violation),
            ..default
        })
    }

    fn size(&self, source: &Source<'_>) -> Result<Option<(u32, u32)>, ConfigError> {
        match (&self.width, &self.height) {
            (None, None) => Ok(None),
            (Some(width), Some(height)) => Ok(Some((even(width, source)?, even(height, source)?))),
            (Some(one), None) | (None, Some(one)) => Err(source.invalid(
                &one.span(),
                "`width` and `height` go together; give both, or neither for the device's choice",
            )),
        }
    }

    fn max_subscribers(&self, source: &Source<'_>) -> Result<Option<u32>, ConfigError> {
        match &self.max_subscribers {
            Some(n) if !(1..=64).contains(n.get_ref()) => {
                Err(source.invalid(&n.span(), "expected a number from 1 to 64"))
            }
            n => Ok(n.as_ref().map(|n| *n.get_ref())),
        }
    }
}
