//! Which version a program was built with, and which it runs with.

use std::ffi::{CStr, c_char};

/// Version of the header, to compare with `mos_version`.
pub const MOS_VERSION_MAJOR: u32 = 0;
/// See `MOS_VERSION_MAJOR`.
pub const MOS_VERSION_MINOR: u32 = 1;
/// See `MOS_VERSION_MAJOR`.
pub const MOS_VERSION_PATCH: u32 = 0;

const TEXT: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(text) => text,
        Err(_) => c"",
    };

/// Version of the library in use as `major << 16 | minor << 8 | patch`.
#[unsafe(no_mangle)]
pub extern "C" fn mos_version() -> u32 {
    MOS_VERSION_MAJOR << 16 | MOS_VERSION_MINOR << 8 | MOS_VERSION_PATCH
}

/// Version of the library in use as text, such as "0.1.0"; lives for ever.
#[unsafe(no_mangle)]
pub extern "C" fn mos_version_text() -> *const c_char {
    TEXT.as_ptr()
}

/// Whether the library in use can map frames for the CPU to read (a development build).
#[unsafe(no_mangle)]
pub extern "C" fn mos_has_cpu_access() -> bool {
    cfg!(feature = "development")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_the_packages() {
        let text = format!("{MOS_VERSION_MAJOR}.{MOS_VERSION_MINOR}.{MOS_VERSION_PATCH}");
        assert_eq!(text, env!("CARGO_PKG_VERSION"));
        assert_eq!(TEXT.to_str(), Ok(env!("CARGO_PKG_VERSION")));
        assert_eq!(mos_version(), 0x00_0100);
    }
}
