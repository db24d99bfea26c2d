//! `SOCK_SEQPACKET` sockets: packets with descriptors, peer credentials. Nothing here waits unless it says so.

use std::fs::{self, File};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, RecvMsg, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};
use smallvec::SmallVec;

use crate::format::Layout;
use crate::wire::MAX_LEN;

/// Whether a socket takes descriptors (Linux 6.16, include/uapi/asm-generic/socket.h).
pub(crate) const SO_PASSRIGHTS: libc::c_int = 83;

/// Most descriptors of one packet.
const MAX_FDS: usize = Layout::MAX_PLANES;

fn seqpacket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        flags,
        None,
    )?)
}

/// Connects to a stream's socket; waits at most `patience` where many others wait to be accepted, which else is the error
/// `WouldBlock`. The socket itself is left blocking; each call here says how it is meant.
pub(crate) fn connect(path: &Path, patience: Option<Duration>) -> io::Result<OwnedFd> {
    // The kernel takes 0 for endless and refuses what it can't count.
    const RANGE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_hours(24));
    let socket = seqpacket()?;
    let address = SocketAddrUnix::new(path)?;
    if let Some(patience) = patience {
        let patience = patience.clamp(RANGE.0, RANGE.1);
        set_socket_timeout(&socket, Timeout::Send, Some(patience))?;
        rustix::io::ioctl_fionbio(&socket, false)?;
    }
    rustix::io::retry_on_intr(|| rustix::net::connect(&socket, &address))?;
    rustix::io::ioctl_fionbio(&socket, false)?;
    Ok(socket)
}

/// What became of a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    Done,
    /// The peer's queue is full; it becomes writable when the peer reads.
    Full,
    /// The kernel is short of memory, or holds too many unread descriptors of this user; nothing tells when that ends.
    Short,
    /// The peer is gone.
    Gone,
}

/// Sends one packet without waiting.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    packet: &[u8],
    fds: &[BorrowedFd<'_>],
) -> io::Result<Sent> {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "too many descriptors for one packet",
        ));
    }
    loop {
        let sent = if fds.is_empty() {
            // Rings are of this kind: the kernel has less to look at.
            rustix::net::send(socket, packet, flags)
        } else {
            rustix::net::sendmsg(socket, &[IoSlice::new(packet)], &mut control, flags)
        };
        return match sent {
            Ok(_) => Ok(Sent::Done),
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => Ok(Sent::Full),
            Err(Errno::TOOMANYREFS | Errno::NOBUFS | Errno::NOMEM) => Ok(Sent::Short),
            Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => Ok(Sent::Gone),
            Err(e) => Err(e.into()),
        };
    }
}

/// A packet as it came.
#[derive(Debug)]
pub(crate) struct Packet {
    /// A ring fits without an allocation, which would cost who was just woken more than reading it.
    pub(crate) bytes: SmallVec<[u8; SHORT]>,
    pub(crate) fds: Vec<OwnedFd>,
}

/// What a receive found.
#[derive(Debug)]
pub(crate) enum Received {
    Packet(Packet),
    Empty,
    Gone,
}

/// Whether a receive may wait for a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    No,
    /// Until a packet, the peer's end, or a signal.
    Yes,
}

/// Bytes of a packet that are received where they are used. A ring fits.
const SHORT: usize = 64;

/// Room for the rest of a long packet. Kept by whoever receives often: clearing it for each ring would cost more than the
/// ring.
#[derive(Debug)]
pub(crate) struct Spill(Box<[u8; MAX_LEN - SHORT]>);

impl Default for Spill {
    fn default() -> Self {
        Self(Box::new([0; _]))
    }
}

/// Receives one packet. A packet that does not fit, or whose descriptors do not, is an error: the connection can't be
/// trusted after it. All descriptors are close-on-exec and owned, so none leaks.
pub(crate) fn receive(socket: BorrowedFd<'_>, wait: Wait) -> io::Result<Received> {
    receive_with(socket, wait, &mut Spill::default())
}

/// As [`receive`], with room that was made before.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "who was just woken finds every further page of code cold; measured with `mos-bench bus --only wake`"
)]
pub(crate) fn receive_with(
    socket: BorrowedFd<'_>,
    wait: Wait,
    spill: &mut Spill,
) -> io::Result<Received> {
    match receive_once(socket, wait, spill)? {
        Received::Gone => receive_last(socket, spill),
        received => Ok(received),
    }
}

