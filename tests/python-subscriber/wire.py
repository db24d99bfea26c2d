"""The packets of the frame bus, protocol version 1 (docs/frame-bus-protocol.md, sections 3, 4 and 12).

Pure: bytes in, named tuples out, and back. Nothing here knows about sockets.
"""

import enum
import struct
from typing import NamedTuple, Optional, Union

VERSION = 1
MAGIC = b"MOSF"
MAX_PACKET = 1024
MAX_DESCRIPTORS = 4
MAX_TEXT = 256
SLOTS = 256
MAX_WINDOW = 64

_HEADER = struct.Struct("<HHI")
_CRITICAL = 1


class Type(enum.IntEnum):
    """Numbers of the messages."""

    HELLO = 1
    BUFFER_ACK = 2
    BYE = 3
    INSPECT = 4
    WELCOME = 64
    REFUSED = 65
    FORMAT = 66
    BUFFER_ADD = 67
    BUFFER_REMOVE = 68
    START = 69
    BELL = 70
    EVICT = 71
    STATS = 72


class Reason(enum.IntEnum):
    """Why a subscription was refused or ended by the producer."""

    OTHER = 0
    OVER_BUDGET = 1
    VERSION = 2
    BAD_REQUEST = 3
    HOLD_ZERO = 4
    NOT_ALLOWED = 5
    TIMEOUT = 6
    PROTOCOL = 7
    BAD_LEASE = 8
    HOLD_EXCEEDED = 9
    RESOURCES = 10

    @classmethod
    def _missing_(cls, value):
        return cls.OTHER


class WireError(Exception):
    """A packet that is no message of this protocol."""


class Welcome(NamedTuple):
    version: int
    session: int
    subscriber: int
    window: int
    hold: int


class Refused(NamedTuple):
    reason: Reason
    text: str


class Evict(NamedTuple):
    reason: Reason
    text: str


class Format(NamedTuple):
    """Format of all frames of one epoch."""

    epoch: int
    width: int
    height: int
    fourcc: str
    modifier: int
    framerate: tuple
    memory: str
    read_only: bool
    colorimetry: str


class Plane(NamedTuple):
    """Where one plane lies: index of its descriptor, first byte, bytes from row to row, bytes in all."""

    fd: int
    offset: int
    stride: int
    size: int


class BufferAdd(NamedTuple):
    slot: int
    generation: int
    epoch: int
    planes: tuple


class BufferRemove(NamedTuple):
    slot: int
    generation: int


class Start(NamedTuple):
    pass


class Bell(NamedTuple):
    pass


class Bye(NamedTuple):
    pass


class Stats(NamedTuple):
    """A part of a report; the last one has no `more`."""

    more: bool
    part: bytes


Message = Union[Welcome, Refused, Evict, Format, BufferAdd, BufferRemove, Start, Bell, Bye, Stats]


# ---- what a subscriber sends ----------------------------------------------------------------------------------------


def hello(window: int, hold: int, name: str) -> bytes:
    text = name.encode()[:MAX_TEXT].decode(errors="ignore").encode()
    body = struct.pack("<4sHHIIH", MAGIC, VERSION, VERSION, window, hold, len(text)) + text
    return _packet(Type.HELLO, body)


def buffer_ack(count: int) -> bytes:
    return _packet(Type.BUFFER_ACK, struct.pack("<I", count))


def bye() -> bytes:
    return _packet(Type.BYE, b"")


def inspect() -> bytes:
    return _packet(Type.INSPECT, struct.pack("<4sHH", MAGIC, VERSION, VERSION))


def _packet(kind: Type, body: bytes) -> bytes:
    return _HEADER.pack(kind, _CRITICAL, _HEADER.size + len(body)) + body


# ---- what a producer sends ------------------------------------------------------------------------------------------


def decode(packet: bytes) -> Optional[Message]:
    """The message of a packet; `None` for one of unknown type that may be skipped."""
    if len(packet) < _HEADER.size:
        raise WireError(f"a packet of {len(packet)} bytes")
    kind, flags, length = _HEADER.unpack_from(packet)
    if length != len(packet):
        raise WireError(f"the length field says {length}, the packet has {len(packet)} bytes")
    read = _READERS.get(kind)
    if read is None:
        if flags & _CRITICAL:
            raise WireError(f"message type {kind} is unknown and critical")
        return None
    return read(_Fields(packet, _HEADER.size))


class _Fields:
    """Takes fields off the front of a packet."""

    def __init__(self, packet: bytes, at: int):
        self._packet, self._at = packet, at

    def take(self, layout: str) -> tuple:
        layout = struct.Struct("<" + layout)
        try:
            fields = layout.unpack_from(self._packet, self._at)
        except struct.error as error:
            raise WireError("the packet is shorter than its fields") from error
        self._at += layout.size
        return fields

    def text(self) -> str:
        (length,) = self.take("H")
        if length > MAX_TEXT:
            raise WireError(f"a text of {length} bytes")
        return self.take(f"{length}s")[0].decode(errors="replace")


def _welcome(fields: _Fields) -> Welcome:
    version, _reserved, session, subscriber, window, hold = fields.take("HHQQII")
    return Welcome(version, session, subscriber, window, hold)


def _refused(fields: _Fields) -> Refused:
    return Refused(Reason(fields.take("H")[0]), fields.text())


def _evict(fields: _Fields) -> Evict:
    return Evict(Reason(fields.take("H")[0]), fields.text())


def _format(fields: _Fields) -> Format:
    epoch, width, height, fourcc, modifier, rate, per, memory, read_only = fields.take("III4sQIIBB")
    kinds = {1: "memfd", 2: "dma-buf"}
    if memory not in kinds:
        raise WireError(f"memory of unknown kind {memory}")
    fourcc = fourcc.decode("latin-1")
    return Format(epoch, width, height, fourcc, modifier, (rate, per), kinds[memory], read_only != 0, fields.text())


def _buffer_add(fields: _Fields) -> BufferAdd:
    slot, generation, epoch, count = fields.take("IIIB")
    if slot >= SLOTS:
        raise WireError(f"slot {slot}")
    if not 1 <= count <= MAX_DESCRIPTORS:
        raise WireError(f"{count} planes")
    planes = tuple(Plane(*fields.take("BQIQ")) for _ in range(count))
    used = {plane.fd for plane in planes}
    if used != set(range(len(used))):
        raise WireError(f"planes in descriptors {sorted(used)}")
    for plane in planes:
        if plane.size == 0 or plane.stride > plane.size or plane.offset + plane.size >= 1 << 64:
            raise WireError(f"{plane}")
    return BufferAdd(slot, generation, epoch, planes)


def _stats(fields: _Fields) -> Stats:
    more, _reserved, length = fields.take("BBH")
    return Stats(more != 0, fields.take(f"{length}s")[0])


_READERS = {
    Type.BYE: lambda fields: Bye(),
    Type.WELCOME: _welcome,
    Type.REFUSED: _refused,
    Type.FORMAT: _format,
    Type.BUFFER_ADD: _buffer_add,
    Type.BUFFER_REMOVE: lambda fields: BufferRemove(*fields.take("II")),
    Type.START: lambda fields: Start(),
    Type.BELL: lambda fields: Bell(),
    Type.EVICT: _evict,
    Type.STATS: _stats,
}
