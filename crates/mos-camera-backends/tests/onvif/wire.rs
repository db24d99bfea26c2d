//! A camera in a network namespace of its own, on a wire to this one: multicast does not work on loopback.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A wire from an interface here to one in a namespace; both go when it is dropped.
pub(crate) struct Wire {
    pub(crate) namespace: String,
    /// The interface here; the camera's is called `cam`.
    pub(crate) here: String,
    net: u32,
}

/// Whether this machine lets us have one.
pub(crate) fn possible(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    let works = root && ip(&["netns", "list"]) && {
        let wire = Wire::name();
        wire.make()
    };
    if !works {
        let why = "needs root, and a kernel with network namespaces and veth";
        mos_testkit::skip::skip(test, why).unwrap();
    }
    works
}

impl Wire {
    /// Chooses names that nobody has; nothing is there yet.
    pub(crate) fn name() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (pid, n) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self {
            namespace: format!("mos-onvif-{pid}-{n}"),
            here: format!("mo{pid}-{n}"),
            // 198.18.0.0/15 is for tests of networks (RFC 2544), fd00::/8 is local.
            net: (pid.wrapping_mul(7) + n) % 250,
        }
    }

    /// Makes it; the camera has the addresses [`Self::v4`] and [`Self::v6`] of 2.
    pub(crate) fn make(&self) -> bool {
        let Self {
            namespace, here, ..
        } = self;
        let (v4, v6) = (self.v4(1) + "/24", self.v6(1) + "/64");
        ip(&["netns", "add", namespace])
            && ip(&[
                "link", "add", here, "type", "veth", "peer", "name", "cam", "netns", namespace,
            ])
            && ip(&["addr", "add", &v4, "dev", here])
            && ip(&["addr", "add", &v6, "dev", here, "nodad"])
            && self.inside(&["link", "set", "cam", "up"])
            && self.inside(&["link", "set", "lo", "up"])
            && self.address("add", 2)
            && self.inside(&["route", "add", "224.0.0.0/4", "dev", "cam"])
            && ip(&["link", "set", here, "up"])
    }

    /// Gives the camera its address of `n`, or takes it.
    pub(crate) fn address(&self, verb: &str, n: u32) -> bool {
        let (v4, v6) = (self.v4(n) + "/24", self.v6(n) + "/64");
        self.inside(&["addr", verb, &v4, "dev", "cam"])
            && self.inside(&["addr", verb, &v6, "dev", "cam", "nodad"])
    }

    fn inside(&self, args: &[&str]) -> bool {
        ip(&[&["-n", self.namespace.as_str()], args].concat())
    }

    pub(crate) fn v4(&self, n: u32) -> String {
        format!("198.18.{}.{n}", self.net)
    }

    pub(crate) fn v6(&self, n: u32) -> String {
        format!("fd77:0:0:{:x}::{n}", self.net)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // The pair goes with either end.
        ip(&["link", "del", &self.here]);
        ip(&["netns", "del", &self.namespace]);
    }
}

/// Whether a command of ip(8) worked.
fn ip(args: &[&str]) -> bool {
    let output = Command::new("ip").args(args).output();
    output.is_ok_and(|output| output.status.success())
}
