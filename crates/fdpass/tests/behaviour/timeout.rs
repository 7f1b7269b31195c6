//! How long a call waits: as the descriptor is set, never, or at most so long.

use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use fdpass::descriptor;
use fdpass::message::{self, ReceiveLimits, Received, Wait};
use fdpass::socket::{Socket, SocketType};

use crate::util::{alone, assert_numbered, for_each_type, numbered_files, pair, send};

const SHORT: Duration = Duration::from_millis(30);
/// Never reached: a wait that is woken ends long before.
const LONG: Duration = Duration::from_secs(50);

fn receive_within(socket: Socket<'_>, wait: Wait) -> fdpass::Result<Option<Received>> {
    let limits = ReceiveLimits {
        wait,
        ..ReceiveLimits::default()
    };
    message::receive(socket, &mut [0; 64], &limits)
}

fn fill(socket: Socket<'_>) {
    while send(socket, &[0; 1024], &[] as &[OwnedFd]).is_ok() {}
}

for_each_type! { fn a_receive_that_gets_nothing_times_out_after_its_time(kind) {
    let pair = pair(kind);
    let start = Instant::now();
    let error = receive_within(pair.right(), Wait::AtMost(SHORT)).unwrap_err();
    assert!(start.elapsed() >= SHORT);
    assert_eq!((error.code(), error.syscall()), ("ERR_FDPASS_TIMEOUT", Some("recvmsg")));
    assert!(!error.is_would_block());
} }

for_each_type! { fn a_send_that_finds_no_room_times_out_and_keeps_its_descriptors(kind) {
    let pair = pair(kind);
    fill(pair.left());
    let files = numbered_files(1);
    let fds = [files[0].as_fd()];
    let error = message::send(pair.left(), b"x", &fds, Wait::AtMost(SHORT)).unwrap_err();
    assert_eq!((error.code(), error.syscall()), ("ERR_FDPASS_TIMEOUT", Some("sendmsg")));
    assert!(files[0].metadata().is_ok());
} }

for_each_type! { fn a_wait_of_no_time_still_takes_what_is_there(kind) {
    let pair = pair(kind);
    send(pair.left(), b"x", &numbered_files(1)).unwrap();
    let received = receive_within(pair.right(), Wait::AtMost(Duration::ZERO)).unwrap().unwrap();
    assert_numbered(received.fds, 0, 1);
    let error = receive_within(pair.right(), Wait::AtMost(Duration::ZERO)).unwrap_err();
    assert_eq!(error.code(), "ERR_FDPASS_TIMEOUT");
} }

for_each_type! { fn a_wait_for_ever_is_no_overflow(kind) {
    let pair = pair(kind);
    send(pair.left(), b"x", &[] as &[OwnedFd]).unwrap();
    assert!(receive_within(pair.right(), Wait::AtMost(Duration::MAX)).unwrap().is_some());
    thread::scope(|scope| {
        let waiting = scope.spawn(|| receive_within(pair.right(), Wait::AtMost(Duration::MAX)));
        send(pair.left(), b"y", &[] as &[OwnedFd]).unwrap();
        assert!(waiting.join().unwrap().unwrap().is_some());
    });
} }

for_each_type! { fn a_waiting_receive_is_woken_by_a_message(kind) {
    let pair = pair(kind);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| receive_within(pair.right(), Wait::AtMost(LONG)));
        send(pair.left(), b"x", &numbered_files(2)).unwrap();
        let received = waiting.join().unwrap().unwrap().unwrap();
        assert_numbered(received.fds, 0, 2);
    });
} }

for_each_type! { fn a_waiting_send_is_woken_by_room(kind) {
    let pair = pair(kind);
    fill(pair.left());
    let file = numbered_files(1);
    thread::scope(|scope| {
        let fds = [file[0].as_fd()];
        let left = pair.left();
        let waiting = scope.spawn(move || message::send(left, b"x", &fds, Wait::AtMost(LONG)));
        let mut arrived = Vec::new();
        while arrived.is_empty() {
            if let Some(received) = receive_within(pair.right(), Wait::AtMost(LONG)).ok().flatten() {
                arrived = received.fds;
            }
        }
        assert_eq!(waiting.join().unwrap().unwrap(), 1);
        assert_numbered(arrived, 0, 1);
    });
} }

#[test]
fn a_waiting_receive_is_woken_by_the_end() {
    alone(|| {
        let pair = pair(SocketType::Stream);
        let right = Socket::check(pair.right.as_fd()).unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(move || receive_within(right, Wait::AtMost(LONG)));
            drop(pair.left);
            assert!(waiting.join().unwrap().unwrap().is_none());
        });
    });
}

for_each_type! { fn a_blocking_descriptor_does_not_wait_when_told_never_to(kind) {
    let pair = pair(kind);
    assert!(!descriptor::is_nonblocking(pair.right.as_fd()).unwrap());
    assert!(receive_within(pair.right(), Wait::Never).unwrap_err().is_would_block());
    fill(pair.left());
    // The flag of the description is not touched on the way.
    assert!(!descriptor::is_nonblocking(pair.left.as_fd()).unwrap());
} }

for_each_type! { fn a_non_blocking_descriptor_does_not_wait_of_itself(kind) {
    let pair = pair(kind);
    descriptor::set_nonblocking(pair.right.as_fd(), true).unwrap();
    let error = receive_within(pair.right(), Wait::AsDescriptor).unwrap_err();
    assert_eq!((error.code(), error.syscall()), ("EAGAIN", Some("recvmsg")));
} }

for_each_type! { fn a_non_blocking_descriptor_waits_when_told_how_long(kind) {
    let pair = pair(kind);
    descriptor::set_nonblocking(pair.right.as_fd(), true).unwrap();
    let start = Instant::now();
    let error = receive_within(pair.right(), Wait::AtMost(SHORT)).unwrap_err();
    assert_eq!(error.code(), "ERR_FDPASS_TIMEOUT");
    assert!(start.elapsed() >= SHORT);
} }

#[test]
fn a_wait_says_whether_the_descriptor_became_ready() {
    alone(|| {
        let pair = pair(SocketType::Stream);
        assert!(!descriptor::wait(pair.right.as_fd(), false, Duration::from_micros(1)).unwrap());
        assert!(descriptor::wait(pair.left.as_fd(), true, LONG).unwrap());
        fill(pair.left());
        assert!(!descriptor::wait(pair.left.as_fd(), true, Duration::ZERO).unwrap());
        assert!(descriptor::wait(pair.right.as_fd(), false, LONG).unwrap());
        drop(pair.left);
        // A peer that is gone is something to be seen too.
        assert!(descriptor::wait(pair.right.as_fd(), true, LONG).unwrap());
    });
}
