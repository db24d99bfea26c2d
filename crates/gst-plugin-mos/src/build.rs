//! Which build this is.

/// Kind of build, as a value, so that rules which depend on it are tested for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Build {
    /// Feature `development`: fall-backs without dma-bufs are allowed.
    Development,
    /// No fall-backs: dma-bufs only, and no code that reaches pixels with the CPU.
    Production,
}

impl Build {
    /// This build.
    pub(crate) const THIS: Self = if cfg!(feature = "development") {
        Self::Development
    } else {
        Self::Production
    };
}
