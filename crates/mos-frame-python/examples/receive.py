"""Receives frames of a stream and prints what they are: receive.py STREAM [FRAMES]"""

import sys
import time

import mos_frame


def main(stream: str, frames: int = 100) -> None:
    with mos_frame.Subscriber(stream) as camera:
        for frame in camera:
            age = (time.monotonic_ns() - frame.capture_ns) / 1e6
            line = f"frame {frame.seq}: {frame.width}x{frame.height} {frame.fourcc}, {age:.1f} ms old"
            line += "".join(f", plane {p.index} fd {p.fd} offset {p.offset} stride {p.stride}" for p in frame.planes)
            if mos_frame.CPU_ACCESS:  # a development build
                y, _uv = frame.nv12()
                line += f", mean luma {y.mean():.1f}"
            print(line)
            if camera.stats.received == frames:
                break
        print(camera.stats)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    try:
        main(sys.argv[1], *map(int, sys.argv[2:]))
    except mos_frame.Error as error:
        sys.exit(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
