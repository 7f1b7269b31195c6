//! At the limits of a process and of a user.

use std::os::fd::{AsFd, OwnedFd};

use fdpass::address::Address;
use fdpass::descriptor;
use fdpass::socket::{self, SocketType};

use crate::util::{TempSocket, alone, for_each_type, limit_descriptors, pair};
#[cfg(target_os = "linux")]
use crate::util::{assert_numbered, is_root, numbered_files, receive, send, skip};

/// The types of sockets that the system has.
#[cfg(target_os = "linux")]
const TYPES: &[SocketType] = &[
    SocketType::Stream,
    SocketType::Datagram,
    #[cfg(not(fdpass_portable))]
    SocketType::SeqPacket,
];

/// The kernel counts descriptors in flight for each user, against `RLIMIT_NOFILE` of the sender; root is exempt. One
/// test for all types: two at the same time would count each other's descriptors.
#[cfg(target_os = "linux")]
#[test]
fn a_user_with_too_many_descriptors_in_flight_is_refused_until_some_are_taken() {
    use nix::sys::resource::{Resource, setrlimit};
    use nix::unistd::{Gid, Uid};

    alone(|| {
        if !is_root() {
            return skip("only root can become another user, whose descriptors nobody else counts");
        }
        let files = numbered_files(10);
        setrlimit(Resource::RLIMIT_NOFILE, 50, 50).unwrap();
        nix::unistd::setgid(Gid::from_raw(65534)).unwrap();
        nix::unistd::setuid(Uid::from_raw(65534)).unwrap();
        for kind in TYPES {
            too_many_in_flight(*kind, &files);
        }
    });
}

#[cfg(target_os = "linux")]
fn too_many_in_flight(kind: SocketType, files: &[std::fs::File]) {
    let pair = pair(kind);
    let mut sent = 0;
    let error = loop {
        match send(pair.left(), b"x", files) {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(
        (error.code(), error.syscall()),
        ("ETOOMANYREFS", Some("sendmsg"))
    );
    assert!(!error.is_would_block());
    assert!(sent > 0);
    // It passes as soon as the receiver has taken some, and nothing of the refused message was sent.
    let take = || {
        let received = receive(pair.right(), &mut [0; 1], 10).unwrap().unwrap();
        assert_numbered(received.fds, 0, 10);
    };
    take();
    send(pair.left(), b"x", files).unwrap();
    (0..sent).for_each(|_| take());
    assert!(
        receive(pair.right(), &mut [0; 1], 10)
            .unwrap_err()
            .is_would_block()
    );
}

for_each_type! { fn a_pair_that_finds_no_free_number_leaves_none_behind(kind) {
    limit_descriptors(1);
    let error = socket::pair(kind).unwrap_err();
    assert_eq!((error.code(), error.syscall()), ("EMFILE", Some("socketpair")));
} }

for_each_type! { fn a_socket_that_finds_no_free_number_says_so(kind) {
    limit_descriptors(0);
    let error = socket::create(kind).unwrap_err();
    assert_eq!((error.code(), error.syscall()), ("EMFILE", Some("socket")));
} }

#[test]
fn a_duplicate_that_finds_no_free_number_says_so() {
    alone(|| {
        let pair = pair(SocketType::Stream);
        limit_descriptors(0);
        let error = descriptor::duplicate(pair.left.as_fd()).unwrap_err();
        assert_eq!((error.code(), error.syscall()), ("EMFILE", Some("fcntl")));
    });
}

#[test]
fn a_connection_that_finds_no_free_number_stays_in_the_queue() {
    alone(|| {
        let path = TempSocket::new();
        let address = Address::path(path.path()).unwrap();
        let listener = socket::create(SocketType::Stream).unwrap();
        socket::bind(listener.as_fd(), &address).unwrap();
        socket::listen(listener.as_fd(), 4).unwrap();
        let client = socket::create(SocketType::Stream).unwrap();
        socket::connect(client.as_fd(), &address).unwrap();
        let spare: OwnedFd = descriptor::duplicate(client.as_fd()).unwrap();
        limit_descriptors(0);
        let error = socket::accept(listener.as_fd()).unwrap_err();
        assert_eq!((error.code(), error.syscall()), ("EMFILE", Some("accept")));
        drop(spare);
        socket::accept(listener.as_fd()).unwrap();
    });
}
