# Qualcomm's camera source, played by the stand-in with real dma-bufs of a dma-heap: they reach the bus without a copy and go back in time, also when the service dies.
# Needs: mos-camera-backends conformance_qmmf
# Limit: 300
set -e
MOS_DMABUF_REQUIRED=1 conformance_qmmf --test-threads=1 frames_are buffers_go_back the_service_dies
