# The gate's pool for software sources: dma-bufs of a dma-heap and of udmabuf, memfds; written by the source, sealed behind the gate.
# Needs: gst-plugin-mos fallback_memory
# Limit: 400
set -e
modprobe udmabuf 2>/dev/null || true
MOS_DMABUF_REQUIRED=1 fallback_memory --test-threads=1
