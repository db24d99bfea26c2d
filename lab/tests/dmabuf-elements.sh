# The contract gate, the bus and mosframesrc on real dma-bufs: one memory from the producer to the consumer's element.
# Needs: gst-plugin-mos dmabuf
# Limit: 300
set -e
modprobe udmabuf 2>/dev/null || true
MOS_DMABUF_REQUIRED=1 dmabuf --test-threads=1
