"""The native half of ``mos_frame``; import that instead."""

import os
from collections.abc import Iterator
from types import TracebackType
from typing import Any, final

import numpy
import numpy.typing
from typing_extensions import Self

__version__: str
CPU_ACCESS: bool
"""Whether pixels can be read as arrays: true in a development build."""

@final
class Format:
    """Format of a frame."""

    @property
    def width(self) -> int:
        """Width in pixels."""
    @property
    def height(self) -> int:
        """Height in pixels."""
    @property
    def fourcc(self) -> str:
        """Pixel format, four characters as in ``drm_fourcc.h``: ``"NV12"`` for all cameras of this service."""
    @property
    def modifier(self) -> int:
        """DRM format modifier; 0 is linear."""
    @property
    def framerate(self) -> tuple[int, int]:
        """Frames per second as (numerator, denominator); (0, 1) if it varies or is not known."""
    @property
    def memory(self) -> str:
        """``"dmabuf"``, which devices can import, or ``"memfd"``, in development builds."""
    @property
    def read_only(self) -> bool:
        """Whether the kernel keeps this process from writing to the pixels. Never write to them in any case."""
    @property
    def colorimetry(self) -> str:
        """Colorimetry as GStreamer writes it, such as ``"bt709"``; empty if not known."""
    def __eq__(self, other: object) -> bool: ...

@final
class Plane:
    """One plane of a frame."""

    @property
    def index(self) -> int:
        """Its place among the frame's planes, from 0."""
    @property
    def fd(self) -> int:
        """The memory: a dma-buf or a memfd. It belongs to the frame, until that is released: don't close it."""
    @property
    def fd_index(self) -> int:
        """Which of the frame's descriptors holds it, from 0; planes may share one."""
    @property
    def offset(self) -> int:
        """First byte, from the start of the descriptor's memory."""
    @property
    def stride(self) -> int:
        """Bytes from one row to the next."""
    @property
    def size(self) -> int:
        """Bytes that the plane covers."""
    def array(self) -> numpy.typing.NDArray[numpy.uint8]:
        """Bytes of shape (rows, stride), read-only, without a copy; keeps the frame held. Development builds only."""
    def tobytes(self) -> bytes:
        """A copy of the bytes. Development builds only."""

@final
class Frame:
    """A frame of a camera. While it is held nobody writes to its memory."""

    @property
    def seq(self) -> int:
        """Number of the frame, from 1, rising by one per published frame of a session."""
    @property
    def session(self) -> int:
        """Number of the producer's session; with a new one ``seq`` starts anew."""
    @property
    def epoch(self) -> int:
        """Counts the format changes of the session, from 1."""
    @property
    def buffer_id(self) -> int:
        """Number of the buffer within the session: the same memory has the same number."""
    @property
    def format(self) -> Format:
        """Size, pixel format, memory."""
    @property
    def width(self) -> int:
        """Width in pixels."""
    @property
    def height(self) -> int:
        """Height in pixels."""
    @property
    def fourcc(self) -> str:
        """Pixel format, such as ``"NV12"``."""
    @property
    def planes(self) -> tuple[Plane, ...]:
        """Luma, then chroma."""
    @property
    def capture_ns(self) -> int:
        """Time of capture in nanoseconds of ``CLOCK_MONOTONIC`` (``time.monotonic_ns()``)."""
    @property
    def clock_source(self) -> str:
        """What ``capture_ns`` was taken from: arrival, driver, pipeline, ntp, ptp, ntp-relative, ptp-relative or unknown."""
    @property
    def clock_error_ns(self) -> int:
        """Bound of the error of ``capture_ns``; 0 if none is known."""
    @property
    def publish_ns(self) -> int:
        """Time of publishing in nanoseconds of ``CLOCK_MONOTONIC``."""
    @property
    def pts_ns(self) -> int | None:
        """Presentation time of the source in nanoseconds."""
    @property
    def wall_ns(self) -> int | None:
        """Time of day of the capture in nanoseconds since 1970 UTC, where the camera gave it."""
    @property
    def discontinuity(self) -> bool:
        """Whether frames are missing at the source before this one."""
    @property
    def corrupted(self) -> bool:
        """Whether the source said that the picture is damaged."""
    @property
    def retimed(self) -> bool:
        """Whether its times and those of the frame before do not compare: another clock, one that was set, or a held time."""
    @property
    def flags(self) -> int:
        """All flags as bits: 1 discontinuity, 2 corrupted, 4 retimed."""
    @property
    def is_valid(self) -> bool:
        """Whether the frame is still ours."""
    def nv12(self) -> tuple[numpy.typing.NDArray[numpy.uint8], numpy.typing.NDArray[numpy.uint8]]:
        """``y`` of shape (height, width), ``uv`` of shape (height / 2, width / 2, 2). Development builds only."""
    def release(self) -> None:
        """Lets the frame go; arrays made of it keep it held until they are gone."""
    def __enter__(self) -> Self: ...
    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

@final
class Stats:
    """What a subscriber received so far."""

    @property
    def received(self) -> int:
        """Frames received."""
    @property
    def missed(self) -> int:
        """Frames that were published in between and not received."""
    @property
    def gaps(self) -> int:
        """Places where at least one frame was missed."""
    @property
    def reconnects(self) -> int:
        """Producers that came back after the first."""
    def __eq__(self, other: object) -> bool: ...

@final
class Subscriber:
    """Receives the frames of one stream; iterate over it, or call ``next()``."""

    def __new__(
        cls,
        stream: str | os.PathLike[str],
        *,
        window: int = 2,
        hold: int = 2,
        reconnect: bool = True,
        timeout: float = 5.0,
        name: str | None = None,
        await_stream: bool = False,
    ) -> Self: ...
    def next(self, timeout: float | None = None) -> Frame:
        """The next frame in order; waits for it. Raises ``FrameTimeoutError`` after ``timeout`` seconds."""
    def latest(self, timeout: float | None = None) -> Frame:
        """As ``next()``, but the newest frame: older ones are skipped."""
    def try_next(self) -> Frame | None:
        """The next frame if one is there; else wait until ``fileno()`` is readable."""
    def try_latest(self) -> Frame | None:
        """As ``try_next()``, but the newest frame."""
    def fileno(self) -> int:
        """A descriptor for ``select``, ``selectors`` or ``asyncio``."""
    @property
    def is_connected(self) -> bool:
        """Whether a producer is there now."""
    @property
    def stats(self) -> Stats:
        """What was received so far."""
    def close(self) -> None:
        """Ends the subscription. Frames in hand stay valid."""
    def __iter__(self) -> Iterator[Frame]: ...
    def __next__(self) -> Frame: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

def inspect(stream: str | os.PathLike[str], timeout: float = 5.0) -> dict[str, Any]:
    """What a producer does and who subscribes to it, without subscribing. Keys may be added."""
