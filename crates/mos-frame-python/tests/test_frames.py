"""What a frame says."""

import os
import time

import mos_frame
from support import PATIENCE, BusTest, open_fds


class Frames(BusTest):
    def test_a_frame_says_what_it_is(self):
        publisher = self.publisher()
        with mos_frame.Subscriber(self.socket) as camera:
            publisher.publish()
            frame = camera.next(PATIENCE)
            self.assertEqual((frame.seq, frame.epoch), (1, 1))
            self.assertEqual((frame.width, frame.height, frame.fourcc), (62, 46, "NV12"))
            self.assertEqual(frame.format.framerate, (30, 1))
            self.assertEqual((frame.format.memory, frame.format.colorimetry), ("memfd", "bt709"))
            self.assertEqual((frame.format.modifier, frame.format.read_only), (0, False))
            self.assertNotEqual(frame.session, 0)
            self.assertTrue(frame.is_valid)

    def test_times_have_their_source(self):
        publisher = self.publisher()
        with mos_frame.Subscriber(self.socket) as camera:
            publisher.publish()
            frame = camera.next(PATIENCE)
            self.assertLessEqual(frame.capture_ns + 1_000_000, frame.publish_ns)
            self.assertLessEqual(frame.publish_ns, time.monotonic_ns())
            self.assertEqual((frame.clock_source, frame.clock_error_ns), ("driver", 500))
            self.assertEqual((frame.pts_ns, frame.wall_ns), (1000, None))
            self.assertEqual((frame.discontinuity, frame.corrupted, frame.flags), (True, False, 1))
            publisher.publish()
            self.assertFalse(camera.next(PATIENCE).discontinuity)

    def test_planes_say_where_they_lie(self):
        publisher = self.publisher()
        with mos_frame.Subscriber(self.socket) as camera:
            publisher.publish()
            frame = camera.next(PATIENCE)
            luma, chroma = frame.planes
            self.assertEqual((luma.index, luma.offset, luma.stride, luma.size), (0, 4096, 64, 64 * 46))
            self.assertEqual((chroma.index, chroma.offset, chroma.stride, chroma.size), (1, 8192, 64, 64 * 23))
            self.assertEqual((luma.fd_index, chroma.fd_index), (0, 0))
            self.assertEqual(luma.fd, chroma.fd)
            row = os.pread(luma.fd, luma.stride, luma.offset + 2 * luma.stride)
            self.assertEqual(row, bytes([3] * 62 + [0xEE] * 2), "row 2 of frame 1, then padding")

    def test_planes_may_have_memories_of_their_own(self):
        publisher = self.publisher("--two-memories")
        with mos_frame.Subscriber(self.socket) as camera:
            publisher.publish()
            luma, chroma = camera.next(PATIENCE).planes
            self.assertEqual((luma.fd_index, chroma.fd_index), (0, 1))
            self.assertNotEqual(luma.fd, chroma.fd)
            self.assertEqual(os.pread(chroma.fd, 2, chroma.offset), bytes([2, 3]))

    def test_a_change_of_format_is_a_new_epoch_and_old_frames_stay(self):
        publisher = self.publisher()
        with mos_frame.Subscriber(self.socket) as camera:
            publisher.publish()
            old = camera.next(PATIENCE)
            publisher.set_format(128, 64)
            publisher.publish()
            new = camera.next(PATIENCE)
            self.assertEqual((old.epoch, old.width), (1, 62))
            self.assertEqual((new.epoch, new.width, new.height), (2, 128, 64))
            self.assertTrue(old.is_valid)
            self.assertNotEqual(old.format, new.format)

    def test_what_is_released_says_so_and_still_knows_its_number(self):
        publisher = self.publisher()
        with mos_frame.Subscriber(self.socket) as camera:
            publisher.publish()
            with camera.next(PATIENCE) as frame:
                plane = frame.planes[0]
            self.assertFalse(frame.is_valid)
            self.assertEqual((frame.seq, frame.width, plane.stride), (1, 62, 64))
            self.assertIn("released", repr(frame))
            with self.assertRaisesRegex(mos_frame.FrameReleasedError, "os.dup"):
                plane.fd
            frame.release()

    def test_nothing_is_left_open(self):
        publisher = self.publisher()
        before = open_fds()
        for _ in range(20):
            with mos_frame.Subscriber(self.socket) as camera:
                publisher.publish()
                frame = camera.next(PATIENCE)
                frame.planes[0].array()
            del frame, camera
        self.assertEqual(open_fds(), before)
