//! The properties of the frame bus, one module each; docs/testing.md lists them.
//!
//! Every scenario runs in a process of its own, a copy of this program: descriptors, mappings, limits and its user are its
//! own, and it starts further copies that play subscribers and producers to be stopped and killed. `MOS_FRAME_SCENARIO=<name>`
//! runs one without the runner, which helps a debugger.

#![allow(clippy::unwrap_used, reason = "a test program")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../faults/mod.rs"]
mod faults;

mod parts;
mod runner;

mod p01_publish_is_never_delayed;
mod p02_no_held_frame_is_overwritten;
mod p03_who_resumes_sees_the_newest;
mod p04_every_frame_is_accounted_for;
mod p05_the_honest_are_never_evicted;
mod p06_death_returns_all_leases;
mod p07_nobody_fills_anothers_socket;
mod p08_the_hostile_hurt_only_themselves;
mod p09_admission_keeps_the_budget;
mod p10_epochs_do_not_mix;
mod p11_late_joiners_get_a_frame;
mod p12_restarts_leak_nothing;
mod p13_no_wake_up_is_lost;
mod p14_read_only_is_enforced;
mod p15_limits_end_in_clear_errors;

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Ok(part) = std::env::var(faults::PART) {
        parts::play(&part);
        return ExitCode::SUCCESS;
    }
    let mut properties = runner::Properties::default();
    p01_publish_is_never_delayed::list(&mut properties);
    p02_no_held_frame_is_overwritten::list(&mut properties);
    p03_who_resumes_sees_the_newest::list(&mut properties);
    p04_every_frame_is_accounted_for::list(&mut properties);
    p05_the_honest_are_never_evicted::list(&mut properties);
    p06_death_returns_all_leases::list(&mut properties);
    p07_nobody_fills_anothers_socket::list(&mut properties);
    p08_the_hostile_hurt_only_themselves::list(&mut properties);
    p09_admission_keeps_the_budget::list(&mut properties);
    p10_epochs_do_not_mix::list(&mut properties);
    p11_late_joiners_get_a_frame::list(&mut properties);
    p12_restarts_leak_nothing::list(&mut properties);
    p13_no_wake_up_is_lost::list(&mut properties);
    p14_read_only_is_enforced::list(&mut properties);
    p15_limits_end_in_clear_errors::list(&mut properties);
    properties.run()
}
