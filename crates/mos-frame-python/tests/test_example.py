"""The example that the documentation names."""

import pathlib
import re
import subprocess
import sys

from support import BusTest

EXAMPLE = pathlib.Path(__file__).parent.parent / "examples/receive.py"


class Example(BusTest):
    def run_example(self, *arguments):
        command = [sys.executable, "-B", EXAMPLE, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True)

    def test_it_receives_frames(self):
        self.publisher().run(100)
        done = self.run_example(self.socket, 10)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        *frames, stats = done.stdout.splitlines()
        self.assertEqual(len(frames), 10)
        seq, mean = map(float, re.match(r"frame (\d+): 62x46 NV12, .* mean luma ([\d.]+)$", frames[0]).groups())
        self.assertAlmostEqual(mean, seq + 22.5, delta=0.1)
        self.assertIn("received 10", stats)

    def test_it_says_what_is_wrong(self):
        done = self.run_example(self.socket)
        self.assertEqual(done.returncode, 1)
        self.assertIn("StreamNotFoundError", done.stderr)
        self.assertIn("check the name", done.stderr)
