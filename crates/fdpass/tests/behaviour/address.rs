//! Addresses: a path, an abstract name, none, and those that do not fit.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use fdpass::address::Address;
use fdpass::error::Error;
use fdpass::limits::MAX_PATH_BYTES;
use fdpass::socket::{self, SocketType};

use crate::util::{TempSocket, alone, for_each_type, long_path, pair};

fn listener(address: &Address) -> OwnedFd {
    let socket = socket::create(SocketType::Stream).unwrap();
    socket::bind(socket.as_fd(), address).unwrap();
    socket::listen(socket.as_fd(), fdpass::limits::DEFAULT_BACKLOG).unwrap();
    socket
}

fn connects(address: &Address) {
    let listener = listener(address);
    assert_eq!(&socket::local_address(listener.as_fd()).unwrap(), address);
    let client = socket::create(SocketType::Stream).unwrap();
    socket::connect(client.as_fd(), address).unwrap();
    let server = socket::accept(listener.as_fd()).unwrap();
    assert_eq!(
        socket::local_address(client.as_fd()).unwrap(),
        Address::Unnamed
    );
    assert_eq!(&socket::local_address(server.as_fd()).unwrap(), address);
    assert_eq!(&socket::peer_address(client.as_fd()).unwrap(), address);
    let unnamed = socket::peer_address(server.as_fd()).unwrap();
    assert_eq!(unnamed, Address::Unnamed);
    let error = socket::peer_address(listener.as_fd()).unwrap_err();
    assert_eq!(
        (error.code(), error.syscall()),
        ("ENOTCONN", Some("getpeername"))
    );
}

#[test]
fn a_path_is_bound_connected_and_reported() {
    alone(|| {
        let path = TempSocket::new();
        let address = Address::path(path.path()).unwrap();
        assert_eq!(address.as_path(), Some(path.path()));
        assert_eq!(String::from(&address), path.path().to_str().unwrap());
        connects(&address);
        // The file stays: whoever bound it removes it.
        assert!(path.path().exists());
    });
}

