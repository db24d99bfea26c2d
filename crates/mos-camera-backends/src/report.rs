//! An element's error taken apart, so that what it means can be decided by pure functions.

use gst::glib;
use gst::prelude::*;
use mos_camera_core::{DeviceId, Fault, FaultKind};

use crate::elements::factory_name;

/// Domain and code of a `GError` of GStreamer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// Something outside of the pipeline.
    Resource(gst::ResourceError),
    /// The data that flows.
    Stream(gst::StreamError),
    /// GStreamer itself.
    Core(gst::CoreError),
    /// Anything else.
    Other,
}

/// An error as an element reported it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    /// Domain and code.
    pub(crate) code: Code,
    /// The message, possibly in the user's language: for people, not for decisions.
    pub(crate) text: String,
    /// The debug text, which is never translated.
    pub(crate) debug: String,
    /// Factory name of the element.
    pub(crate) element: String,
}

impl Report {
    /// Takes a message apart.
    pub(crate) fn of(message: &gst::message::Error) -> Self {
        let error = message.error();
        let element = message
            .src()
            .and_then(|src| src.downcast_ref::<gst::Element>());
        Self {
            code: Code::of(&error),
            text: error.message().to_owned(),
            debug: message
                .debug()
                .map(|debug| debug.to_string())
                .unwrap_or_default(),
            element: element.and_then(factory_name).unwrap_or_default(),
        }
    }

    /// Whether the debug text contains `text`.
    pub(crate) fn says(&self, text: &str) -> bool {
        self.debug.contains(text)
    }

    /// The last line of the debug text, where elements put the cause.
    pub(crate) fn cause(&self) -> &str {
        let line = self.debug.lines().last().unwrap_or_default();
        // The line before it is the place in the source and the path of the element: noise to a user.
        if line.contains("): /Gst") { "" } else { line }
    }

    /// The message with its cause.
    pub(crate) fn describe(&self) -> String {
        match self.cause() {
            "" => self.text.clone(),
            cause => format!("{} ({cause})", self.text.trim_end_matches('.')),
        }
    }
}

impl Code {
    fn of(error: &glib::Error) -> Self {
        if let Some(code) = error.kind::<gst::ResourceError>() {
            Self::Resource(code)
        } else if let Some(code) = error.kind::<gst::StreamError>() {
            Self::Stream(code)
        } else {
            error
                .kind::<gst::CoreError>()
                .map_or(Self::Other, Self::Core)
        }
    }
}

/// What an error means that is none of the transport's own.
pub(crate) fn common(device: &DeviceId, report: &Report) -> Fault {
    let (kind, hint) = common_kind(report.code);
    let message = format!("{device}: {}: {}", report.element, report.describe());
    Fault::new(kind, message, hint)
}

fn common_kind(code: Code) -> (FaultKind, &'static str) {
    use gst::{CoreError, ResourceError, StreamError};
    match code {
        Code::Core(CoreError::MissingPlugin) | Code::Stream(StreamError::CodecNotFound) => (
            FaultKind::Missing,
            "install the GStreamer plugin that the message names",
        ),
        Code::Core(CoreError::Negotiation)
        | Code::Stream(StreamError::Format | StreamError::WrongType) => (
            FaultKind::Unsupported,
            "what the camera gives can't be turned into NV12 here; list the devices to see what it offers",
        ),
        Code::Resource(ResourceError::NotFound) => {
            (FaultKind::NotFound, "check the name of the device")
        }
        Code::Resource(ResourceError::Busy) => (
            FaultKind::Busy,
            "stop the other program that uses the device",
        ),
        Code::Resource(ResourceError::NoSpaceLeft) => {
            (FaultKind::Internal, "free memory or disk space")
        }
        _ => (
            FaultKind::Internal,
            "look at the log of the service: lines of the target `gstreamer` before this one may say more",
        ),
    }
}

#[cfg(test)]
impl Report {
    /// A report for tables.
    pub(crate) fn new(element: &str, code: Code, text: &str, debug: &str) -> Self {
        Self {
            code,
            text: text.to_owned(),
            debug: debug.to_owned(),
            element: element.to_owned(),
        }
    }
}
