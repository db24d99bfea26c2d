//! What a call came to: a status to branch on, a text for people.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};

use ::mos_frame::{ConnectError, Reason, RecvError};

/// What a call came to: `MOS_OK`, `MOS_AGAIN`, or one of `MOS_ERR_...`, which are negative.
pub type mos_status = i32;

/// Done.
pub const MOS_OK: i32 = 0;
/// No error: there was no frame before the time was up.
pub const MOS_AGAIN: i32 = 1;
/// An argument is NULL or out of range.
pub const MOS_ERR_ARGUMENT: i32 = -1;
/// Nobody publishes this stream.
pub const MOS_ERR_NOT_FOUND: i32 = -2;
/// The socket's permissions keep this process out.
pub const MOS_ERR_PERMISSION: i32 = -3;
/// The producer refused the subscription; `mos_last_reason` says why.
pub const MOS_ERR_REFUSED: i32 = -4;
/// The producer did not answer in time.
pub const MOS_ERR_TIMEOUT: i32 = -5;
/// The peer does not speak the bus's protocol, or broke it.
pub const MOS_ERR_PROTOCOL: i32 = -6;
/// The kernel refused something.
pub const MOS_ERR_IO: i32 = -7;
/// The producer is gone, and the subscriber was made with `MOS_NO_RECONNECT`. Close it.
pub const MOS_ERR_DISCONNECTED: i32 = -8;
/// The producer cut this subscriber off; `mos_last_reason` says why. Close it.
pub const MOS_ERR_EVICTED: i32 = -9;
/// As many frames are held as were asked for: let one go first. Nothing is lost by this error.
pub const MOS_ERR_HOLD_LIMIT: i32 = -10;
/// This frame or this build can't do that.
pub const MOS_ERR_UNSUPPORTED: i32 = -11;
/// Another thread is in a call of this subscriber.
pub const MOS_ERR_BUSY: i32 = -12;
/// A fault in this library. Please report it with the text.
pub const MOS_ERR_INTERNAL: i32 = -13;

/// No reason was given, or one that this version does not know.
pub const MOS_REASON_OTHER: u32 = 0;
/// The producer's buffers don't suffice for one more subscriber with this window and hold; the text has the figures.
pub const MOS_REASON_OVER_BUDGET: u32 = 1;
/// No common version of the protocol.
pub const MOS_REASON_VERSION: u32 = 2;
/// The window or the hold is out of range.
pub const MOS_REASON_BAD_REQUEST: u32 = 3;
/// A hold of 0 needs memory that subscribers can't write to.
pub const MOS_REASON_HOLD_ZERO: u32 = 4;
/// The caller is not on the producer's allow list.
pub const MOS_REASON_NOT_ALLOWED: u32 = 5;
/// The handshake took too long.
pub const MOS_REASON_TIMEOUT: u32 = 6;
/// A message that makes no sense.
pub const MOS_REASON_PROTOCOL: u32 = 7;
/// A lease word that no honest subscriber writes.
pub const MOS_REASON_BAD_LEASE: u32 = 8;
/// More frames were held than agreed.
pub const MOS_REASON_HOLD_EXCEEDED: u32 = 9;
/// The producer could not serve the subscriber: it is out of descriptors or memory.
pub const MOS_REASON_RESOURCES: u32 = 10;

/// A call that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    status: mos_status,
    reason: Reason,
    text: String,
}

impl Failure {
    pub(crate) fn new(status: mos_status, text: impl Into<String>) -> Self {
        Self {
            status,
            reason: Reason::Other,
            text: text.into(),
        }
    }

    pub(crate) fn argument(text: impl Into<String>) -> Self {
        Self::new(MOS_ERR_ARGUMENT, text)
    }

    pub(crate) fn io(what: &str, error: &std::io::Error) -> Self {
        let status = match error.kind() {
            std::io::ErrorKind::Unsupported => MOS_ERR_UNSUPPORTED,
            _ => MOS_ERR_IO,
        };
        Self::new(status, format!("{what}: {error}"))
    }

    /// Notes it as the thread's newest; gives its status.
    pub(crate) fn record(self) -> mos_status {
        let text = CString::new(self.text).unwrap_or_else(|error| {
            let mut bytes = error.into_vec();
            bytes.retain(|byte| *byte != 0);
            CString::new(bytes).unwrap_or_default()
        });
        let last = Last {
            text,
            reason: self.reason as u32,
        };
        // Fails only while the thread ends, when nobody is left to ask.
        let _ = LAST.try_with(|cell| cell.replace(last));
        self.status
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let (status, reason) = match &error {
            ConnectError::NotFound { .. } => (MOS_ERR_NOT_FOUND, Reason::Other),
            ConnectError::Permission { .. } => (MOS_ERR_PERMISSION, Reason::Other),
            ConnectError::Refused { reason, .. } => (MOS_ERR_REFUSED, *reason),
            ConnectError::Timeout { .. } => (MOS_ERR_TIMEOUT, Reason::Other),
            ConnectError::Protocol { .. } => (MOS_ERR_PROTOCOL, Reason::Other),
            _ => (MOS_ERR_IO, Reason::Other),
        };
        Self {
            status,
            reason,
            text: error.to_string(),
        }
    }
}