/// The kernel tells the end of a connection, too, if a packet and the end came between its look at the queue and its look at the
/// connection (`unix_dgram_recvmsg`). After the end nothing comes any more: a second look finds such a packet, or that there is none.
#[cold]
fn receive_last(socket: BorrowedFd<'_>, spill: &mut Spill) -> io::Result<Received> {
    match receive_once(socket, Wait::No, spill)? {
        Received::Empty => Ok(Received::Gone),
        received => Ok(received),
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "as of `receive_with`")]
fn receive_once(socket: BorrowedFd<'_>, wait: Wait, spill: &mut Spill) -> io::Result<Received> {
    let mut short = [0; SHORT];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut flags = RecvFlags::CMSG_CLOEXEC;
    if wait == Wait::No {
        flags |= RecvFlags::DONTWAIT;
    }
    let got = match rustix::net::recvmsg(
        socket,
        &mut [
            IoSliceMut::new(&mut short),
            IoSliceMut::new(spill.0.as_mut_slice()),
        ],
        &mut control,
        flags,
    ) {
        Ok(got) => got,
        Err(Errno::AGAIN | Errno::INTR) => return Ok(Received::Empty),
        Err(Errno::CONNRESET) => {
            // The peer closed with packets of ours unread; what it sent before is still there, after this error.
            return receive_after_reset(socket, wait, spill);
        }
        Err(e) => return Err(e.into()),
    };
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            fds.extend(received);
        }
    }
    if got
        .flags
        .intersects(ReturnFlags::CTRUNC | ReturnFlags::TRUNC)
    {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a packet or its descriptors were cut off; if this process is out of file descriptors, raise RLIMIT_NOFILE",
        ));
    }
    if got.bytes == 0 {
        return Ok(Received::Gone);
    }
    let mut bytes = SmallVec::from_buf_and_len(short, got.bytes.min(SHORT));
    if let Some(rest) = got.bytes.checked_sub(SHORT) {
        bytes.extend_from_slice(&spill.0[..rest]);
    }
    Ok(Received::Packet(Packet { bytes, fds }))
}

#[cold]
fn receive_after_reset(
    socket: BorrowedFd<'_>,
    wait: Wait,
    spill: &mut Spill,
) -> io::Result<Received> {
    match receive_once(socket, Wait::No, spill) {
        Ok(Received::Empty) if wait == Wait::No => Ok(Received::Gone),
        other => other,
    }
}

/// What came from a stranger.
#[derive(Debug)]
pub(crate) enum Got {
    Bytes(SmallVec<[u8; SHORT]>),
    /// A packet with descriptors, which is still in the socket: nothing was taken.
    Descriptors,
    Empty,
    Gone,
}

