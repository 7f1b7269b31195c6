//! The harness itself: a leak is seen, a test runs alone, and a peer is another process.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};
use std::panic;
use std::process;
use std::sync::atomic::{AtomicI32, Ordering};

use fdpass::descriptor;
use fdpass::socket::SocketType;

use crate::util::{alone, alone_with_peer, guarded, pair};

fn is_noticed(body: impl FnOnce() + panic::UnwindSafe) -> bool {
    panic::catch_unwind(|| guarded(body)).is_err()
}

fn null() -> OwnedFd {
    File::open("/dev/null").unwrap().into()
}

#[test]
fn a_descriptor_left_open_is_noticed() {
    alone(|| {
        let left = AtomicI32::new(-1);
        assert!(is_noticed(|| {
            left.store(null().into_raw_fd(), Ordering::Relaxed);
        }));
        nix::unistd::close(left.into_inner()).unwrap();
    });
}

#[test]
fn a_descriptor_replaced_by_another_is_noticed_although_the_count_is_the_same() {
    alone(|| {
        let fd = null();
        let number = fd.as_raw_fd();
        assert!(is_noticed(move || {
            drop(fd);
            assert_eq!(File::open("/").unwrap().into_raw_fd(), number);
        }));
        nix::unistd::close(number).unwrap();
    });
}

#[test]
fn a_descriptor_closed_by_accident_is_noticed() {
    alone(|| {
        let fd = null();
        assert!(is_noticed(move || drop(fd)));
    });
}

#[test]
fn a_peer_is_another_process() {
    alone_with_peer(
        |start| {
            let pair = pair(SocketType::Stream);
            let mut peer = start(pair.right);
            let mut told = [0; 4];
            assert_eq!(descriptor::read(pair.left.as_fd(), &mut told).unwrap(), 4);
            assert_eq!(u32::from_ne_bytes(told), peer.id());
            assert_ne!(peer.id(), process::id());
            assert!(peer.wait().unwrap().success());
        },
        |socket| {
            descriptor::write(socket.as_fd(), &process::id().to_ne_bytes()).unwrap();
        },
    );
}
