# The V4L2 backend against a real kernel driver: the conformance suite on vivid, NV12 in one plane and in two.
# Needs: mos-camera-backends conformance_v4l2
# Limit: 600
set -e
load-vivid 1 2
MOS_V4L2_REQUIRED=1 conformance_v4l2 --test-threads=1
