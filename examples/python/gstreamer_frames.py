"""A consumer as a GStreamer pipeline, from Python: prints how many frames come and how old they are.

gstreamer_frames.py SOCKET, with libgstmos.so where GST_PLUGIN_PATH points. Ends at Ctrl-C.
"""

import signal
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

from figures import Figures  # noqa: E402


class Consumer:
    """The pipeline, and what it measures."""

    def __init__(self, socket: str) -> None:
        # A fakesink that keeps no last sample has one frame at a time; a second is on its way.
        launch = (
            "mosframesrc name=source hold=2 connect-timeout=60000000000"
            " ! identity name=probe signal-handoffs=true ! fakesink sync=false enable-last-sample=false"
        )
        self.pipeline = Gst.parse_launch(launch)
        self.source = self.pipeline.get_by_name("source")
        self.source.set_property("socket-path", socket)
        # The buffers' times are running time; on the monotonic clock that is the capture time.
        self.pipeline.use_clock(Gst.SystemClock.obtain())
        self.total, self.span = Figures("total"), Figures("interval")
        self.pipeline.get_by_name("probe").connect("handoff", self.on_frame)
        self.loop, self.error = GLib.MainLoop(), None
        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::error", self.on_error)
        bus.connect("message::eos", lambda *_: self.loop.quit())

    def on_frame(self, _identity: Gst.Element, buffer: Gst.Buffer) -> None:
        if buffer.pts != Gst.CLOCK_TIME_NONE:
            capture_ns = buffer.pts + self.pipeline.get_base_time()
            self.total.add(capture_ns)
            self.span.add(capture_ns)

    def on_error(self, _bus: Gst.Bus, message: Gst.Message) -> None:
        error, detail = message.parse_error()
        self.error = f"{error.message} ({detail})"
        self.loop.quit()

    def missed(self) -> tuple[int, int]:
        stats = self.source.get_property("stats")
        return stats.get_uint64("missed")[1], stats.get_uint64("gaps")[1]

    def tell(self) -> bool:
        missed = self.missed()
        self.span.say(*missed)
        self.span.start(*missed)
        return GLib.SOURCE_CONTINUE

    def run(self) -> None:
        GLib.timeout_add_seconds(1, self.tell)
        GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGINT, self.loop.quit)
        self.pipeline.set_state(Gst.State.PLAYING)
        self.loop.run()
        self.total.say(*self.missed())
        self.pipeline.set_state(Gst.State.NULL)
        if self.error:
            sys.exit(self.error)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    Gst.init(None)
    Consumer(sys.argv[1]).run()
