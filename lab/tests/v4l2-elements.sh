# A V4L2 driver's exported dma-bufs (vivid) through the contract gate onto the bus, without a copy, sealed and not, one plane and two.
# Needs: gst-plugin-mos v4l2_camera
# Limit: 300
set -e
load-vivid 1 2
MOS_V4L2_REQUIRED=1 v4l2_camera --test-threads=1
