//! How to subscribe.

use std::ffi::c_char;
use std::mem::size_of;
use std::time::Duration;

use ::mos_frame::SubscriberOptions;

use crate::boundary::{Versioned, text};
use crate::status::Failure;

/// For `mos_subscriber_options.hold`: hold nothing beyond the window. A frame is yours only while it is in the window, which
/// costs the producer no buffer; read its pixels, then ask `mos_frame_is_valid` whether what you read counts.
pub const MOS_HOLD_NONE: u32 = u32::MAX;

/// For `mos_subscriber_options.flags`: when the producer goes away give `MOS_ERR_DISCONNECTED` instead of waiting for it to
/// come back.
pub const MOS_NO_RECONNECT: u32 = 1;
/// For `mos_subscriber_options.flags`: don't fail if nobody publishes the stream yet, but wait for it as for one that went
/// away. `mos_subscriber_connect` then returns at once.
pub const MOS_AWAIT_STREAM: u32 = 2;

/// How to subscribe. All zeroes are the defaults: `mos_subscriber_options options = {0};`
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct mos_subscriber_options {
    /// `sizeof(mos_subscriber_options)`; 0 stands for the fields of version 0.1, which end with `flags`.
    pub struct_size: usize,
    /// Name that the producer's status shows, UTF-8; NULL: the program's.
    pub name: *const c_char,
    /// How many of the newest frames wait for you, 1 to 64; older ones are skipped. 0: the default, 2.
    pub window: u32,
    /// Most frames held at once, 1 to 64, or `MOS_HOLD_NONE`. Each costs the camera a buffer. 0: the default, 1.
    pub hold: u32,
    /// Longest wait of `mos_subscriber_connect` in milliseconds. 0: the default, 5000.
    pub timeout_ms: u32,
    /// `MOS_NO_RECONNECT`, `MOS_AWAIT_STREAM`, both, or 0.
    pub flags: u32,
}

// SAFETY: repr(C); a size, a pointer and four words of 32 bits leave no gap; zeroes are a NULL pointer and numbers.
unsafe impl Versioned for mos_subscriber_options {
    const FIRST: usize = 2 * size_of::<usize>() + 16;
    const NAME: &'static str = "mos_subscriber_options";
}

impl mos_subscriber_options {
    pub(crate) const fn awaits_stream(&self) -> bool {
        self.flags & MOS_AWAIT_STREAM != 0
    }

    /// In the bus's terms.
    ///
    /// # Safety
    /// `name` is NULL or a string with a NUL at its end.
    pub(crate) unsafe fn resolve(&self) -> Result<SubscriberOptions, Failure> {
        let unknown = self.flags & !(MOS_NO_RECONNECT | MOS_AWAIT_STREAM);
        if unknown != 0 {
            return Err(Failure::argument(format!(
                "flags has bits that mean nothing: {unknown:#x}"
            )));
        }
        let mut options = SubscriberOptions {
            reconnect: self.flags & MOS_NO_RECONNECT == 0,
            ..SubscriberOptions::default()
        };
        // SAFETY: as the caller promises.
        if let Some(name) = unsafe { text(self.name) } {
            let name = name
                .to_str()
                .map_err(|_| Failure::argument("name is not UTF-8"))?;
            name.clone_into(&mut options.name);
        }
        if self.window != 0 {
            options.window = self.window;
        }
        match self.hold {
            0 => {}
            MOS_HOLD_NONE => options.hold = 0,
            hold => options.hold = hold,
        }
        if self.timeout_ms != 0 {
            options.timeout = Duration::from_millis(self.timeout_ms.into());
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use super::*;

    const ZEROES: mos_subscriber_options = mos_subscriber_options {
        struct_size: 0,
        name: ptr::null(),
        window: 0,
        hold: 0,
        timeout_ms: 0,
        flags: 0,
    };

    fn resolved(options: mos_subscriber_options) -> Result<SubscriberOptions, Failure> {
        // SAFETY: the tests' names are NULL or literals.
        unsafe { options.resolve() }
    }

    #[test]
    fn zeroes_are_the_defaults() {
        let (ours, bus) = (resolved(ZEROES).unwrap(), SubscriberOptions::default());
        assert_eq!(format!("{ours:?}"), format!("{bus:?}"));
    }

    #[test]
    fn every_field_counts() {
        let ours = resolved(mos_subscriber_options {
            name: c"viewer".as_ptr(),
            window: 3,
            hold: MOS_HOLD_NONE,
            timeout_ms: 70,
            flags: MOS_NO_RECONNECT,
            ..ZEROES
        })
        .unwrap();
        assert_eq!(
            (ours.name.as_str(), ours.window, ours.hold),
            ("viewer", 3, 0)
        );
        assert_eq!(
            (ours.timeout, ours.reconnect),
            (Duration::from_millis(70), false)
        );
    }

    #[test]
    fn nonsense_is_refused() {
        let bad = [
            mos_subscriber_options { flags: 4, ..ZEROES },
            mos_subscriber_options {
                name: c"\xff".as_ptr(),
                ..ZEROES
            },
        ];
        for options in bad {
            assert!(resolved(options).is_err(), "{options:?}");
        }
    }

    #[test]
    fn the_first_version_is_this_one() {
        assert_eq!(
            mos_subscriber_options::FIRST,
            size_of::<mos_subscriber_options>()
        );
    }
}