/// Receives one packet of somebody who is to send no descriptors, without waiting. One with descriptors stays where it is:
/// to take them means to close them, for which the caller may not have the time.
pub(crate) fn receive_from_stranger(socket: BorrowedFd<'_>) -> io::Result<Got> {
    let mut bytes = [0; MAX_LEN];
    let peeked = match receive_bytes(socket, &mut bytes, RecvFlags::PEEK) {
        // With no room for any, the kernel says of descriptors that they were cut off (unix(7)).
        Ok(peeked) if peeked.flags.contains(ReturnFlags::CTRUNC) => return Ok(Got::Descriptors),
        Ok(peeked) => peeked,
        Err(Errno::AGAIN | Errno::INTR) => return Ok(Got::Empty),
        Err(Errno::CONNRESET) => {
            // The peer closed with packets of ours unread; what it sent before is still there, after this error.
            return match receive_from_stranger(socket) {
                Ok(Got::Empty) => Ok(Got::Gone),
                other => other,
            };
        }
        Err(e) => return Err(e.into()),
    };
    if peeked.bytes == 0 {
        return Ok(Got::Gone);
    }
    // The same packet: nobody else reads from this socket.
    let got = receive_bytes(socket, &mut bytes, RecvFlags::empty())?;
    if got.flags.contains(ReturnFlags::TRUNC) {
        let text = format!("a packet is longer than {MAX_LEN} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(Got::Bytes(SmallVec::from_slice(&bytes[..got.bytes])))
}

/// Takes a packet out of a socket and has the kernel close its descriptors, however long that takes; false if the socket is
/// empty. True at the end of the connection too, which looks like a packet without a byte.
pub(crate) fn discard(socket: BorrowedFd<'_>) -> bool {
    match receive_bytes(socket, &mut [0; 1], RecvFlags::empty()) {
        Ok(_) | Err(Errno::INTR | Errno::CONNRESET) => true,
        Err(_) => false,
    }
}

/// A receive without room for descriptors, which does not wait.
fn receive_bytes(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
    flags: RecvFlags,
) -> rustix::io::Result<RecvMsg> {
    let mut control = RecvAncillaryBuffer::default();
    let flags = flags | RecvFlags::DONTWAIT;
    rustix::net::recvmsg(socket, &mut [IoSliceMut::new(bytes)], &mut control, flags)
}

/// Who is at the other end, as the kernel knows it.
#[derive(Debug)]
pub(crate) struct Peer {
    /// 0 for a process of a foreign pid namespace.
    pub(crate) pid: i32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Readable once the process is dead; `None` if it is dead already, or there is no descriptor for it.
    pub(crate) pidfd: Option<OwnedFd>,
}

/// Credentials of the peer (`SO_PEERCRED`) and a handle of its process (`SO_PEERPIDFD`, Linux 6.5, else `pidfd_open`).
pub(crate) fn peer(socket: BorrowedFd<'_>) -> io::Result<Peer> {
    let cred = peer_cred(socket)?;
    let open = || {
        let pid = rustix::process::Pid::from_raw(cred.pid)?;
        rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()
    };
    Ok(Peer {
        pid: cred.pid,
        uid: cred.uid,
        gid: cred.gid,
        pidfd: peer_pidfd(socket).or_else(open),
    })
}

/// Not rustix's `socket_peercred`, whose process number can't be 0: it is for a peer of a foreign pid namespace.
fn peer_cred(socket: BorrowedFd<'_>) -> io::Result<libc::ucred> {
    let mut cred = libc::ucred {
        pid: 0,
        uid: u32::MAX,
        gid: u32::MAX,
    };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes, which is the size of `cred`, and any bytes are a valid `ucred`.
    let rc = unsafe {
        let at = (&raw mut cred).cast();
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            at,
            &raw mut len,
        )
    };
    if rc == 0 {
        Ok(cred)
    } else {
        Err(io::Error::last_os_error())
    }
}

fn peer_pidfd(socket: BorrowedFd<'_>) -> Option<OwnedFd> {
    const SO_PEERPIDFD: libc::c_int = 77;
    let mut fd: libc::c_int = -1;
    let mut len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the kernel writes one int into `fd`, whose size `len` gives.
    let rc = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_PEERPIDFD,
            (&raw mut fd).cast(),
            &raw mut len,
        )
    };
    // SAFETY: on success `fd` is a new descriptor that nobody else owns.
    (rc == 0 && fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Supplementary groups of the peer at the time it connected (`SO_PEERGROUPS`, Linux 4.13).
pub(crate) fn peer_groups(socket: BorrowedFd<'_>) -> Vec<u32> {
    let mut groups = vec![0_u32; 64];
    for _ in 0..2 {
        let mut len = (groups.len() * 4) as libc::socklen_t;
        // SAFETY: the kernel writes at most `len` bytes of gid_t (u32) into `groups`, which has that many.
        let rc = unsafe {
            let at = groups.as_mut_ptr().cast();
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                at,
                &raw mut len,
            )
        };
        groups.resize(len as usize / 4, 0);
        if rc == 0 {
            return groups;
        }
        if io::Error::last_os_error().raw_os_error() != Some(libc::ERANGE) {
            break;
        }
    }
    Vec::new()
}

/// A bound socket and the lock that says it is alive; both files go with it.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: OwnedFd,
    path: PathBuf,
    // Last, so that the path is free only once everything else is gone.
    #[cfg_attr(not(test), expect(dead_code, reason = "it is held, not looked at"))]
    lock: Lock,
}

/// A locked file. The kernel drops the lock with the process, however that ends, so a lock means a live producer.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child that another thread is just starting has a copy of the descriptor until it executes
        // its program, and the lock would last as long (flock(2)).
        if let Err(error) = rustix::fs::flock(&self.0, rustix::fs::FlockOperation::Unlock) {
            tracing::debug!(%error, "a stream's lock could not be given up");
        }
    }
}

