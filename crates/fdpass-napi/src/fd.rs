//! Where a number becomes a descriptor and back: the only place.
//!
//! JavaScript can name any number. That a wrong one is EBADF, or another file of the same program, is the contract of
//! every function of Node that takes one; that the library never does so by itself is the contract of `src/fd.ts`.
#![expect(
    unsafe_code,
    reason = "numbers come from JavaScript; each function states what it relies on"
)]

use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use fdpass::Error;

/// Borrows `number` for the length of a native call.
pub(crate) fn borrow<'call>(number: RawFd) -> Result<BorrowedFd<'call>, Error> {
    if number < 0 {
        return Err(Error::BadDescriptor {
            number: number.into(),
        });
    }
    // SAFETY: the number is not -1. JavaScript cannot run, and so not close it, while the native call that borrows runs.
    Ok(unsafe { BorrowedFd::borrow_raw(number) })
}

/// Borrows a list of numbers for the length of a native call.
pub(crate) fn borrow_all(numbers: &[i32]) -> Result<&[BorrowedFd<'_>], Error> {
    if let Some(number) = numbers.iter().find(|number| **number < 0) {
        return Err(Error::BadDescriptor {
            number: i64::from(*number),
        });
    }
    let first = numbers.as_ptr().cast::<BorrowedFd<'_>>();
    // SAFETY: `BorrowedFd` is `repr(transparent)` over a number other than -1, and none of these is negative.
    Ok(unsafe { std::slice::from_raw_parts(first, numbers.len()) })
}

/// Takes ownership of a number that JavaScript gives up. `None` for a negative one.
pub(crate) fn own(number: RawFd) -> Option<OwnedFd> {
    if number < 0 {
        return None;
    }
    // SAFETY: the number is not -1; the caller removed it from the ledger, so that nobody else closes it.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Gives a descriptor to JavaScript, which enters it in the ledger.
pub(crate) fn give(fd: OwnedFd) -> RawFd {
    fd.into_raw_fd()
}

/// Leaves a descriptor with JavaScript, which still holds its number: undoes `own`.
pub(crate) fn leave(fd: OwnedFd) {
    let _held_by_javascript = fd.into_raw_fd();
}
