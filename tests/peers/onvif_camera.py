#!/usr/bin/python3
"""An ONVIF camera that does as it is told, and tells what it was asked.

Only the standard library: what it checks of a log-in is a second opinion, in another language. Every request is a line of
JSON on stdout: {"call": ..., "login": "none|digest|text|http", "accepted": ...}. Lines on stdin change it while it runs:
{"password": ...}, {"spoil": {CALL: KIND}}, {"skew": SECONDS}, {"hello": true}, {"bye": true}.
"""

import argparse
import base64
import datetime
import hashlib
import http.server
import json
import os
import re
import socket
import ssl
import struct
import sys
import threading
import time
import uuid
import xml.etree.ElementTree as ET

SOAP = "http://www.w3.org/2003/05/soap-envelope"
TDS = "http://www.onvif.org/ver10/device/wsdl"
TRT = "http://www.onvif.org/ver10/media/wsdl"
TR2 = "http://www.onvif.org/ver20/media/wsdl"
TT = "http://www.onvif.org/ver10/schema"
GROUP4, GROUP6, PORT = "239.255.255.250", "ff02::c", 3702

OUT = threading.Lock()


def tell(**what):
    with OUT:
        print(json.dumps(what), flush=True)


def local(tag):
    return tag.rsplit("}", 1)[-1]


def find(node, *names):
    for name in names:
        node = next((c for c in node if local(c.tag) == name), None) if node is not None else None
    return node


def text(node, *names):
    found = find(node, *names)
    return (found.text or "").strip() if found is not None else ""


