# The lab itself: the kernel offers udmabuf, a dma-heap and vivid, so that no other test can pass by their absence.
# Limit: 120
set -e
modprobe udmabuf 2>/dev/null || true
check() { [ -c "$1" ] && echo "$1 is there" || { echo "$1 is missing"; exit 1; }; }
check /dev/udmabuf
check /dev/dma_heap/system
modprobe -n vivid && echo "vivid can be loaded"
