//! The conformance suite on the stand-in for Qualcomm's camera source, on a machine without caps with GBM memory.

#![cfg(feature = "development")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conformance;
mod qmmf;

use conformance::Subject;
use gstqmmfstandin::Build;

fn subjects() -> Vec<Subject> {
    qmmf::subjects(Build {
        gbm: false,
        older: false,
    })
}

suite!(subjects);
