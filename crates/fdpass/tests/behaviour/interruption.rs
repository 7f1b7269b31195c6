//! A storm of signals: no call fails, no message is lost, doubled or given twice.
//!
//! Each signal is sent to the thread that is in the call. An interval timer would not do: the kernel gives its signal to
//! the first thread of the process, which is the harness's.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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

/// Runs `body` while this thread is sent a signal each 100 microseconds, whose handler restarts nothing.
fn in_a_storm<T>(body: impl FnOnce() -> T) -> T {
    let action = SigAction::new(
        SigHandler::Handler(count),
        SaFlags::empty(),
        SigSet::empty(),
    );
    // SAFETY: the handler adds to an atomic number and does nothing else.
    unsafe { sigaction(Signal::SIGUSR1, &action) }.unwrap();
    // SAFETY: the call takes nothing and cannot fail.
    let target = unsafe { libc::pthread_self() };
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                // SAFETY: `target` lives as long as the scope, which waits for this thread.
                assert_eq!(unsafe { libc::pthread_kill(target, libc::SIGUSR1) }, 0);
                thread::park_timeout(Duration::from_micros(100));
            }
        });
        // At the end of a failed test, too.
        let _end = End(&over);
        body()
    })
}

struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
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
