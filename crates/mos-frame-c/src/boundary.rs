//! What every call from C goes through: pointers are looked at, panics end here, structures may be older or newer than ours.

use std::any::Any;
use std::ffi::{CStr, c_char};
use std::mem::{MaybeUninit, size_of};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use crate::status::{Failure, MOS_ERR_INTERNAL, mos_status};

/// Runs a call; a failure becomes the thread's newest error, a panic `MOS_ERR_INTERNAL`.
pub(crate) fn guard(call: impl FnOnce() -> Result<mos_status, Failure>) -> mos_status {
    // What a panic may have left half done is behind a lock that is poisoned by it, or dropped.
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(status)) => status,
        Ok(Err(failure)) => failure.record(),
        Err(panic) => {
            let text = format!("a fault in libmos_frame: {}", words_of(panic.as_ref()));
            Failure::new(MOS_ERR_INTERNAL, text).record()
        }
    }
}

fn words_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without words")
}

/// What a pointer from C points to.
///
/// # Safety
/// `pointer` is NULL or points to a `T` that lives, and is not written without synchronisation, during `'a`.
pub(crate) unsafe fn borrow<'a, T>(pointer: *const T, name: &str) -> Result<&'a T, Failure> {
    // SAFETY: as the caller promises.
    unsafe { pointer.as_ref() }.ok_or_else(|| is_null(name))
}

/// Where a result goes.
///
/// # Safety
/// `pointer` is NULL or points to room for a `T` that nothing else uses during `'a`.
pub(crate) unsafe fn out<'a, T>(
    pointer: *mut T,
    name: &str,
) -> Result<&'a mut MaybeUninit<T>, Failure> {
    // SAFETY: as the caller promises; `MaybeUninit<T>` has the layout of `T` and may be anything.
    unsafe { pointer.cast::<MaybeUninit<T>>().as_mut() }.ok_or_else(|| is_null(name))
}

/// A text from C; `None` for NULL.
///
/// # Safety
/// `text` is NULL or a string with a NUL at its end that lives unchanged during `'a`.
pub(crate) unsafe fn text<'a>(text: *const c_char) -> Option<&'a CStr> {
    if text.is_null() {
        return None;
    }
    // SAFETY: as the caller promises.
    Some(unsafe { CStr::from_ptr(text) })
}

pub(crate) fn is_null(name: &str) -> Failure {
    Failure::argument(format!("{name} is NULL"))
}

/// A structure of the header: `struct_size` comes first, every byte belongs to a field, and zeroes are the defaults.
///
/// # Safety
/// The type is `repr(C)`, has `usize` as its first field and no padding, and is valid for all bytes zero.
pub(crate) unsafe trait Versioned: Copy {
    /// Size of the structure's first version. A `struct_size` of 0 stands for it in structures that are read.
    const FIRST: usize;
    /// Its name in the header.
    const NAME: &'static str;
}

/// Reads a structure that the caller may know in another version.
///
/// # Safety
/// `from` points to a structure of the size that its first field says, or of the first version's if that is 0.
pub(crate) unsafe fn read<T: Versioned>(from: *const T) -> Result<T, Failure> {
    // SAFETY: every version starts with this field.
    let says = unsafe { from.cast::<usize>().read() };
    let size = if says == 0 { T::FIRST } else { says };
    check_size::<T>(size)?;
    let extra = size.saturating_sub(size_of::<T>());
    // SAFETY: the structure has `size` bytes, as the caller promises, and all of them are initialised.
    let unknown = unsafe { std::slice::from_raw_parts(from.cast::<u8>().add(size - extra), extra) };
    if unknown.iter().any(|byte| *byte != 0) {
        let text = format!(
            "{} has fields that this version of the library ({}) does not know; install a newer libmos_frame",
            T::NAME,
            env!("CARGO_PKG_VERSION")
        );
        return Err(Failure::argument(text));
    }
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: `size - extra` bytes are in both; the rest stays zero, which the trait says is valid.
    unsafe {
        ptr::copy_nonoverlapping(
            from.cast::<u8>(),
            value.as_mut_ptr().cast::<u8>(),
            size - extra,
        );
        Ok(value.assume_init())
    }
}

