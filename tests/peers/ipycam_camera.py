"""ipycam, an ONVIF camera that nobody here wrote, with pictures that move. Run by the environment that xtask makes.

Usage: ipycam_camera.py ADDRESS ENDPOINT USER PASSWORD. A line of JSON says when it is there; it ends when stdin does.
"""

import json
import logging
import sys
import threading
import time

import numpy
from ipycam import CameraConfig, IPCamera

logging.disable(logging.CRITICAL)
address, endpoint, user, password = sys.argv[1:5]
config = CameraConfig(
    local_ip=address, onvif_port=8080, rtsp_port=8554, username=user, password=password, hw_accel="cpu",
    main_width=640, main_height=360, main_fps=10, main_bitrate="1M", sub_width=320, sub_height=180, sub_fps=10,
)
camera = IPCamera(config)
# It makes up another one at each start; a real camera keeps its own.
camera.onvif.device_uuid = endpoint
stdout, sys.stdout = sys.stdout, sys.stderr
if not camera.start():
    sys.exit("ipycam does not start")
print(json.dumps({"listening": config.onvif_port}), file=stdout, flush=True)


def stream():
    ramp = numpy.arange(640, dtype=numpy.uint8)
    n = 0
    while True:
        frame = numpy.broadcast_to(numpy.roll(ramp, n)[None, :, None], (360, 640, 3)).copy()
        camera.stream(frame)
        n += 4
        time.sleep(0.1)


threading.Thread(target=stream, daemon=True).start()
sys.stdin.read()
camera.stop()
