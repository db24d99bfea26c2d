# The production service has frames of a kernel driver by libcamera: nothing is copied and nobody maps them, by inode, exporter and mappings.
# Needs: mos-camera-capture zero_copy_proof
# Program: mos-camera-capture mos-camera-capture production
# Program: mosctl mosctl production
# Program: mos-virtual-uvc mos-virtual-uvc
# Library: gst-plugin-mos gstmos production
# Limit: 900
set -e
# For a control: a program that captures from it by mapping.
load-vivid 1
load-uvc
mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
# Its end is the camera's; tests share a boot.
mkfifo /tmp/camera
mos-virtual-uvc --port 0 --format nv12:320x180@10 </tmp/camera &
camera=$!
exec 3>/tmp/camera
trap 'exec 3>&-; wait "$camera"; rm /tmp/camera' EXIT
udevadm wait --timeout=120 --settle /dev/v4l/by-path/platform-vhci_hcd.0-usb-0:1:1.0-video-index0
# libcamera's handler of USB cameras is the one of its handlers that has a kernel driver here which gives NV12.
name='\_SB_.VHCI-1:1.0-1d6b:0102'
cat >/tmp/libcamera.toml <<TOML
[cameras.usb]
stream = false
libcamera = { camera = '$name' }
TOML
export MOS_PROOF_CONFIG=/tmp/libcamera.toml MOS_PROOF_FEW_BUFFERS=1 MOS_V4L2_REQUIRED=1
MOS_PROOF_DEVICE=csi:$(printf %s "$name" | tr '\\' _)
export MOS_PROOF_DEVICE
status=0
name-usb-host zero_copy_proof memory_is_the_drivers_and_nobody_maps_it >/tmp/proof.log 2>&1 || status=$?
cat /tmp/proof.log
[ "$status" = 0 ]
grep -q 'status: elements *libcamerasrc ! capsfilter ! mosnv12contract ! tee ! mosframesink$' /tmp/proof.log
