"""A WHEP server on aiortc, for tests: one generated video, and a server's ways to be different.

Prints a line for each event: `ready PORT`, `offer CANDIDATES complete`, `patch ...`, `delete ...`, `state ...`. A line `close` on
standard input ends all sessions, as a server does that is stopped; its end ends the server. WHEP_TOKEN is the bearer token that is wanted, if any.

With `--times` each picture has its number burnt in, and there are lines `made NUMBER WALL_NS MONOTONIC_NS TICKS` when one is made, and `report WALL_NS TICKS`
for each sender report: what it says is that at WALL_NS the picture went out whose RTP timestamp is TICKS after the first one's. For one session.
"""

import argparse
import asyncio
import os
import socket
import sys
import time
from fractions import Fraction

from aiohttp import web
from aiortc import RTCPeerConnection, RTCRtpSender, RTCSessionDescription, rtcrtpsender
from aiortc.mediastreams import VideoStreamTrack
from av import VideoFrame

SDP = "application/sdp"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--http-fd", type=int, help="a listening socket that was inherited, in place of --port")
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--fps", type=int, default=30)
    parser.add_argument("--codec", default="H264", help="of the video: H264 or VP8")
    parser.add_argument("--link", action="append", default=[], help="value of a Link header")
    parser.add_argument("--link-in", default="both", choices=["options", "post", "both"])
    parser.add_argument("--options", type=int, default=204, help="status of OPTIONS")
    parser.add_argument("--patch", type=int, default=204, help="status of PATCH")
    parser.add_argument("--etag", help="ETag of a session; PATCH has to have it in If-Match")
    parser.add_argument("--location", default="relative", choices=["relative", "absolute", "none"])
    parser.add_argument("--redirect", type=int, default=0, help="status by which /whep leads to /moved")
    parser.add_argument("--redirect-to", default="/moved")
    parser.add_argument("--status", type=int, default=201, help="of POST; no session unless 200 or 201")
    parser.add_argument("--retry-after", type=int)
    parser.add_argument("--body", help="instead of the answer")
    parser.add_argument("--drop-candidates", action="store_true", help="answer without candidates")
    parser.add_argument("--resize-to", help="size from --resize-after frames on")
    parser.add_argument("--resize-after", type=int, default=60)
    parser.add_argument("--times", action="store_true", help="tell when pictures are made, and what sender reports say")
    parser.add_argument("--switch-to", help="codec that is agreed on, too, and sent by turns with the other one")
    parser.add_argument("--switch-every", type=int, default=60, help="frames of a turn")
    parser.add_argument("--line", action="append", default=[], help="line that is added to the answer")
    parser.add_argument("--host", default="127.0.0.1", help="address of HTTP")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    return parser.parse_args()


def size(text):
    width, height = text.split("x")
    return int(width), int(height)


def say(*words):
    print(*words, flush=True)


def crc16(data):
    """CRC-16/IBM-3740."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc


def counter(number):
    """The rows of blocks that gstmos::counter reads: 32 bits of number and their checksum in 12 x 4 blocks of 16 x 16."""
    word = number << 16 | crc16(number.to_bytes(4, "big"))
    bits = [word >> (47 - n) & 1 for n in range(48)]
    rows = (bits[n : n + 12] for n in range(0, 48, 12))
    return [b"".join(bytes([235 if bit else 16]) * 16 for bit in row) for row in rows]


def tell_reports():
    """Has aiortc's sender tell what its reports say: it knows the packet that went out last, and when."""
    packet, info = rtcrtpsender.RtpPacket, rtcrtpsender.RtcpSenderInfo
    first = []

    def note(**fields):
        first[:] = first or [fields["timestamp"]]
        return packet(**fields)

    def tell(**fields):
        ntp = fields["ntp_timestamp"]
        if ntp:
            # NTP counts from 1900, in 2^-32 seconds (RFC 5905).
            wall = (ntp - (2208988800 << 32)) * 1_000_000_000 >> 32
            say("report", wall, fields["rtp_timestamp"] - first[0] & 0xFFFFFFFF)
        return info(**fields)

    rtcrtpsender.RtpPacket, rtcrtpsender.RtcpSenderInfo = note, tell


