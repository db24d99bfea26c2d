"""A WHEP server on aiortc, for tests: one generated video, and a server's ways to be different.

Prints a line for each event: `ready PORT`, `offer CANDIDATES complete`, `patch ...`, `delete ...`, `state ...`. A line `close` on
standard input ends all sessions, as a server does that is stopped; its end ends the server. WHEP_TOKEN is the bearer token that is wanted, if any.
"""

import argparse
import asyncio
import os
import socket
import sys
from fractions import Fraction

from aiohttp import web
from aiortc import RTCPeerConnection, RTCRtpSender, RTCSessionDescription
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
    parser.add_argument("--cert")
    parser.add_argument("--key")
    return parser.parse_args()


def size(text):
    width, height = text.split("x")
    return int(width), int(height)


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
        shape = self.options.size
        if self.options.resize_to and self.number >= self.options.resize_after:
            shape = self.options.resize_to
        width, height = size(shape)
        frame = VideoFrame(width, height, "yuv420p")
        left = self.number * 4 % (width - 16)
        row = bytearray([self.number * 3 % 200 + 16]) * width
        row[left : left + 16] = bytes([235]) * 16
        for plane, line in zip(frame.planes, (row, None, None)):
            line = (line or bytearray([128]) * (plane.width)).ljust(plane.line_size, b"\0")
            plane.update(bytes(line) * plane.height)
        frame.pts = self.number * 90000 // fps
        frame.time_base = Fraction(1, 90000)
        self.number += 1
        return frame


class Server:
    def __init__(self, options):
        self.options = options
        self.sessions = {}
        self.made = 0

    def say(self, *words):
        print(*words, flush=True)

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
        self.say("options")
        return web.Response(status=self.options.options, headers=self.links("options"))

    async def redirect(self, request):
        self.say("redirect")
        location = {"Location": self.options.redirect_to}
        return web.Response(status=self.options.redirect, headers=location)

    async def offer(self, request):
        options = self.options
        refusal = self.refusal(request)
        if refusal:
            return refusal
        text = await request.text()
        complete = "complete" if "a=end-of-candidates" in text else "incomplete"
        self.say("offer", text.count("a=candidate:"), complete)
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
            self.say("state", name, peer.connectionState)

        # Before the offer is looked at: what both have in common is found then.
        sender = peer.addTrack(Picture(self.options))
        transceiver = next(t for t in peer.getTransceivers() if t.sender == sender)
        kinds = RTCRtpSender.getCapabilities("video").codecs
        mime = f"video/{self.options.codec}"
        transceiver.setCodecPreferences([kind for kind in kinds if kind.mimeType == mime])
        await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        return peer.localDescription.sdp

    async def patch(self, request):
        refusal = self.refusal(request)
        if refusal:
            return refusal
        text = await request.text()
        match = request.headers.get("If-Match", "-")
        self.say("patch", text.count("a=candidate:"), match, request.headers.get("Content-Type", "-"))
        if self.options.patch < 300 and self.options.etag and match != f'"{self.options.etag}"':
            return web.Response(status=412 if match != "-" else 428)
        return web.Response(status=self.options.patch)

    async def delete(self, request):
        refusal = self.refusal(request)
        if refusal:
            return refusal
        name = request.match_info["name"]
        peer = self.sessions.pop(name, None)
        self.say("delete", name, "known" if peer else "unknown")
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
                self.say("closed")
        # Whoever started it is gone.
        raise web.GracefulExit


async def main():
    options = arguments()
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
        site = web.TCPSite(runner, "127.0.0.1", options.port, ssl_context=tls)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    server.say("ready", port)
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
