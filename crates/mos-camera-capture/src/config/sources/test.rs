//! Generated cameras.

use mos_camera_core::{SourceConfig, TestPattern, TestSource};
use serde::Deserialize;

/// `[cameras.NAME.test]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Test {
    pattern: Option<Pattern>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Pattern {
    Ball,
    Smpte,
    Gradient,
}

impl Test {
    pub(in crate::config) fn resolve(self) -> SourceConfig {
        let pattern = match self.pattern {
            None => TestPattern::default(),
            Some(Pattern::Ball) => TestPattern::Ball,
            Some(Pattern::Smpte) => TestPattern::Smpte,
            Some(Pattern::Gradient) => TestPattern::Gradient,
        };
        SourceConfig::Test(TestSource { pattern })
    }
}
