//! A storm of signals: no call fails, no message is lost, doubled or given twice.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fdpass::descriptor;
use fdpass::message::{self, ReceiveLimits, Wait};
use fdpass::socket::SocketType;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use crate::util::{alone, assert_numbered, borrow, for_each_type, numbered_files, pair, send};

static SIGNALS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_signal: libc::c_int) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

/// The time between two signals.
const GUST: Duration = Duration::from_micros(100);

/// Runs `body` while this thread is sent signals, whose handler restarts nothing.
fn in_a_storm<T>(body: impl FnOnce() -> T) -> T {
    let action = SigAction::new(
        SigHandler::Handler(count),
        SaFlags::empty(),
        SigSet::empty(),
    );
    // SAFETY: the handler adds to an atomic number and does nothing else.
    unsafe { sigaction(Signal::SIGUSR1, &action) }.unwrap();
    let _storm = storm::Storm::on_this_thread();
    body()
}

/// An interval timer that interrupts one thread: the signal of `setitimer(2)` goes to any of the process.
#[cfg(target_os = "linux")]
mod storm {
    use std::{mem, ptr};

    use super::GUST;

    pub(super) struct Storm(libc::timer_t);

    impl Storm {
        pub(super) fn on_this_thread() -> Self {
            // SAFETY: numbers and a pointer, for which all zero bits is a value.
            let mut event: libc::sigevent = unsafe { mem::zeroed() };
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = libc::SIGUSR1;
            // SAFETY: the call takes nothing and cannot fail.
            event.sigev_notify_thread_id = unsafe { libc::gettid() };
            let mut timer = ptr::null_mut();
            // SAFETY: `timer` has a place, `event` is complete.
            let made = unsafe {
                libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer)
            };
            assert_eq!(made, 0);
            let gust = libc::timespec {
                tv_sec: 0,
                tv_nsec: libc::c_long::from(GUST.subsec_nanos().cast_signed()),
            };
            let interval = libc::itimerspec {
                it_interval: gust,
                it_value: gust,
            };
            // SAFETY: a timer that was just made; the old times are not asked for.
            let set =
                unsafe { libc::timer_settime(timer, 0, &raw const interval, ptr::null_mut()) };
            assert_eq!(set, 0);
            Self(timer)
        }
    }

    impl Drop for Storm {
        fn drop(&mut self) {
            // SAFETY: made above, deleted once.
            assert_eq!(unsafe { libc::timer_delete(self.0) }, 0);
        }
    }
}

/// macOS has no interval timer for one thread: another thread sends its signals.
#[cfg(not(target_os = "linux"))]
mod storm {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread::{self, JoinHandle};

    use super::GUST;

    pub(super) struct Storm {
        over: Arc<AtomicBool>,
        sender: Option<JoinHandle<()>>,
    }

    impl Storm {
        pub(super) fn on_this_thread() -> Self {
            // SAFETY: the call takes nothing and cannot fail. The thread outlives the storm.
            let target = unsafe { libc::pthread_self() } as usize;
            let over = Arc::new(AtomicBool::new(false));
            let seen = Arc::clone(&over);
            let sender = thread::spawn(move || {
                while !seen.load(Ordering::Relaxed) {
                    // SAFETY: `target` is alive: it waits for this thread.
                    let sent = unsafe { libc::pthread_kill(target as _, libc::SIGUSR1) };
                    assert_eq!(sent, 0);
                    thread::park_timeout(GUST);
                }
            });
            Self {
                over,
                sender: Some(sender),
            }
        }
    }

    impl Drop for Storm {
        fn drop(&mut self) {
            self.over.store(true, Ordering::Relaxed);
            if let Some(sender) = self.sender.take() {
                sender.join().unwrap();
            }
        }
    }
}

/// How long a test must be under way to prove something.
const SHORT: Duration = Duration::from_millis(60);

for_each_type! { fn a_thousand_messages_cross_in_a_storm_of_signals(kind) {
    let pair = pair(kind);
    let files = numbered_files(3);
    thread::scope(|scope| {
        scope.spawn(|| in_a_storm(|| {
            for index in 0..1000u32 {
                let data = index.to_ne_bytes();
                message::send(pair.left(), &data, &borrow(&files), Wait::AsDescriptor).unwrap();
            }
        }));
        in_a_storm(|| {
            let mut buffer = [0; 4];
            for index in 0..1000u32 {
                let limits = ReceiveLimits::default();
                let received = message::receive(pair.right(), &mut buffer, &limits).unwrap().unwrap();
                assert_eq!(u32::from_ne_bytes(buffer), index);
                assert_numbered(received.fds, 0, 3);
            }
        });
    });
    assert!(SIGNALS.load(Ordering::Relaxed) > 10);
} }

for_each_type! { fn a_receive_that_waits_in_the_kernel_is_not_ended_by_signals(kind) {
    let pair = pair(kind);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| in_a_storm(|| {
            message::receive(pair.right(), &mut [0; 4], &ReceiveLimits::default())
        }));
        while SIGNALS.load(Ordering::Relaxed) < 50 && !waiting.is_finished() {
            thread::yield_now();
        }
        send(pair.left(), b"x", &numbered_files(1)).unwrap();
        assert_numbered(waiting.join().unwrap().unwrap().unwrap().fds, 0, 1);
    });
} }

for_each_type! { fn a_receive_with_a_time_limit_ends_at_its_time_in_a_storm_of_signals(kind) {
    let pair = pair(kind);
    let limits = ReceiveLimits {
        wait: Wait::AtMost(SHORT),
        ..ReceiveLimits::default()
    };
    let start = Instant::now();
    let error = in_a_storm(|| message::receive(pair.right(), &mut [0; 4], &limits)).unwrap_err();
    assert_eq!(error.code(), "ERR_FDPASS_TIMEOUT");
    assert!(start.elapsed() >= SHORT);
} }

#[test]
fn a_wait_is_not_ended_by_a_signal() {
    alone(|| {
        let pair = pair(SocketType::Stream);
        let start = Instant::now();
        let wait = || descriptor::wait(pair.right.as_fd(), false, SHORT).unwrap();
        assert!(!in_a_storm(wait), "nothing was there to read");
        assert!(start.elapsed() >= SHORT);
        send(pair.left(), b"x", &[] as &[OwnedFd]).unwrap();
        assert!(in_a_storm(wait));
    });
}

#[test]
fn an_accept_that_waits_is_not_ended_by_signals() {
    use fdpass::address::Address;
    use fdpass::socket;

    alone(|| {
        let path = crate::util::TempSocket::new();
        let address = Address::path(path.path()).unwrap();
        let listener = socket::create(SocketType::Stream).unwrap();
        socket::bind(listener.as_fd(), &address).unwrap();
        socket::listen(listener.as_fd(), 4).unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| in_a_storm(|| socket::accept(listener.as_fd())));
            while SIGNALS.load(Ordering::Relaxed) < 50 && !waiting.is_finished() {
                thread::yield_now();
            }
            let client = socket::create(SocketType::Stream).unwrap();
            in_a_storm(|| socket::connect(client.as_fd(), &address)).unwrap();
            waiting.join().unwrap().unwrap();
        });
    });
}
