#!/usr/bin/python3
"""A browser as WHEP server: Chromium's own WebRTC stack sends, this program only carries offers and answers.

A page in a headless Chromium draws pictures with a frame counter (the blocks that `gstmos::counter` reads) and answers
each offer by a connection of its own. Prints `ready PORT BROWSER` when the page is there, then `made ID` and `deleted ID` for
each session at /whep. Runs until its standard input closes; the browser ends with it. Needs Debian's chromium.
"""

import argparse
import ctypes
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Longest wait for the page's answer to an offer, and of the page for an offer before it asks again, in seconds.
ANSWER_S = 20
POLL_S = 20

PAGE = """<!doctype html><title>camera</title><canvas id=c></canvas><script>
const {width, height, fps, codec} = OPTIONS;
const canvas = document.getElementById('c');
canvas.width = width; canvas.height = height;
const draw = canvas.getContext('2d', {alpha: false});
let number = 0;
function crc16(n) {
  let crc = 0xffff;
  for (let shift = 24; shift >= 0; shift -= 8) {
    crc ^= ((n >>> shift) & 0xff) << 8;
    for (let i = 0; i < 8; i++) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff;
  }
  return crc;
}
// As gstmos::counter: 32 bits of number and their CRC-16/IBM-3740 in 12 x 4 blocks of 16 x 16.
function blocks(n) {
  const sum = crc16(n);
  const bits = [];
  for (let i = 31; i >= 0; i--) bits.push((n >>> i) & 1);
  for (let i = 15; i >= 0; i--) bits.push((sum >>> i) & 1);
  bits.forEach((bit, i) => {
    draw.fillStyle = bit ? '#fff' : '#000';
    draw.fillRect((i % 12) * 16, Math.floor(i / 12) * 16, 16, 16);
  });
}
function picture() {
  number = (number + 1) >>> 0;
  draw.fillStyle = 'rgb(40,80,160)'; draw.fillRect(0, 0, width, height);
  draw.fillStyle = 'rgb(240,200,40)'; draw.fillRect((number * 4) % width, height / 2, 40, 40);
  blocks(number);
}
setInterval(picture, 1000 / fps);
const stream = canvas.captureStream(fps);
const sessions = new Map();
// The offer with the wanted codec alone. Chromium 156 keeps to another payload type than its own answer's if it is told by
// setCodecPreferences.
function only(offer) {
  const lines = offer.split('\\r\\n');
  const types = lines.map(l => l.match(/^a=rtpmap:(\\d+) (\\w+)/)).filter(m => m && m[2].toLowerCase() === codec).map(m => m[1]);
  const kept = lines.filter(l => { const m = l.match(/^a=(?:rtpmap|fmtp|rtcp-fb):(\\d+) /); return !m || types.includes(m[1]); });
  return kept.map(l => l.replace(/^(m=video \\d+ \\S+) .*$/, '$1 ' + types.join(' '))).join('\\r\\n');
}
async function answer(offer) {
  const peer = new RTCPeerConnection();
  await peer.setRemoteDescription({type: 'offer', sdp: only(offer)});
  const sender = peer.addTrack(stream.getVideoTracks()[0], stream);
  // Else it begins with a smaller picture, in which nobody can read the counter.
  await sender.setParameters({...sender.getParameters(), degradationPreference: 'maintain-resolution'});
  await peer.setLocalDescription();
  await new Promise(done => {
    const look = () => peer.iceGatheringState === 'complete' && done();
    peer.onicegatheringstatechange = look; look();
  });
  return peer;
}
async function work() {
  for (;;) {
    const job = await (await fetch('/page/next')).json();
    let result = {};
    try {
      if (job.offer) {
        const peer = await answer(job.offer);
        sessions.set(job.session, peer);
        result = {sdp: peer.localDescription.sdp};
      } else if (job.close) {
        sessions.get(job.close)?.close();
        sessions.delete(job.close);
      }
    } catch (error) { result = {error: String(error)}; }
    if (job.id) await fetch('/page/done/' + job.id, {method: 'POST', body: JSON.stringify(result)});
  }
}
work();
</script>"""


