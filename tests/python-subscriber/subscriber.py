"""A subscriber of the frame bus in pure Python, written from docs/frame-bus-protocol.md.

    with Subscriber("/run/mos-camera/frames/front.sock") as frames:
        for frame in frames:
            with frame:
                luma = frame.plane(0)          # a read-only memoryview, no copy
                print(frame.seq, frame.format.width, luma[0])

It is the reference of a client in another language: small, complete, standard library only. It is not the fastest one.
A subscriber and its frames belong to one thread.
"""

import array
import fcntl
import json
import mmap
import os
import select
import socket
import struct
import time
from typing import Iterator, NamedTuple, Optional

import wire
from shared import Board, LeasePage, UnsafeMemory, check_memory
from waiting import Watch, next_wait
from wire import Reason

CLOCK_SOURCES = ("unknown", "arrival", "driver", "pipeline-clock", "ntp", "ptp", "ntp-relative", "ptp-relative")
DISCONT, CORRUPTED, RETIMED = 1, 2, 4

_DMA_BUF_SYNC = 0x4008_6200  # DMA_BUF_IOCTL_SYNC, include/uapi/linux/dma-buf.h
_SYNC_READ, _SYNC_END = 1, 4


# ---- errors ---------------------------------------------------------------------------------------------------------


class BusError(Exception):
    """No (further) frame can be had."""


class NotFound(BusError):
    """Nobody publishes the stream."""


class NoPermission(BusError):
    """The socket's permissions keep us out."""


class ConnectTimeout(BusError):
    """The producer did not answer in time."""


class Refused(BusError):
    """The producer said no; `reason` and `text` say why."""

    def __init__(self, reason: Reason, text: str):
        super().__init__(f"the producer refused the subscription ({reason.name}): {text}")
        self.reason, self.text = reason, text


class Evicted(BusError):
    """The producer cut us off; `reason` and `text` say why. Frames in hand are void."""

    def __init__(self, reason: Reason, text: str):
        super().__init__(f"the producer cut this subscriber off ({reason.name}): {text}")
        self.reason, self.text = reason, text


class Disconnected(BusError):
    """The producer is gone, and we were told not to wait for another."""


class ProtocolError(BusError):
    """The producer does not follow the protocol."""


class HoldLimit(BusError):
    """As many frames are held as were asked for; release one first. Nothing is lost by this error."""


class _Gone(Exception):
    """The session is over; another may come."""


# ---- frames ---------------------------------------------------------------------------------------------------------


class Stats(NamedTuple):
    """What was received so far. `missed` frames were published between two that were received, in `gaps` places."""

    received: int = 0
    missed: int = 0
    gaps: int = 0
    reconnects: int = 0


class _Buffer:
    """Memory of one buffer; its descriptors are closed when the producer took it back and no frame is in it."""

    def __init__(self, add: wire.BufferAdd, frame_format: wire.Format, fds: list):
        self.generation, self.planes, self.format, self.fds = add.generation, add.planes, frame_format, fds
        self._users = 1

    def use(self) -> "_Buffer":
        self._users += 1
        return self

    def drop(self) -> None:
        self._users -= 1
        if self._users == 0:
            _close_all(self.fds)


