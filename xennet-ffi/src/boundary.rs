//! What every function has in common: NULL, texts, panics, and how it ends.

use std::any::Any;
use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::{ptr, slice};

use xennet_core::types::ParseError;

use crate::error::Error;

/// Does what one function is for, and ends it as all end: 0, or -errno and the reason in
/// `err_r`.
///
/// A panic is a bug of ours, and must not take the program with it.
pub(crate) fn call(
    err_r: Option<&mut MaybeUninit<Box<Error>>>,
    body: impl FnOnce() -> Result<(), Error>,
) -> c_int {
    let done = catch_unwind(AssertUnwindSafe(body));
    match done.unwrap_or_else(|panic| Err(Error::internal(&said(&*panic)))) {
        Ok(()) => 0,
        Err(why) => {
            let errno = why.errno();
            if let Some(err_r) = err_r {
                err_r.write(Box::new(why));
            }
            -errno
        }
    }
}

/// An argument that may not be NULL.
pub(crate) fn given<T>(argument: Option<T>, name: &str) -> Result<T, Error> {
    argument.ok_or_else(|| Error::invalid(&format!("{name}: is NULL")))
}

/// Hands a result to C as a new handle, where it asked for one.
pub(crate) fn hand_over<T: From<U>, U>(handle_r: Option<&mut MaybeUninit<Box<T>>>, result: U) {
    if let Some(handle_r) = handle_r {
        handle_r.write(Box::new(result.into()));
    }
}

/// An argument's bytes.
///
/// # Safety
///
/// It is NULL, or ends with a NUL, and outlives the result.
pub(crate) unsafe fn bytes<'a>(argument: *const c_char, name: &str) -> Result<&'a [u8], Error> {
    let argument = given(ptr::NonNull::new(argument.cast_mut()), name)?;
    // SAFETY: it is not NULL, and then the caller promises the rest.
    Ok(unsafe { CStr::from_ptr(argument.as_ptr()) }.to_bytes())
}

/// An argument's text.
///
/// # Safety
///
/// As for [`bytes`].
pub(crate) unsafe fn text<'a>(
    argument: *const c_char,
    name: &'static str,
) -> Result<&'a str, Error> {
    // SAFETY: the caller promises the same.
    let bytes = unsafe { bytes(argument, name) }?;
    Ok(str::from_utf8(bytes).map_err(|_| ParseError::new(name, bytes, "UTF-8"))?)
}

/// An argument that names a file, in whatever encoding.
///
/// # Safety
///
/// As for [`bytes`].
pub(crate) unsafe fn path<'a>(argument: *const c_char, name: &str) -> Result<&'a Path, Error> {
    // SAFETY: the caller promises the same.
    let bytes = unsafe { bytes(argument, name) }?;
    if bytes.is_empty() {
        return Err(Error::invalid(&format!("{name}: is empty")));
    }
    Ok(Path::new(OsStr::from_bytes(bytes)))
}

/// An argument's bytes when it says how many there are.
///
/// # Safety
///
/// It is NULL, or that many bytes that outlive the result.
pub(crate) unsafe fn octets<'a>(
    argument: *const u8,
    length: usize,
    name: &str,
) -> Result<&'a [u8], Error> {
    let argument = given(ptr::NonNull::new(argument.cast_mut()), name)?;
    if isize::try_from(length).is_err() {
        return Err(Error::invalid(&format!("{name}: {length} bytes are more than there can be")));
    }
    // SAFETY: it is not NULL, no longer than anything can be, and the caller promises the rest.
    Ok(unsafe { slice::from_raw_parts(argument.as_ptr(), length) })
}

/// The texts of an array that ends with NULL, as `argv` and `environ` do.
///
/// # Safety
///
/// It is not NULL, ends with NULL, and each before that is a text.
pub(crate) unsafe fn texts(mut array: *const *const c_char) -> Vec<OsString> {
    let mut texts = Vec::new();
    // SAFETY: the caller promises that what is not NULL is a text, and that more comes after it.
    while let Ok(bytes) = unsafe { bytes(*array, "") } {
        texts.push(OsStr::from_bytes(bytes).to_owned());
        // SAFETY: the same.
        array = unsafe { array.add(1) };
    }
    texts
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no reason given")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{xennet_error_errno, xennet_error_message};

    #[test]
    fn a_panic_becomes_an_error() {
        let mut error = MaybeUninit::uninit();
        let number = 7;
        assert_eq!(call(Some(&mut error), || panic!("no {number}")), -libc::ENOTRECOVERABLE);
        // SAFETY: the call failed, so it wrote an error.
        let error = unsafe { error.assume_init() };
        assert_eq!(xennet_error_errno(Some(&error)), libc::ENOTRECOVERABLE);
        // SAFETY: the message of an error that lives is a text.
        let message = unsafe { CStr::from_ptr(xennet_error_message(Some(&error))) };
        assert_eq!(
            message.to_str().unwrap(),
            "internal error: no 7; please report it, and use no handle of that call again"
        );
        assert_eq!(call(None, || panic!("literal")), -libc::ENOTRECOVERABLE);
        assert_eq!(call(None, || std::panic::panic_any(1)), -libc::ENOTRECOVERABLE);
    }

    #[test]
    fn success_writes_no_error() {
        let mut error = MaybeUninit::uninit();
        assert_eq!(call(Some(&mut error), || Ok(())), 0);
    }
}
