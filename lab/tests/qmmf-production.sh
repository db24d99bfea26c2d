# The production programs with Qualcomm's camera source, which the stand-in plays as a plugin of its own: the service's dma-bufs reach a subscriber uncopied, and no process has one mapped.
# Program: mos-camera-capture mos-camera-capture production
# Program: mosctl mosctl production
# Library: mos-qmmf-standin gstqmmfstandin
# Limit: 600
set -e
# What this can't show: the stand-in is in the service's process, as the real element is, but its pictures are empty. On a board they are
# painted by the camera, for a service in another process.
work=$(mktemp -d)
mkdir "$work/plugins"
cp /host/bin/libgstqmmfstandin.so "$work/plugins"
# The guest's registry of plugins, in a copy: to make a new one takes minutes without KVM.
cp "${GST_REGISTRY:-$HOME/.cache/gstreamer-1.0/registry.x86_64.bin}" "$work/registry.bin"
cat >"$work/mos-camera.toml" <<'TOML'
[service]
platform = "qcs"
[onvif]
discovery = false
[cameras.mast]
width = 1280
height = 720
framerate = "30"
qmmf = { camera = 0, link = "i2c@1/max96712@29/link0" }
TOML
exec python3 - "$work" <<'PYTHON'
import array, fcntl, json, mmap, os, socket, struct, subprocess, sys, time

work = sys.argv[1]
FRAME = 1280 * 720 * 3 // 2
SOCKET = "/run/cam_server/le_cam_socket"
os.makedirs(os.path.dirname(SOCKET))
camera_service = socket.socket(socket.AF_UNIX)
camera_service.bind(SOCKET)
camera_service.listen()

surroundings = dict(os.environ, GST_PLUGIN_PATH=f"{work}/plugins", GST_REGISTRY=f"{work}/registry.bin", MOS_QMMF_STANDIN="gbm")
log = open(f"{work}/log", "w")
service = subprocess.Popen(
    ["mos-camera-capture-production", "--config", f"{work}/mos-camera.toml", "--control-socket", f"{work}/control.sock",
     "--frame-dir", f"{work}/frames", "--state-file", f"{work}/state.json"], env=surroundings, stderr=log)

def status():
    asked = subprocess.run(["mosctl-production", "--socket", f"{work}/control.sock", "status", "--json"], capture_output=True, text=True)
    return json.loads(asked.stdout) if asked.returncode == 0 else None

def within(seconds, what, look):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.2)
    sys.exit(f"no {what}: {status()}\n{open(work + '/log').read()}")

def mapped():
    """Processes that have a dma-buf mapped, and how many were looked at."""
    found, looked_at = [], 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            maps = open(f"/proc/{pid}/maps").read()
        except (FileNotFoundError, ProcessLookupError):
            continue
        looked_at += 1
        found += [pid for line in maps.splitlines() if "/dmabuf" in line]
    return found, looked_at

def dmabufs(pid):
    """Inodes of the dma-bufs that a process holds."""
    found = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            if "/dmabuf" in os.readlink(f"/proc/{pid}/fd/{fd}"):
                found.add(os.stat(f"/proc/{pid}/fd/{fd}").st_ino)
        except FileNotFoundError:
            continue
    return found

def streaming():
    seen = status()
    streams = seen and seen["streams"]
    return seen if streams and streams[0]["state"] == "streaming" else None

try:
    before = within(300, "stream", streaming)
    subscriber = subprocess.Popen(
        ["mosctl-production", "--frame-dir", f"{work}/frames", "frames", "mast", "--wait", "60s", "--name", "lab"], stdout=subprocess.DEVNULL)
    shared = within(60, "dma-bufs at the subscriber", lambda: len(dmabufs(subscriber.pid)) >= 2 and dmabufs(subscriber.pid))
    own = dmabufs(service.pid)
    assert shared <= own, f"the subscriber has others: {shared} of {own}"
    looks, most = 40, 0
    for _ in range(looks):
        found, looked_at = mapped()
        assert not found, f"mapped by {found}; the service is {service.pid}"
        most = max(most, looked_at)
        time.sleep(0.1)
    after = status()
    stream, old = after["streams"][0], before["streams"][0]
    frames = stream["frames"]
    assert after["service"]["build"] == "production", after["service"]
    assert stream["format"]["memory"] == "dmabuf", stream["format"]
    assert frames["published"] > old["frames"]["published"] + 20, (old["frames"], frames)
    assert (frames["copied"], frames["violations"], after["service"]["stray_mappings"]) == (0, 0, 0), after
    assert stream["plan"]["capture"]["handover"] == "gbm" and not stream["plan"]["software"], stream["plan"]
    # The control: the same look finds a dma-buf that is mapped.
    heap = os.open("/dev/dma_heap/system", os.O_RDWR)
    request = array.array("B", struct.pack("QIIQ", FRAME, 0, os.O_RDWR | os.O_CLOEXEC, 0))
    fcntl.ioctl(heap, 0xC0184800, request)
    fd = struct.unpack("QIIQ", request)[1]
    mine = mmap.mmap(fd, FRAME)
    assert mapped()[0] == [str(os.getpid())], mapped()
    mine.close()
    # The stand-in says what was done that Qualcomm's source does not allow.
    client = camera_service.accept()[0]
    subscriber.terminate()
    service.terminate()
    assert service.wait(30) == 0, open(f"{work}/log").read()
    refused = client.makefile().read()
    assert refused == "", refused
    print(f"qmmf-production: {frames['published'] - old['frames']['published']} frames in {looks} looks at up to {most} processes, none had a dma-buf mapped")
finally:
    service.kill()
    os.remove(SOCKET)
    os.rmdir(os.path.dirname(SOCKET))
PYTHON
