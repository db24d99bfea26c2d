//! The configuration file: which cameras there are, and where the service keeps its things.
//!
//! [`load`] reads a TOML file into a [`Config`] that holds no unresolved reference: defaults are filled in and secrets are
//! read. Errors name the file, line, column and key. `docs/configuration.md` documents every key.

mod error;
mod file;
mod locate;
mod profiles;
mod secret;
mod sources;
mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mos_camera_core::platform::Family;
use mos_camera_core::{DeviceId, OnvifSettings, SourceConfig, StreamConfig, StreamName};

use mos_camera_api::client;

pub use error::ConfigError;
pub use profiles::Profiles;
pub use secret::SecretError;

/// Where the configuration is looked for when no `--config` names one.
pub const DEFAULT_PATH: &str = "/etc/mos-camera/mos-camera.toml";

/// Where profiles are: those that come with a board's system, and those of who runs it.
pub const PROFILE_DIRS: [&str; 2] = [
    "/usr/share/mos-camera/profiles.d",
    "/etc/mos-camera/profiles.d",
];

/// Everything that the service is told by its operator.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// The service itself.
    pub service: ServiceConfig,
    /// How ONVIF cameras are looked for, and what goes for those that no table names.
    pub onvif: OnvifSettings,
    /// The cameras by name.
    pub cameras: BTreeMap<StreamName, Camera>,
    /// What is known of ways to NV12; those of this build until [`Config::read_profiles`].
    pub profiles: Profiles,
}

impl Config {
    /// Reads the profiles of [`ServiceConfig::profile_dirs`].
    pub fn read_profiles(&mut self) -> Result<(), ConfigError> {
        self.profiles = Profiles::read(&self.service.profile_dirs)?;
        Ok(())
    }
}

/// The service's own settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceConfig {
    /// Path of the gRPC control socket.
    pub control_socket: PathBuf,
    /// Folder of the frame bus's sockets.
    pub frame_dir: PathBuf,
    /// File of the wanted state.
    pub state_file: PathBuf,
    /// Users beside root and the service's own that may use the control service and the frame bus.
    pub allow_uids: Vec<u32>,
    /// Groups whose members may use the control service and the frame bus.
    pub allow_gids: Vec<u32>,
    /// Permission bits of the control socket and the bus sockets.
    pub socket_mode: u32,
    /// Group that the sockets and their folders are given to; its members are admitted as those of `allow_gids` are.
    pub socket_gid: Option<u32>,
    /// Folder of the secrets that cameras name.
    pub secret_dir: PathBuf,
    /// How log lines look.
    pub log_format: LogFormat,
    /// What is logged, in `tracing`'s filter syntax.
    pub log_level: String,
    /// The platform, if it is not to be found out.
    pub platform: Option<Family>,
    /// Folders of profiles, in the order in which they are read; one that is not there is as an empty one.
    pub profile_dirs: Vec<PathBuf>,
}

impl Default for ServiceConfig {
    fn default() -> Self {
        Self {
            control_socket: default_control_socket(),
            frame_dir: default_frame_dir(),
            state_file: default_state_file(),
            allow_uids: Vec::new(),
            allow_gids: Vec::new(),
            socket_mode: 0o660,
            socket_gid: None,
            secret_dir: default_secret_dir(),
            log_format: LogFormat::default(),
            log_level: "info".to_owned(),
            platform: None,
            profile_dirs: PROFILE_DIRS.map(PathBuf::from).into(),
        }
    }
}

impl ServiceConfig {
    /// Groups whose members may use the control service and the frame bus: those listed, and the one that the sockets are
    /// given to.
    pub fn admitted_gids(&self) -> Vec<u32> {
        self.allow_gids
            .iter()
            .copied()
            .chain(self.socket_gid)
            .collect()
    }

    fn secret_places(&self) -> secret::Places {
        secret::Places::new(env_path("CREDENTIALS_DIRECTORY"), &self.secret_dir)
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line of text for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// One camera of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Camera {
    /// The id that its backend gives it.
    pub device: DeviceId,
    /// How it is reached.
    pub source: SourceConfig,
    /// The stream that the file gives it; `None` leaves that to `ConfigureStream`.
    pub stream: Option<FileStream>,
}

/// A stream as the file describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStream {
    /// Its configuration.
    pub config: StreamConfig,
    /// Whether it is wanted to run.
    pub start: bool,
}

