SUMMARY = "Camera capture service and its frame bus"
DESCRIPTION = "One service runs any number of cameras and puts their frames on a bus from which any number of processes take \
them without a copy; with a command line, GStreamer elements and bindings for C and Python. The production build."
SECTION = "multimedia"
LICENSE = "MIT OR Apache-2.0"
LIC_FILES_CHKSUM = " \
    file://LICENSE-MIT;md5=4f1836c7734fa539f8e7dcee273aa448 \
    file://LICENSE-APACHE;md5=3b83ef96387f14655fc854ddc3c6bd57 \
"
CVE_PRODUCT = "mos-camera"

DEPENDS = " \
    gstreamer1.0 \
    gstreamer1.0-plugins-bad \
    gstreamer1.0-plugins-base \
    udev \
"

# Where this repository is and which commit of it is built: local.conf or the distribution's configuration says it.
MOS_CAMERA_URI ??= ""
MOS_CAMERA_BRANCH ??= "main"
MOS_CAMERA_REV ??= ""

PV = "0.1.0+git"
SRC_URI = "${MOS_CAMERA_URI};branch=${MOS_CAMERA_BRANCH}"
SRCREV = "${MOS_CAMERA_REV}"

require mos-camera-crates.inc

inherit cargo pkgconfig python3-dir systemd useradd

python () {
    for name in ("MOS_CAMERA_URI", "MOS_CAMERA_REV"):
        if not d.getVar(name):
            raise bb.parse.SkipRecipe(name + " is not set; the layer's README.md says what it takes")
}

# Python's extension is for the stable interface: there is no interpreter to ask.
export PYO3_NO_PYTHON = "1"

CARGO_BUILD_FLAGS:append = " \
    --no-default-features \
    --package mos-camera-capture --package mosctl --package mos-unixfd \
    --package gst-plugin-mos --package mos-frame-c --package mos-frame-python \
"

SYSTEMD_PACKAGES = "mos-camera-capture"
SYSTEMD_SERVICE:mos-camera-capture = "mos-camera-capture.service"

# What dist/mos-camera.sysusers.conf says.
USERADD_PACKAGES = "mos-camera-capture"
GROUPADD_PARAM:mos-camera-capture = "--system video; --system render; --system kvm; --system mos-camera"
USERADD_PARAM:mos-camera-capture = "--system --no-create-home --home-dir / --shell /sbin/nologin \
    --gid mos-camera --groups video,render,kvm mos-camera"

do_install() {
    built=${B}/target/${CARGO_TARGET_SUBDIR}
    abi=$(cat ${S}/crates/mos-frame-c/ABI)
    version=$(echo ${PV} | cut -d+ -f1)

    install -d ${D}${bindir}
    for program in mos-camera-capture mosctl mos-unixfd; do
        install -m 0755 $built/$program ${D}${bindir}/
    done

    for page in mos-camera-capture.8 mosctl.1 mos-unixfd.1; do
        install -D -m 0644 ${S}/dist/man/$page ${D}${mandir}/man${page##*.}/$page
    done
    # Where board makers and administrators put profiles: the default of profile_dirs.
    install -d ${D}${datadir}/mos-camera/profiles.d ${D}${sysconfdir}/mos-camera/profiles.d

    install -d ${D}${libdir}/gstreamer-1.0
    install -m 0644 $built/libgstmos.so ${D}${libdir}/gstreamer-1.0/

    # The names that programs and linkers look for.
    install -m 0644 $built/libmos_frame_c.so ${D}${libdir}/libmos_frame.so.$abi.$version
    ln -s libmos_frame.so.$abi.$version ${D}${libdir}/libmos_frame.so.$abi
    ln -s libmos_frame.so.$abi ${D}${libdir}/libmos_frame.so
    install -m 0644 $built/libmos_frame_c.a ${D}${libdir}/libmos_frame.a
    install -D -m 0644 ${S}/crates/mos-frame-c/include/mos_frame.h ${D}${includedir}/mos_frame.h
    install -d ${D}${libdir}/pkgconfig
    sed -e 's,@PREFIX@,${prefix},; s,@LIBDIR@,${libdir},; s,@CPU_ACCESS@,no,; s,@DEFINES@,,' -e "s,@VERSION@,$version," \
        ${S}/crates/mos-frame-c/mos-frame.pc.in > ${D}${libdir}/pkgconfig/mos-frame.pc

    install -d ${D}${PYTHON_SITEPACKAGES_DIR}/mos_frame
    install -m 0644 ${S}/crates/mos-frame-python/python/mos_frame/* ${D}${PYTHON_SITEPACKAGES_DIR}/mos_frame/
    install -m 0755 $built/libmos_frame_python.so ${D}${PYTHON_SITEPACKAGES_DIR}/mos_frame/_native.abi3.so

    install -D -m 0644 ${S}/dist/mos-camera.packaged.toml ${D}${sysconfdir}/mos-camera/mos-camera.toml
    install -D -m 0644 ${S}/dist/mos-camera.tmpfiles.conf ${D}${nonarch_libdir}/tmpfiles.d/mos-camera.conf
    install -D -m 0644 ${S}/dist/60-mos-camera.rules ${D}${nonarch_base_libdir}/udev/rules.d/60-mos-camera.rules
    if ${@bb.utils.contains('DISTRO_FEATURES', 'systemd', 'true', 'false', d)}; then
        install -d ${D}${systemd_system_unitdir}
        install -m 0644 ${S}/dist/mos-camera-capture.service ${S}/dist/mos-unixfd@.service ${D}${systemd_system_unitdir}/
    fi
}

PACKAGE_BEFORE_PN = "mos-camera-capture mosctl gstreamer1.0-mos libmos-frame python3-mos-frame"

FILES:mos-camera-capture = " \
    ${bindir}/mos-camera-capture \
    ${bindir}/mos-unixfd \
    ${nonarch_libdir}/tmpfiles.d \
    ${nonarch_base_libdir}/udev/rules.d \
    ${datadir}/mos-camera \
    ${sysconfdir}/mos-camera \
    ${systemd_system_unitdir} \
"
FILES:mosctl = "${bindir}/mosctl"
FILES:gstreamer1.0-mos = "${libdir}/gstreamer-1.0"
FILES:libmos-frame = "${libdir}/libmos_frame.so.*"
FILES:python3-mos-frame = "${PYTHON_SITEPACKAGES_DIR}"
CONFFILES:mos-camera-capture = "${sysconfdir}/mos-camera/mos-camera.toml"
# As in packaging/debian/control.
RDEPENDS:mos-camera-capture = " \
    gstreamer1.0-plugins-base \
    gstreamer1.0-plugins-good \
"
RRECOMMENDS:mos-camera-capture = " \
    ca-certificates \
    glib-networking \
    gstreamer1.0-plugins-bad \
    libcamera-gst \
    libnice \
    mosctl \
"
RDEPENDS:python3-mos-frame = "python3-core"

# All that it has is in the packages above.
ALLOW_EMPTY:${PN} = "1"
RDEPENDS:${PN} = "mos-camera-capture mosctl"
