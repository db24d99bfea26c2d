//! V4L2 nodes.

use std::path::PathBuf;

use mos_camera_core::{SourceConfig, V4l2Source};
use serde::Deserialize;
use toml::Spanned;

use crate::config::ConfigError;
use crate::config::error::Source;
use crate::config::values::absolute;

/// `[cameras.NAME.v4l2]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct V4l2 {
    path: Spanned<PathBuf>,
}

impl V4l2 {
    pub(in crate::config) fn resolve(
        self,
        source: &Source<'_>,
    ) -> Result<SourceConfig, ConfigError> {
        let path = absolute(Some(self.path), PathBuf::new(), source)?;
        Ok(SourceConfig::V4l2(V4l2Source { path }))
    }
}
