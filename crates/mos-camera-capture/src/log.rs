//! Logging: `tracing` to stderr as text or JSON, with GStreamer's own warnings and errors in the same stream.

use std::io;

use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use crate::config::LogFormat;

/// Changes what is logged while the service runs.
#[derive(Debug, Clone)]
pub struct LogControl {
    filter: reload::Handle<Targets, tracing_subscriber::Registry>,
}

/// Logging can't be set up or changed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is malformed.
    #[error(
        "`{filter}` is no log filter: {source}; expected a level (error, warn, info, debug, trace, off) or `module=level` pairs separated by commas"
    )]
    Filter {
        /// The filter.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// This process logs already.
    #[error("logging is set up already: {0}")]
    Twice(#[from] TryInitError),
    /// The log is gone.
    #[error("the log filter can't be changed: {0}")]
    Reload(#[from] reload::Error),
}

/// Starts logging to stderr.
pub fn init(format: LogFormat, filter: &str) -> Result<LogControl, LogError> {
    let (filter, handle) = reload::Layer::new(parse(filter)?);
    let registry = tracing_subscriber::registry().with(filter);
    let layer = fmt::layer().with_writer(io::stderr);
    match format {
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init()?,
        LogFormat::Text => {
            let colour = io::IsTerminal::is_terminal(&io::stderr());
            registry.with(layer.with_ansi(colour)).try_init()?;
        }
    }
    Ok(LogControl { filter: handle })
}

impl LogControl {
    /// Logs by another filter from now on.
    pub fn set_filter(&self, filter: &str) -> Result<(), LogError> {
        Ok(self.filter.reload(parse(filter)?)?)
    }
}

fn parse(filter: &str) -> Result<Targets, LogError> {
    filter.parse().map_err(|source| LogError::Filter {
        filter: filter.to_owned(),
        source,
    })
}

/// Takes GStreamer's warnings and errors into this log, in place of its own lines on stderr.
///
/// Elements report what a camera or the network did as warnings; what it means for a stream comes as a fault of that
/// stream, so these lines are for the one who looks closer.
pub fn route_gstreamer() {
    gst::log::remove_default_log_function();
    gst::log::set_default_threshold(gst::DebugLevel::Warning);
    gst::log::add_log_function(
        |category, level, _file, _function, _line, object, message| {
            if level > gst::DebugLevel::Warning {
                return;
            }
            let text = message.get().map(|m| m.to_string()).unwrap_or_default();
            let (category, object) = (
                category.name(),
                object.map(ToString::to_string).unwrap_or_default(),
            );
            if level == gst::DebugLevel::Error {
                tracing::error!(target: "gstreamer", category, object, "{text}");
            } else {
                tracing::warn!(target: "gstreamer", category, object, "{text}");
            }
        },
    );
}
