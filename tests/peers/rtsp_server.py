#!/usr/bin/python3
"""An RTSP camera for tests and the demo: gst-rtsp-server, a peer that shares no code with mos-camera.

Serves `--count` mounts, /cam0, /cam1, ..., and prints one JSON line when it can be reached:

    {"ready": true, "port": 43211, "mounts": ["/cam0"]}

It runs until its standard input closes, so it never outlives the process that started it. SIGUSR1 switches the picture
to `--resize-to`, SIGUSR2 to `--fps-to`, in mid-stream. With `--times` it goes on with a line for each frame of each
session, with the number that `--counter` burns in and the time of its capture, nanoseconds of the time of day and of
CLOCK_MONOTONIC:

    {"frame": 12, "wall_ns": 1700000000000000000, "monotonic_ns": 123000000000}

Needs Debian's python3-gi, gir1.2-gst-rtsp-server-1.0 and gstreamer1.0-plugins-ugly.
"""

import argparse
import json
import os
import signal
import socket
import struct
import sys
import threading
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstNet", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstNet, GstRtsp, GstRtspServer  # noqa: E402

ROLE = "viewer"
CODECS = ("h264", "h265", "jpeg", "none")
PROTOCOLS = {"tcp": GstRtsp.RTSPLowerTrans.TCP, "udp": GstRtsp.RTSPLowerTrans.UDP}
PATTERNS = ("ball", "smpte", "gradient", "snow", "black")
SESSION_SWEEP_S = 2


def size(text):
    """Parses WIDTHxHEIGHT, both even."""
    width, _, height = text.partition("x")
    pair = int(width), int(height)
    if min(pair) < 16 or pair[0] % 2 or pair[1] % 2:
        raise argparse.ArgumentTypeError("width and height have to be even and at least 16")
    return pair


def codecs(text):
    """Parses a list of codecs, one for each track."""
    names = text.split(",")
    if not set(names) <= set(CODECS) or ("none" in names and len(names) > 1):
        raise argparse.ArgumentTypeError("expected names of " + ", ".join(CODECS) + " with commas between")
    return [name for name in names if name != "none"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="TCP port; 0 lets the system choose (default)")
    parser.add_argument("--count", type=int, default=1, help="number of cameras (default %(default)s)")
    parser.add_argument("--size", type=size, default=(640, 480), help="WIDTHxHEIGHT (default 640x480)")
    parser.add_argument("--fps", type=int, default=30, help="frames per second (default %(default)s)")
    parser.add_argument("--key-int", type=int, default=15, help="frames from one IDR to the next (default %(default)s)")
    parser.add_argument("--bitrate", type=int, default=2048, help="kbit/s (default %(default)s)")
    parser.add_argument("--pattern", choices=PATTERNS, default="ball", help="picture (default %(default)s)")
    parser.add_argument("--codec", type=codecs, default=["h264"], help="video codecs, one for each track; the n-th track has 1/n of the size")
    parser.add_argument("--protocols", choices=sorted(PROTOCOLS), help="refuse all others with 461")
    parser.add_argument("--certificate", help="PEM file: speak TLS (RTSPS)")
    parser.add_argument("--key", help="PEM file with the key of --certificate")
    parser.add_argument("--session-timeout", type=int, help="seconds after which a session without keep-alive ends")
    parser.add_argument("--shared", action="store_true", help="one pipeline for all sessions of a mount, which runs on by itself")
    parser.add_argument("--audio", action="store_true", help="offer a PCMA stream beside the video")
    parser.add_argument("--frames", type=int, default=-1, help="end every session after this many frames")
    parser.add_argument("--auth", choices=("none", "basic", "digest"), default="none", help="default %(default)s")
    parser.add_argument("--user", default="camera", help="user name (default %(default)s)")
    parser.add_argument("--password", default=os.environ.get("RTSP_PASSWORD", ""), help="default: $RTSP_PASSWORD")
    parser.add_argument("--resize-to", type=size, help="WIDTHxHEIGHT to switch to on SIGUSR1")
    parser.add_argument("--fps-to", type=int, help="frames per second to switch to on SIGUSR2")
    parser.add_argument("--resize-after", type=float, help="switch to --resize-to after this many seconds")
    parser.add_argument("--times", action="store_true", help="print when each frame was captured")
    parser.add_argument(
        "--clock", choices=("local", "ntp"), default="local",
        help="clock of the RTP timestamps; `ntp` is one of an NTP server within, named in the SDP (RFC 7273)",
    )
    parser.add_argument("--plugin", help="GStreamer plugin file to load before anything is built")
    parser.add_argument("--counter", action="store_true", help="burn in a frame counter (mostestcounter of --plugin)")
    options = parser.parse_args()
    if not options.codec and not options.audio:
        parser.error("--codec none needs --audio: a camera without any stream can't be served")
    if options.resize_after is not None and options.resize_to is None:
        parser.error("--resize-after needs --resize-to")
    return options


