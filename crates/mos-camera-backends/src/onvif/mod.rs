//! Network cameras that speak ONVIF.

mod calls;
mod login;
mod random;
mod soap;
mod wsd;