class Camera:
    def __init__(self, options):
        self.options = options
        self.password = options.password
        self.skew = options.skew
        self.spoil = dict(s.split("=", 1) for s in options.spoil)
        self.accepts = options.accepts.split(",")
        self.nonces = set()
        self.seen = set()
        self.profiles = [
            {"token": "main", "name": "MainStream", "encoder": "e0", "size": (640, 360), "rate": 15},
            {"token": "sub", "name": "SubStream", "encoder": "e1", "size": (320, 180), "rate": 15},
        ]

    def now(self):
        return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.skew)

    # Log-ins

    def login(self, headers, envelope):
        """The way of the log-in, and whether it is right."""
        authorization = headers.get("Authorization", "")
        if authorization.startswith("Digest "):
            return "http", "http" in self.accepts and self.http_digest(authorization)
        token = find(find(envelope, "Header"), "Security", "UsernameToken")
        if token is None:
            return "none", "none" in self.accepts
        password = find(token, "Password")
        if password.get("Type", "").endswith("#PasswordText"):
            right = "text" in self.accepts and password.text == self.password
            return "text", right and text(token, "Username") == self.options.user
        return "digest", "digest" in self.accepts and self.token_digest(token, password.text)

    def token_digest(self, token, digest):
        nonce, created = text(token, "Nonce"), text(token, "Created")
        try:
            when = datetime.datetime.strptime(created, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
        except ValueError:
            return False
        fresh = abs((self.now() - when).total_seconds()) <= 10 and nonce not in self.seen
        self.seen.add(nonce)
        sha = hashlib.sha1(base64.b64decode(nonce) + created.encode() + self.password.encode())
        right = base64.b64encode(sha.digest()).decode() == digest
        return fresh and right and text(token, "Username") == self.options.user

    def http_digest(self, authorization):
        given = dict(re.findall(r'(\w+)="?([^",]*)"?', authorization[len("Digest "):]))
        if given.get("nonce") not in self.nonces or given.get("username") != self.options.user:
            return False
        hashed = lambda t: hashlib.md5(t.encode()).hexdigest()
        who = hashed(f"{self.options.user}:{given['realm']}:{self.password}")
        what = hashed(f"POST:{given['uri']}")
        return given["response"] == hashed(
            f"{who}:{given['nonce']}:{given['nc']}:{given['cnonce']}:{given['qop']}:{what}")

    def challenge(self):
        nonce = uuid.uuid4().hex
        self.nonces.add(nonce)
        return f'Digest realm="camera", qop="auth", algorithm=MD5, nonce="{nonce}"'

    # Answers

    def open_to_all(self, call):
        return call in ("GetServices", "GetCapabilities") or (call == "GetSystemDateAndTime" and not self.options.time_wants_login)

    def answer(self, call, service, body, host):
        """The answer's body; none if there is no such call."""
        base = f"{self.options.scheme}://{host}/onvif"
        if call == "GetSystemDateAndTime":
            now = self.now()
            return (f'<tds:GetSystemDateAndTimeResponse xmlns:tds="{TDS}" xmlns:tt="{TT}"><tds:SystemDateAndTime><tt:UTCDateTime>'
                    f"<tt:Time><tt:Hour>{now.hour}</tt:Hour><tt:Minute>{now.minute}</tt:Minute><tt:Second>{now.second}</tt:Second></tt:Time>"
                    f"<tt:Date><tt:Year>{now.year}</tt:Year><tt:Month>{now.month}</tt:Month><tt:Day>{now.day}</tt:Day></tt:Date>"
                    "</tt:UTCDateTime></tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>")
        if call == "GetServices":
            if self.options.old:
                return None
            media2 = f"<tds:Service><tds:Namespace>{TR2}</tds:Namespace><tds:XAddr>{base}/media2</tds:XAddr></tds:Service>"
            return (f'<tds:GetServicesResponse xmlns:tds="{TDS}">'
                    f"<tds:Service><tds:Namespace>{TDS}</tds:Namespace><tds:XAddr>{base}/device_service</tds:XAddr></tds:Service>"
                    f"<tds:Service><tds:Namespace>{TRT}</tds:Namespace><tds:XAddr>http://192.0.2.77/onvif/media</tds:XAddr></tds:Service>"
                    f"{media2 if self.options.media2 else ''}</tds:GetServicesResponse>")
        if call == "GetCapabilities":
            return (f'<tds:GetCapabilitiesResponse xmlns:tds="{TDS}" xmlns:tt="{TT}"><tds:Capabilities><tt:Media>'
                    f"<tt:XAddr>{base}/media</tt:XAddr></tt:Media></tds:Capabilities></tds:GetCapabilitiesResponse>")
        if call == "GetDeviceInformation":
            return (f'<tds:GetDeviceInformationResponse xmlns:tds="{TDS}"><tds:Manufacturer>Peer</tds:Manufacturer>'
                    "<tds:Model>Scripted</tds:Model></tds:GetDeviceInformationResponse>")
        media2 = service == TR2
        ns = f'xmlns:m="{TR2 if media2 else TRT}" xmlns:tt="{TT}"'
        if call == "GetProfiles":
            return f"<m:GetProfilesResponse {ns}>{''.join(self.profile(p, media2) for p in self.profiles)}</m:GetProfilesResponse>"
        if call == "GetVideoEncoderConfigurationOptions":
            sizes = "".join(f"<tt:ResolutionsAvailable><tt:Width>{w}</tt:Width><tt:Height>{h}</tt:Height></tt:ResolutionsAvailable>"
                            for w, h in ((640, 360), (320, 180), (480, 270)))
            if media2:
                options = f'<m:Options FrameRatesSupported="15 10 5"><tt:Encoding>H264</tt:Encoding>{sizes}</m:Options>'
            else:
                options = (f"<m:Options><tt:H264>{sizes}<tt:FrameRateRange><tt:Min>1</tt:Min><tt:Max>15</tt:Max></tt:FrameRateRange>"
                           "</tt:H264></m:Options>")
            return f"<m:GetVideoEncoderConfigurationOptionsResponse {ns}>{options}</m:GetVideoEncoderConfigurationOptionsResponse>"
        if call == "SetVideoEncoderConfiguration":
            wanted = find(body, "Configuration")
            kept = text(wanted, "Quality") == "4" and text(wanted, "RateControl", "BitrateLimit") == "512"
            for profile in self.profiles:
                if kept and profile["encoder"] == wanted.get("token"):
                    profile["size"] = (int(text(wanted, "Resolution", "Width")), int(text(wanted, "Resolution", "Height")))
                    profile["rate"] = int(float(text(wanted, "RateControl", "FrameRateLimit")))
                    tell(set=profile["token"], size=profile["size"], rate=profile["rate"])
                    return f"<m:SetVideoEncoderConfigurationResponse {ns}/>"
            return None
        if call == "GetStreamUri":
            token = text(body, "ProfileToken")
            if all(p["token"] != token for p in self.profiles):
                return None
            uri = f"<tt:Uri>{self.options.rtsp}</tt:Uri>"
            tell(stream=token)
            return (f"<m:GetStreamUriResponse {ns}><m:Uri>{self.options.rtsp}</m:Uri></m:GetStreamUriResponse>" if media2 else
                    f"<m:GetStreamUriResponse {ns}><m:MediaUri>{uri}</m:MediaUri></m:GetStreamUriResponse>")
        return None

    def profile(self, p, media2):
        inner = (f"<tt:Name>{p['name']}</tt:Name><tt:UseCount>1</tt:UseCount><tt:Encoding>H264</tt:Encoding>"
                 f"<tt:Resolution><tt:Width>{p['size'][0]}</tt:Width><tt:Height>{p['size'][1]}</tt:Height></tt:Resolution>"
                 f"<tt:Quality>4</tt:Quality><tt:RateControl><tt:FrameRateLimit>{p['rate']}</tt:FrameRateLimit>"
                 "<tt:BitrateLimit>512</tt:BitrateLimit></tt:RateControl>")
        if media2:
            return (f"<m:Profiles token=\"{p['token']}\"><m:Name>{p['name']}</m:Name><m:Configurations>"
                    f"<m:VideoEncoder token=\"{p['encoder']}\">{inner}</m:VideoEncoder></m:Configurations></m:Profiles>")
        return (f"<m:Profiles token=\"{p['token']}\"><tt:Name>{p['name']}</tt:Name>"
                f"<tt:VideoEncoderConfiguration token=\"{p['encoder']}\">{inner}</tt:VideoEncoderConfiguration></m:Profiles>")

    # Discovery

    def announcement(self, kind, relates=None):
        address = self.options.announce
        inner = (f"<a:EndpointReference><a:Address>{self.options.endpoint}</a:Address></a:EndpointReference>"
                 "<d:Types>dn:NetworkVideoTransmitter</d:Types><d:Scopes>onvif://www.onvif.org/name/Yard%20Cam</d:Scopes>"
                 f"<d:XAddrs>{address}</d:XAddrs><d:MetadataVersion>1</d:MetadataVersion>")
        if kind == "ProbeMatches":
            inner = f"<d:ProbeMatch>{inner}</d:ProbeMatch>"
        relation = f"<a:RelatesTo>{relates}</a:RelatesTo>" if relates else ""
        return (f'<?xml version="1.0"?><s:Envelope xmlns:s="{SOAP}" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
                'xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" xmlns:dn="http://www.onvif.org/ver10/network/wsdl">'
                f"<s:Header><a:MessageID>urn:uuid:{uuid.uuid4()}</a:MessageID>{relation}"
                f"<a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/{kind}</a:Action></s:Header>"
                f"<s:Body><d:{kind}>{inner}</d:{kind}></s:Body></s:Envelope>").encode()

    def discovery_socket(self):
        index = socket.if_nametoindex(self.options.interface)
        if self.options.ipv6:
            sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("::", PORT))
            member = socket.inet_pton(socket.AF_INET6, GROUP6) + struct.pack("@I", index)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
            return sock, (GROUP6, PORT, 0, index)
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("", PORT))
        member = socket.inet_aton(GROUP4) + socket.inet_aton("0.0.0.0") + struct.pack("@i", index)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, member)
        return sock, (GROUP4, PORT)

    def discover(self):
        self.socket, self.group = self.discovery_socket()
        while True:
            data, sender = self.socket.recvfrom(65535)
            message = data.decode(errors="ignore")
            if not self.options.mute and re.search(r"<\w+:Probe[ >]", message) and "NetworkVideoTransmitter" in message:
                relates = re.search(r"MessageID>([^<]+)<", message)
                tell(probe=sender[0])
                self.socket.sendto(self.announcement("ProbeMatches", relates and relates.group(1)), sender)


