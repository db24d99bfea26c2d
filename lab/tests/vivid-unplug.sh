# A V4L2 capture node that goes away while it streams is told as absent, and streams again when it is back.
# Needs: mos-camera-backends unplug_v4l2
# Limit: 600
set -e
modprobe vivid n_devs=2 node_types=0x1,0x1 multiplanar=1,2
udevadm settle
MOS_V4L2_REQUIRED=1 unplug_v4l2 --test-threads=1