class Frame:
    """One frame. Its memory is not written until `release`, or the end of a `with` block."""

    def __init__(self, session: "_Session", slot: int, descriptor, buffer: _Buffer):
        self._session, self._slot, self._descriptor, self._buffer = session, slot, descriptor, buffer
        self._views = {}
        self._released = False

    @property
    def seq(self) -> int:
        """Number of the frame, from 1 in each session, rising by one a published frame."""
        return self._descriptor.seq

    @property
    def session(self) -> int:
        """Number of the producer's session."""
        return self._session.id

    @property
    def epoch(self) -> int:
        """Counts format changes of the session, from 1."""
        return self._buffer.format.epoch

    @property
    def buffer_id(self) -> int:
        """Number of the buffer within the session: the same memory has the same number."""
        return self._buffer.generation

    @property
    def format(self) -> wire.Format:
        return self._buffer.format

    @property
    def planes(self) -> tuple:
        """Where the planes lie; `planes[i].fd` is an index into `fds`."""
        return self._buffer.planes

    @property
    def fds(self) -> tuple:
        """Descriptors of the memory (memfd or dma-buf), valid until the release."""
        return tuple(self._buffer.fds)

    @property
    def capture_ns(self) -> int:
        """Time of capture, `time.monotonic_ns()`'s clock."""
        return self._descriptor.capture_ns

    @property
    def publish_ns(self) -> int:
        return self._descriptor.publish_ns

    @property
    def clock_source(self) -> str:
        """What `capture_ns` was taken from, one of `CLOCK_SOURCES`."""
        source = self._descriptor.clock_source
        return CLOCK_SOURCES[source] if source < len(CLOCK_SOURCES) else CLOCK_SOURCES[0]

    @property
    def clock_error_ns(self) -> int:
        """Bound of the error of `capture_ns`; 0 if none is known."""
        return self._descriptor.clock_error_ns

    @property
    def pts_ns(self) -> Optional[int]:
        return self._descriptor.pts_ns

    @property
    def wall_ns(self) -> Optional[int]:
        """Time of day of the capture in ns since 1970, where the camera gave it."""
        return self._descriptor.wall_ns

    @property
    def flags(self) -> int:
        """`DISCONT`, `CORRUPTED`, `RETIMED`."""
        return self._descriptor.flags

    def is_valid(self) -> bool:
        """Whether it is still ours: with a hold of 0, ask after reading. Also false after eviction and release."""
        return not self._released and self._session.leases.still_held(self._slot, self.seq)

    def plane(self, index: int) -> memoryview:
        """The bytes of a plane, read-only and without a copy, until the release. Don't keep slices of it."""
        if self._released:
            raise ValueError("the frame was released")
        plane = self.planes[index]
        return self._map(plane.fd)[plane.offset : plane.offset + plane.size]

    def release(self) -> None:
        """Gives the frame back. No system call, unless its memory was mapped."""
        if self._released:
            return
        self._released = True
        for index, view in self._views.items():
            _sync(self._buffer, index, _SYNC_READ | _SYNC_END)
            _unmap(view)
        self._views.clear()
        self._session.leases.release(self._slot, self.seq)
        self._buffer.drop()
        self._session.released()

    def _map(self, index: int) -> memoryview:
        view = self._views.get(index)
        if view is None:
            fd = self._buffer.fds[index]
            size = max(p.offset + p.size for p in self.planes if p.fd == index)
            try:
                check_memory(fd, size, f"buffer {self.buffer_id}")
            except UnsafeMemory as error:
                raise ProtocolError(str(error)) from error
            view = memoryview(mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_READ))
            self._views[index] = view
            _sync(self._buffer, index, _SYNC_READ)
        return view

    def __enter__(self) -> "Frame":
        return self

    def __exit__(self, *_error) -> None:
        self.release()

    def __del__(self):
        self.release()


def _unmap(view: memoryview) -> None:
    mapping = view.obj
    view.release()
    try:
        mapping.close()
    except BufferError:
        pass  # A slice of it is still around; it is unmapped when that goes.


def _sync(buffer: _Buffer, index: int, flags: int) -> None:
    """Tells a dma-buf where the CPU's reading begins and ends."""
    if buffer.format.memory == "dma-buf":
        fcntl.ioctl(buffer.fds[index], _DMA_BUF_SYNC, struct.pack("=Q", flags))


# ---- one connection -------------------------------------------------------------------------------------------------


