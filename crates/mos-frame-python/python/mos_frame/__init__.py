"""Camera frames from the frame bus of mos-camera, without a copy.

A stream is a camera's frames on the bus of this machine::

    import mos_frame

    with mos_frame.Subscriber("front") as camera:
        for frame in camera:
            y, uv = frame.nv12()          # NumPy views of the pixels, read-only (development builds)
            print(frame.seq, y.mean())

However slow you are, the camera and other subscribers don't notice: you get the newest frames of your window, and what
you hold is never overwritten. A frame is held until it, its planes' arrays and everything made from them by slicing are
gone (or until ``frame.release()``, if no array was made).
"""

from mos_frame._native import CPU_ACCESS, Format, Frame, Plane, Stats, Subscriber, __version__, inspect
from mos_frame.errors import (
    ConnectError,
    ConnectTimeoutError,
    DisconnectedError,
    Error,
    EvictedError,
    FrameReleasedError,
    FrameTimeoutError,
    HoldLimitError,
    MappingError,
    ProtocolError,
    ReceiveError,
    RefusedError,
    StreamNotFoundError,
    StreamPermissionError,
    SubscriberClosedError,
)

__all__ = [
    "CPU_ACCESS",
    "ConnectError",
    "ConnectTimeoutError",
    "DisconnectedError",
    "Error",
    "EvictedError",
    "Format",
    "Frame",
    "FrameReleasedError",
    "FrameTimeoutError",
    "HoldLimitError",
    "MappingError",
    "Plane",
    "ProtocolError",
    "ReceiveError",
    "RefusedError",
    "Stats",
    "StreamNotFoundError",
    "StreamPermissionError",
    "Subscriber",
    "SubscriberClosedError",
    "__version__",
    "inspect",
]
