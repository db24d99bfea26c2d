//! Cameras that libcamera drives.

use mos_camera_core::{DeviceId, LibcameraSource, SourceConfig, Transport};
use serde::Deserialize;
use toml::Spanned;

use crate::config::ConfigError;
use crate::config::error::Source;

/// `[cameras.NAME.libcamera]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Libcamera {
    camera: Spanned<String>,
}

impl Libcamera {
    pub(in crate::config) fn resolve(
        self,
        source: &Source<'_>,
    ) -> Result<SourceConfig, ConfigError> {
        if !is_name(self.camera.get_ref()) {
            return Err(source.invalid(
                &self.camera.span(),
                "expected libcamera's name of the camera, as `cam --list` or `mosctl devices` (after `csi:`) shows it, for example \"/base/soc/i2c@30a30000/ov5640@3c\"",
            ));
        }
        Ok(SourceConfig::Libcamera(LibcameraSource {
            camera: self.camera.into_inner(),
        }))
    }
}

/// Whether a camera can be called so, and is not named by its whole id.
fn is_name(text: &str) -> bool {
    let whole = format!("{}:{text}", Transport::MipiCsi.scheme());
    let is_id = text
        .split_once(':')
        .is_some_and(|(scheme, _)| Transport::from_scheme(scheme).is_some());
    !text.is_empty() && whole.len() <= DeviceId::MAX_LEN && !is_id
}
