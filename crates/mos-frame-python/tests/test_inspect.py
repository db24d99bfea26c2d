"""Asking a producer what it does."""

import mos_frame
from support import PATIENCE, BusTest


class Inspect(BusTest):
    def test_a_producer_says_who_receives(self):
        publisher = self.publisher()
        with mos_frame.Subscriber(self.socket, name="viewer", window=3, hold=2) as camera:
            publisher.publish(4)
            held = camera.next(PATIENCE)
            report = mos_frame.inspect(self.socket)
            self.assertEqual(report["published"], 4)
            (viewer,) = report["subscribers"]
            self.assertEqual((viewer["name"], viewer["window"], viewer["hold"]), ("viewer", 3, 2))
            self.assertEqual([hold["seq"] for hold in viewer["holds"]], [held.seq])
            self.assertEqual(len(publisher.stats()["names"]), 1, "asking is no subscription")

    def test_nobody_is_there(self):
        with self.assertRaises(mos_frame.StreamNotFoundError):
            mos_frame.inspect(self.socket, timeout=1)
