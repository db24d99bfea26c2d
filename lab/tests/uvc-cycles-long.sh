# 100 pluggings of a USB camera beside a bystander that streams: no frame lost, no memory, no descriptors.
# Needs: mos-camera-capture uvc
# Program: mos-camera-capture mos-camera-capture
# Long
# Limit: 2400
set -e
load-uvc
modprobe -r vivid 2>/dev/null || true
modprobe vivid n_devs=1 node_types=0x1 multiplanar=1
udevadm settle
MOS_UVC_CYCLES=100 MOS_CAMERA_CAPTURE=/host/bin/mos-camera-capture MOS_UVC_REQUIRED=1 uvc cycles:: --nocapture