/// Why a path can't be listened on.
#[derive(Debug)]
pub(crate) enum ListenError {
    InUse,
    Io(io::Error),
}

impl From<io::Error> for ListenError {
    fn from(e: io::Error) -> Self {
        Self::Io(e)
    }
}

impl From<Errno> for ListenError {
    fn from(e: Errno) -> Self {
        Self::Io(e.into())
    }
}

impl Listener {
    /// Listens on `path`, replacing what a dead producer left. The socket appears complete, by rename, so that a client
    /// never meets one that does not listen yet.
    pub(crate) fn bind(path: &Path, mode: u32, gid: Option<u32>) -> Result<Self, ListenError> {
        let lock = lock(&path.with_extension("lock"), mode)?;
        let fresh = path.with_extension("new");
        remove_if_there(&fresh)?;
        let socket = seqpacket()?;
        rustix::net::bind(&socket, &SocketAddrUnix::new(&fresh)?)?;
        fs::set_permissions(&fresh, fs::Permissions::from_mode(mode))?;
        if let Some(gid) = gid {
            std::os::unix::fs::chown(&fresh, None, Some(gid))?;
        }
        refuse_descriptors(socket.as_fd());
        rustix::net::listen(&socket, 64)?;
        fs::rename(&fresh, path)?;
        Ok(Self {
            socket,
            path: path.to_owned(),
            lock,
        })
    }

    /// Whether a connection waits to be accepted.
    pub(crate) fn has_caller(&self) -> bool {
        let mut polled = [PollFd::new(&self.socket, PollFlags::IN)];
        rustix::event::poll(&mut polled, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// Lets nobody connect any more; who waits can still be accepted.
    pub(crate) fn shut(&self) {
        shut(&self.socket);
    }

    /// The next connection, or `None` if none waits.
    pub(crate) fn accept(&self) -> io::Result<Option<OwnedFd>> {
        match rustix::net::accept_with(&self.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok(socket) => Ok(Some(socket)),
            // After `shut` there is an error where nobody waits.
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED | Errno::INVAL) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // The lock file stays: removing it would let two producers lock two files of one name.
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "the stream's socket could not be removed");
        }
    }
}

/// Ends both directions, which the peer sees at once, whoever holds copies of the descriptor. What it sent is still there.
pub(crate) fn shut(socket: &OwnedFd) {
    if let Err(error) = rustix::net::shutdown(socket, rustix::net::Shutdown::Both) {
        tracing::trace!(%error, "shutdown");
    }
}

/// Has the kernel refuse descriptors that peers send (`SO_PASSRIGHTS`, Linux 6.16, socket(7)); accepted sockets inherit it.
/// Whoever is sent a descriptor may be the last to close it, and that can take as long as its sender likes: a TCP socket that
/// lingers, a file of a user's file system. An older kernel takes them; see `publisher/aside.rs`.
fn refuse_descriptors(listener: BorrowedFd<'_>) {
    let off: libc::c_int = 0;
    // SAFETY: the kernel reads one int from `off`, whose size is given.
    let rc = unsafe {
        libc::setsockopt(
            listener.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_PASSRIGHTS,
            (&raw const off).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if rc != 0 {
        let error = io::Error::last_os_error();
        tracing::debug!(%error, "this kernel can't refuse descriptors that peers send");
    }
}

/// Whether the kernel refuses descriptors that are sent to this socket; false if it does not know how.
pub(crate) fn refuses_descriptors(socket: BorrowedFd<'_>) -> bool {
    let mut takes: libc::c_int = 1;
    let mut len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the kernel writes one int into `takes`, whose size `len` gives.
    let rc = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_PASSRIGHTS,
            (&raw mut takes).cast(),
            &raw mut len,
        )
    };
    rc == 0 && takes == 0
}

/// Whether the peer has received all that was sent to it (`SIOCOUTQ`, unix(7)); false if the kernel does not say.
pub(crate) fn is_all_received(socket: BorrowedFd<'_>) -> bool {
    let mut unread: libc::c_int = 1;
    // SAFETY: the kernel writes one int into `unread`.
    let rc = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut unread) };
    rc == 0 && unread == 0
}