def take_turns(sender, picture, agreed, every):
    """Sends by the agreed codecs in turn, each by its payload type, in one stream of packets: RTP allows it, aiortc has no call for it."""
    encode = sender._next_encoded_frame
    turns = [(kind.mimeType, kind.payloadType, kind.parameters) for kind in agreed]

    async def switching(codec):
        turn = turns[picture.number // every % len(turns)]
        if codec.payloadType != turn[1]:
            codec.mimeType, codec.payloadType, codec.parameters = turn
            sender._RTCRtpSender__encoder = None
            say("switched", turn[0])
        return await encode(codec)

    sender._next_encoded_frame = switching


class Picture(VideoStreamTrack):
    """A bar that moves over a grey that changes."""

    def __init__(self, options):
        super().__init__()
        self.options = options
        self.number = 0

    async def recv(self):
        fps = self.options.fps
        loop = asyncio.get_running_loop()
        if self.number == 0:
            self.begin = loop.time()
        await asyncio.sleep(max(0, self.begin + self.number / fps - loop.time()))
        pts = self.number * 90000 // fps
        if self.options.times:
            # When it is really made, which a busy machine may be late for: that is what a camera's timestamps say.
            pts = round((loop.time() - self.begin) * 90000) if self.number else 0
            say("made", self.number, time.time_ns(), time.clock_gettime_ns(time.CLOCK_MONOTONIC), pts)
        shape = self.options.size
        if self.options.resize_to and self.number >= self.options.resize_after:
            shape = self.options.resize_to
        width, height = size(shape)
        frame = VideoFrame(width, height, "yuv420p")
        left = self.number * 4 % (width - 16)
        row = bytearray([self.number * 3 % 200 + 16]) * width
        row[left : left + 16] = bytes([235]) * 16
        for index, plane in enumerate(frame.planes):
            line = row if index == 0 else None
            line = (line or bytearray([128]) * (plane.width)).ljust(plane.line_size, b"\0")
            rows = [bytes(line)] * plane.height
            if self.options.times and index == 0:
                for at, blocks in enumerate(counter(self.number)):
                    rows[at * 16 : at * 16 + 16] = [blocks + rows[0][len(blocks) :]] * 16
            plane.update(b"".join(rows))
        frame.pts = pts
        frame.time_base = Fraction(1, 90000)
        self.number += 1
        return frame


class Server:
    def __init__(self, options):
        self.options = options
        self.sessions = {}
        self.made = 0

    def links(self, where):
        options = self.options
        wanted = options.link_in in (where, "both")
        return [("Link", value) for value in options.link] if wanted else []

    def refusal(self, request):
        token = os.environ.get("WHEP_TOKEN")
        if token and request.headers.get("Authorization") != f"Bearer {token}":
            return web.Response(status=401, text="no such token")
        return None

    async def ask(self, request):
        say("options")
        return web.Response(status=self.options.options, headers=self.links("options"))

    async def redirect(self, request):
        say("redirect")
        location = {"Location": self.options.redirect_to}
        return web.Response(status=self.options.redirect, headers=location)

    async def offer(self, request):
        options = self.options
        refusal = self.refusal(request)
        if refusal:
            return refusal
        text = await request.text()
        complete = "complete" if "a=end-of-candidates" in text else "incomplete"
        say("offer", text.count("a=candidate:"), complete)
        headers = self.links("post")
        if options.retry_after is not None:
            headers.append(("Retry-After", str(options.retry_after)))
        if options.status not in (200, 201):
            return web.Response(status=options.status, text="as told", headers=headers)
        if options.body is not None:
            return web.Response(status=options.status, text=options.body, content_type=SDP, headers=headers)
        name = str(self.made)
        self.made += 1
        answer = await self.answer(name, text)
        if options.drop_candidates:
            lines = answer.splitlines(keepends=True)
            answer = "".join(line for line in lines if not line.startswith("a=candidate"))
        answer += "".join(f"{line}\r\n" for line in options.line)
        path = f"/session/{name}"
        if options.location == "absolute":
            headers.append(("Location", str(request.url.origin()) + path))
        elif options.location == "relative":
            headers.append(("Location", path))
        if options.etag:
            headers.append(("ETag", f'"{options.etag}"'))
        return web.Response(status=options.status, text=answer, content_type=SDP, headers=headers)

    async def answer(self, name, offer):
        peer = RTCPeerConnection()
        self.sessions[name] = peer

        @peer.on("connectionstatechange")
        def changed():
            say("state", name, peer.connectionState)

        # Before the offer is looked at: what both have in common is found then.
        picture = Picture(self.options)
        sender = peer.addTrack(picture)
        transceiver = next(t for t in peer.getTransceivers() if t.sender == sender)
        kinds = RTCRtpSender.getCapabilities("video").codecs
        wanted = [f"video/{codec}" for codec in (self.options.codec, self.options.switch_to)]
        transceiver.setCodecPreferences([kind for mime in wanted for kind in kinds if kind.mimeType == mime])
        await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        if self.options.switch_to:
            first = {kind.mimeType: kind for kind in reversed(transceiver._codecs)}
            take_turns(sender, picture, [first[mime] for mime in wanted], self.options.switch_every)
        return peer.localDescription.sdp

    async def patch(self, request):
        refusal = self.refusal(request)
        if refusal:
            return refusal
        text = await request.text()
        match = request.headers.get("If-Match", "-")
        say("patch", text.count("a=candidate:"), match, request.headers.get("Content-Type", "-"))
        if self.options.patch < 300 and self.options.etag and match != f'"{self.options.etag}"':
            return web.Response(status=412 if match != "-" else 428)
        return web.Response(status=self.options.patch)

    async def delete(self, request):
        refusal = self.refusal(request)
        if refusal:
            return refusal
        name = request.match_info["name"]
        peer = self.sessions.pop(name, None)
        say("delete", name, "known" if peer else "unknown")
        if peer:
            await peer.close()
        return web.Response(status=200 if peer else 404)

    async def commands(self):
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            if line.strip() == b"close":
                for peer in list(self.sessions.values()):
                    await peer.close()
                say("closed")
        # Whoever started it is gone.
        raise web.GracefulExit


async def main():
    options = arguments()
    if options.times:
        tell_reports()
    server = Server(options)
    app = web.Application()
    app.router.add_route("OPTIONS", "/whep", server.ask)
    app.router.add_post("/whep", server.redirect if options.redirect else server.offer)
    app.router.add_post("/moved", server.offer)
    app.router.add_patch("/session/{name}", server.patch)
    app.router.add_delete("/session/{name}", server.delete)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    tls = None
    if options.cert:
        import ssl

        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(options.cert, options.key)
    if options.http_fd is not None:
        # It may be of another network than the media's: that of who made it.
        site = web.SockSite(runner, socket.socket(fileno=options.http_fd), ssl_context=tls)
    else:
        site = web.TCPSite(runner, options.host, options.port, ssl_context=tls)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    say("ready", port)
    try:
        await server.commands()
    finally:
        for peer in list(server.sessions.values()):
            await peer.close()
        await runner.cleanup()


try:
    asyncio.run(main())
except (KeyboardInterrupt, web.GracefulExit):
    pass
