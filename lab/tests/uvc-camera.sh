# The virtual USB camera and the kernel's uvcvideo: what is declared, streamed and spoilt arrives at the node; plugging and unplugging.
# Needs: mos-virtual-uvc kernel
# Program: mos-virtual-uvc mos-virtual-uvc
# Limit: 900
set -e
load-uvc
MOS_VIRTUAL_UVC=mos-virtual-uvc MOS_UVC_REQUIRED=1 kernel --test-threads=1
