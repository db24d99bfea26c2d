#!/bin/sh
# Inside a minimal Debian root: the packages go in by apt, so that what they depend on is really there. /packages has them.
set -eu
export DEBIAN_FRONTEND=noninteractive

apt-get update -q
# Alone first, with nothing but what they depend on: what is missing then shows.
packages=$(find /packages -name '*.deb' ! -name '*-dbgsym_*')
apt-get install -q -y -o Dpkg::Use-Pty=0 --no-install-recommends $packages
dpkg --audit
# What the trials use besides.
apt-get install -q -y -o Dpkg::Use-Pty=0 --no-install-recommends gcc libc6-dev pkgconf gstreamer1.0-tools