def spoiled(kind, body, handler):
    """Bytes instead of an answer; none if the connection is to end without."""
    envelope = lambda inner: f'<s:Envelope xmlns:s="{SOAP}"><s:Body>{inner}</s:Body></s:Envelope>'.encode()
    if kind == "close":
        return None
    if kind == "silent":
        time.sleep(3600)
    return {
        "empty": b"",
        "html": b"<html><body>It works!</body></html>",
        "binary": bytes(range(256)) * 8,
        "cut": body[: len(body) // 2],
        "laughs": b'<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>' + envelope("<l>&b;</l>"),
        "external": b'<!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + envelope("<l>&x;</l>"),
        "deep": b"<a>" * 100000,
        "huge": b" " * (5 << 20) + body,
        "other": envelope("<SomethingElseResponse/>"),
        "bodiless": f'<s:Envelope xmlns:s="{SOAP}"/>'.encode(),
        "hollow": re.sub(rb">[^<>]+<", b"><", body),
        "fault": envelope("<s:Fault><s:Code><s:Value>s:Receiver</s:Value></s:Code><s:Reason><s:Text>out of order</s:Text></s:Reason></s:Fault>"),
        "utf16": body.decode().encode("utf-16"),
        "numbers": re.sub(rb">\d+<", b">99999999999999999999<", body),
    }[kind]


def handler_for(camera):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_POST(self):
            envelope = ET.fromstring(self.rfile.read(int(self.headers["Content-Length"])))
            body = find(envelope, "Body")[0]
            call, service = local(body.tag), body.tag[1:].split("}")[0]
            login, right = camera.login(self.headers, envelope)
            accepted = right or (login == "none" and camera.open_to_all(call))
            tell(call=call, service=service, login=login, accepted=accepted)
            if not accepted:
                return self.refuse()
            answer = camera.answer(call, service, body, self.headers["Host"])
            if answer is None:
                return self.fault(500, "ter:ActionNotSupported", "Action not supported")
            data = self.envelope(answer)
            kind = camera.spoil.get(call)
            if kind:
                data = spoiled(kind, data, self)
                if data is None:
                    self.close_connection = True
                    return None
            return self.send(200, data)

        def refuse(self):
            if "http" in camera.accepts:
                self.send_response(401)
                self.send_header("WWW-Authenticate", camera.challenge())
                self.send_header("Content-Length", "0")
                self.end_headers()
            else:
                self.fault(400, "ter:NotAuthorized", "Sender not authorized")

        def fault(self, status, code, reason):
            self.send(status, self.envelope(
                f'<s:Fault xmlns:ter="http://www.onvif.org/ver10/error"><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>{code}</s:Value>'
                f'</s:Subcode></s:Code><s:Reason><s:Text xml:lang="en">{reason}</s:Text></s:Reason></s:Fault>'))

        @staticmethod
        def envelope(inner):
            return f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="{SOAP}"><s:Body>{inner}</s:Body></s:Envelope>'.encode()

        def date_time_string(self, timestamp=None):
            return super().date_time_string(camera.now().timestamp())

        def send(self, status, data):
            self.send_response(status)
            self.send_header("Content-Type", "application/soap+xml; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            try:
                self.wfile.write(data)
            except OSError:
                pass

    return Handler


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    address_family = socket.AF_INET

    def handle_error(self, *_):
        """Clients that hang up are part of the tests."""


class Server6(Server):
    address_family = socket.AF_INET6


def obey(camera):
    for line in sys.stdin:
        wish = json.loads(line)
        camera.password = wish.get("password", camera.password)
        camera.spoil = wish.get("spoil", camera.spoil)
        camera.skew = wish.get("skew", camera.skew)
        for kind in ("hello", "bye"):
            if wish.get(kind):
                camera.socket.sendto(camera.announcement(kind.capitalize()), camera.group)
        tell(done=True)
    os._exit(0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--user", default="admin")
    parser.add_argument("--password", default="s3cret")
    parser.add_argument("--accepts", default="digest", help="none, digest, text, http, separated by commas")
    parser.add_argument("--time-wants-login", action="store_true")
    parser.add_argument("--skew", type=float, default=0)
    parser.add_argument("--media2", action="store_true")
    parser.add_argument("--old", action="store_true", help="without GetServices")
    parser.add_argument("--rtsp", default="rtsp://192.0.2.77:554/live")
    parser.add_argument("--spoil", action="append", default=[], metavar="CALL=KIND")
    parser.add_argument("--certificate", help="PEM of certificate and key: HTTPS")
    parser.add_argument("--interface", help="is discovered on it")
    parser.add_argument("--ipv6", action="store_true")
    parser.add_argument("--mute", action="store_true", help="answers no probe")
    parser.add_argument("--announce", default="", help="the address that it tells in discovery")
    parser.add_argument("--endpoint", default=f"urn:uuid:{uuid.uuid4()}")
    options = parser.parse_args()
    options.scheme = "https" if options.certificate else "http"
    camera = Camera(options)
    kind = Server6 if ":" in options.host else Server
    server = kind((options.host, options.port), handler_for(camera))
    if options.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    if options.interface:
        threading.Thread(target=camera.discover, daemon=True).start()
    threading.Thread(target=obey, args=(camera,), daemon=True).start()
    tell(listening=server.server_address[1])
    server.serve_forever()


if __name__ == "__main__":
    main()
