# The lab itself: the kernel offers udmabuf, a dma-heap, vivid, uvcvideo and a virtual USB host, so that no other test can pass by their absence.
# Limit: 120
set -e
modprobe udmabuf 2>/dev/null || true
check() { [ -c "$1" ] && echo "$1 is there" || { echo "$1 is missing: the guest's kernel package (lab/guest/packages.txt) has to offer it"; exit 1; }; }
check /dev/udmabuf
check /dev/dma_heap/system
for module in vivid uvcvideo vhci_hcd; do
    modprobe -n "$module" || {
        echo "the guest's kernel $(uname -r) has no module $module: lab/guest/packages.txt has to name a kernel package that has it (linux-image-amd64, not -cloud)"
        exit 1
    }
    echo "$module can be loaded"
done
