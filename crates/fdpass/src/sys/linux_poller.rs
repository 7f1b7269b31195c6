//! Readiness of many descriptors behind one: `epoll(7)` and `timerfd_create(2)`.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use super::descriptor::own;
use super::{Interest, Ready, check, read, retry};

/// The token of the timer.
const TIMER: u64 = u64::MAX;
const MOST_EVENTS: usize = 64;

/// A set of descriptors and one timer that is itself one pollable descriptor.
#[derive(Debug)]
pub(crate) struct Poller {
    queue: OwnedFd,
    timer: OwnedFd,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: takes a flag, returns a new descriptor.
        let queue = own(check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?);
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: takes a clock and flags, returns a new descriptor.
        let timer = own(check(unsafe {
            libc::timerfd_create(libc::CLOCK_MONOTONIC, flags)
        })?);
        let poller = Self { queue, timer };
        let timer = poller.timer.as_fd();
        poller.control(libc::EPOLL_CTL_ADD, timer, TIMER, Interest::READ)?;
        Ok(poller)
    }

    fn control(
        &self,
        operation: i32,
        fd: BorrowedFd<'_>,
        token: u64,
        interest: Interest,
    ) -> io::Result<()> {
        let mut events = 0;
        if interest.read {
            events |= libc::EPOLLIN.cast_unsigned();
        }
        if interest.write {
            events |= libc::EPOLLOUT.cast_unsigned();
        }
        let mut event = libc::epoll_event { events, u64: token };
        // SAFETY: `event` is one event.
        check(unsafe {
            libc::epoll_ctl(
                self.queue.as_raw_fd(),
                operation,
                fd.as_raw_fd(),
                &raw mut event,
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
        let operation = match (old.any(), new.any()) {
            (false, true) => libc::EPOLL_CTL_ADD,
            (true, true) => libc::EPOLL_CTL_MOD,
            (true, false) => libc::EPOLL_CTL_DEL,
            (false, false) => return Ok(()),
        };
        self.control(operation, fd, token, new)
    }

    /// Sets the timer, or stops it.
    pub(crate) fn arm(&self, after: Option<Duration>) -> io::Result<()> {
        let after = after.map_or(Duration::ZERO, |after| after.max(Duration::from_micros(1)));
        let value = libc::timespec {
            // Not by the name of its type, whose width musl is about to change.
            tv_sec: after.as_secs().try_into().unwrap_or_default(),
            tv_nsec: after.subsec_nanos().into(),
        };
        let interval = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let spec = libc::itimerspec {
            it_interval: interval,
            it_value: value,
        };
        // SAFETY: `spec` is one value; the old one is not wanted.
        check(unsafe {
            libc::timerfd_settime(
                self.timer.as_raw_fd(),
                0,
                &raw const spec,
                std::ptr::null_mut(),
            )
        })?;
        Ok(())
    }

    /// What is ready, after at most `timeout` milliseconds. `true`: the timer ran out.
    pub(crate) fn wait(&self, ready: &mut Vec<Ready>, timeout: i32) -> io::Result<bool> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; MOST_EVENTS];
        let most = i32::try_from(MOST_EVENTS).unwrap_or(1);
        let count = retry(|| {
            // SAFETY: `events` has room for `most` events.
            check(unsafe {
                libc::epoll_wait(self.queue.as_raw_fd(), events.as_mut_ptr(), most, timeout)
            })
        })?;
        let mut timer = false;
        for event in events.iter().take(usize::try_from(count).unwrap_or(0)) {
            let (token, bits) = (event.u64, event.events);
            if token == TIMER {
                timer = true;
                // EAGAIN only: it was armed anew in between.
                let _: io::Result<usize> = read(self.timer.as_fd(), &mut [0; 8]);
                continue;
            }
            let failed = bits & (libc::EPOLLERR | libc::EPOLLHUP).cast_unsigned() != 0;
            ready.push(Ready {
                token,
                read: failed || bits & libc::EPOLLIN.cast_unsigned() != 0,
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
