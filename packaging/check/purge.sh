#!/bin/sh
# Inside a minimal Debian root with the packages installed and used: nothing of them stays behind.
set -eu
export DEBIAN_FRONTEND=noninteractive
names=$(find /packages -name '*.deb' ! -name '*-dbgsym_*' -exec dpkg-deb --field {} Package \;)
echo secret >/etc/mos-camera/secrets/door
apt-get purge -q -y -o Dpkg::Use-Pty=0 $names
left=$(find / -xdev \( -path /proc -o -path /sys -o -path /packages -o -path /tmp \) -prune -o \
    \( -name '*mos-camera*' -o -name '*mos_frame*' -o -name 'mosctl*' -o -name '*mos-unixfd*' -o -name 'libgstmos*' \) -print | grep -v -e '^/var/log/' -e '^/var/cache/apt/' || true)
if [ -n "$left" ]; then
    echo "left behind:"
    echo "$left"
    exit 1
fi
if dpkg-query --show --showformat='${db:Status-Abbrev} ${Package}\n' $names 2>/dev/null | grep -v '^un'; then exit 1; fi
echo "ok purging leaves nothing"
