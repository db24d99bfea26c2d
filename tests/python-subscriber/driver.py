"""Lets the conformance suite drive the Python subscriber: JSON lines on standard input and output.

The commands are described in crates/mos-frame-conformance/README.md.
"""

import json
import sys

import subscriber
import wire

_ERRORS = {
    subscriber.NotFound: "not_found",
    subscriber.NoPermission: "permission",
    subscriber.ConnectTimeout: "timeout",
    subscriber.Refused: "refused",
    subscriber.Evicted: "evicted",
    subscriber.Disconnected: "gone",
    subscriber.ProtocolError: "protocol",
    subscriber.HoldLimit: "hold_limit",
}


class Driver:
    """One subscriber at a time, and the frames that it handed out."""

    def __init__(self):
        self._frames = {}
        self._handles = 0
        self._subscriber = None

    def answer(self, command: dict) -> dict:
        arguments = dict(command)
        operation = getattr(self, f"do_{arguments.pop('op')}")
        try:
            return {"ok": True, **operation(**arguments)}
        except subscriber.BusError as error:
            reply = {"ok": False, "error": _ERRORS[type(error)], "text": str(error)}
            if isinstance(error, (subscriber.Refused, subscriber.Evicted)):
                reply["reason"] = int(error.reason)
            return reply
        except OSError as error:
            return {"ok": False, "error": "io", "text": str(error)}

    def do_connect(self, path, window, hold, name, reconnect, timeout_ms) -> dict:
        self._subscriber = subscriber.Subscriber(path, window, hold, name, reconnect, timeout_ms / 1000)
        return {}

    def do_next(self, timeout_ms) -> dict:
        return {"frame": self._keep(self._subscriber.next(timeout_ms / 1000))}

    def do_try_next(self) -> dict:
        return {"frame": self._keep(self._subscriber.try_next())}

    def do_latest(self) -> dict:
        return {"frame": self._keep(self._subscriber.latest())}

    def do_take(self, count, timeout_ms) -> dict:
        seqs = []
        while len(seqs) < count:
            frame = self._subscriber.next(timeout_ms / 1000)
            if frame is None:
                break
            seqs.append(frame.seq)
            frame.release()
        return {"seqs": seqs}

    def do_read(self, frame, plane, offset, length) -> dict:
        return {"hex": self._frames[frame].plane(plane)[offset : offset + length].hex()}

    def do_valid(self, frame) -> dict:
        return {"valid": self._frames[frame].is_valid()}

    def do_release(self, frame) -> dict:
        self._frames.pop(frame).release()
        return {}

    def do_stats(self) -> dict:
        return {"stats": self._subscriber.stats._asdict()}

    def do_close(self) -> dict:
        if self._subscriber is not None:
            self._subscriber.close()
        self._subscriber = None
        return {}

    def _keep(self, frame):
        if frame is None:
            return None
        self._handles += 1
        self._frames[self._handles] = frame
        described = frame.format._asdict()
        described.update(
            frame=self._handles,
            seq=frame.seq,
            session=frame.session,
            epoch=frame.epoch,
            buffer=frame.buffer_id,
            planes=[plane._asdict() for plane in frame.planes],
            fds=len(frame.fds),
            capture_ns=frame.capture_ns,
            publish_ns=frame.publish_ns,
            clock_source=subscriber.CLOCK_SOURCES.index(frame.clock_source),
            clock_error_ns=frame.clock_error_ns,
            pts_ns=frame.pts_ns,
            wall_ns=frame.wall_ns,
            flags=frame.flags,
        )
        return described


def main() -> None:
    driver = Driver()
    say({"driver": 1, "implementation": "Python reference", "version": wire.VERSION})
    for line in sys.stdin:
        say(driver.answer(json.loads(line)))


def say(reply: dict) -> None:
    sys.stdout.write(json.dumps(reply) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
