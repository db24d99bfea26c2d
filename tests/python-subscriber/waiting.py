"""Waiting for a producer to come back: an inotify watch on the folder, and a timer for what no event tells.

Both are descriptors, so that they can be waited for together with everything else. Python 3.11 has neither.
"""

import ctypes
import os
from typing import Optional

_libc = ctypes.CDLL(None, use_errno=True)
_libc.inotify_add_watch.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)

_IN_MOVED_TO, _IN_CREATE = 0x80, 0x100
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC  # the same bits as IN_ and TFD_
_CLOCK_MONOTONIC = 1

_AT_ONCE, _FIRST_WAIT, _LONGEST_WAIT = 1e-9, 0.02, 1.0


def next_wait(last: Optional[float]) -> float:
    """Seconds before the next attempt, after a wait of `last`: at once, then 20 ms, doubled up to a second."""
    return _AT_ONCE if last is None else min(max(last * 2, _FIRST_WAIT), _LONGEST_WAIT)


class _Times(ctypes.Structure):
    """struct itimerspec"""

    _fields_ = [(name, ctypes.c_long) for name in ("every_s", "every_ns", "first_s", "first_ns")]


class Watch:
    """Says when an attempt to reconnect is worthwhile."""

    def __init__(self, path: str, wait: float):
        self._timer = _checked(_libc.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC))
        self._inotify = None
        folder = os.path.dirname(path) or "."
        inotify = _checked(_libc.inotify_init1(_NONBLOCK_CLOEXEC))
        if _libc.inotify_add_watch(inotify, os.fsencode(folder), _IN_MOVED_TO | _IN_CREATE) >= 0:
            self._inotify = inotify
        else:
            os.close(inotify)  # The folder is not there, so the timer has to do.
        self.set(wait)

    def fds(self) -> list:
        return [fd for fd in (self._timer, self._inotify) if fd is not None]

    def is_due(self) -> bool:
        """Whether something happened since the last call."""
        return any([_drain(fd) for fd in self.fds()])

    def set(self, wait: float) -> None:
        """Sets the timer for the next attempt, in seconds from now."""
        seconds = int(wait)
        times = _Times(0, 0, seconds, max(1, int((wait - seconds) * 1e9)))
        _checked(_libc.timerfd_settime(self._timer, 0, ctypes.byref(times), None))

    def close(self) -> None:
        for fd in self.fds():
            os.close(fd)
        self._timer = self._inotify = None


def _checked(result: int) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def _drain(fd: int) -> bool:
    found = False
    while True:
        try:
            found |= bool(os.read(fd, 4096))
        except BlockingIOError:
            return found