def raw_caps(pair, fps):
    return f"video/x-raw,format=NV12,width={pair[0]},height={pair[1]},framerate={fps}/1"


def even(number):
    return number - number % 2


def video_launch(options, track, codec):
    """The source up to the payloader; every value in it was parsed as a number or chosen from a list."""
    picture = tuple(even(side // (track + 1)) for side in options.size)
    counter = "mostestcounter ! " if options.counter else ""
    source = (
        f"videotestsrc is-live=true do-timestamp=true pattern={options.pattern} num-buffers={options.frames} ! "
        f"capsfilter name=size{track} caps={raw_caps(picture, options.fps)} ! {counter}"
    )
    if codec == "jpeg":
        return source + f"videoconvert ! jpegenc ! rtpjpegpay name=pay{track} pt=26"
    if codec == "h265":
        return source + (
            f"videoconvert ! x265enc tune=zerolatency speed-preset=ultrafast bitrate={options.bitrate} key-int-max={options.key_int} "
            "option-string=pools=1:frame-threads=1:log-level=none ! video/x-h265,profile=main ! "
            f"rtph265pay name=pay{track} pt={96 + track} config-interval=-1"
        )
    return source + (
        f"x264enc tune=zerolatency speed-preset=ultrafast bitrate={options.bitrate} key-int-max={options.key_int} "
        f"threads=1 ! video/x-h264,profile=baseline ! rtph264pay name=pay{track} pt={96 + track} config-interval=-1"
    )


def launch(options):
    parts = [video_launch(options, track, codec) for track, codec in enumerate(options.codec)]
    if options.audio:
        parts.append(f"audiotestsrc is-live=true wave=silence ! alawenc ! rtppcmapay name=pay{len(parts)} pt=8")
    return "( " + " ".join(parts) + " )"


def report_captures(_pipeline, element):
    """Has sender reports tell when pictures were captured, as RFC 3550 wants it; GStreamer tells when they were sent."""
    if element.find_property("rtcp-sync-send-time"):
        element.set_property("rtcp-sync-send-time", False)


class Camera(GstRtspServer.RTSPMediaFactory):
    """One mount. Every session has a pipeline of its own, which starts with the session.

    A shared one (`--shared`) answers 503 to a session that begins while the last one ends, so somebody has to stay."""

    def __init__(self, options):
        super().__init__()
        self.options = options
        self.picture = options.size
        self.fps = options.fps
        self.filters = []
        self.set_launch(launch(options))
        self.set_shared(options.shared)
        if options.protocols:
            self.set_protocols(PROTOCOLS[options.protocols])
        self.set_eos_shutdown(True)
        self.connect("media-configure", self.on_media)
        self.add_role_from_structure(
            Gst.Structure.new_from_string(f"{ROLE}, media.factory.access=true, media.factory.construct=true")
        )
        if options.auth == "none":
            self.add_role_from_structure(
                Gst.Structure.new_from_string("anonymous, media.factory.access=true, media.factory.construct=true")
            )

    def on_media(self, _factory, media):
        media.get_element().get_parent().connect("element-added", report_captures)
        element = media.get_element().get_by_name("size0")
        if element is not None:
            self.apply(element)
            self.filters.append(element)
            if self.options.times:
                element.get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, tell_time)
            media.connect("unprepared", lambda _media: self.forget(element))

    def forget(self, element):
        self.filters = [known for known in self.filters if known is not element]

    def apply(self, element):
        element.set_property("caps", Gst.Caps.from_string(raw_caps(self.picture, self.fps)))

    def resize(self, picture):
        self.picture = picture
        for element in self.filters:
            self.apply(element)

    def rerate(self, fps):
        self.fps = fps
        for element in self.filters:
            self.apply(element)


def read_clocks(element):
    """Running time, time of day by the camera's clock, and CLOCK_MONOTONIC, of the same moment, whatever else runs here."""
    clock, base = element.get_clock(), element.get_base_time()
    ntp = isinstance(clock, GstNet.NtpClock)
    readings = []
    for _ in range(5):
        before = time.monotonic_ns()
        now = clock.get_time()
        wall = now - NTP_TO_UNIX * Gst.SECOND if ntp else time.time_ns()
        after = time.monotonic_ns()
        readings.append((after - before, now - base, wall, before))
    return min(readings)[1:]


def tell_time(pad, info):
    """Prints when a frame was captured: its time stamp, carried over as an age."""
    buffer = info.get_buffer()
    running, wall, monotonic = read_clocks(pad.get_parent_element())
    age = running - buffer.pts
    print(json.dumps({"frame": buffer.offset, "wall_ns": wall - age, "monotonic_ns": monotonic - age}), flush=True)
    return Gst.PadProbeReturn.OK


NTP_TO_UNIX = 2208988800


def ntp_timestamp():
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    return struct.pack("!II", (seconds + NTP_TO_UNIX) % 2**32, (nanoseconds << 32) // 10**9)


def answer_ntp(server):
    """An NTP server (RFC 5905) that tells this machine's time of day to whoever asks."""
    while True:
        request, peer = server.recvfrom(64)
        if len(request) >= 48:
            now = ntp_timestamp()
            # Version 4, mode server; stratum 1; poll 2^4 s; precision 2^-20 s.
            head = struct.pack("!BBbbII4s", 0x24, 1, 4, -20, 0, 0, b"LOCL")
            server.sendto(head + now + request[40:48] + now + now, peer)


def ntp_clock(address):
    """A clock that follows an NTP server of this process, as soon as it is in step with it."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, 0))
    threading.Thread(target=answer_ntp, args=(server,), daemon=True).start()
    clock = GstNet.NtpClock.new("ntp", address, server.getsockname()[1], 0)
    if not clock.wait_for_sync(20 * Gst.SECOND):
        sys.exit("the clock did not follow its NTP server")
    return clock


def authentication(options):
    token = GstRtspServer.RTSPToken()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, ROLE)
    auth = GstRtspServer.RTSPAuth()
    if options.certificate:
        auth.set_tls_certificate(Gio.TlsCertificate.new_from_files(options.certificate, options.key))
    if options.auth == "none":
        anyone = GstRtspServer.RTSPToken()
        anyone.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "anonymous")
        auth.set_default_token(anyone)
    elif options.auth == "basic":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(options.user, options.password), token)
    else:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(options.user, options.password, token)
    return auth


def load_plugin(options):
    if options.plugin:
        Gst.Plugin.load_file(options.plugin)
    if options.counter and Gst.ElementFactory.find("mostestcounter") is None:
        sys.exit("--counter: no element `mostestcounter`; give its plugin by --plugin PATH/libgstmos.so")


def shorten(_client, session, options):
    session.set_timeout(options.session_timeout)


def serve(options):
    server = GstRtspServer.RTSPServer()
    server.set_address(options.address)
    server.set_service(str(options.port))
    # A thread for each client. By default all share one, and a client that dies at a bad moment (in the middle of PLAY,
    # after the server was stopped) can leave that one waiting for ever on its own pipeline.
    server.get_thread_pool().set_max_threads(-1)
    if options.auth != "none" or options.certificate:
        server.set_auth(authentication(options))
    if options.session_timeout is not None:
        server.connect("client-connected", lambda _server, client: client.connect("new-session", shorten, options))
    cameras = {f"/cam{index}": Camera(options) for index in range(options.count)}
    if options.clock == "ntp":
        clock = ntp_clock(options.address)
        for camera in cameras.values():
            camera.set_clock(clock)
            camera.set_publish_clock_mode(GstRtspServer.RTSPPublishClockMode.CLOCK_AND_OFFSET)
    for path, camera in cameras.items():
        server.get_mount_points().add_factory(path, camera)
    if server.attach(None) == 0:
        sys.exit(f"can't listen on {options.address}:{options.port}")
    return server, cameras


def resize_all(options, cameras):
    if options.resize_to is not None:
        for camera in cameras.values():
            camera.resize(options.resize_to)
    return GLib.SOURCE_REMOVE if options.resize_after is not None else GLib.SOURCE_CONTINUE


def rerate_all(options, cameras):
    if options.fps_to is not None:
        for camera in cameras.values():
            camera.rerate(options.fps_to)
    return GLib.SOURCE_CONTINUE


def on_stdin(loop):
    """Reads what was written, so that only the end of the input counts."""
    if os.read(sys.stdin.fileno(), 4096):
        return GLib.SOURCE_CONTINUE
    loop.quit()
    return GLib.SOURCE_REMOVE


def sweep(server):
    """UDP clients that died without TEARDOWN keep their session until it times out."""
    server.get_session_pool().cleanup()
    return GLib.SOURCE_CONTINUE


def main():
    options = arguments()
    Gst.init(None)
    load_plugin(options)
    server, cameras = serve(options)
    loop = GLib.MainLoop()
    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGTERM, loop.quit)
    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGINT, loop.quit)
    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGUSR1, resize_all, options, cameras)
    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGUSR2, rerate_all, options, cameras)
    GLib.unix_fd_add_full(
        GLib.PRIORITY_DEFAULT, sys.stdin.fileno(), GLib.IOCondition.IN | GLib.IOCondition.HUP, lambda *_: on_stdin(loop)
    )
    GLib.timeout_add_seconds(SESSION_SWEEP_S, sweep, server)
    if options.resize_after is not None:
        GLib.timeout_add(int(options.resize_after * 1000), resize_all, options, cameras)
    print(json.dumps({"ready": True, "port": server.get_bound_port(), "mounts": list(cameras)}), flush=True)
    loop.run()


if __name__ == "__main__":
    main()
