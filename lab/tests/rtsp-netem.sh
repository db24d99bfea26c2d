# RTSP cameras by TCP and UDP behind the kernel's netem: loss, delay, jitter, reordering, duplicates, corruption, a partition of 30 s.
# Needs: mos-camera-capture netem
# Program: mos-camera-capture mos-camera-capture
# Limit: 600
set -e
modprobe -a veth sch_netem
MOS_CAMERA_CAPTURE=/host/bin/mos-camera-capture MOS_NETEM_REQUIRED=1 netem --nocapture
