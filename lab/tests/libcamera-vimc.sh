# libcamera on a real media graph (vimc): the camera with its controls, which arrive at the sensor; its nodes have one owner.
# Needs: mos-camera-backends libcamera_vimc
# Limit: 600
set -e
load-vimc
# Tests share a boot: the others have no such camera.
trap 'modprobe -r vimc' EXIT
MOS_VIMC_REQUIRED=1 libcamera_vimc --test-threads=1 --nocapture
