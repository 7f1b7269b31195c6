//! Nothing the library makes or receives is inherited by a program that this process executes: proved by executing one.

use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::process::Command;

use fdpass::address::Address;
use fdpass::descriptor;
use fdpass::socket::{self, SocketType};

use crate::util::{
    TempSocket, alone, assert_cloexec, for_each_type, numbered_files, pair, receive, send,
};

/// What a program sees that this process executes: which of `numbers` are open in it.
fn inherited(numbers: &[RawFd]) -> Vec<RawFd> {
    let script = "for number; do if [ -e /dev/fd/$number ]; then echo $number; fi; done";
    let output = Command::new("/bin/sh")
        .args(["-c", script, "sh"])
        .args(numbers.iter().map(ToString::to_string))
        .output()
        .unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

/// The shell opens descriptors of its own, at low numbers: look at copies far above them.
fn assert_not_inherited(fds: &[OwnedFd]) {
    for fd in fds {
        assert_cloexec(fd);
    }
    let numbers: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    assert_eq!(inherited(&numbers), [] as [RawFd; 0]);
}

/// Takes the numbers below 30, so that what comes next stands above those that a shell uses.
fn fill_low_numbers() -> Vec<OwnedFd> {
    numbered_files(30).into_iter().map(OwnedFd::from).collect()
}

#[test]
fn a_descriptor_without_the_flag_is_seen_by_the_program_so_that_the_others_prove_something() {
    alone(|| {
        let low = fill_low_numbers();
        let fd = nix::unistd::dup(&low[0]).unwrap();
        assert_eq!(inherited(&[fd.as_raw_fd()]), [fd.as_raw_fd()]);
    });
}

for_each_type! { fn received_descriptors_are_not_inherited(kind) {
    let _low = fill_low_numbers();
    let pair = pair(kind);
    send(pair.left(), b"x", &numbered_files(20)).unwrap();
    let received = receive(pair.right(), &mut [0; 1], 20).unwrap().unwrap();
    assert_eq!(received.fds.len(), 20);
    assert_not_inherited(&received.fds);
} }

for_each_type! { fn sockets_made_here_are_not_inherited(kind) {
    let _low = fill_low_numbers();
    let pair = pair(kind);
    let alone = socket::create(kind).unwrap();
    assert_not_inherited(&[pair.left, pair.right, alone]);
} }

#[test]
fn accepted_connections_are_not_inherited() {
    alone(|| {
        let _low = fill_low_numbers();
        let path = TempSocket::new();
        let address = Address::path(path.path()).unwrap();
        let listener = socket::create(SocketType::Stream).unwrap();
        socket::bind(listener.as_fd(), &address).unwrap();
        socket::listen(listener.as_fd(), 4).unwrap();
        let client = socket::create(SocketType::Stream).unwrap();
        socket::connect(client.as_fd(), &address).unwrap();
        let server = socket::accept(listener.as_fd()).unwrap();
        assert_not_inherited(&[listener, client, server]);
    });
}

#[test]
fn duplicates_are_not_inherited() {
    alone(|| {
        let low = fill_low_numbers();
        let copy = descriptor::duplicate(low[0].as_fd()).unwrap();
        assert_not_inherited(&[copy]);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn process_descriptors_are_not_inherited() {
    alone(|| {
        let _low = fill_low_numbers();
        let pair = pair(SocketType::Stream);
        let Some(peer) = fdpass::credentials::peer_pidfd(pair.left.as_fd()).unwrap() else {
            return crate::util::skip("the kernel has no SO_PEERPIDFD");
        };
        assert_not_inherited(&[peer]);
    });
}
