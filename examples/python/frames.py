"""A consumer with the package mos_frame: prints how many frames come and how old they are. frames.py STREAM

STREAM is a stream's name, or the path of its socket. Ends at Ctrl-C.
"""

import signal
import sys

import mos_frame
from figures import Figures


def main(stream: str) -> None:
    stopped = []
    signal.signal(signal.SIGINT, lambda *_: stopped.append(True))
    total, span = Figures("total"), Figures("interval")
    with mos_frame.Subscriber(stream, hold=1, name="python", await_stream=True) as camera:
        while not stopped:
            try:
                with camera.next(timeout=0.2) as frame:
                    # Here the frame's planes are at hand: frame.planes[0].fd, or frame.nv12() in a development build.
                    total.add(frame.capture_ns)
                    span.add(frame.capture_ns)
            except mos_frame.FrameTimeoutError:
                pass
            if span.is_over(1):
                span.say(camera.stats.missed, camera.stats.gaps)
                span.start(camera.stats.missed, camera.stats.gaps)
        total.say(camera.stats.missed, camera.stats.gaps)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        main(sys.argv[1])
    except mos_frame.Error as error:
        sys.exit(f"{type(error).__name__}: {error}")