class _Session:
    """One connection to a producer: what its messages made known, and the claiming of frames."""

    def __init__(self, path: str, window: int, hold: int, name: str, patience: Optional[float]):
        self.socket = _connect(path, patience)
        self.id = 0
        self.started = self.armed = False
        self.leases: Optional[LeasePage] = None
        self._board: Optional[Board] = None
        self._window, self._limit = window, hold
        self._formats: dict = {}
        self._buffers: dict = {}
        self._unacknowledged = self._held = 0
        self._next = 0
        self._closing = False
        try:
            self.socket.send(wire.hello(window, hold, name))
        except BrokenPipeError:
            pass  # Refused unheard: the reason waits to be read.
        except BaseException:
            self.socket.close()
            raise

    # -- messages

    def hear_all(self) -> bool:
        """Reads and acts on everything that is there; whether there was anything."""
        heard = False
        while self._hear():
            heard = True
        self._acknowledge()
        return heard

    def _hear(self) -> bool:
        try:
            packet, fds = _receive(self.socket)
        except BlockingIOError:
            return False
        taken = False
        try:
            taken = self._act(wire.decode(packet), fds)
        except (wire.WireError, UnsafeMemory) as error:
            raise ProtocolError(str(error)) from error
        finally:
            if not taken:
                _close_all(fds)
        return True

    def _act(self, message: Optional[wire.Message], fds: list) -> bool:
        """Acts on a message; true if it took the descriptors."""
        if message is None or isinstance(message, wire.Bell):
            return False
        if isinstance(message, wire.Refused):
            raise Refused(*message)
        if isinstance(message, wire.Evict):
            raise Evicted(*message) if self.started else Refused(*message)
        if isinstance(message, wire.Bye):
            raise _Gone
        if isinstance(message, wire.Welcome) and self.leases is None:
            self._welcome(message, fds)
            return False
        if self.leases is None or isinstance(message, wire.Welcome):
            raise ProtocolError(f"unexpected {message}")
        if isinstance(message, wire.Stats):
            raise ProtocolError("a report that nobody asked for")
        if isinstance(message, wire.Start):
            self.started = True
        elif isinstance(message, wire.Format):
            self._new_format(message)
        elif isinstance(message, wire.BufferAdd):
            self._add_buffer(message, fds)
            return True
        elif isinstance(message, wire.BufferRemove):
            known = self._buffers.get(message.slot)
            if known is not None and known.generation == message.generation:
                self._buffers.pop(message.slot).drop()
        return False

    def _welcome(self, welcome: wire.Welcome, fds: list) -> None:
        if welcome.version != wire.VERSION:
            raise ProtocolError(f"WELCOME to version {welcome.version}")
        if not (1 <= welcome.window <= wire.MAX_WINDOW and 0 <= welcome.hold <= wire.MAX_WINDOW):
            raise ProtocolError(f"WELCOME grants a window of {welcome.window} and a hold of {welcome.hold}")
        if len(fds) != 2:
            raise ProtocolError(f"WELCOME came with {len(fds)} descriptors")
        self._board = Board(fds[0])
        self.leases = LeasePage(fds[1])
        self.id = welcome.session
        self._window = welcome.window
        # With a hold of 0 frames are ours while they are in the window.
        self._limit = welcome.hold or welcome.window

    def _new_format(self, message: wire.Format) -> None:
        if any(known >= message.epoch for known in self._formats):
            raise ProtocolError(f"epoch {message.epoch} came out of order")
        # Buffers keep the format of their epoch by themselves.
        self._formats = {message.epoch: message}

    def _add_buffer(self, message: wire.BufferAdd, fds: list) -> None:
        frame_format = self._formats.get(message.epoch)
        if frame_format is None:
            raise ProtocolError(f"buffer {message.slot} of unknown epoch {message.epoch}")
        if len(fds) != 1 + max(plane.fd for plane in message.planes):
            raise ProtocolError(f"buffer {message.slot} came with {len(fds)} descriptors")
        old = self._buffers.pop(message.slot, None)
        if old is not None:
            old.drop()
        self._buffers[message.slot] = _Buffer(message, frame_format, fds)
        self._unacknowledged += 1

    def _acknowledge(self) -> None:
        if self._unacknowledged == 0:
            return
        try:
            self.socket.send(wire.buffer_ack(self._unacknowledged))
            self._unacknowledged = 0
        except BlockingIOError:
            pass  # No room; said with the next one.
        except (BrokenPipeError, ConnectionResetError):
            # Over; what the producer said before is still there to be read.
            self._unacknowledged = 0

    # -- frames

    def _offers(self, newest: bool) -> Iterator[tuple]:
        """Sequence and slot of the frames on offer. Hints: each may be taken back any time."""
        if not self.started:
            return
        head = self._board.head()
        window = range(max(self._next, head - self._window + 1, 1), head + 1)
        for seq in reversed(window) if newest else window:
            slot = self._board.slot_of(seq)
            if slot is not None and self.leases.is_offered(slot, seq):
                yield seq, slot

    def has_offer(self) -> bool:
        return next(self._offers(False), None) is not None

    def claim(self, newest: bool) -> Optional[tuple]:
        """Claims the oldest or the newest frame on offer; gives it, and how many were missed before it."""
        for seq, slot in self._offers(newest):
            if self._held >= self._limit:
                raise HoldLimit(f"{self._held} frames are held, as many as were asked for; release one first")
            if not self.leases.claim(slot, seq):
                continue
            try:
                found = self._buffer_of(slot, seq)
            except BaseException:
                self.leases.release(slot, seq)
                raise
            if found is None:
                if not self.leases.still_held(slot, seq):
                    continue  # It was revoked since: as if it had never been on offer.
                self.leases.release(slot, seq)
                raise ProtocolError(f"frame {seq} is on offer in slot {slot}, but its buffer was never sent")
            descriptor, buffer = found
            missed = seq - self._next if self._next else 0
            self._next = seq + 1
            self._held += 1
            return Frame(self, slot, descriptor, buffer.use()), missed
        return None

    def _buffer_of(self, slot: int, seq: int) -> Optional[tuple]:
        """Description and buffer of a claimed frame; `None` if there is none, which is certain only while it is ours."""
        descriptor = self._board.read(slot, seq)
        if descriptor is None:
            return None
        buffer = self._buffers.get(slot)
        if buffer is None or buffer.generation != descriptor.generation:
            # Its BUFFER_ADD was sent before it was offered, so it is in the socket.
            self.hear_all()
            buffer = self._buffers.get(slot)
        if buffer is None or buffer.generation != descriptor.generation:
            return None
        return descriptor, buffer

    def released(self) -> None:
        """A frame of this session was released."""
        self._held -= 1
        self._close_if_idle()

    # -- the doorbell

    def arm(self) -> None:
        if self.leases is not None:
            self.armed = True
            self.leases.arm()

    def disarm(self) -> None:
        if self.armed:
            self.armed = False
            self.leases.disarm()

    # -- the end

    def close(self) -> None:
        """Ends the session, as soon as no frame of it is held: the producer takes its end for the end of all leases."""
        self._closing = True
        self.disarm()
        for buffer in self._buffers.values():
            buffer.drop()
        self._buffers.clear()
        self._close_if_idle()

    def _close_if_idle(self) -> None:
        if not self._closing or self._held:
            return
        try:
            self.socket.send(wire.bye())
        except OSError:
            pass  # A courtesy; closing says the same.
        self.socket.close()
        for memory in (self._board, self.leases):
            if memory is not None:
                memory.close()


