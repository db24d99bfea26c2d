"""A producer in a process of its own, driven line by line (crates/mos-frame-c/examples/test_publisher)."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

# Generous: only a hang reaches it.
PATIENCE = 60.0


class Publisher:
    """Publishes NV12 frames of 62x46: luma of row y is seq + y, Cb is seq + 1, Cr is seq + 2, all modulo 200."""

    def __init__(self, path, *options):
        self.path = str(path)
        program = os.environ["MOS_TEST_PUBLISHER"]
        self._process = subprocess.Popen(
            [program, self.path, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self._expect("ready")

    def _expect(self, word):
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the publisher ended with {self._process.wait()}")
        first, _, rest = line.strip().partition(" ")
        if first != word:
            raise RuntimeError(f"the publisher said {line!r}")
        return rest

    def _ask(self, command, word):
        self._process.stdin.write(command + "\n")
        return self._expect(word)

    def publish(self, count=1):
        """Publishes; gives the last frame's number."""
        return int(self._ask(f"publish {count}", "published"))

    def run(self, fps):
        self._ask(f"run {fps}", "running")

    def set_format(self, width, height):
        return int(self._ask(f"format {width} {height}", "format"))

    def await_free(self, count):
        """Waits until at least `count` of its buffers are held by nobody; gives how many are."""
        return int(self._ask(f"await_free {count}", "free"))

    def stats(self):
        return json.loads(self._ask("stats", "stats"))

    def kill(self):
        self._process.kill()
        self._process.wait()

    def stop(self):
        if self._process.poll() is None:
            self._process.stdin.close()
            self._process.wait()
        self._process.stdout.close()


class BusTest(unittest.TestCase):
    """A test with a folder for sockets."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="mos-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.socket = self.folder / "front.sock"

    def publisher(self, *options):
        publisher = Publisher(self.socket, *options)
        self.addCleanup(publisher.stop)
        return publisher


def open_fds():
    return len(os.listdir("/proc/self/fd"))
