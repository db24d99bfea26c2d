//! The endpoint: takes clients in and gives each a thread.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use crate::client::{Client, ClientStats, End};
use crate::options::Options;
use crate::socket::{BindError, Listener, Stop};

/// Pause after a failed `accept`, which most often means that no descriptor is free.
const BREATH: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// Clients that are taken in, or turned away, before the stop is looked at.
const BURST: usize = 16;

/// What an endpoint did so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EndpointStats {
    /// Clients that are served now.
    pub clients: Vec<ClientStats>,
    /// Clients that were taken in.
    pub accepted: u64,
    /// Clients that were turned away: not on the allow list, too many, or no place on the bus.
    pub refused: u64,
    /// Clients that were cut off for what they did.
    pub cut: u64,
}

/// Serves one stream of the bus to `unixfdsrc` elements, until it is dropped.
///
/// Each client is a subscriber of the bus of its own and has a thread of its own: what it does can only cost it its own frames.
#[derive(Debug)]
pub struct Endpoint {
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    options: Arc<Options>,
    stop: Arc<Stop>,
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    clients: Vec<(u64, Arc<Mutex<ClientStats>>)>,
    threads: Vec<JoinHandle<()>>,
    accepted: u64,
    refused: u64,
    cut: u64,
}

impl Endpoint {
    /// Listens and serves.
    pub fn bind(options: &Options) -> Result<Self, BindError> {
        check_descriptors(options)?;
        let failed = |source: io::Error| BindError::Io {
            path: options.socket.clone(),
            source,
        };
        let listener = Listener::bind(&options.socket, options.mode, options.gid)?;
        let stop = Arc::new(Stop::new().map_err(failed)?);
        let shared = Arc::new(Shared {
            options: Arc::new(options.clone()),
            stop,
            books: Mutex::default(),
        });
        let acceptor = thread::Builder::new().name("mos-unixfd".into());
        let for_acceptor = Arc::clone(&shared);
        let acceptor = acceptor
            .spawn(move || for_acceptor.accept_all(&listener))
            .map_err(failed)?;
        Ok(Self {
            shared,
            acceptor: Some(acceptor),
        })
    }

    /// What it did so far.
    pub fn stats(&self) -> EndpointStats {
        let books = self.shared.books();
        EndpointStats {
            clients: books
                .clients
                .iter()
                .map(|(_, stats)| *lock(stats))
                .collect(),
            accepted: books.accepted,
            refused: books.refused,
            cut: books.cut,
        }
    }
}

impl Drop for Endpoint {
    /// Tells all clients that the stream ended, and waits until they are done with their last frames, a second at most.
    fn drop(&mut self) {
        self.shared.stop.set();
        let threads = self.acceptor.take().into_iter();
        for thread in threads {
            join(thread);
        }
        let clients = std::mem::take(&mut self.shared.books().threads);
        clients.into_iter().for_each(join);
    }
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("a thread of the endpoint panicked");
    }
}

/// Unread descriptors are counted by the kernel for the whole user (unix(7), `ETOOMANYREFS`): clients that don't read must not
/// be able to use that up, which would stop every program of this user that sends descriptors.
fn check_descriptors(options: &Options) -> Result<(), BindError> {
    let needed = options.in_flight();
    match getrlimit(Resource::Nofile).current {
        Some(limit) if needed > limit / 2 => Err(BindError::TooManyDescriptors {
            clients: options.max_clients,
            hold: options.hold,
            needed,
            limit,
        }),
        _ => Ok(()),
    }
}

impl Shared {
    fn books(&self) -> MutexGuard<'_, Books> {
        lock(&self.books)
    }

    fn accept_all(self: &Arc<Self>, listener: &Listener) {
        loop {
            let mut fds = [
                PollFd::new(&self.stop, PollFlags::IN),
                PollFd::new(listener, PollFlags::IN),
            ];
            match poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => {
                    tracing::error!(%error, "new clients can't be waited for; none is taken in any more");
                    return;
                }
            }
            if !fds[0].revents().is_empty() {
                return;
            }
            if let Err(error) = self.accept(listener) {
                tracing::warn!(%error, "a client could not be taken in; if descriptors are short, raise the limit on open files");
                self.breathe();
            }
        }
    }

    /// Waits a little, but not for longer than the endpoint lives.
    fn breathe(&self) {
        // Whatever this says, the stop is looked at next.
        let _ = poll(&mut [PollFd::new(&self.stop, PollFlags::IN)], Some(&BREATH));
    }

    fn accept(self: &Arc<Self>, listener: &Listener) -> io::Result<()> {
        // A few, then the stop is looked at again: callers that are turned away can come back without end.
        for _ in 0..BURST {
            let Some(socket) = listener.accept()? else {
                break;
            };
            let caller = self.options.access.identify(socket.as_fd())?;
            let served = self.books().clients.len();
            if !caller.allowed {
                self.refuse(format_args!(
                    "uid {} (gid {}) is not on the allow list",
                    caller.uid, caller.gid
                ));
            } else if served >= self.options.max_clients as usize {
                self.refuse(format_args!("{served} are served, which is the limit"));
            } else {
                self.serve(socket, caller.pid)?;
            }
        }
        Ok(())
    }

    /// The client learns it by the end of its connection; the protocol has no words for it.
    fn refuse(&self, why: std::fmt::Arguments<'_>) {
        self.books().refused += 1;
        tracing::warn!(socket = %self.options.socket.display(), "client turned away: {why}");
    }

    fn serve(self: &Arc<Self>, socket: OwnedFd, pid: i32) -> io::Result<()> {
        let stats = Arc::new(Mutex::new(ClientStats {
            pid,
            ..ClientStats::default()
        }));
        let mut books = self.books();
        books.threads.retain(|thread| !thread.is_finished());
        books.accepted += 1;
        let number = books.accepted;
        books.clients.push((number, Arc::clone(&stats)));
        let shared = Arc::clone(self);
        let thread = thread::Builder::new()
            .name(format!("client-{number}"))
            .spawn(move || shared.serve_to_the_end(number, socket, &stats));
        match thread {
            Ok(thread) => books.threads.push(thread),
            Err(error) => {
                books.clients.retain(|(other, _)| *other != number);
                return Err(error);
            }
        }
        Ok(())
    }

    fn serve_to_the_end(&self, number: u64, socket: OwnedFd, stats: &Arc<Mutex<ClientStats>>) {
        let (options, stop) = (Arc::clone(&self.options), Arc::clone(&self.stop));
        let pid = lock(stats).pid;
        tracing::info!(client = number, pid, "client connected");
        let end = match Client::new(socket, options, stop, Arc::clone(stats)) {
            Ok(client) => client.run(),
            Err(end) => end,
        };
        let ClientStats {
            sent,
            released,
            missed,
            not_sent,
            ..
        } = *lock(stats);
        let mut books = self.books();
        books.clients.retain(|(other, _)| *other != number);
        books.cut += u64::from(end.is_fault_of_client());
        books.refused += u64::from(matches!(end, End::NotAdmitted(_)));
        drop(books);
        if end.is_expected() {
            tracing::info!(
                client = number,
                pid,
                sent,
                released,
                missed,
                not_sent,
                "client done: {end}"
            );
        } else {
            tracing::warn!(
                client = number,
                pid,
                sent,
                released,
                missed,
                not_sent,
                "client lost: {end}"
            );
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
