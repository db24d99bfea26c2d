"""Ctrl-C ends a wait."""

import pathlib
import signal
import subprocess
import sys
import textwrap
import time

import mos_frame
from support import PATIENCE, BusTest

WAITER = textwrap.dedent(
    """
    import sys, mos_frame
    camera = mos_frame.Subscriber(sys.argv[1], name="waiter")
    try:
        print("waiting", flush=True)
        camera.{call}
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    """
)


def wait_for_sleep(pid):
    """Waits until the process sleeps in the kernel, which this one only does in its wait for a frame."""
    deadline = time.monotonic() + PATIENCE
    while pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "S":
        if time.monotonic() > deadline:
            raise TimeoutError("the process never waited")
        time.sleep(0.002)


class Interrupt(BusTest):
    def interrupted(self, call):
        child = subprocess.Popen(
            [sys.executable, "-c", WAITER.format(call=call), self.socket], stdout=subprocess.PIPE, text=True
        )
        try:
            self.assertEqual(child.stdout.readline(), "waiting\n")
            wait_for_sleep(child.pid)
            child.send_signal(signal.SIGINT)
            out, _ = child.communicate(timeout=PATIENCE)
            self.assertEqual((out, child.returncode), ("interrupted\n", 0))
        finally:
            child.kill()
            child.communicate()

    def test_next(self):
        self.publisher()
        self.interrupted("next()")

    def test_latest_with_a_long_time_out(self):
        self.publisher()
        self.interrupted("latest(3600)")

    def test_a_handler_that_returns_does_not_end_the_wait(self):
        publisher = self.publisher()
        calls = []

        def handler(_signal, _frame):
            calls.append(1)
            publisher.publish()

        before = signal.signal(signal.SIGALRM, handler)
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        with mos_frame.Subscriber(self.socket) as camera:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            self.assertEqual(camera.next(PATIENCE).seq, 1)
        self.assertEqual(calls, [1])
