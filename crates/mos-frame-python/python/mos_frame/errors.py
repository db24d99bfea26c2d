"""What can go wrong. Every message says what to do about it.

::

    Error
    +-- ConnectError                a subscription could not be made
    |   +-- StreamNotFoundError     nobody publishes the stream (also a FileNotFoundError)
    |   +-- StreamPermissionError   the socket's permissions keep this process out (also a PermissionError)
    |   +-- RefusedError            the producer said no; ``reason`` says why
    |   +-- ConnectTimeoutError     the producer did not answer in time (also a TimeoutError)
    +-- ReceiveError                no frame could be had
    |   +-- DisconnectedError       the producer is gone (only with ``reconnect=False``)
    |   +-- EvictedError            the producer cut this subscriber off; ``reason`` says why
    |   +-- HoldLimitError          as many frames are held as were asked for; nothing is lost
    |   +-- FrameTimeoutError       none came in time (also a TimeoutError)
    |   +-- SubscriberClosedError   ``close()`` was called before
    +-- ProtocolError               the peer does not speak the bus's protocol, or broke it
    +-- FrameReleasedError          ``release()`` was called before
    +-- MappingError                the pixels can't be read by the CPU
"""


class Error(Exception):
    """Base of all errors of this package. What the kernel refuses otherwise is an ``OSError``."""


class ConnectError(Error):
    """A subscription could not be made."""


class StreamNotFoundError(ConnectError, FileNotFoundError):
    """Nobody publishes this stream."""

    __str__ = Exception.__str__


class StreamPermissionError(ConnectError, PermissionError):
    """The socket's permissions keep this process out."""

    __str__ = Exception.__str__


class _WithReason(Error):
    reason: str
    """Why, by the producer: ``over-budget``, ``version``, ``bad-request``, ``hold-zero``, ``not-allowed``, ``timeout``,
    ``protocol``, ``bad-lease``, ``hold-exceeded``, ``resources`` or ``other``."""

    def __init__(self, message: str = "", reason: str = "other") -> None:
        super().__init__(message)
        self.reason = reason


class RefusedError(_WithReason, ConnectError):
    """The producer refused the subscription."""


class ConnectTimeoutError(ConnectError, TimeoutError):
    """The producer did not answer in time."""

    __str__ = Exception.__str__


class ReceiveError(Error):
    """No frame could be had."""


class DisconnectedError(ReceiveError):
    """The producer is gone, and the subscriber was told not to wait for another."""


class EvictedError(_WithReason, ReceiveError):
    """The producer cut this subscriber off."""


class HoldLimitError(ReceiveError):
    """As many frames are held as were asked for: let one go, or subscribe with a larger ``hold``."""


class FrameTimeoutError(ReceiveError, TimeoutError):
    """No frame came in time."""

    __str__ = Exception.__str__


class SubscriberClosedError(ReceiveError, ValueError):
    """The subscriber was closed before."""


class ProtocolError(Error):
    """The peer does not speak the bus's protocol, or broke it."""


class FrameReleasedError(Error, ValueError):
    """The frame was released before."""


class MappingError(Error):
    """The pixels can't be read by the CPU."""
