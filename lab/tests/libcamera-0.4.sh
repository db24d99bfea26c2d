# The libcamera of Debian 13 itself (0.4) does not tell which nodes are its cameras': it is not used, and the platform says why. The newer one is.
# Program: mos-camera-capture mos-camera-capture production
# Limit: 300
set -e
mos-camera-capture-production --print-platform | grep '"csi_backend":"libcamera"'
with-libcamera-0.4 mos-camera-capture-production --print-platform | tee /tmp/platform.json
grep -q '"csi_backend":null' /tmp/platform.json
grep -q 'libcamerasrc is not used: libcamera 0\.4\.0 does not tell which video nodes are its cameras' /tmp/platform.json
