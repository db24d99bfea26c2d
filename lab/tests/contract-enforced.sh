# What breaks the contract in a production service is refused or found, counted and told, and ends its stream where that is configured.
# Needs: mos-camera-capture enforced production
# Limit: 900
set -e
load-vivid 1 1
MOS_V4L2_REQUIRED=1 enforced-production --test-threads=1 --nocapture
