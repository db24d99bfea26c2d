"""Pixels as NumPy arrays."""

import gc

import numpy

import mos_frame
from support import PATIENCE, BusTest


class Arrays(BusTest):
    def check(self, frame, size):
        width, height = size
        y, uv = frame.nv12()
        self.assertEqual(y.shape, (height, width))
        self.assertEqual(uv.shape, ((height + 1) // 2, (width + 1) // 2, 2))
        rows = (frame.seq + numpy.arange(height)) % 200
        self.assertTrue((y == rows[:, None]).all())
        self.assertTrue((uv == [(frame.seq + 1) % 200, (frame.seq + 2) % 200]).all())
        return y, uv

    def test_views_have_the_picture_without_its_padding(self):
        publisher = self.publisher()
        with mos_frame.Subscriber(self.socket) as camera:
            for _ in range(3):
                publisher.publish()
                y, uv = self.check(camera.next(PATIENCE), (62, 46))
                self.assertEqual((y.strides, uv.strides), ((64, 1), (64, 2, 1)))
                self.assertEqual(y.dtype, numpy.uint8)

    def test_odd_sizes_round_chroma_up(self):
        publisher = self.publisher()
        with mos_frame.Subscriber(self.socket) as camera:
            publisher.set_format(61, 45)
            publisher.publish()
            self.check(camera.next(PATIENCE), (61, 45))

    def test_planes_in_memories_of_their_own(self):
        publisher = self.publisher("--two-memories")
        with mos_frame.Subscriber(self.socket) as camera:
            publisher.publish()
            self.check(camera.next(PATIENCE), (62, 46))

    def test_a_plane_has_its_padding(self):
        publisher = self.publisher()
        with mos_frame.Subscriber(self.socket) as camera:
            publisher.publish()
            plane = camera.next(PATIENCE).planes[0]
            rows = plane.array()
            self.assertEqual(rows.shape, (46, 64))
            self.assertTrue((rows[:, 62:] == 0xEE).all())
            self.assertEqual(plane.tobytes(), rows.tobytes())

    def test_nobody_writes(self):
        publisher = self.publisher()
        with mos_frame.Subscriber(self.socket) as camera:
            publisher.publish()
            frame = camera.next(PATIENCE)
            for view in (*frame.nv12(), frame.planes[0].array()):
                self.assertFalse(view.flags.writeable)
                self.assertFalse(view.flags.owndata)
                with self.assertRaises(ValueError):
                    view[0] = 1
                with self.assertRaises(ValueError):
                    view.flags.writeable = True

    def test_nothing_is_copied(self):
        publisher = self.publisher()
        with mos_frame.Subscriber(self.socket) as camera:
            publisher.publish()
            y, _ = camera.next(PATIENCE).nv12()
            with open("/proc/self/maps") as maps:
                lines = [line.split() for line in maps if "mos-test-publisher" in line]
            address = y.__array_interface__["data"][0]
            spans = [tuple(int(end, 16) for end in line[0].split("-")) for line in lines]
            self.assertTrue(any(start <= address < end for start, end in spans), "it lies in the producer's memory")
            self.assertTrue(all(line[1] == "r--s" for line in lines), "and is mapped for reading only")

    def test_an_array_holds_the_frame(self):
        publisher = self.publisher()
        with mos_frame.Subscriber(self.socket, window=1, hold=1) as camera:
            publisher.publish()
            frame = camera.next(PATIENCE)
            # A slice of a view is enough.
            corner = frame.nv12()[0][:4, :4]
            frame.release()
            del frame
            gc.collect()
            # Far more frames than there are buffers: its own must not be among those that are used again.
            for _ in range(40):
                publisher.publish()
            self.assertTrue((corner == numpy.array([1, 2, 3, 4])[:, None]).all())
            with self.assertRaises(mos_frame.HoldLimitError):
                camera.next(PATIENCE)
            del corner
            gc.collect()
            self.assertEqual(camera.next(PATIENCE).seq, 41)

    def test_the_last_array_gives_the_buffer_back(self):
        publisher = self.publisher()
        with mos_frame.Subscriber(self.socket, window=1, hold=2) as camera:
            publisher.publish()
            y, uv = camera.next(PATIENCE).nv12()
            # One is held, and the newest stays with the producer for late joiners.
            publisher.publish()
            camera.next(PATIENCE)
            self.assertEqual(publisher.await_free(6), 6)
            del y, uv
            gc.collect()
            self.assertEqual(publisher.await_free(7), 7)

    def test_a_revocable_frame_is_not_mapped(self):
        publisher = self.publisher()
        # Its memory can be written by others, so a hold of 0 is refused at once, with the reason.
        with self.assertRaises(mos_frame.RefusedError) as refused:
            mos_frame.Subscriber(self.socket, hold=0)
        self.assertEqual(refused.exception.reason, "hold-zero")
        self.assertEqual(publisher.stats()["refused"], 1)
