//! The service and USB cameras: plugging in and out, who is who, controls, and cameras that misbehave.
//!
//! The cameras are virtual ones behind the kernel's own `uvcvideo` (`mos-virtual-uvc`), the bystander is the kernel's `vivid`.
//! It needs root and both drivers: the lab has them (`lab/tests/uvc-hotplug.sh`). One service serves all tests, one after the
//! other, since its start takes a quarter of a minute under emulation; so they have a runner of their own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../service/harness.rs"]
#[allow(dead_code, reason = "the target `service` uses more of it")]
mod harness;
mod rig;

mod cameras_that_misbehave;
mod controls;
mod cycles;
mod formats;
mod identity;
mod lies;
mod nodes;
mod plugging;
mod sizes;
mod without_udev;

use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};
use tokio::runtime::Runtime;

use rig::Rig;

type Running<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A test by its name.
type Scenario = (&'static str, for<'a> fn(&'a Rig) -> Running<'a>);

macro_rules! scenarios {
    ($($module:ident :: $name:ident ( $($rig:ident)? )),+ $(,)?) => {
        [$((
            concat!(stringify!($module), "::", stringify!($name)),
            (|_rig| { $(let $rig = _rig;)? Box::pin($module::$name($($rig)?)) }) as for<'a> fn(&'a Rig) -> Running<'a>,
        )),+]
    };
}

const SCENARIOS: [Scenario; 21] = scenarios![
    cameras_that_misbehave::a_camera_that_comes_back_with_other_formats_fails_with_what_it_offers_until_it_is_itself_again(rig),
    cameras_that_misbehave::a_camera_that_stalls_without_an_error_is_noticed_and_taken_up_again(
        rig
    ),
    cameras_that_misbehave::broken_jpegs_are_dropped_and_counted_and_do_not_end_the_stream(rig),
    cameras_that_misbehave::rubbish_inside_a_jpeg_does_not_end_the_stream(rig),
    cameras_that_misbehave::cameras_that_vanish_while_they_are_enumerated_leave_nothing_behind(rig),
    controls::controls_are_set_changed_while_streaming_and_refused_with_their_range(rig),
    controls::controls_are_set_again_when_the_camera_comes_back(rig),
    controls::a_camera_that_does_not_answer_for_a_control_streams_all_the_same(rig),
    cycles::pluggings_cost_another_camera_no_frame_and_the_service_no_memory_and_no_descriptors(
        rig
    ),
    formats::nv12_yuyv_and_mjpeg_reach_the_bus_as_nv12_in_dma_bufs(rig),
    identity::identical_cameras_without_serial_numbers_are_told_apart_by_their_ports(rig),
    identity::a_second_camera_with_the_same_serial_number_leaves_the_first_alone(rig),
    lies::no_lie_in_a_camera_s_descriptors_disturbs_the_service_or_another_camera(rig),
    nodes::an_output_is_listed_as_one_and_metadata_nodes_are_not_listed(rig),
    nodes::a_camera_that_another_program_uses_is_busy_with_the_program_s_name(rig),
    nodes::a_camera_that_may_not_be_opened_is_told_and_taken_up_once_it_may(),
    plugging::a_camera_is_listed_and_told_of_within_a_second_of_its_node(rig),
    plugging::unplugged_it_is_absent_within_a_second_and_plugged_in_elsewhere_it_streams_again(rig),
    sizes::what_is_listed_can_be_planned(rig),
    without_udev::where_udev_runs_it_is_the_source(rig),
    without_udev::without_udev_plugging_in_is_noticed_by_inotify_and_the_status_says_so(),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They share the service and the ports.
    arguments.test_threads = Some(1);
    if arguments.list || !rig::ready() {
        let skipped = SCENARIOS.map(|(name, _)| Trial::test(name, || rig::skip(name)));
        return libtest_mimic::run(&arguments, skipped.into()).exit_code();
    }
    let runtime = Arc::new(Runtime::new().unwrap());
    let rig = Arc::new(runtime.block_on(Rig::start()));
    let trial = |(name, scenario): Scenario| {
        let (runtime, rig) = (Arc::clone(&runtime), Arc::clone(&rig));
        Trial::test(name, move || {
            runtime.block_on(async {
                rig.no_camera_is_left().await;
                scenario(&rig).await;
            });
            Ok(())
        })
    };
    let conclusion = libtest_mimic::run(&arguments, SCENARIOS.map(trial).into());
    if conclusion.has_failed() {
        println!("--- log of the service\n{}", rig.service.home.log());
    }
    // The trials are gone: the service ends here.
    drop(rig);
    conclusion.exit_code()
}
