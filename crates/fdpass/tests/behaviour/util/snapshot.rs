//! Which descriptors are open, by number, device and inode.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, RawFd};

use nix::sys::stat::fstat;

/// New descriptors take the lowest free number, so that a leak shows far below this.
const HIGHEST: RawFd = 2048;

/// Every open descriptor, as number -> (device, inode). It opens nothing itself, so that it works at the limit too.
pub(crate) fn snapshot() -> BTreeMap<RawFd, (u64, u64)> {
    (0..HIGHEST)
        .filter_map(|number| Some((number, identity(number)?)))
        .collect()
}

fn identity(number: RawFd) -> Option<(u64, u64)> {
    // SAFETY: the borrow ends within this function; a number that is not open is EBADF, which is the answer sought.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    let status = fstat(fd).ok()?;
    #[cfg_attr(
        target_os = "linux",
        expect(clippy::useless_conversion, reason = "not a no-op on macOS")
    )]
    let device = u64::try_from(status.st_dev).unwrap_or(0);
    Some((device, status.st_ino))
}

pub(crate) fn count_fds() -> usize {
    snapshot().len()
}

pub(crate) fn is_open(number: RawFd) -> bool {
    identity(number).is_some()
}

/// Runs `body`; afterwards the same descriptors must be open as before.
pub(crate) fn guarded(body: impl FnOnce()) {
    let before = snapshot();
    body();
    let after = snapshot();
    assert_eq!(before, after, "open descriptors before and after the test");
}

pub(crate) fn assert_closed(number: RawFd) {
    assert!(!is_open(number), "descriptor {number} is still open");
}

pub(crate) fn assert_cloexec(fd: &impl AsFd) {
    assert!(
        fdpass::descriptor::is_close_on_exec(fd.as_fd()).unwrap(),
        "not close-on-exec"
    );
}