#[cfg(target_os = "linux")]
#[test]
fn an_abstract_name_is_bound_connected_and_reported() {
    alone(|| {
        let name = format!("fdpass-test-{}", std::process::id());
        let address = Address::abstract_name(name.as_bytes()).unwrap();
        assert_eq!(String::from(&address), format!("@{name}"));
        connects(&address);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn an_abstract_name_may_hold_any_byte() {
    alone(|| {
        let mut name = std::process::id().to_ne_bytes().to_vec();
        name.extend([0, 255, 0, b'/', 0]);
        connects(&Address::abstract_name(&name).unwrap());
    });
}

#[test]
fn the_longest_path_is_bound_and_reported_whole() {
    alone(|| {
        let path = long_path(MAX_PATH_BYTES);
        let address = Address::path(&path).unwrap();
        let bound = listener(&address);
        assert_eq!(socket::local_address(bound.as_fd()).unwrap(), address);
        std::fs::remove_file(path).unwrap();
    });
}

#[test]
fn a_path_too_long_by_one_names_its_length_and_the_limit() {
    alone(|| {
        let path = long_path(MAX_PATH_BYTES + 1);
        let error = Address::path(path).unwrap_err();
        assert_eq!(error.code(), "ERR_FDPASS_ADDRESS_TOO_LONG");
        let limit = if cfg!(target_vendor = "apple") {
            103
        } else {
            107
        };
        assert!(
            matches!(error, Error::AddressTooLong { length, limit: l } if length == limit + 1 && l == limit)
        );
        let text = error.to_string();
        assert!(
            text.contains(&limit.to_string()) && text.contains(&(limit + 1).to_string()),
            "{text}"
        );
    });
}

#[cfg(target_os = "linux")]
#[test]
fn the_longest_abstract_name_is_bound_and_one_byte_more_is_refused() {
    alone(|| {
        let mut name = format!("{:0>8}", std::process::id()).into_bytes();
        name.resize(fdpass::limits::MAX_ABSTRACT_BYTES, b'n');
        connects(&Address::abstract_name(&name).unwrap());
        name.push(b'n');
        let error = Address::abstract_name(&name).unwrap_err();
        assert!(matches!(
            error,
            Error::AddressTooLong {
                length: 108,
                limit: 107
            }
        ));
    });
}

#[cfg(not(target_os = "linux"))]
#[test]
fn abstract_names_are_unsupported_where_the_system_has_none() {
    let error = Address::abstract_name(b"name").unwrap_err();
    assert_eq!(error.code(), "ERR_FDPASS_UNSUPPORTED");
}

#[test]
fn what_is_no_address_is_refused() {
    alone(|| {
        for path in ["", "with\0zero"] {
            let error = Address::path(path).unwrap_err();
            assert_eq!(error.code(), "ERR_FDPASS_ADDRESS_INVALID");
        }
        if cfg!(target_os = "linux") {
            let error = Address::abstract_name(b"").unwrap_err();
            assert_eq!(error.code(), "ERR_FDPASS_ADDRESS_INVALID");
        }
        let socket = socket::create(SocketType::Stream).unwrap();
        let error = socket::bind(socket.as_fd(), &Address::Unnamed).unwrap_err();
        assert_eq!(error.code(), "ERR_FDPASS_ADDRESS_INVALID");
    });
}

for_each_type! { fn the_ends_of_a_pair_have_no_address(kind) {
    let pair = pair(kind);
    assert_eq!(socket::local_address(pair.left.as_fd()).unwrap(), Address::Unnamed);
    assert_eq!(String::from(&Address::Unnamed), "");
} }

#[test]
fn the_address_of_a_tcp_socket_is_not_a_unix_address() {
    alone(|| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let error = socket::local_address(listener.as_fd()).unwrap_err();
        assert_eq!(error.code(), "ERR_FDPASS_NOT_UNIX_SOCKET");
    });
}

fn connect_code(address: &Address, kind: SocketType) -> &'static str {
    let client = socket::create(kind).unwrap();
    let error = socket::connect(client.as_fd(), address).unwrap_err();
    assert_eq!(error.syscall(), Some("connect"));
    error.code()
}

#[test]
fn connecting_fails_as_the_manual_says() {
    alone(|| {
        let path = TempSocket::new();
        let address = Address::path(path.path()).unwrap();
        assert_eq!(connect_code(&address, SocketType::Stream), "ENOENT");
        let bound = listener(&address);
        assert_eq!(connect_code(&address, SocketType::Datagram), "EPROTOTYPE");
        drop(bound);
        assert_eq!(connect_code(&address, SocketType::Stream), "ECONNREFUSED");
        let socket = socket::create(SocketType::Stream).unwrap();
        let error = socket::bind(socket.as_fd(), &address).unwrap_err();
        assert_eq!(
            (error.code(), error.syscall()),
            ("EADDRINUSE", Some("bind"))
        );
        let nowhere = Address::path(Path::new("/nonexistent/directory/socket")).unwrap();
        assert_eq!(
            socket::bind(socket.as_fd(), &nowhere).unwrap_err().code(),
            "ENOENT"
        );
    });
}

#[test]
fn datagrams_go_to_an_address_and_carry_descriptors() {
    alone(|| {
        let path = TempSocket::new();
        let address = Address::path(path.path()).unwrap();
        let to = socket::create(SocketType::Datagram).unwrap();
        socket::bind(to.as_fd(), &address).unwrap();
        let from = socket::create(SocketType::Datagram).unwrap();
        socket::connect(from.as_fd(), &address).unwrap();
        let from = socket::Socket::check(from.as_fd()).unwrap();
        crate::util::send(from, b"x", &crate::util::numbered_files(2)).unwrap();
        let to = socket::Socket::check(to.as_fd()).unwrap();
        let received = crate::util::receive(to, &mut [0; 1], 2).unwrap().unwrap();
        crate::util::assert_numbered(received.fds, 0, 2);
    });
}
