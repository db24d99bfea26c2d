# libcamera's handler of USB cameras on the kernel's driver: the conformance suite, the driver's own dma-bufs, controls, one owner, restarts and an end.
# Needs: mos-camera-backends libcamera_uvc
# Limit: 600
set -e
load-uvc
export MOS_LIBCAMERA_UVC_REQUIRED=1 MOS_LIBCAMERA_RELEASE=0.7
name-usb-host libcamera_uvc --test-threads=1
