//! What a producer does, for programs that watch.

use std::ffi::{CString, c_char};
use std::ptr;
use std::time::Duration;

use crate::boundary::{guard, out};
use crate::status::{Failure, MOS_ERR_INTERNAL, MOS_OK, mos_status};
use crate::subscriber::socket_of;

/// What a producer does and who subscribes to it, as one JSON object, without subscribing. The keys are described in
/// docs/bindings/c.md; keys may be added. Free the text by `mos_string_free`.
///
/// # Safety
/// `stream` is NULL or a string with a NUL at its end; `json` is NULL or has room for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mos_inspect(
    stream: *const c_char,
    timeout_ms: u32,
    json: *mut *mut c_char,
) -> mos_status {
    guard(|| {
        // SAFETY: as the caller promises.
        let result = unsafe { out(json, "json") }?.write(ptr::null_mut());
        // SAFETY: as the caller promises.
        let path = unsafe { socket_of(stream) }?;
        let inspection = ::mos_frame::inspect(&path, Duration::from_millis(timeout_ms.into()))?;
        let internal = |text: String| Failure::new(MOS_ERR_INTERNAL, text);
        let text = serde_json::to_string(&inspection).map_err(|e| internal(e.to_string()))?;
        *result = CString::new(text)
            .map_err(|e| internal(e.to_string()))?
            .into_raw();
        Ok(MOS_OK)
    })
}

/// Frees a text that a call of this library gave. NULL does nothing.
///
/// # Safety
/// `text` is NULL or such a text, not freed before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mos_string_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: `mos_inspect` made it by `CString::into_raw`, and the caller gives it up.
        drop(unsafe { CString::from_raw(text) });
    }
}
