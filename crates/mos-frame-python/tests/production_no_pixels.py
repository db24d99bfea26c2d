"""A production build hands frames over, and has nothing that reads their pixels."""

import pathlib

import mos_frame
from mos_frame import _native
from support import PATIENCE, BusTest


class Production(BusTest):
    def test_frames_come_with_their_descriptors(self):
        publisher = self.publisher()
        self.assertFalse(mos_frame.CPU_ACCESS)
        with mos_frame.Subscriber(self.socket) as camera:
            publisher.publish()
            frame = camera.next(PATIENCE)
            self.assertGreater(frame.planes[0].fd, 2)
            self.assertEqual(frame.seq, 1)

    def test_there_is_no_way_to_the_pixels(self):
        self.assertFalse(hasattr(mos_frame.Frame, "nv12"))
        self.assertFalse(hasattr(mos_frame.Plane, "array"))
        self.assertFalse(hasattr(mos_frame.Plane, "tobytes"))
        self.assertNotIn(b"__array_interface__", pathlib.Path(_native.__file__).read_bytes())
