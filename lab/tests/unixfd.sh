# GStreamer's own unixfdsrc reads mos-unixfd: memfds and a driver's dma-bufs (vivid), and a stopped player disturbs nobody.
# Needs: mos-unixfd unixfdsrc
# Limit: 400
set -e
load-vivid 2
MOS_UNIXFD_REQUIRED=1 unixfdsrc --test-threads=1