/// Fills in a structure that the caller may know in another version: what it does not know is left out, what we don't know
/// becomes zero.
///
/// # Safety
/// `to` is NULL or points to a structure of the size that its first field says, which nothing else uses.
pub(crate) unsafe fn write<T: Versioned>(to: *mut T, value: &T) -> Result<(), Failure> {
    if to.is_null() {
        return Err(is_null(T::NAME));
    }
    // SAFETY: every version starts with this field.
    let size = unsafe { to.cast::<usize>().read() };
    check_size::<T>(size)?;
    let known = size.min(size_of::<T>());
    let head = size_of::<usize>();
    // SAFETY: both have `known` bytes, and the caller's structure has `size`. `struct_size` itself stays the caller's.
    unsafe {
        let to = to.cast::<u8>();
        let from = ptr::from_ref(value).cast::<u8>();
        ptr::copy_nonoverlapping(from.add(head), to.add(head), known - head);
        ptr::write_bytes(to.add(known), 0, size - known);
    }
    Ok(())
}

/// No structure of ours will ever be as large: a size beyond it is a variable that was never set.
const ABSURD: usize = 4096;

fn check_size<T: Versioned>(size: usize) -> Result<(), Failure> {
    if (T::FIRST..=ABSURD).contains(&size) {
        return Ok(());
    }
    Err(Failure::argument(format!(
        "struct_size of {name} is {size}; set it to sizeof({name}) before the call",
        name = T::NAME
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{MOS_ERR_ARGUMENT, MOS_OK, mos_last_error};

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    #[repr(C)]
    struct Two {
        struct_size: usize,
        old: u64,
        new: u64,
    }

    // SAFETY: repr(C), three fields of eight bytes on the machines that run this test, integers only.
    unsafe impl Versioned for Two {
        const FIRST: usize = 16;
        const NAME: &'static str = "two";
    }

    fn words(text: *const c_char) -> String {
        // SAFETY: these texts come from `mos_last_error`, and no failing call follows.
        let text = unsafe { CStr::from_ptr(text) };
        text.to_string_lossy().into_owned()
    }

    #[test]
    fn a_panic_becomes_a_status() {
        assert_eq!(guard(|| panic!("lost {}", "count")), MOS_ERR_INTERNAL);
        assert!(words(mos_last_error()).contains("lost count"));
        assert_eq!(guard(|| Ok(MOS_OK)), MOS_OK);
    }

    #[test]
    fn structures_of_other_versions_are_read() {
        let read_as = |bytes: &[u64]| {
            // SAFETY: each case has as many bytes as its first word says (or 16, for 0).
            unsafe { read(bytes.as_ptr().cast::<Two>()) }.map(|two| (two.old, two.new))
        };
        assert_eq!(
            read_as(&[0, 5]).unwrap(),
            (5, 0),
            "zeroed: the first version"
        );
        assert_eq!(read_as(&[16, 5]).unwrap(), (5, 0), "older");
        assert_eq!(read_as(&[24, 5, 6]).unwrap(), (5, 6), "the same");
        assert_eq!(read_as(&[32, 5, 6, 0]).unwrap(), (5, 6), "newer, unused");
        for bad in [&[32, 5, 6, 7][..], &[8, 0, 0, 0], &[1 << 40, 0, 0, 0]] {
            assert_eq!(guard(|| read_as(bad).map(|_| MOS_OK)), MOS_ERR_ARGUMENT);
        }
    }

    #[test]
    fn structures_of_other_versions_are_filled_in() {
        let value = Two {
            struct_size: 0,
            old: 5,
            new: 6,
        };
        let write_as = |mut bytes: Vec<u64>| {
            // SAFETY: each case has room for as many bytes as its first word says, at least one word.
            unsafe { write(bytes.as_mut_ptr().cast::<Two>(), &value) }.map(|()| bytes)
        };
        assert_eq!(write_as(vec![16, 0, 9]).unwrap(), [16, 5, 9], "older");
        assert_eq!(write_as(vec![24, 0, 0]).unwrap(), [24, 5, 6], "the same");
        assert_eq!(write_as(vec![32, 0, 0, 9]).unwrap(), [32, 5, 6, 0], "newer");
        assert!(write_as(vec![0, 0, 0]).is_err());
        // SAFETY: NULL is allowed.
        assert!(unsafe { write(ptr::null_mut(), &value) }.is_err());
    }
}
