# libcamera's cameras (its virtual pipeline handler) through libcamerasrc onto the bus: the conformance suite, without a copy, one owner each.
# Needs: mos-camera-backends conformance_libcamera
# Limit: 600
set -e
# What the handler's documentation calls its configuration; small pictures, since the CPU paints them.
mkdir -p /usr/share/libcamera/pipeline/virtual
cat >/usr/share/libcamera/pipeline/virtual/virtual.yaml <<'YAML'
%YAML 1.1
---
"/base/soc/i2c@1/front@10":
  supported_formats:
  - width: 320
    height: 240
    frame_rates: [5, 30]
  - width: 160
    height: 120
    frame_rates: [5, 30]
  test_pattern: "bars"
  location: "CameraLocationFront"
  model: "virtual front"
"/base/soc/i2c@2/back@10":
  supported_formats:
  - width: 160
    height: 120
    frame_rates: [5, 30]
  test_pattern: "lines"
  location: "CameraLocationBack"
  model: "virtual back"
YAML
MOS_LIBCAMERA_REQUIRED=1 conformance_libcamera --test-threads=1
