# The service and USB cameras: plugging, identity, controls, faults, lying descriptors, busy and forbidden nodes, 30 cycles beside a bystander.
# Needs: mos-camera-capture uvc
# Program: mos-camera-capture mos-camera-capture
# Limit: 1500
set -e
load-uvc
modprobe -r vivid 2>/dev/null || true
# One capture device, one output.
modprobe vivid n_devs=2 node_types=0x1,0x100 multiplanar=1,1
udevadm settle
MOS_CAMERA_CAPTURE=/host/bin/mos-camera-capture MOS_UVC_REQUIRED=1 uvc --test-threads=1 --nocapture
