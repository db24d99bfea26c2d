//! Cameras of Qualcomm's camera service.

use mos_camera_core::{DeviceId, QmmfSource, SourceConfig, Transport};
use serde::Deserialize;
use toml::Spanned;

use crate::config::ConfigError;
use crate::config::error::Source;

/// `[cameras.NAME.qmmf]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Qmmf {
    camera: Spanned<u32>,
    link: Option<Spanned<String>>,
}

impl Qmmf {
    pub(in crate::config) fn resolve(
        self,
        source: &Source<'_>,
    ) -> Result<SourceConfig, ConfigError> {
        let (camera, max) = (*self.camera.get_ref(), QmmfSource::MAX_CAMERA);
        if camera > max {
            let message = format!("expected a number from 0 to {max}");
            return Err(source.invalid(&self.camera.span(), message));
        }
        if let Some(link) = self.link.as_ref().filter(|link| !is_link(link.get_ref())) {
            return Err(source.invalid(
                &link.span(),
                "expected what `mosctl devices` shows after `gmsl:` or `csi:`, for example \"cci@ac4a000/i2c-bus@0/max96712@29/link0\"",
            ));
        }
        Ok(SourceConfig::Qmmf(QmmfSource {
            camera,
            link: self.link.map(Spanned::into_inner),
        }))
    }
}

/// Whether it can be the identity of a device.
fn is_link(text: &str) -> bool {
    let scheme = Transport::Gmsl2.scheme();
    format!("{scheme}:{text}").parse::<DeviceId>().is_ok()
        && Transport::from_scheme(text.split(':').next().unwrap_or_default()).is_none()
}