def _connect(path: str, patience: Optional[float]) -> socket.socket:
    """A connected socket that does not block. With `patience` it waits so long for room in the producer's queue."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    try:
        if patience is None:
            connection.setblocking(False)
        else:
            seconds = max(patience, 0.001)
            timeout = struct.pack("@ll", int(seconds), int(seconds % 1 * 1e6))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)
        connection.connect(path)
        connection.setblocking(False)
    except BaseException:
        connection.close()
        raise
    return connection


def _receive(connection: socket.socket) -> tuple:
    """One packet and its descriptors, without waiting."""
    room = socket.CMSG_SPACE(wire.MAX_DESCRIPTORS * 4)
    flags = socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT
    try:
        packet, ancillary, result, _address = connection.recvmsg(wire.MAX_PACKET, room, flags)
    except ConnectionResetError:
        # The producer closed with packets of ours unread; what it sent before may still be there.
        try:
            packet, ancillary, result, _address = connection.recvmsg(wire.MAX_PACKET, room, flags)
        except (BlockingIOError, ConnectionResetError) as error:
            raise _Gone from error
    fds = []
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            numbers = array.array("i")
            numbers.frombytes(data[: len(data) - len(data) % numbers.itemsize])
            fds.extend(numbers)
    if result & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        _close_all(fds)
        raise ProtocolError(
            "a packet or its descriptors were cut off; if this process is out of descriptors, raise RLIMIT_NOFILE"
        )
    if not packet:
        _close_all(fds)
        raise _Gone
    return packet, fds


def _close_all(fds: list) -> None:
    for fd in fds:
        os.close(fd)
    fds.clear()


# ---- the subscriber -------------------------------------------------------------------------------------------------


class Subscriber:
    """Receives the frames of one stream.

    `next` waits for a frame. `try_next` does not, and goes with `fileno` for select, asyncio and the like: when it gives
    `None`, wait until the descriptor is readable. `latest` skips to the newest frame.
    When the producer goes away, a subscriber with `reconnect` waits for it to come back; frames in hand stay readable.
    """

    def __init__(
        self,
        path: str,
        window: int = 2,
        hold: int = 1,
        name: Optional[str] = None,
        reconnect: bool = True,
        timeout: float = 5.0,
    ):
        self._path = path
        self._wish = (window, hold, name or f"python-{os.getpid()}")
        self._reconnect = reconnect
        self._stats = Stats()
        self._watch: Optional[Watch] = None
        self._pace: Optional[float] = None
        self._session: Optional[_Session] = None
        self._coming_back = False
        self._ready = select.epoll(flags=select.EPOLL_CLOEXEC)
        try:
            self._session = self._open(timeout)
        except BaseException:
            self.close()
            raise

    def _open(self, timeout: float) -> _Session:
        deadline = time.monotonic() + timeout
        try:
            session = _Session(self._path, *self._wish, timeout)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NotFound(f"{self._path}: no such stream, or nobody publishes it") from error
        except PermissionError as error:
            raise NoPermission(f"{self._path}: no permission to subscribe") from error
        except BlockingIOError as error:
            raise ConnectTimeout(f"{self._path}: no answer within {timeout} s") from error
        try:
            self._ready.register(session.socket, select.EPOLLIN)
            while not session.started:
                session.hear_all()
                if not session.started and not self._wait(deadline):
                    raise ConnectTimeout(f"{self._path}: no answer within {timeout} s")
        except _Gone as error:
            session.close()
            raise NotFound(f"{self._path}: the producer is gone") from error
        except BaseException:
            session.close()
            raise
        return session

    def next(self, timeout: Optional[float] = None) -> Optional[Frame]:
        """The next frame in order; waits for it, also while the producer is away. `None` after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            frame = self._poll(newest=False)
            if frame is not None:
                return frame
            if not self._wait(deadline):
                if self._session is not None:
                    self._session.disarm()
                return None

    def try_next(self) -> Optional[Frame]:
        """The next frame in order, if one is there."""
        return self._poll(newest=False)

    def latest(self) -> Optional[Frame]:
        """The newest frame, if one is there that was not taken yet; older ones are skipped."""
        return self._poll(newest=True)

    def fileno(self) -> int:
        """Readable when a call of `try_next` is worthwhile; the same over all reconnections."""
        return self._ready.fileno()

    @property
    def connected(self) -> bool:
        """Whether a producer is there now."""
        return self._session is not None and self._session.started

    @property
    def stats(self) -> Stats:
        return self._stats

    def close(self) -> None:
        """Ends the subscription. Frames in hand stay valid until they are released."""
        if self._session is not None:
            self._session.close()
        if self._watch is not None:
            self._watch.close()
        self._session = self._watch = None
        self._ready.close()

    def __iter__(self) -> Iterator[Frame]:
        """All frames, until the producer is gone for good."""
        while True:
            try:
                yield self.next()
            except Disconnected:
                return

    def __enter__(self) -> "Subscriber":
        return self

    def __exit__(self, *_error) -> None:
        self.close()

    def _poll(self, newest: bool) -> Optional[Frame]:
        while True:
            session = self._up()
            if session is None:
                return None
            try:
                if session.armed:
                    session.disarm()
                    session.hear_all()
                found = session.claim(newest)
                if found is not None:
                    return self._count(*found)
                session.arm()
                if not session.has_offer() and not session.hear_all():
                    return None
            except _Gone:
                self._down(Disconnected("the producer is gone") if not self._reconnect else None)
            except Refused as error:
                # A producer that is full or shutting down may take us later.
                self._down(None if self._reconnect else error)
            except HoldLimit:
                raise
            except (BusError, OSError) as error:
                self._down(error)

    def _count(self, frame: Frame, missed: int) -> Frame:
        stats = self._stats
        self._stats = stats._replace(
            received=stats.received + 1,
            missed=stats.missed + missed,
            gaps=stats.gaps + bool(missed),
            reconnects=stats.reconnects + self._coming_back,
        )
        self._coming_back = False
        return frame

    def _up(self) -> Optional[_Session]:
        """The session, if one is up; else tries to get one."""
        if self._session is not None:
            return self._session
        if self._watch is None:
            raise Disconnected("the subscription is over")
        if not self._watch.is_due():
            return None
        try:
            session = _Session(self._path, *self._wish, None)
        except (FileNotFoundError, ConnectionError, PermissionError, BlockingIOError):
            self._pace = next_wait(self._pace)
            self._watch.set(self._pace)
            return None
        self._watch.close()
        self._watch = None
        self._ready.register(session.socket, select.EPOLLIN)
        self._session = session
        return session

    def _down(self, error: Optional[Exception]) -> None:
        """The session is over: waits for the next, or says why not."""
        session, self._session = self._session, None
        # Frames in hand keep the socket open, which is readable for ever from now on.
        self._ready.unregister(session.socket)
        session.close()
        if error is not None:
            raise error
        self._coming_back = True
        # The pace of the attempts starts anew with each session that came about.
        self._pace = next_wait(None if session.started else self._pace)
        self._watch = Watch(self._path, self._pace)
        for fd in self._watch.fds():
            self._ready.register(fd, select.EPOLLIN)

    def _wait(self, deadline: Optional[float]) -> bool:
        """Waits until something happened; false if the deadline came first."""
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        return bool(self._ready.poll(left)) or (deadline is not None and time.monotonic() < deadline)


