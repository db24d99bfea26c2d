"""The shared memory of the frame bus: board and lease page (docs/frame-bus-protocol.md, sections 6 to 8).

Python has no atomic operations of its own, so they are called in libatomic, which belongs to the C compiler's run-time
(Debian: libatomic1). Every word that another process can write is reached by them and by nothing else.
"""

import ctypes
import fcntl
import mmap
import os
from typing import NamedTuple, Optional

from wire import SLOTS

_RELAXED, _ACQUIRE, _RELEASE, _ACQ_REL, _SEQ_CST = 0, 2, 3, 4, 5

FREE, OFFERED, HELD, REVOKED = range(4)

_RING = 256
_FIRST_DESCRIPTOR = 8
_FIRST_RING = _FIRST_DESCRIPTOR + 8 * SLOTS
_BOARD_WORDS = _FIRST_RING + _RING
_FIRST_LEASE = 8
_LEASE_WORDS = _FIRST_LEASE + SLOTS
_NONE = (1 << 64) - 1

# PyDLL keeps the interpreter's lock, which is cheaper than giving it up for one instruction.
_atomic = ctypes.PyDLL("libatomic.so.1")
_libc = ctypes.CDLL(None, use_errno=True)


def _function(library, name, result, *arguments):
    function = getattr(library, name)
    function.restype, function.argtypes = result, arguments
    return function


_load = _function(_atomic, "__atomic_load_8", ctypes.c_uint64, ctypes.c_void_p, ctypes.c_int)
_store = _function(_atomic, "__atomic_store_8", None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int)
_compare_exchange = _function(
    _atomic,
    "__atomic_compare_exchange_8",
    ctypes.c_bool,
    ctypes.c_void_p,
    ctypes.POINTER(ctypes.c_uint64),
    ctypes.c_uint64,
    ctypes.c_int,
    ctypes.c_int,
)
_fence = _function(_atomic, "atomic_thread_fence", None, ctypes.c_int)
_mmap = _function(
    _libc,
    "mmap",
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
)
_munmap = _function(_libc, "munmap", ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)


def _swap(address: int, expected: int, desired: int, success: int) -> bool:
    """Compare-and-swap of one word."""
    found = ctypes.c_uint64(expected)
    return _compare_exchange(address, ctypes.byref(found), desired, success, _RELAXED)


class UnsafeMemory(Exception):
    """Memory that can't be mapped without danger: too small, or able to shrink."""


def check_memory(fd: int, size: int, what: str) -> None:
    """Refuses memory that a read could run off the end of, now or later."""
    has = os.lseek(fd, 0, os.SEEK_END)
    if has < size:
        raise UnsafeMemory(f"{what} has {has} bytes, {size} are needed")
    if not (_is_sealed(fd) or _is_dmabuf(fd)):
        raise UnsafeMemory(f"{what} could shrink: it is not sealed")


def _is_sealed(fd: int) -> bool:
    try:
        return bool(fcntl.fcntl(fd, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK)
    except OSError:
        return False  # It is no memfd.


def _is_dmabuf(fd: int) -> bool:
    with open(f"/proc/self/fdinfo/{fd}", encoding="ascii", errors="replace") as info:
        return any(line.startswith("exp_name:") for line in info)


class _Words:
    """A mapping, seen as 64-bit words that are only accessed atomically."""

    def __init__(self, fd: int, count: int, writable: bool, what: str):
        self._address = None
        self._bytes = count * 8
        check_memory(fd, self._bytes, what)
        # `mmap.mmap` gives no address of a read-only mapping.
        access = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        address = _mmap(None, self._bytes, access, mmap.MAP_SHARED, fd, 0)
        if address in (None, ctypes.c_void_p(-1).value):
            error = ctypes.get_errno()
            raise OSError(error, f"{what}: {os.strerror(error)}")
        self._address = address

    def at(self, index: int) -> int:
        """Address of a word."""
        if self._address is None:
            raise ValueError("the mapping is closed")
        if not 0 <= index < self._bytes // 8:
            raise IndexError(index)
        return self._address + index * 8

    def close(self) -> None:
        if self._address is not None:
            _munmap(self._address, self._bytes)
            self._address = None

    def __del__(self):
        self.close()


class Descriptor(NamedTuple):
    """What the board says about one frame."""

    seq: int
    epoch: int
    generation: int
    publish_ns: int
    capture_ns: int
    pts_ns: Optional[int]
    wall_ns: Optional[int]
    clock_error_ns: int
    flags: int
    clock_source: int


class Board:
    """The producer's board: the newest frames, by sequence and by slot."""

    def __init__(self, fd: int):
        self._words = _Words(fd, _BOARD_WORDS, False, "the board")

    def head(self) -> int:
        """Sequence of the newest frame; 0 before the first."""
        return _load(self._words.at(0), _ACQUIRE)

    def slot_of(self, seq: int) -> Optional[int]:
        """Slot of a frame, if the ring still knows it."""
        entry = _load(self._words.at(_FIRST_RING + seq % _RING), _ACQUIRE)
        slot = entry & 0xFFFF
        known = entry == (seq << 16 | slot) & _NONE and slot < SLOTS
        return slot if known else None

    def read(self, slot: int, seq: int) -> Optional[Descriptor]:
        """The description of frame `seq` in `slot`; `None` if the slot has another frame by now."""
        first = _FIRST_DESCRIPTOR + 8 * slot
        if _load(self._words.at(first), _ACQUIRE) != seq:
            return None
        ids, publish, capture, pts, wall, rest = (_load(self._words.at(first + i), _RELAXED) for i in range(1, 7))
        _fence(_ACQUIRE)
        if _load(self._words.at(first), _RELAXED) != seq:
            return None
        return Descriptor(
            seq,
            ids >> 32,
            ids & 0xFFFF_FFFF,
            publish,
            capture,
            None if pts == _NONE else pts,
            None if wall == _NONE else wall,
            rest >> 32,
            rest >> 16 & 0xFFFF,
            rest & 0xFF,
        )

    def close(self) -> None:
        self._words.close()


class LeasePage:
    """The subscriber's lease page: claims, releases, and the doorbell."""

    def __init__(self, fd: int):
        self._words = _Words(fd, _LEASE_WORDS, True, "the lease page")

    def is_offered(self, slot: int, seq: int) -> bool:
        """Whether a frame is on offer: a hint, since the producer may take it back at once."""
        return _load(self._words.at(_FIRST_LEASE + slot), _ACQUIRE) == seq << 2 | OFFERED

    def claim(self, slot: int, seq: int) -> bool:
        return _swap(self._lease(slot), seq << 2 | OFFERED, seq << 2 | HELD, _ACQ_REL)

    def release(self, slot: int, seq: int) -> bool:
        """Ends a claim; false if it was taken away before."""
        return _swap(self._lease(slot), seq << 2 | HELD, seq << 2 | FREE, _RELEASE)

    def still_held(self, slot: int, seq: int) -> bool:
        """Whether a claim still stands; what was read before is then sound."""
        _fence(_ACQUIRE)
        return _load(self._words.at(_FIRST_LEASE + slot), _RELAXED) == seq << 2 | HELD

    def arm(self) -> None:
        """Asks to be rung; look for offers once more afterwards."""
        _store(self._words.at(0), 1, _RELAXED)
        _fence(_SEQ_CST)

    def disarm(self) -> bool:
        """Takes that back; false if the producer was faster, so that a BELL is under way."""
        return _swap(self._words.at(0), 1, 0, _RELAXED)

    def close(self) -> None:
        self._words.close()

    def _lease(self, slot: int) -> int:
        return self._words.at(_FIRST_LEASE + slot)
