//! The service as its users meet it: the real binary, real cameras, real peers. One scenario per file.

#![allow(
    clippy::unwrap_used,
    reason = "what goes wrong in a test's helpers fails the test"
)]

mod bystander;
mod harness;

mod added_cameras;
mod broken_element;
mod bus_socket_taken;
mod clean_stop;
mod config_file;
mod control_socket_taken;
mod disk_full;
mod events;
mod explain;
mod grpcurl;
mod in_process;
mod killed_and_restarted;
mod logs;
mod mosctl;
mod no_permission;
mod nodes;
mod onvif_camera;
mod other_machine;
mod platform;
mod profiles;
mod qmmf_camera;
mod reconfigure_running;
mod reload;
mod restart_restores;
mod rtsp_end_of_stream;
mod rtsp_resolution_change;
mod rtsp_silent;
mod rtsp_unreachable;
mod rtsp_wrong_password;
mod rtsps_old_tls;
mod rtsps_without_tls_library;
mod secrets;
mod six_methods;
mod start_before_configure;
mod start_stop_twice;
mod state_file_cut_off;
mod systemd_notify;
mod unknown_names;
mod unsupported_size;
mod whep;
