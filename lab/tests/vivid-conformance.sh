# The V4L2 backend against a real kernel driver: the conformance suite on vivid, NV12 in one plane and in two.
# Needs: mos-camera-backends conformance_v4l2
# Limit: 600
set -e
# Two capture-only devices; the second has the multi-planar API. vivid starts at 5 frames a second.
modprobe vivid n_devs=2 node_types=0x1,0x1 multiplanar=1,2
udevadm settle
for node in /dev/video*; do
    v4l2-ctl -d "$node" --set-parm 30
    v4l2-ctl -d "$node" --info | grep -E 'Driver name|Card type|Capture'
done
MOS_V4L2_REQUIRED=1 conformance_v4l2 --test-threads=1