def inspect(path: str, timeout: float = 5.0) -> dict:
    """What a producer says about itself: subscribers and what they hold, times, refusals. No subscription."""
    deadline = time.monotonic() + timeout
    try:
        connection = _connect(path, timeout)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise NotFound(f"{path}: no such stream, or nobody publishes it") from error
    with connection:
        try:
            connection.send(wire.inspect())
        except BrokenPipeError:
            pass  # Refused unheard: the reason waits to be read.
        report = b""
        while True:
            if not select.select([connection], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise ConnectTimeout(f"{path}: no answer within {timeout} s")
            try:
                packet, fds = _receive(connection)
                _close_all(fds)
                message = wire.decode(packet)
            except _Gone as error:
                raise NotFound(f"{path}: the producer is gone") from error
            except wire.WireError as error:
                raise ProtocolError(str(error)) from error
            if isinstance(message, wire.Refused):
                raise Refused(*message)
            if isinstance(message, wire.Stats):
                report += message.part
                if not message.more:
                    return json.loads(report)
            elif message is not None:
                raise ProtocolError(f"unexpected {message}")


def default_dir() -> str:
    """The folder that holds one socket per stream."""
    chosen = os.environ.get("MOS_FRAME_DIR")
    if chosen:
        return chosen
    system, user = "/run/mos-camera/frames", os.environ.get("XDG_RUNTIME_DIR")
    if user and not os.path.isdir(system) and os.geteuid() != 0:
        return os.path.join(user, "mos-camera/frames")
    return system
