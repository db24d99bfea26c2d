//! What can keep a camera from being plugged in.

use std::io;
use std::time::Duration;

use thiserror::Error;

use crate::usbip::ProtocolError;

/// What can keep a camera from being plugged in or served.
#[derive(Debug, Error)]
pub enum Error {
    /// There can be no such camera.
    #[error("there can be no such camera: {0}")]
    Config(String),
    /// The kernel's virtual USB host is not loaded.
    #[error("there is no {0}; load the virtual USB host first: modprobe vhci_hcd")]
    NoHost(String),
    /// Plugging in needs more rights.
    #[error("{0} can't be written; run as root")]
    NotAllowed(String),
    /// Something else is in the port.
    #[error("port {0} is taken; unplug what is there, or let the first free port be chosen")]
    PortTaken(u8),
    /// All ports are taken.
    #[error("all {0} high-speed ports are taken; unplug something")]
    NoFreePort(usize),
    /// The host has no such port.
    #[error("there is no high-speed port {port}; the ports are {ports}")]
    NoSuchPort {
        /// What was asked for.
        port: u8,
        /// What there is.
        ports: String,
    },
    /// The operating system refused something.
    #[error("can't {what}: {why}")]
    Os {
        /// What was tried.
        what: String,
        /// What it said.
        why: io::Error,
    },
    /// The kernel said something that is not USB/IP.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// A lie in the descriptors was asked for when the kernel had read them already.
    #[error(
        "the kernel reads descriptors when a camera is plugged in; put {0} into the camera's configuration"
    )]
    TooLate(crate::Fault),
    /// What was waited for did not come.
    #[error("the camera was not {what} within {after:?}; {seen}")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long.
        after: Duration,
        /// What the camera did instead.
        seen: String,
    },
}

impl Error {
    pub(crate) fn os(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |why| Self::Os { what, why }
    }
}
