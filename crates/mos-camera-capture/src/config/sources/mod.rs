//! The transport tables of a camera, one file each.

mod libcamera;
mod onvif;
mod qmmf;
mod rtsp;
mod test;
mod v4l2;
mod whep;

pub(super) use libcamera::Libcamera;
pub(super) use onvif::{Onvif, OnvifCamera};
pub(super) use qmmf::Qmmf;
pub(super) use rtsp::Rtsp;
pub(super) use test::Test;
pub(super) use v4l2::V4l2;
pub(super) use whep::Whep;
