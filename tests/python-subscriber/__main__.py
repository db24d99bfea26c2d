"""Prints the frames of a stream, or what its producer says about itself.

python3 tests/python-subscriber STREAM|SOCKET [--frames N] [--window N] [--hold H] [--inspect]
"""

import argparse
import json
import os
import sys
import time

from subscriber import BusError, Subscriber, default_dir, inspect


def main() -> int:
    parser = argparse.ArgumentParser(prog="python-subscriber", description="Prints the frames of a stream.")
    parser.add_argument("stream", help="name of a stream, or path of its socket")
    parser.add_argument("--frames", type=int, default=0, help="stop after so many; 0 never (default)")
    parser.add_argument("--window", type=int, default=2, help="how many of the newest frames to keep on offer (default 2)")
    parser.add_argument("--hold", type=int, default=1, help="most frames held at once (default 1)")
    parser.add_argument("--inspect", action="store_true", help="print the producer's report as JSON instead")
    arguments = parser.parse_args()
    path = arguments.stream
    if "/" not in path:
        path = os.path.join(default_dir(), f"{path}.sock")
    try:
        if arguments.inspect:
            print(json.dumps(inspect(path), indent=2))
            return 0
        with Subscriber(path, window=arguments.window, hold=arguments.hold, name="python-subscriber") as frames:
            show(frames, arguments.frames)
    except BusError as error:
        print(f"python-subscriber: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def show(frames: Subscriber, count: int) -> None:
    for number, frame in enumerate(frames, start=1):
        with frame:
            picture, age = frame.format, time.monotonic_ns() - frame.capture_ns
            print(
                f"{frame.seq:8} {picture.width}x{picture.height} {picture.fourcc} {picture.memory} "
                f"age {age / 1e6:.2f} ms ({frame.clock_source}) missed {frames.stats.missed}",
                flush=True,
            )
        if number == count:
            return


if __name__ == "__main__":
    sys.exit(main())