class Broker:
    """Carries jobs to the page and its results back."""

    def __init__(self):
        self.jobs = queue.Queue()
        self.waiting = {}
        self.lock = threading.Lock()
        self.count = 0
        self.page = threading.Event()

    def ask(self, **job):
        with self.lock:
            self.count += 1
            number = str(self.count)
            answer = self.waiting[number] = queue.Queue()
        self.jobs.put({"id": number, **job})
        try:
            return answer.get(timeout=ANSWER_S)
        except queue.Empty:
            return {"error": "the page did not answer"}
        finally:
            with self.lock:
                del self.waiting[number]

    def next(self):
        self.page.set()
        try:
            return self.jobs.get(timeout=POLL_S)
        except queue.Empty:
            return {}

    def done(self, number, result):
        with self.lock:
            answer = self.waiting.get(number)
        if answer is not None:
            answer.put(result)


def handler(options, broker):
    sessions = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_args):
            pass

        def reply(self, status, body="", kind="text/plain", **headers):
            data = body.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def body(self):
            return self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()

        def do_GET(self):
            if self.path == "/page":
                sizes = {"width": options.size[0], "height": options.size[1], "fps": options.fps, "codec": options.codec}
                self.reply(200, PAGE.replace("OPTIONS", json.dumps(sizes)), "text/html")
            elif self.path == "/page/next":
                self.reply(200, json.dumps(broker.next()), "application/json")
            else:
                self.reply(404)

        def do_POST(self):
            body = self.body()
            if self.path.startswith("/page/done/"):
                broker.done(self.path.rsplit("/", 1)[1], json.loads(body))
                self.reply(204)
            elif self.path == "/whep":
                self.offer(body)
            else:
                self.reply(404)

        def offer(self, sdp):
            session = f"s{len(sessions) + 1}"
            sessions[session] = True
            result = broker.ask(session=session, offer=sdp)
            if "sdp" not in result:
                return self.reply(500, result.get("error", "no answer"))
            print(f"made {session}", flush=True)
            return self.reply(201, result["sdp"], "application/sdp", Location=f"/whep/{session}")

        def do_PATCH(self):
            self.body()
            self.reply(405, Allow="DELETE")

        def do_DELETE(self):
            session = self.path.rsplit("/", 1)[1]
            if sessions.pop(session, None) is None:
                return self.reply(404)
            broker.ask(close=session)
            print(f"deleted {session}", flush=True)
            return self.reply(200)

    return Handler


def size(text):
    """Parses WIDTHxHEIGHT, both even."""
    width, _, height = text.partition("x")
    pair = int(width), int(height)
    if min(pair) < 16 or pair[0] % 2 or pair[1] % 2:
        raise argparse.ArgumentTypeError("width and height have to be even and at least 16")
    return pair


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="TCP port on loopback; 0 lets the system choose (default)")
    parser.add_argument("--size", type=size, default=(640, 480), help="WIDTHxHEIGHT (default 640x480)")
    parser.add_argument("--fps", type=int, default=30, help="frames per second (default %(default)s)")
    parser.add_argument("--codec", choices=("h264", "vp8"), default="h264", help="default %(default)s")
    return parser.parse_args()


def browse(chromium, port, profile):
    """Starts the browser in a session of its own; it may talk to nobody but this program."""
    switches = (
        "--headless=new --no-sandbox --disable-gpu --no-first-run --disable-sync --disable-extensions --mute-audio "
        "--disable-background-networking --disable-component-update --disable-default-apps "
        "--disable-dev-shm-usage --disable-background-timer-throttling --disable-renderer-backgrounding "
        # Host candidates by address: nobody here resolves the names that stand for them.
        "--disable-features=WebRtcHideLocalIpsWithMdns --allow-loopback-in-peer-connection"
    ).split()
    rules = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"
    return subprocess.Popen(
        [chromium, *switches, rules, f"--user-data-dir={profile}", f"http://127.0.0.1:{port}/page"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        preexec_fn=die_with_parent,
    )


def die_with_parent():
    """Has the kernel end the browser with this program, however that ends (PR_SET_PDEATHSIG, prctl(2))."""
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)


def main():
    options = arguments()
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("no `chromium` in the PATH: apt install chromium")
    broker = Broker()
    server = ThreadingHTTPServer(("127.0.0.1", options.port), handler(options, broker))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    version = subprocess.run([chromium, "--version"], capture_output=True, text=True, check=True).stdout.split(" built")[0].strip()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = browse(chromium, port, profile)
        try:
            if not broker.page.wait(60):
                sys.exit("the browser did not open its page")
            print(f"ready {port} {version}", flush=True)
            while os.read(sys.stdin.fileno(), 4096):
                pass
        finally:
            os.killpg(browser.pid, signal.SIGKILL)
            browser.wait()


if __name__ == "__main__":
    main()
