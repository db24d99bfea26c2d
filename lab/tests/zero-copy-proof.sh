# No copy from the driver to the consumers: by inode, exporter, mappings and CPU time. docs/zero-copy.md explains it.
# Needs: mos-camera-capture zero_copy_proof
# Program: mos-camera-capture mos-camera-capture production
# Program: mosctl mosctl production
# Library: gst-plugin-mos gstmos production
# Limit: 900
set -e
# The second is for a control: a program that captures from it by mapping.
load-vivid 1 1
mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
MOS_V4L2_REQUIRED=1 zero_copy_proof