fn lock(path: &Path, mode: u32) -> Result<Lock, ListenError> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(mode)
        .open(path)?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock(file)),
        Err(Errno::WOULDBLOCK) => Err(ListenError::InUse),
        Err(e) => Err(e.into()),
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory;

    fn pair() -> (OwnedFd, OwnedFd) {
        rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap()
    }

    #[test]
    fn packets_carry_descriptors() {
        let (a, b) = pair();
        let fd = memory::memfd("x", 4096).unwrap();
        assert_eq!(send(a.as_fd(), b"hi", &[fd.as_fd()]).unwrap(), Sent::Done);
        let Received::Packet(packet) = receive(b.as_fd(), Wait::No).unwrap() else {
            panic!("a packet")
        };
        assert_eq!(packet.bytes.as_slice(), b"hi");
        assert_eq!(
            memory::memory_id(packet.fds[0].as_fd()).unwrap(),
            memory::memory_id(fd.as_fd()).unwrap()
        );
        let flags = rustix::io::fcntl_getfd(&packet.fds[0]).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        assert!(matches!(
            receive(b.as_fd(), Wait::No).unwrap(),
            Received::Empty
        ));
    }

    #[test]
    fn the_kernel_tells_what_a_peer_has_not_received() {
        let (a, b) = pair();
        assert!(is_all_received(a.as_fd()));
        send(a.as_fd(), b"hi", &[]).unwrap();
        assert!(!is_all_received(a.as_fd()));
        receive(b.as_fd(), Wait::No).unwrap();
        assert!(is_all_received(a.as_fd()));
    }

    #[test]
    fn a_full_queue_is_told_from_a_dead_peer() {
        let (a, b) = pair();
        let mut last = Sent::Done;
        for _ in 0..100_000 {
            last = send(a.as_fd(), &[0; 64], &[]).unwrap();
            if last != Sent::Done {
                break;
            }
        }
        assert_eq!(last, Sent::Full);
        drop(b);
        assert_eq!(send(a.as_fd(), b"x", &[]).unwrap(), Sent::Gone);
    }

    #[test]
    fn what_was_sent_before_a_reset_is_still_read() {
        let (a, b) = pair();
        send(a.as_fd(), b"never read", &[]).unwrap();
        send(b.as_fd(), b"goodbye", &[]).unwrap();
        drop(b);
        for wait in [Wait::No, Wait::Yes] {
            match receive(a.as_fd(), wait).unwrap() {
                Received::Packet(packet) => assert_eq!(packet.bytes.as_slice(), b"goodbye"),
                other => assert!(matches!((wait, other), (Wait::Yes, Received::Gone))),
            }
        }
    }

    #[test]
    fn too_large_packets_are_an_error() {
        let (a, b) = pair();
        rustix::net::send(&a, &[0; MAX_LEN + 1], SendFlags::empty()).unwrap();
        assert_eq!(
            receive(b.as_fd(), Wait::No).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }

    #[test]
    fn a_live_path_is_in_use_and_a_dead_one_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        let first = Listener::bind(&path, 0o600, None).unwrap();
        assert!(matches!(
            Listener::bind(&path, 0o600, None),
            Err(ListenError::InUse)
        ));
        drop(first);
        // What a killed producer leaves: a socket file that nobody listens on.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let second = Listener::bind(&path, 0o600, None).unwrap();
        connect(&path, None).unwrap();
        assert!(second.accept().unwrap().is_some());
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn a_copy_of_the_lock_in_a_child_does_not_keep_the_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        let first = Listener::bind(&path, 0o600, None).unwrap();
        // What a fork copies; it shares the lock.
        let _copy = first.lock.0.try_clone().unwrap();
        drop(first);
        Listener::bind(&path, 0o600, None).unwrap();
    }

    #[test]
    fn the_peer_is_known() {
        let (a, _b) = pair();
        let peer = peer(a.as_fd()).unwrap();
        assert_eq!(peer.pid, std::process::id() as i32);
        assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
        assert!(peer.pidfd.is_some());
        let own: Vec<u32> = rustix::process::getgroups()
            .unwrap()
            .iter()
            .map(|g| g.as_raw())
            .collect();
        assert_eq!(peer_groups(a.as_fd()), own);
    }
}
