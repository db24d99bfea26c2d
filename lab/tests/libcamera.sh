# libcamera's cameras (its virtual pipeline handler) through libcamerasrc onto the bus: the conformance suite, without a copy, one owner each, restarts beside each other.
# Needs: mos-camera-backends conformance_libcamera
# Limit: 600
set -e
# What the handler's documentation calls its configuration; small pictures, since the CPU paints them.
mkdir -p /usr/share/libcamera/pipeline/virtual
# Tests share a boot: the others have no such cameras.
trap 'rm /usr/share/libcamera/pipeline/virtual/virtual.yaml' EXIT
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
# libcamera's virtual handler (0.7) goes on reading a request after it told that its picture is done, while the element may end the request
# already. On one CPU, with threads that do not preempt each other, it has read it before anybody else runs. Handlers of chips don't do that.
MOS_LIBCAMERA_REQUIRED=1 chrt --fifo 1 taskset -c 0 conformance_libcamera --test-threads=1
