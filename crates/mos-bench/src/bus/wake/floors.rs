//! The producer's side of the floors: sockets, eventfds and a futex, with nothing around them.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Release;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind,
    connect, listen, recvmsg, sendmsg, socket_with, socketpair,
};
use rustix::thread::futex;

use super::Way;
use super::page::Page;
use crate::contender::Error;

/// A frame's description is as long on the bus.
pub(super) const MESSAGE: usize = 64;

#[derive(Debug)]
pub(super) struct Floors {
    path: PathBuf,
    listener: OwnedFd,
    page: Page,
    page_fd: OwnedFd,
    peers: Vec<Peer>,
}

#[derive(Debug)]
struct Peer {
    plain: OwnedFd,
    with_fd: OwnedFd,
    event: OwnedFd,
}

fn seqpacket() -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC;
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
}

impl Floors {
    pub(super) fn new(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("floors.sock");
        let listener = seqpacket()?;
        bind(&listener, &SocketAddrUnix::new(&path)?)?;
        listen(&listener, 128)?;
        let (page, page_fd) = Page::new()?;
        Ok(Self {
            path,
            listener,
            page,
            page_fd,
            peers: Vec::new(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes `count` listeners on: each gets its end of the second socket, its eventfd and the page.
    pub(super) fn accept(&mut self, count: u32) -> Result<(), Error> {
        for _ in 0..count {
            let plain = accept_with(&self.listener, SocketFlags::CLOEXEC)?;
            let (with_fd, theirs) = socketpair(
                AddressFamily::UNIX,
                SocketType::SEQPACKET,
                SocketFlags::CLOEXEC,
                None,
            )?;
            let event = eventfd(0, EventfdFlags::CLOEXEC)?;
            let fds = [theirs.as_fd(), event.as_fd(), self.page_fd.as_fd()];
            send(&plain, &[0; MESSAGE], &fds)?;
            self.peers.push(Peer {
                plain,
                with_fd,
                event,
            });
        }
        Ok(())
    }

    /// Wakes every listener by `way`; `now` is when that began.
    pub(super) fn wake(&self, way: Way, now: u64) -> Result<(), Error> {
        let mut message = [0; MESSAGE];
        message[..8].copy_from_slice(&now.to_le_bytes());
        match way {
            Way::Seqpacket => {
                for peer in &self.peers {
                    send(&peer.plain, &message, &[])?;
                }
            }
            Way::SeqpacketFd => {
                for peer in &self.peers {
                    send(&peer.with_fd, &message, &[self.page_fd.as_fd()])?;
                }
            }
            Way::Eventfd => {
                self.page.stamp()?.store(now, Release);
                for peer in &self.peers {
                    rustix::io::write(&peer.event, &1_u64.to_ne_bytes())?;
                }
            }
            Way::Futex => {
                self.page.stamp()?.store(now, Release);
                self.wake_by_futex()?;
            }
            Way::Bus => return Err("the bus wakes its own subscribers".into()),
        }
        Ok(())
    }

    fn wake_by_futex(&self) -> Result<(), Error> {
        let word = self.page.futex()?;
        word.fetch_add(1, Release);
        futex::wake(word, futex::Flags::empty(), i32::MAX.cast_unsigned())?;
        Ok(())
    }

    /// Ends the run for all listeners.
    pub(super) fn end(self) -> Result<(), Error> {
        self.page.stop()?.store(1, Release);
        self.wake(Way::Eventfd, 0)?;
        // The sockets end by being closed.
        self.wake_by_futex()
    }
}

/// Sends one message; a full queue is a missed frame, as on the bus.
fn send(
    socket: &OwnedFd,
    message: &[u8],
    fds: &[std::os::fd::BorrowedFd<'_>],
) -> Result<(), Error> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err("no room for descriptors".into());
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    match sendmsg(socket, &[IoSlice::new(message)], &mut control, flags) {
        Ok(_) | Err(Errno::AGAIN) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Connects a listener to the floors at `path`.
pub(super) fn join(path: &Path) -> Result<(OwnedFd, Vec<OwnedFd>), Error> {
    let socket = seqpacket()?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    let (_, fds) = receive(&socket)?.ok_or("the producer hung up")?;
    Ok((socket, fds))
}

/// A message and the descriptors that came with it.
type Received = ([u8; MESSAGE], Vec<OwnedFd>);

/// Waits for a message; `None` at the end.
pub(super) fn receive(socket: &OwnedFd) -> Result<Option<Received>, Error> {
    let mut message = [0; MESSAGE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut into = [IoSliceMut::new(&mut message)];
    let got = recvmsg(socket, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let fds = control
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        })
        .flatten()
        .collect();
    Ok((got.bytes > 0).then_some((message, fds)))
}
