//! The system packages, by Debian's names (the same on Debian 12 and 13 and Ubuntu 24.04), each with its reason.

use clap::ValueEnum;

/// What a package is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Group {
    /// Compiling.
    Build,
    /// The service and its development fall-backs.
    Run,
    /// The tests' real peers; the demo uses one of them.
    Test,
    /// Benchmarks of the bus.
    Bench,
    /// The virtual camera lab.
    Lab,
    /// Debian packages.
    Dist,
    /// The lab's emulated board.
    Board,
}

/// A system package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Package {
    /// Debian's name.
    pub(crate) name: &'static str,
    /// Why it is needed.
    pub(crate) why: &'static str,
}

const BUILD: &[Package] = &[
    package("gcc", "Rust links with it"),
    package("libc6-dev", "Rust links with it"),
    package("pkg-config", "finds GStreamer for the Rust bindings"),
    package("libgstreamer1.0-dev", "GStreamer's headers"),
    package(
        "libgstreamer-plugins-base1.0-dev",
        "GStreamer's video and allocator headers",
    ),
    package(
        "libgstreamer-plugins-bad1.0-dev",
        "GStreamer's WebRTC headers",
    ),
    package(
        "libudev-dev",
        "udev's headers, for cameras that are plugged in",
    ),
];

const RUN: &[Package] = &[
    package(
        "gstreamer1.0-tools",
        "gst-launch-1.0, to try the elements by hand",
    ),
    package(
        "gstreamer1.0-plugins-base",
        "videotestsrc, videoconvert and the players' basics",
    ),
    package(
        "gstreamer1.0-plugins-good",
        "rtspsrc, v4l2src, RTP depayloaders, jpegdec",
    ),
    package(
        "gstreamer1.0-plugins-bad",
        "h264parse, h265parse, webrtcbin, hardware decoders; x265enc of the RTSP peer",
    ),
    package("gstreamer1.0-nice", "ICE, for WebRTC streams"),
    package(
        "gstreamer1.0-libav",
        "software H.264 and H.265 decoders of a development build",
    ),
    package("glib-networking", "TLS of rtspsrc, for rtsps:// cameras"),
];

const TEST: &[Package] = &[
    package(
        "g++",
        "builds libFuzzer, which the fuzz targets are linked with",
    ),
    package(
        "libatomic1",
        "the pure-Python subscriber's compare-and-swap on shared memory",
    ),
    package(
        "gstreamer1.0-plugins-ugly",
        "x264enc: the RTSP peer encodes with it",
    ),
    package(
        "python3-gi",
        "the RTSP peer is a Python program on GStreamer's own RTSP server",
    ),
    package(
        "gir1.2-gst-rtsp-server-1.0",
        "GStreamer's RTSP server, the camera at the other end",
    ),
    package(
        "ffmpeg",
        "a second opinion on the pictures of RTSP cameras; ipycam encodes with it",
    ),
    package(
        "openssl",
        "says of a test's certificate that it was revoked",
    ),
    package(
        "chromium",
        "a browser as the sender of WebRTC streams, in one test",
    ),
    package(
        "coturn",
        "a TURN and STUN server, which WebRTC streams find their way by",
    ),
    package(
        "iproute2",
        "network namespaces, and netem where the kernel has it, for the faults of network cameras",
    ),
    package(
        "ethtool",
        "has the kernel make the checksums of packets that go through the faults' wire",
    ),
    package(
        "python3-venv",
        "holds grpcurl and aiortc, a gRPC client and a WHEP server that are not ours",
    ),
];

const BENCH: &[Package] = &[package(
    "strace",
    "counts the bus's system calls, in the benchmark and its test",
)];

const LAB: &[Package] = &[
    package("qemu-system-x86", "runs the guest"),
    package(
        "mmdebstrap",
        "makes the guest's root from Debian's packages",
    ),
    package("uidmap", "lets mmdebstrap work without root"),
    package("squashfs-tools", "packs the guest's root into a disk"),
    package(
        "debian-archive-keyring",
        "checks that those packages are Debian's",
    ),
];

const DIST: &[Package] = &[
    package(
        "mmdebstrap",
        "makes the root that packages are built in from Debian's packages",
    ),
    package(
        "debian-archive-keyring",
        "checks that those packages are Debian's",
    ),
    package("git", "says which commit is packaged"),
];

const BOARD: &[Package] = &[
    package(
        "libarchive-tools",
        "makes a ramdisk of the board's packages",
    ),
    package("binutils", "takes the packages apart"),
    package("xz-utils", "unpacks them on this machine, not on the board"),
    package("zstd", "the same"),
];

/// A service that comes with a package and would be started at once, though only the program is wanted.
pub(crate) fn service(package: &str) -> Option<&'static str> {
    // A relay that listens on all addresses.
    (package == "coturn").then_some("coturn.service")
}

const fn package(name: &'static str, why: &'static str) -> Package {
    Package { name, why }
}

/// The packages of several groups, in order, each once.
pub(crate) fn of(groups: &[Group]) -> Vec<Package> {
    let table = |group: &Group| match group {
        Group::Build => BUILD,
        Group::Run => RUN,
        Group::Test => TEST,
        Group::Bench => BENCH,
        Group::Lab => LAB,
        Group::Dist => DIST,
        Group::Board => BOARD,
    };
    let mut all: Vec<Package> = Vec::new();
    for package in groups.iter().flat_map(table) {
        if all.iter().all(|there| there.name != package.name) {
            all.push(*package);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_package_is_named_twice_and_each_has_a_reason() {
        let all = of(&[
            Group::Build,
            Group::Run,
            Group::Test,
            Group::Bench,
            Group::Lab,
            Group::Dist,
            Group::Board,
        ]);
        let names: HashSet<_> = all.iter().map(|package| package.name).collect();
        assert_eq!(names.len(), all.len());
        assert!(all.iter().all(|package| !package.why.is_empty()));
    }

    #[test]
    fn only_packages_that_are_installed_bring_a_service() {
        let test = of(&[Group::Test]);
        let services: Vec<_> = test.iter().filter_map(|p| service(p.name)).collect();
        assert_eq!(services, ["coturn.service"]);
    }

    #[test]
    fn groups_come_alone() {
        assert_eq!(of(&[Group::Lab]), LAB);
        assert!(of(&[]).is_empty());
    }
}