/// Reads and resolves the configuration file at `path`.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let bytes = std::fs::read(path).map_err(|source| ConfigError::unreadable(path, source))?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|e| ConfigError::not_utf8(path, &bytes, e.valid_up_to()))?;
    parse(path, text)
}

/// Resolves the text of a configuration file; `path` is what errors name and what relative secret files are relative to.
pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
    if text.trim().is_empty() {
        return Err(ConfigError::empty(path));
    }
    let file: file::File = toml::from_str(text).map_err(|e| ConfigError::toml(path, text, &e))?;
    file.resolve(path, text)
}

/// Resolves the table of a camera that is added at run time; what it says is what `[cameras.NAME]` of the file says.
///
/// It comes from a caller of the control service, who may have fewer rights than the service has: it names its secret by name,
/// and no device node.
pub fn camera(
    name: &StreamName,
    table: &str,
    service: &ServiceConfig,
) -> Result<Camera, ConfigError> {
    let path = PathBuf::from(format!("camera {name}"));
    let places = service.secret_places();
    let source = error::Source {
        only_names: true,
        ..error::Source::file(&path, table, &places)
    };
    let parsed: file::CameraTable =
        toml::from_str(table).map_err(|e| ConfigError::toml(&path, table, &e))?;
    let camera = file::resolve_camera(name, 0..0, parsed, &source)?;
    match camera.source {
        SourceConfig::V4l2(_) | SourceConfig::Libcamera(_) | SourceConfig::Qmmf(_) => Err(source.invalid(
            &(0..0),
            "cameras of this machine are found without being added: list the devices, and configure a stream for one of them",
        )),
        _ => Ok(camera),
    }
}

fn env_path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|v| !v.is_empty())
        .map(PathBuf::from)
}

/// `$MOS_CONTROL_SOCKET`; else `control.sock` in `$RUNTIME_DIRECTORY` (systemd); else the system's socket for root, and
/// one in `$XDG_RUNTIME_DIR` for others.
///
/// Not [`mos_camera_api::client::default_socket`]: that prefers a system service that is there, which is right for a caller.
fn default_control_socket() -> PathBuf {
    let user = || env_path("XDG_RUNTIME_DIR").filter(|_| !rustix::process::geteuid().is_root());
    env_path(client::SOCKET_VAR)
        .or_else(|| env_path("RUNTIME_DIRECTORY").map(|dir| dir.join("control.sock")))
        .or_else(|| user().map(|dir| dir.join("mos-camera/control.sock")))
        .unwrap_or_else(|| client::SYSTEM_SOCKET.into())
}

/// `$MOS_FRAME_DIR`; else `frames` in `$RUNTIME_DIRECTORY` (systemd); else the bus's own default.
fn default_frame_dir() -> PathBuf {
    let systemd = || env_path("RUNTIME_DIRECTORY").map(|dir| dir.join("frames"));
    env_path("MOS_FRAME_DIR")
        .or_else(systemd)
        .unwrap_or_else(mos_frame::default_dir)
}

/// `/etc/mos-camera/secrets` for root, else `mos-camera/secrets` in `$XDG_CONFIG_HOME` or `~/.config`.
fn default_secret_dir() -> PathBuf {
    let home = || env_path("HOME").map(|home| home.join(".config"));
    let user = || env_path("XDG_CONFIG_HOME").or_else(home);
    Some(())
        .filter(|()| !rustix::process::geteuid().is_root())
        .and_then(|()| user())
        .unwrap_or_else(|| "/etc".into())
        .join("mos-camera/secrets")
}

/// `$STATE_DIRECTORY` (systemd), else `/var/lib/mos-camera` for root, else `$XDG_STATE_HOME` or `~/.local/state`.
fn default_state_file() -> PathBuf {
    let dir = if let Some(dir) = env_path("STATE_DIRECTORY") {
        dir
    } else if rustix::process::geteuid().is_root() {
        PathBuf::from("/var/lib/mos-camera")
    } else {
        let home = || env_path("HOME").map(|h| h.join(".local/state"));
        env_path("XDG_STATE_HOME")
            .or_else(home)
            .unwrap_or_else(std::env::temp_dir)
            .join("mos-camera")
    };
    dir.join("state.json")
}

#[cfg(test)]
mod tests;
