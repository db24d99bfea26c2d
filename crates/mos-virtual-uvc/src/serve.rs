//! The thread that moves bytes between the kernel's socket and a [`Session`].

use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::error::Error;
use crate::fault::Fault;
use crate::observer::Board;
use crate::session::{Session, Step};
use crate::usbip::Decoder;

/// What a running camera can be told.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Command {
    Set(Fault),
    Clear,
}

/// What is next when all that is due was sent.
enum Idle {
    /// Nothing until then; `None` is until the kernel or a command comes.
    Until(Option<Duration>),
    Vanish,
}

/// A camera's end of the socket and all that belongs to it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) socket: UnixStream,
    pub(crate) session: Session,
    pub(crate) commands: Receiver<Command>,
    /// Readable when there is a command.
    pub(crate) bell: OwnedFd,
    pub(crate) board: Board,
}

impl Server {
    /// Serves until one side unplugs. Says on the board how it ended.
    pub(crate) fn run(mut self) {
        let ended = match self.serve() {
            Ok(why) => why.to_owned(),
            Err(why) => why.to_string(),
        };
        // The kernel unplugs when the socket is shut down; a failure means that it did so before.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        self.board.end(self.session.stats(), ended);
    }

    fn serve(&mut self) -> Result<&'static str, Error> {
        let start = Instant::now();
        let mut decoder = Decoder::default();
        let mut buffer = vec![0; 64 << 10];
        let mut carried_out = 0;
        loop {
            for command in self.commands.try_iter() {
                carried_out += 1;
                match command {
                    Command::Set(fault) => self.session.set_fault(fault),
                    Command::Clear => self.session.clear_faults(),
                }
            }
            let Idle::Until(wait) = self.answer(start)? else {
                return Ok("the camera vanished, as it was told to");
            };
            self.board.tell(self.session.stats(), carried_out);
            if !self.sleep(start, wait)? {
                continue;
            }
            match self.socket.read(&mut buffer) {
                Ok(0) => return Ok("unplugged"),
                Ok(read) => decoder.push(&buffer[..read]),
                Err(why) if why.kind() == io::ErrorKind::ConnectionReset => return Ok("unplugged"),
                Err(why) => return Err(Error::os("read what the kernel sends")(why)),
            }
            while let Some(request) = decoder.next_request()? {
                self.session.request(request, start.elapsed());
            }
        }
    }

    /// Sends all that is due, and says what is next.
    fn answer(&mut self, start: Instant) -> Result<Idle, Error> {
        loop {
            match self.session.step(start.elapsed()) {
                Step::Send(head, body) => {
                    send(&mut self.socket, head, body).map_err(Error::os("send to the kernel"))?;
                }
                Step::Wait(until) => return Ok(Idle::Until(until)),
                Step::Vanish => return Ok(Idle::Vanish),
            }
        }
    }

    /// Sleeps until a time, a command or a request. Whether there is something to be read from the kernel.
    fn sleep(&self, start: Instant, until: Option<Duration>) -> Result<bool, Error> {
        let left = until.map(|until| {
            let left = until.saturating_sub(start.elapsed());
            Timespec {
                tv_sec: left.as_secs() as i64,
                tv_nsec: left.subsec_nanos().into(),
            }
        });
        let mut fds = [
            PollFd::from_borrowed_fd(self.socket.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.bell.as_fd(), PollFlags::IN),
        ];
        match poll(&mut fds, left.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(why) => return Err(Error::os("wait for the kernel")(why.into())),
        }
        if !fds[1].revents().is_empty() {
            rustix::io::read(&self.bell, &mut [0; 8])
                .map_err(|why| Error::os("hear a command")(why.into()))?;
        }
        Ok(!fds[0].revents().is_empty())
    }
}

/// Sends both parts, with one system call where the kernel takes them at once.
fn send(socket: &mut UnixStream, head: &[u8], body: &[u8]) -> io::Result<()> {
    let mut parts = [IoSlice::new(head), IoSlice::new(body)];
    let mut left = &mut parts[..];
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        match socket.write_vectored(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut left, written),
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
    Ok(())
}
