"""Errors are typed, and say what to do."""

import os
import socket
import unittest

import mos_frame
from support import PATIENCE, BusTest


class Errors(BusTest):
    def test_no_such_stream(self):
        with self.assertRaisesRegex(mos_frame.StreamNotFoundError, "check the name") as raised:
            mos_frame.Subscriber(self.socket)
        self.assertIsInstance(raised.exception, (mos_frame.ConnectError))
        self.assertIsInstance(raised.exception, FileNotFoundError)
        self.assertIn(str(self.socket), str(raised.exception))

    def test_a_name_is_looked_for_in_the_service_s_folder(self):
        self.publisher()
        os.environ["MOS_FRAME_DIR"] = str(self.folder)
        self.addCleanup(os.environ.pop, "MOS_FRAME_DIR")
        mos_frame.Subscriber("front").close()
        with self.assertRaisesRegex(mos_frame.StreamNotFoundError, "yard.sock"):
            mos_frame.Subscriber("yard")

    def test_a_refusal_has_its_reason_and_figures(self):
        self.publisher("--buffers", "4")
        with self.assertRaises(mos_frame.RefusedError) as raised:
            mos_frame.Subscriber(self.socket, window=2, hold=30)
        self.assertEqual(raised.exception.reason, "over-budget")
        self.assertRegex(str(raised.exception), r"\d")

    def test_nobody_answers(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as silent:
            silent.bind(str(self.socket))
            silent.listen()
            with self.assertRaises(mos_frame.ConnectTimeoutError) as raised:
                mos_frame.Subscriber(self.socket, timeout=0.05)
        self.assertIsInstance(raised.exception, TimeoutError)

    def test_a_peer_that_speaks_something_else(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as other:
            other.bind(str(self.socket))
            other.listen()
            from threading import Thread

            def answer():
                peer, _ = other.accept()
                with peer:
                    peer.recv(4096)
                    peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    peer.recv(4096)

            thread = Thread(target=answer)
            thread.start()
            with self.assertRaises(mos_frame.ProtocolError):
                mos_frame.Subscriber(self.socket)
            thread.join()

    @unittest.skipIf(os.geteuid() == 0, "root has every permission")
    def test_no_permission(self):
        self.publisher()
        self.socket.chmod(0)
        with self.assertRaises(mos_frame.StreamPermissionError) as raised:
            mos_frame.Subscriber(self.socket)
        self.assertIsInstance(raised.exception, PermissionError)

    def test_no_frame_in_time(self):
        self.publisher()
        with mos_frame.Subscriber(self.socket) as camera:
            for wait in (camera.next, camera.latest):
                with self.assertRaises(mos_frame.FrameTimeoutError) as raised:
                    wait(0.01)
                self.assertIsInstance(raised.exception, TimeoutError)
            self.assertIsNone(camera.try_next())

    def test_the_end_of_a_stream(self):
        publisher = self.publisher()
        with mos_frame.Subscriber(self.socket, reconnect=False) as camera:
            publisher.publish()
            camera.next(PATIENCE)
            publisher.stop()
            with self.assertRaises(mos_frame.DisconnectedError):
                camera.next(PATIENCE)

    def test_a_loop_ends_with_its_stream(self):
        publisher = self.publisher()
        with mos_frame.Subscriber(self.socket, reconnect=False) as camera:
            publisher.publish(2)
            seen = []
            for frame in camera:
                seen.append(frame.seq)
                if frame.seq == 2:
                    publisher.stop()
            self.assertEqual(seen, [1, 2])

    def test_a_closed_subscriber(self):
        self.publisher()
        camera = mos_frame.Subscriber(self.socket)
        camera.close()
        camera.close()
        for use in (camera.next, camera.try_latest, lambda: camera.stats):
            with self.assertRaises(mos_frame.SubscriberClosedError):
                use()

    def test_nonsense_is_refused(self):
        for bad in (-1.0, float("nan"), float("inf")):
            with self.assertRaises(ValueError):
                mos_frame.Subscriber(self.socket, timeout=bad)
        with self.assertRaises(ValueError):
            mos_frame.Subscriber("")
        with self.assertRaises(TypeError):
            mos_frame.Subscriber(7)
