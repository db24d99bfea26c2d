//! Proof that frames reach other processes without a copy: docs/zero-copy.md says what is measured and why that proves it.
//!
//! The subject are the production programs, as processes of their own on a real driver; this program (a development build)
//! looks at them from outside, through what the kernel says, and plays the bad subscribers that show that each look can fail.
//!
//! | Variable | Default |
//! |---|---|
//! | `MOS_PROOF_SERVICE` | `mos-camera-capture-production` |
//! | `MOS_PROOF_MOSCTL` | `mosctl-production` |
//! | `MOS_PROOF_PLUGIN` | folder of the production build's `libgstmos.so`; `/host/bin/production` |
//! | `MOS_PROOF_DEVICE` | id of the camera; the first that has NV12 |
//! | `MOS_PROOF_CONFIG` | configuration file of the service; an empty one |
//! | `MOS_PROOF_FEW_BUFFERS` | the camera has four buffers, as libcamera's do: two subscribers at a time |
//!
//! Root is needed, to look into other processes. A machine without a camera skips, unless `MOS_V4L2_REQUIRED` is set.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod cpu;
mod figures;
mod memory;
mod parts;
mod proc;
mod subject;

use std::process::ExitCode;

fn main() -> ExitCode {
    use libtest_mimic::{Arguments, Trial};

    if let Ok(part) = std::env::var(parts::PART) {
        parts::play(&part);
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments {
        // One camera.
        test_threads: Some(1),
        ..Arguments::from_args()
    };
    assert!(
        std::env::var_os("MOS_V4L2_REQUIRED").is_none() || rustix::process::geteuid().is_root(),
        "without root other processes can't be looked into"
    );
    let trial = |name: &str, proof: fn()| {
        Trial::test(name, move || {
            proof();
            Ok(())
        })
    };
    let trials = Vec::from([
        trial("memory_is_the_drivers_and_nobody_maps_it", memory::proof),
        trial("cpu_does_not_grow_with_the_frame", cpu::proof),
    ]);
    let conclusion = libtest_mimic::run(&arguments, trials);
    figures::print();
    conclusion.exit_code()
}
