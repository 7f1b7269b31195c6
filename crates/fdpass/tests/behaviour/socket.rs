//! Pairs, listeners, and what a socket is checked to be.

use std::os::fd::{AsFd, OwnedFd};

use fdpass::address::Address;
use fdpass::descriptor;
use fdpass::socket::{self, Socket, SocketType};

use crate::util::{TempSocket, alone, for_each_type, pair, receive, send};

for_each_type! { fn both_ends_of_a_pair_are_of_the_type_asked_for(kind) {
    let pair = pair(kind);
    assert_eq!((pair.left().kind(), pair.right().kind()), (kind, kind));
    send(pair.left(), b"there", &[] as &[OwnedFd]).unwrap();
    send(pair.right(), b"back", &[] as &[OwnedFd]).unwrap();
    assert_eq!(receive(pair.right(), &mut [0; 8], 0).unwrap().unwrap().bytes, 5);
    assert_eq!(receive(pair.left(), &mut [0; 8], 0).unwrap().unwrap().bytes, 4);
} }

#[cfg(any(target_vendor = "apple", fdpass_portable))]
#[test]
fn seqpacket_is_unsupported_where_the_system_has_none() {
    alone(|| {
        let error = socket::pair(SocketType::SeqPacket).unwrap_err();
        assert_eq!(error.code(), "ERR_FDPASS_UNSUPPORTED");
        let error = socket::create(SocketType::SeqPacket).unwrap_err();
        assert_eq!(error.code(), "ERR_FDPASS_UNSUPPORTED");
    });
}

#[test]
fn a_listener_that_does_not_wait_has_no_connection_to_give() {
    alone(|| {
        let path = TempSocket::new();
        let listener = socket::create(SocketType::Stream).unwrap();
        socket::bind(listener.as_fd(), &Address::path(path.path()).unwrap()).unwrap();
        socket::listen(listener.as_fd(), 4).unwrap();
        descriptor::set_nonblocking(listener.as_fd(), true).unwrap();
        let error = socket::accept(listener.as_fd()).unwrap_err();
        assert!(error.is_would_block());
        assert_eq!(error.syscall(), Some("accept"));
    });
}

#[test]
fn any_backlog_is_taken_and_left_to_the_kernel_to_cap() {
    alone(|| {
        for backlog in [0, 1, 511, 4096, 1 << 20, u32::MAX] {
            let path = TempSocket::new();
            let listener = socket::create(SocketType::Stream).unwrap();
            socket::bind(listener.as_fd(), &Address::path(path.path()).unwrap()).unwrap();
            socket::listen(listener.as_fd(), backlog).unwrap();
        }
    });
}

#[test]
fn listening_without_an_address_is_refused() {
    alone(|| {
        let socket = socket::create(SocketType::Stream).unwrap();
        let error = socket::listen(socket.as_fd(), 1).unwrap_err();
        assert!(
            ["EINVAL", "EDESTADDRREQ"].contains(&error.code()),
            "{error:?}"
        );
    });
}

#[test]
fn the_end_of_writing_reaches_the_peer_after_what_was_written() {
    alone(|| {
        let pair = pair(SocketType::Stream);
        send(pair.left(), b"last", &[] as &[OwnedFd]).unwrap();
        socket::shutdown_write(pair.left.as_fd()).unwrap();
        assert_eq!(
            receive(pair.right(), &mut [0; 8], 0)
                .unwrap()
                .unwrap()
                .bytes,
            4
        );
        assert!(receive(pair.right(), &mut [0; 8], 0).unwrap().is_none());
        assert_eq!(
            send(pair.left(), b"x", &[] as &[OwnedFd])
                .unwrap_err()
                .code(),
            "EPIPE"
        );
        // The other direction is open.
        send(pair.right(), b"x", &[] as &[OwnedFd]).unwrap();
    });
}

#[test]
fn a_checked_socket_is_the_socket() {
    alone(|| {
        let pair = pair(SocketType::Stream);
        let socket = Socket::check(pair.left.as_fd()).unwrap();
        assert!(crate::util::same_file(&socket, &pair.left));
        let expected = cfg!(any(target_vendor = "apple", fdpass_portable));
        assert_eq!(socket::must_hold_until_acknowledged(), expected);
    });
}
