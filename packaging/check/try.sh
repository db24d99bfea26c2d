#!/bin/sh
# Inside a minimal Debian root with the packages installed, without a network: each does what it is for. A line for each
# that does; the first that does not ends it. Arguments: UNIT=EXPOSURE, the most that systemd may find of it, in tenths.
set -eu
work=$(mktemp -d)
chmod 755 "$work"
ok() { echo "ok $*"; }

mos-camera-capture --version
mos-camera-capture --check-config >"$work/config"
grep -q ' 0 cameras' "$work/config"
ok "the shipped configuration is good and names no camera"

getent passwd mos-camera >"$work/user"
[ "$(stat -c '%U %a' /etc/mos-camera/secrets)" = 'mos-camera 700' ]
ok "its user is there, and the secrets' folder is that user's"

for page in man8/mos-camera-capture.8 man1/mosctl.1 man1/mos-unixfd.1; do
    zcat "/usr/share/man/$page.gz" | grep -q '^\.SH NAME' || { echo "no page $page"; exit 1; }
done
ok "each program has a manual page"

# Where configuration.md says that profiles are put: a file that is wrong is found there.
for folder in /usr/share/mos-camera/profiles.d /etc/mos-camera/profiles.d; do
    echo nonsense >"$folder/50-try.toml"
    status=0
    mos-camera-capture --check-config >"$work/config" 2>&1 || status=$?
    rm "$folder/50-try.toml"
    { [ "$status" -eq 65 ] && grep -q "$folder/50-try.toml" "$work/config"; } || { cat "$work/config"; exit 1; }
done
ok "the folders of profiles are there, and are read"

for unit in mos-camera-capture.service mos-unixfd@front.service; do
    SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no "$unit" 2>"$work/verify" || { cat "$work/verify"; exit 1; }
    [ ! -s "$work/verify" ] || { cat "$work/verify"; exit 1; }
done
ok "systemd finds nothing wrong with the units"
for limit in "$@"; do
    systemd-analyze security --offline=true --no-pager --threshold="${limit#*=}" "/usr/lib/systemd/system/${limit%=*}" >"$work/security" ||
        { cat "$work/security"; exit 1; }
    echo "   $(tail -n 1 "$work/security")"
done
ok "the units are hardened as far as they say"
[ -e /etc/systemd/system/multi-user.target.wants/mos-camera-capture.service ]
ok "the service is to start at boot"

# As systemd would: as its user, and forbidden to make code (MemoryDenyWriteExecute=), where the kernel can.
cat >"$work/forbid" <<'PYTHON'
import ctypes, os, sys

PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1
ctypes.CDLL(None).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)
os.execvp(sys.argv[1], sys.argv[1:])
PYTHON
install -d -o mos-camera -g mos-camera /run/mos-camera /var/lib/mos-camera /var/cache/mos-camera
setpriv --reuid mos-camera --regid mos-camera --init-groups \
    env RUNTIME_DIRECTORY=/run/mos-camera STATE_DIRECTORY=/var/lib/mos-camera XDG_CACHE_HOME=/var/cache/mos-camera HOME=/nonexistent \
    python3 "$work/forbid" mos-camera-capture >"$work/log" 2>&1 &
service=$!
deadline=$(($(date +%s) + 60))
until mosctl status >"$work/status" 2>&1; do
    if [ "$(date +%s)" -ge "$deadline" ] || ! kill -0 "$service"; then
        cat "$work/status" "$work/log"
        exit 1
    fi
    sleep 0.2
done
cat "$work/status"
ok "the service answers mosctl"
mosctl platform
mosctl devices
ok "mosctl asks for platform and devices"
# What it keeps when nothing is left to do; a plugin's first look is behind it by then.
sleep 5
rss=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$service/status")
echo "   idle without a camera: $rss kB resident"
[ $((rss * 1024)) -lt 40000000 ]
ok "the idle service is below 40 MB"
kill -TERM "$service"
wait "$service"
ok "it ends when asked to"

# ORC makes code for this; the elements have to get along where the unit forbids it.
python3 "$work/forbid" gst-launch-1.0 -q videotestsrc num-buffers=3 ! video/x-raw,format=I420,width=322 ! videoconvert ! video/x-raw,format=AYUV ! fakesink
ok "GStreamer converts where making code is forbidden"

gst-inspect-1.0 mosframesink >"$work/sink"
gst-inspect-1.0 mosframesrc >"$work/source"
ok "GStreamer finds the elements"

cc -Wall -Werror /usr/share/doc/libmos-frame-dev/examples/receive.c -o "$work/receive" $(pkg-config --cflags --libs mos-frame)
status=0
MOS_FRAME_DIR=/run/mos-camera/frames "$work/receive" nosuch 1 >"$work/receive.log" 2>&1 || status=$?
[ "$status" -ne 0 ] && grep -q nosuch "$work/receive.log" || { cat "$work/receive.log"; exit 1; }
readelf -d "$work/receive" | grep -q 'NEEDED.*libmos_frame\.so\.'
ok "a C program is built by pkg-config, finds the library and is told that there is no such stream"

python3 - <<'PYTHON'
import mos_frame

assert not mos_frame.CPU_ACCESS, "a production build must not map frames"
try:
    mos_frame.Subscriber("nosuch", timeout=1.0)
except mos_frame.StreamNotFoundError:
    pass
print("   mos_frame", mos_frame.__version__)
PYTHON
ok "Python imports the module"

# systemd takes it away when the service ends; state and cache are left for the purge to take.
rm -r /run/mos-camera
[ -e /var/lib/mos-camera ] && [ -n "$(ls -A /var/cache/mos-camera)" ]
