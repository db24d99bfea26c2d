//! A camera that is plugged in.

use std::net::Shutdown;
use std::ops::Deref;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::event::{EventfdFlags, eventfd};

use crate::config::CameraConfig;
use crate::control::ControlId;
use crate::error::Error;
use crate::fault::Fault;
use crate::observer::{Board, Observer};
use crate::serve::{Command, Server};
use crate::session::Session;
use crate::stats::Stats;
use crate::vhci::{Host, Port};

/// So much is under way to the kernel at most: some payloads, so that it finds the next one when it has taken one.
const SEND_BUFFER: usize = 1 << 20;

/// A camera that is plugged in, until it is unplugged or dropped. What an [`Observer`] can be asked, it can be asked as well.
#[derive(Debug)]
pub struct Camera {
    port: Option<Port>,
    socket: UnixStream,
    thread: Option<JoinHandle<()>>,
    /// And how many were given.
    commands: Mutex<(Sender<Command>, u64)>,
    bell: OwnedFd,
    observer: Observer,
}

impl Camera {
    /// Plugs a camera in. The kernel gets to know it afterwards: [`Camera::nodes`] has its node once it did.
    pub fn plug(config: &CameraConfig) -> Result<Self, Error> {
        config.check()?;
        let host = Host::open()?;
        let (ours, kernels) = UnixStream::pair().map_err(Error::os("make a pair of sockets"))?;
        let port = host.attach(config.port, kernels.as_fd())?;
        let mut camera = Self::on_socket(config, ours)?;
        camera.port = Some(port);
        Ok(camera)
    }

    /// Serves a camera on a socket whose other end speaks USB/IP as the kernel does: it is plugged in already.
    pub fn on_socket(config: &CameraConfig, socket: UnixStream) -> Result<Self, Error> {
        config.check()?;
        let copy = |bell: &OwnedFd| bell.try_clone().map_err(Error::os("copy a descriptor"));
        rustix::net::sockopt::set_socket_send_buffer_size(&socket, SEND_BUFFER)
            .map_err(|why| Error::os("size the socket's buffer")(why.into()))?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC)
            .map_err(|why| Error::os("make an eventfd")(why.into()))?;
        let (commands, receiver) = channel();
        let session = Session::new(config);
        let (board, observer) = Board::new(session.stats());
        let server = Server {
            socket: socket.try_clone().map_err(Error::os("copy a descriptor"))?,
            session,
            commands: receiver,
            bell: copy(&bell)?,
            board,
        };
        let thread = thread::Builder::new()
            .name("virtual-uvc".to_owned())
            .spawn(move || server.run())
            .map_err(Error::os("start a thread"))?;
        Ok(Self {
            port: None,
            socket,
            thread: Some(thread),
            commands: Mutex::new((commands, 0)),
            bell,
            observer,
        })
    }

    /// The port that it is in.
    pub fn port(&self) -> Option<u8> {
        self.port.as_ref().map(|port| port.number)
    }

    /// Its capture nodes, such as `/dev/video0`: one once the kernel's driver has taken it, none before and after.
    pub fn nodes(&self) -> Vec<PathBuf> {
        self.port.as_ref().map(Port::nodes).unwrap_or_default()
    }

    /// The USB device's directory under `/sys`, while there is one.
    pub fn sysfs(&self) -> Option<PathBuf> {
        self.port.as_ref()?.sysfs()
    }

    /// Sets a fault, in addition to those that are set. When this returns, it holds: after [`Fault::Stall`] no new frame starts.
    pub fn set_fault(&self, fault: Fault) -> Result<(), Error> {
        match fault {
            Fault::Lie(_) => Err(Error::TooLate(fault)),
            _ => self.command(Command::Set(fault)),
        }
    }

    /// Ends all faults, but not what the descriptors said.
    pub fn clear_faults(&self) -> Result<(), Error> {
        self.command(Command::Clear)
    }

    fn command(&self, command: Command) -> Result<(), Error> {
        let number = {
            let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
            // Without a receiver the camera is gone, and has no faults any more.
            if commands.0.send(command).is_err() {
                return Ok(());
            }
            commands.1 += 1;
            commands.1
        };
        rustix::io::write(&self.bell, &1_u64.to_ne_bytes())
            .map_err(|why| Error::os("ring the camera's thread")(why.into()))?;
        self.observer.obeyed(number)
    }

    /// The value of a control; `None` if the camera has no such control.
    pub fn control(&self, id: ControlId) -> Option<i32> {
        self.stats().controls.get(&id).copied()
    }

    /// Waits until the kernel takes pictures.
    pub fn wait_streaming(&self, within: Duration) -> Result<Stats, Error> {
        self.wait("streaming", within, |stats| stats.streaming.is_some())
    }

    /// Waits until so many more frames were sent.
    pub fn wait_frames(&self, more: u64, within: Duration) -> Result<Stats, Error> {
        let wanted = self.stats().frames + more;
        self.wait("sending frames", within, |stats| stats.frames >= wanted)
    }

    /// An observer of its own, for another thread.
    pub fn observer(&self) -> Observer {
        self.observer.clone()
    }

    /// Unplugs it and waits until the kernel has let go of it, so that the port is free.
    pub fn unplug(mut self) -> Result<Stats, Error> {
        self.shut_down();
        if let Some(port) = self.port.take() {
            port.freed()?;
        }
        Ok(self.stats())
    }

    fn shut_down(&mut self) {
        // A failure means that the kernel did so before.
        let _ = self.socket.shutdown(Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            // Its panic is printed already, and a drop can't do more about it.
            let _ = thread.join();
        }
    }
}

impl Deref for Camera {
    type Target = Observer;

    fn deref(&self) -> &Observer {
        &self.observer
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.shut_down();
        if let Some(port) = &self.port {
            // The next one may want this port; a kernel that keeps it is told by the next plug.
            let _ = port.freed();
        }
    }
}
