"""Ways to take frames."""

import asyncio
import gc
import select
import threading

import mos_frame
from support import PATIENCE, BusTest, Publisher


class Receiving(BusTest):
    def test_a_loop_just_works(self):
        publisher = self.publisher()
        publisher.run(200)
        seen = []
        with mos_frame.Subscriber(self.socket) as camera:
            for frame in camera:
                y, uv = frame.nv12()
                seen.append(frame.seq)
                self.assertEqual(y[0, 0], frame.seq % 200)
                if len(seen) == 20:
                    break
            stats = camera.stats
        self.assertEqual(seen, sorted(set(seen)))
        self.assertEqual(stats.received, 20)
        self.assertEqual(stats.missed, seen[-1] - seen[0] - 19)

    def test_a_late_reader_gets_the_newest_of_its_window(self):
        publisher = self.publisher()
        with mos_frame.Subscriber(self.socket, window=3) as camera:
            publisher.publish(10)
            seen = []
            while (frame := camera.try_next()) is not None:
                seen.append(frame.seq)
                frame.release()
            self.assertEqual(seen, [8, 9, 10])
            publisher.publish(4)
            self.assertEqual(camera.latest(PATIENCE).seq, 14)
            self.assertIsNone(camera.try_latest())
            self.assertEqual((camera.stats.gaps, camera.stats.missed), (1, 3))

    def test_one_hold_is_enough_for_who_lets_go(self):
        publisher = self.publisher()
        with mos_frame.Subscriber(self.socket, hold=1) as camera:
            publisher.publish()
            first = camera.next(PATIENCE)
            publisher.publish()
            with self.assertRaisesRegex(mos_frame.HoldLimitError, "larger hold"):
                camera.next(PATIENCE)
            first.release()
            self.assertEqual(camera.next(PATIENCE).seq, 2)

    def test_a_descriptor_for_select(self):
        publisher = self.publisher()
        with mos_frame.Subscriber(self.socket) as camera:
            for expected in range(1, 6):
                while camera.try_next() is not None:
                    pass
                publisher.publish()
                ready, _, _ = select.select([camera], [], [], PATIENCE)
                self.assertEqual(ready, [camera])
                self.assertEqual(camera.try_next().seq, expected)

    def test_a_descriptor_for_asyncio(self):
        publisher = self.publisher()

        async def receive(camera, count):
            loop, frames, done = asyncio.get_running_loop(), [], asyncio.Event()

            def take():
                while (frame := camera.try_next()) is not None:
                    frames.append(frame.seq)
                    frame.release()
                if len(frames) >= count:
                    done.set()

            loop.add_reader(camera.fileno(), take)
            take()
            publisher.run(100)
            await asyncio.wait_for(done.wait(), PATIENCE)
            loop.remove_reader(camera.fileno())
            return frames

        with mos_frame.Subscriber(self.socket) as camera:
            frames = asyncio.run(receive(camera, 5))
        self.assertEqual(frames, sorted(set(frames)))

    def test_threads_share_a_subscriber(self):
        publisher = self.publisher("--buffers", "32")
        seen, lock = [], threading.Lock()
        with mos_frame.Subscriber(self.socket, window=16, hold=4) as camera:

            def work():
                while True:
                    with camera.next(PATIENCE) as frame:
                        with lock:
                            if len(seen) >= 60:
                                return
                            seen.append(frame.seq)

            threads = [threading.Thread(target=work) for _ in range(3)]
            for thread in threads:
                thread.start()
            publisher.run(300)
            for thread in threads:
                thread.join()
        self.assertEqual(len(seen), len(set(seen)), "each frame goes to one of them")

    def test_other_threads_run_while_one_waits(self):
        publisher = self.publisher()
        with mos_frame.Subscriber(self.socket) as camera:
            got = []
            waiter = threading.Thread(target=lambda: got.append(camera.next(PATIENCE).seq))
            waiter.start()
            # Were the interpreter or the subscriber locked by the wait, neither of these would return.
            self.assertEqual(camera.stats.received, 0)
            self.assertTrue(camera.is_connected)
            publisher.publish()
            waiter.join()
            self.assertEqual(got, [1])

    def test_closing_ends_a_wait_in_another_thread(self):
        self.publisher()
        camera = mos_frame.Subscriber(self.socket)
        raised = []

        def wait():
            try:
                camera.next()
            except mos_frame.SubscriberClosedError as error:
                raised.append(error)

        waiter = threading.Thread(target=wait)
        waiter.start()
        camera.close()
        waiter.join(PATIENCE)
        self.assertEqual(len(raised), 1)

    def test_the_producer_comes_back(self):
        publisher = self.publisher()
        with mos_frame.Subscriber(self.socket) as camera:
            publisher.publish()
            old = camera.next(PATIENCE)
            publisher.kill()
            again = Publisher(self.socket)
            self.addCleanup(again.stop)
            again.run(100)
            new = camera.next(PATIENCE)
            self.assertNotEqual(new.session, old.session)
            self.assertEqual(camera.stats.reconnects, 1)
            # What was held is still there to read.
            self.assertEqual(old.nv12()[0][0, 0], 1)

    def test_a_stream_may_come_later(self):
        with mos_frame.Subscriber(self.socket, await_stream=True) as camera:
            self.assertFalse(camera.is_connected)
            self.assertIsNone(camera.try_next())
            publisher = self.publisher()
            publisher.run(100)
            self.assertGreaterEqual(camera.next(PATIENCE).seq, 1)

    def test_frames_outlive_their_subscriber(self):
        publisher = self.publisher()
        with mos_frame.Subscriber(self.socket) as camera:
            publisher.publish()
            frame = camera.next(PATIENCE)
        self.assertTrue(frame.is_valid)
        self.assertEqual(frame.nv12()[0][0, 0], 1)

    def test_a_subscriber_that_is_dropped_is_gone(self):
        publisher = self.publisher()
        camera = mos_frame.Subscriber(self.socket, name="short-lived")
        self.assertEqual(publisher.stats()["names"], ["short-lived"])
        del camera
        gc.collect()
        # All buffers but the newest come back once the producer has seen the end.
        self.assertEqual(publisher.await_free(8), 8)