impl From<RecvError> for Failure {
    fn from(error: RecvError) -> Self {
        let (status, reason) = match &error {
            RecvError::Disconnected => (MOS_ERR_DISCONNECTED, Reason::Other),
            RecvError::Evicted { reason, .. } => (MOS_ERR_EVICTED, *reason),
            RecvError::HoldLimit { .. } => (MOS_ERR_HOLD_LIMIT, Reason::Other),
            RecvError::Protocol(_) => (MOS_ERR_PROTOCOL, Reason::Other),
            _ => (MOS_ERR_IO, Reason::Other),
        };
        Self {
            status,
            reason,
            text: error.to_string(),
        }
    }
}

#[derive(Debug, Default)]
struct Last {
    text: CString,
    reason: u32,
}

thread_local! {
    static LAST: RefCell<Last> = RefCell::default();
}

/// What went wrong in the newest call of this thread that failed, and what to do about it. Never NULL; empty before the first.
///
/// The text is UTF-8 without a newline at its end, and lives until the next failing call of this thread.
#[unsafe(no_mangle)]
pub extern "C" fn mos_last_error() -> *const c_char {
    LAST.try_with(|last| last.borrow().text.as_ptr())
        .unwrap_or(c"".as_ptr())
}

/// Why the producer refused or cut off, one of `MOS_REASON_...`, for the newest call of this thread that failed.
#[unsafe(no_mangle)]
pub extern "C" fn mos_last_reason() -> u32 {
    LAST.try_with(|last| last.borrow().reason)
        .unwrap_or(MOS_REASON_OTHER)
}

/// Name of a status, such as `MOS_ERR_REFUSED`; never NULL, lives for ever.
#[unsafe(no_mangle)]
pub extern "C" fn mos_status_name(status: mos_status) -> *const c_char {
    name(status).as_ptr()
}

const fn name(status: mos_status) -> &'static CStr {
    match status {
        MOS_OK => c"MOS_OK",
        MOS_AGAIN => c"MOS_AGAIN",
        MOS_ERR_ARGUMENT => c"MOS_ERR_ARGUMENT",
        MOS_ERR_NOT_FOUND => c"MOS_ERR_NOT_FOUND",
        MOS_ERR_PERMISSION => c"MOS_ERR_PERMISSION",
        MOS_ERR_REFUSED => c"MOS_ERR_REFUSED",
        MOS_ERR_TIMEOUT => c"MOS_ERR_TIMEOUT",
        MOS_ERR_PROTOCOL => c"MOS_ERR_PROTOCOL",
        MOS_ERR_IO => c"MOS_ERR_IO",
        MOS_ERR_DISCONNECTED => c"MOS_ERR_DISCONNECTED",
        MOS_ERR_EVICTED => c"MOS_ERR_EVICTED",
        MOS_ERR_HOLD_LIMIT => c"MOS_ERR_HOLD_LIMIT",
        MOS_ERR_UNSUPPORTED => c"MOS_ERR_UNSUPPORTED",
        MOS_ERR_BUSY => c"MOS_ERR_BUSY",
        MOS_ERR_INTERNAL => c"MOS_ERR_INTERNAL",
        _ => c"unknown status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last() -> String {
        // SAFETY: `mos_last_error` gives a text that lives until the next failing call of this thread, and there is none.
        let text = unsafe { CStr::from_ptr(mos_last_error()) };
        text.to_str().unwrap().to_owned()
    }

    #[test]
    fn the_newest_failure_is_kept_for_each_thread() {
        assert_eq!(last(), "");
        let refused = ConnectError::Refused {
            path: "/s".into(),
            reason: Reason::OverBudget,
            text: "1 of 8".into(),
        };
        assert_eq!(Failure::from(refused).record(), MOS_ERR_REFUSED);
        assert!(last().ends_with("1 of 8"));
        assert_eq!(mos_last_reason(), MOS_REASON_OVER_BUDGET);
        let elsewhere = std::thread::spawn(|| (last(), mos_last_reason()));
        assert_eq!(elsewhere.join().unwrap(), (String::new(), MOS_REASON_OTHER));
        assert_eq!(Failure::argument("a\0b").record(), MOS_ERR_ARGUMENT);
        assert_eq!((last().as_str(), mos_last_reason()), ("ab", 0));
    }

    #[test]
    fn reasons_have_the_numbers_of_the_protocol() {
        let pairs = [
            (Reason::Other, MOS_REASON_OTHER),
            (Reason::OverBudget, MOS_REASON_OVER_BUDGET),
            (Reason::Version, MOS_REASON_VERSION),
            (Reason::BadRequest, MOS_REASON_BAD_REQUEST),
            (Reason::HoldZero, MOS_REASON_HOLD_ZERO),
            (Reason::NotAllowed, MOS_REASON_NOT_ALLOWED),
            (Reason::Timeout, MOS_REASON_TIMEOUT),
            (Reason::Protocol, MOS_REASON_PROTOCOL),
            (Reason::BadLease, MOS_REASON_BAD_LEASE),
            (Reason::HoldExceeded, MOS_REASON_HOLD_EXCEEDED),
            (Reason::Resources, MOS_REASON_RESOURCES),
        ];
        for (reason, number) in pairs {
            assert_eq!(reason as u32, number, "{reason:?}");
        }
    }

    #[test]
    fn each_status_has_a_name_of_its_own() {
        let names: std::collections::HashSet<_> =
            (MOS_ERR_INTERNAL..=MOS_AGAIN).map(name).collect();
        assert_eq!(names.len(), 15);
        assert!(!names.contains(c"unknown status"));
        assert_eq!(name(99), c"unknown status");
    }
}
