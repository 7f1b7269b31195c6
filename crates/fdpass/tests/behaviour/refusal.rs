//! What is refused before the kernel is asked, or by it, with nothing sent and nothing closed.

use std::fs::File;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use fdpass::error::Error;
use fdpass::message::{self, Wait};
use fdpass::socket::{Socket, SocketType};

use crate::util::{alone, for_each_type, numbered_files, pair, receive, send};

#[test]
fn a_tcp_socket_is_refused_because_it_would_drop_descriptors_in_silence() {
    alone(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        for fd in [listener.as_fd(), stream.as_fd()] {
            let error = Socket::check(fd).unwrap_err();
            assert_eq!(error.code(), "ERR_FDPASS_NOT_UNIX_SOCKET");
        }
    });
}

#[test]
fn a_udp_socket_is_refused() {
    alone(|| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(matches!(
            Socket::check(socket.as_fd()),
            Err(Error::NotUnixSocket)
        ));
    });
}

#[test]
fn what_is_no_socket_is_refused_as_another_kind() {
    alone(|| {
        let file = File::open("/dev/null").unwrap();
        let (reader, _writer) = nix::unistd::pipe().unwrap();
        for fd in [file.as_fd(), reader.as_fd()] {
            let error = Socket::check(fd).unwrap_err();
            assert_eq!(error.code(), "ERR_FDPASS_KIND");
            assert!(error.to_string().contains("not a socket"));
        }
    });
}

/// A number that is not open, as a borrow.
fn not_open() -> BorrowedFd<'static> {
    // SAFETY: not open, so that it belongs to nobody; the kernel answers EBADF.
    unsafe { BorrowedFd::borrow_raw(999_999) }
}

#[test]
fn a_number_that_is_not_open_is_no_socket() {
    alone(|| {
        let error = Socket::check(not_open()).unwrap_err();
        assert_eq!(error.code(), "ERR_FDPASS_BAD_FD");
        assert!(error.to_string().contains("999999"));
    });
}

for_each_type! { fn a_number_that_is_not_open_cannot_be_sent_and_nothing_goes(kind) {
    let pair = pair(kind);
    let files = numbered_files(2);
    let fds = [files[0].as_fd(), not_open(), files[1].as_fd()];
    let error = message::send(pair.left(), b"x", &fds, Wait::Never).unwrap_err();
    assert_eq!((error.code(), error.syscall()), ("EBADF", Some("sendmsg")));
    assert!(receive(pair.right(), &mut [0; 1], 3).unwrap_err().is_would_block());
    assert!(files.iter().all(|file| file.metadata().is_ok()));
} }

for_each_type! { fn a_socket_that_is_not_connected_says_so(kind) {
    let socket = fdpass::socket::create(kind).unwrap();
    let error = send(Socket::check(socket.as_fd()).unwrap(), b"x", &numbered_files(1)).unwrap_err();
    assert_eq!(error.code(), "ENOTCONN");
} }

#[test]
fn a_socket_of_a_type_that_is_stated_wrong_costs_the_refusals_only() {
    alone(|| {
        let pair = pair(SocketType::Stream);
        let stated = Socket::known(pair.left.as_fd(), SocketType::Datagram);
        // The kernel drops them in silence: the refusal is what `Socket::check` would have given.
        assert_eq!(send(stated, b"", &numbered_files(1)).unwrap(), 0);
        assert!(
            receive(pair.right(), &mut [0; 1], 1)
                .unwrap_err()
                .is_would_block()
        );
        assert_eq!(pair.left().kind(), SocketType::Stream);
    });
}

#[test]
fn a_message_too_long_for_a_datagram_is_refused_whole() {
    alone(|| {
        let pair = pair(SocketType::Datagram);
        let error = send(pair.left(), &vec![0; 8 << 20], &numbered_files(1)).unwrap_err();
        assert_eq!(error.code(), "EMSGSIZE");
        assert!(
            receive(pair.right(), &mut [0; 1], 1)
                .unwrap_err()
                .is_would_block()
        );
        assert!(pair.left.as_raw_fd() > 2);
    });
}
