//! Readiness of many descriptors behind one: `kqueue(2)`. Type-checked, not run by the authors.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use super::descriptor::{own, set_close_on_exec};
use super::{Interest, Ready, check, retry};

const MOST_EVENTS: usize = 64;

/// A set of descriptors and one timer that is itself one pollable descriptor.
#[derive(Debug)]
pub(crate) struct Poller {
    queue: OwnedFd,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: takes nothing, returns a new descriptor.
        let queue = own(check(unsafe { libc::kqueue() })?);
        set_close_on_exec(queue.as_fd())?;
        Ok(Self { queue })
    }

    fn control(&self, change: &libc::kevent) -> io::Result<()> {
        // SAFETY: one change is read, no event is asked for.
        check(unsafe {
            libc::kevent(
                self.queue.as_raw_fd(),
                change,
                1,
                std::ptr::null_mut(),
                0,
                std::ptr::null(),
            )
        })?;
        Ok(())
    }

    /// Changes what is waited for on `fd` from `old` to `new`. Nothing at all takes it out of the set.
    pub(crate) fn change(
        &self,
        fd: BorrowedFd<'_>,
        token: u64,
        old: Interest,
        new: Interest,
    ) -> io::Result<()> {
        let filters = [
            (libc::EVFILT_READ, old.read, new.read),
            (libc::EVFILT_WRITE, old.write, new.write),
        ];
        for (filter, was, is) in filters {
            if was == is {
                continue;
            }
            self.control(&libc::kevent {
                ident: usize::try_from(fd.as_raw_fd()).unwrap_or(0),
                filter,
                flags: if is { libc::EV_ADD } else { libc::EV_DELETE },
                fflags: 0,
                data: 0,
                udata: std::ptr::without_provenance_mut(usize::try_from(token).unwrap_or(0)),
            })?;
        }
        Ok(())
    }

    /// Sets the timer, or stops it.
    pub(crate) fn arm(&self, after: Option<Duration>) -> io::Result<()> {
        let flags = if after.is_some() {
            libc::EV_ADD | libc::EV_ONESHOT
        } else {
            libc::EV_DELETE
        };
        let micros = after.map_or(0, |after| after.as_micros().max(1));
        let result = self.control(&libc::kevent {
            ident: 0,
            filter: libc::EVFILT_TIMER,
            flags,
            fflags: libc::NOTE_USECONDS,
            data: isize::try_from(micros).unwrap_or(isize::MAX),
            udata: std::ptr::null_mut(),
        });
        match result {
            // It had run out already.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            result => result,
        }
    }

    /// What is ready, after at most `timeout` milliseconds (-1: without end). `true`: the timer ran out.
    pub(crate) fn wait(&self, ready: &mut Vec<Ready>, timeout: i32) -> io::Result<bool> {
        let empty = libc::kevent {
            ident: 0,
            filter: 0,
            flags: 0,
            fflags: 0,
            data: 0,
            udata: std::ptr::null_mut(),
        };
        let mut events = [empty; MOST_EVENTS];
        let most = i32::try_from(MOST_EVENTS).unwrap_or(1);
        let millis = i64::from(timeout.max(0));
        let wait = libc::timespec {
            tv_sec: millis / 1000,
            tv_nsec: millis % 1000 * 1_000_000,
        };
        let wait_pointer = if timeout < 0 {
            std::ptr::null()
        } else {
            &raw const wait
        };
        let count = retry(|| {
            // SAFETY: `events` has room for `most` events; `wait_pointer` is null or points to `wait`.
            check(unsafe {
                libc::kevent(
                    self.queue.as_raw_fd(),
                    std::ptr::null(),
                    0,
                    events.as_mut_ptr(),
                    most,
                    wait_pointer,
                )
            })
        })?;
        let mut timer = false;
        for event in events.iter().take(usize::try_from(count).unwrap_or(0)) {
            if event.filter == libc::EVFILT_TIMER {
                timer = true;
                continue;
            }
            let ended = event.flags & libc::EV_EOF != 0;
            ready.push(Ready {
                token: u64::try_from(event.udata.addr()).unwrap_or(0),
                read: ended || event.filter == libc::EVFILT_READ,
            });
        }
        Ok(timer)
    }
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}
