//! One test for each bug that was fixed, named after it.

#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use fdpass::address::Address;
use fdpass::socket::{self, SocketType};

use crate::util::{TempSocket, alone};

/// EISCONN was taken for "a signal had interrupted the first attempt", so that the second `connect` said that the
/// socket is connected to the second address.
#[test]
fn connecting_a_connected_socket_elsewhere_was_no_error() {
    alone(|| {
        let (first, second) = (TempSocket::new(), TempSocket::new());
        let (_one, one) = bound_listener(&first);
        let (_two, two) = bound_listener(&second);
        let client = socket::create(SocketType::Stream).unwrap();
        socket::connect(client.as_fd(), &one).unwrap();
        let error = socket::connect(client.as_fd(), &two).unwrap_err();
        assert_eq!(
            (error.code(), error.syscall()),
            ("EISCONN", Some("connect"))
        );
    });
}

fn bound_listener(path: &TempSocket) -> (OwnedFd, Address) {
    let address = Address::path(path.path()).unwrap();
    let listener = socket::create(SocketType::Stream).unwrap();
    socket::bind(listener.as_fd(), &address).unwrap();
    socket::listen(listener.as_fd(), 4).unwrap();
    (listener, address)
}

/// The variants of `Address` can be written without its constructors: an empty path was bound to the empty abstract
/// name.
#[test]
fn an_address_written_without_its_constructor_was_not_checked() {
    alone(|| {
        let socket = socket::create(SocketType::Stream).unwrap();
        let code = |address: &Address| socket::bind(socket.as_fd(), address).unwrap_err().code();
        let (invalid, long) = ("ERR_FDPASS_ADDRESS_INVALID", "ERR_FDPASS_ADDRESS_TOO_LONG");
        assert_eq!(code(&Address::Path(PathBuf::new())), invalid);
        assert_eq!(code(&Address::Path("/tmp/a\0b".into())), invalid);
        assert_eq!(code(&Address::Path("x".repeat(200).into())), long);
        if cfg!(target_os = "linux") {
            assert_eq!(code(&Address::Abstract(vec![])), invalid);
            assert_eq!(code(&Address::Abstract(vec![b'n'; 200])), long);
        }
    });
}

/// The kernel reports a length of 111 bytes for a path of 108, which is longer than the structure: the address was
/// taken for one of another family.
#[cfg(target_os = "linux")]
#[test]
fn a_path_that_fills_the_address_to_its_last_byte_was_not_reported() {
    use fdpass::inspect::{self, Kind};

    alone(|| {
        let path = crate::util::long_path(108);
        let bound = socket::create(SocketType::Stream).unwrap();
        crate::util::raw_bind(&bound, path.as_bytes()).unwrap();
        let expected = Address::Path(PathBuf::from(&path));
        assert_eq!(socket::local_address(bound.as_fd()).unwrap(), expected);
        let description = inspect::describe(bound.as_fd()).unwrap();
        assert!(matches!(description.kind, Kind::Unix { address, .. } if address == expected));
        std::fs::remove_file(path).unwrap();
    });
}

/// The kernel knows no peer then, and fills the structure with 0 and -1: they were given as a user.
#[cfg(target_os = "linux")]
#[test]
fn the_peer_of_a_socket_without_one_was_user_minus_one() {
    use fdpass::credentials;

    alone(|| {
        for kind in [SocketType::Stream, SocketType::Datagram] {
            let socket = socket::create(kind).unwrap();
            let error = credentials::peer(socket.as_fd()).unwrap_err();
            assert_eq!(
                (error.code(), error.syscall()),
                ("ENOTCONN", Some("getsockopt"))
            );
            // Where the kernel has no SO_PEERPIDFD there is nothing to tell.
            match credentials::peer_pidfd(socket.as_fd()) {
                Ok(pidfd) => assert!(pidfd.is_none()),
                Err(error) => assert_eq!(error.code(), "ENOTCONN"),
            }
        }
    });
}

/// A socket that someone else made may have options on that add control messages (here a time for each datagram), and
/// 253 descriptors, credentials and a process descriptor filled the buffer to its last byte.
#[cfg(target_os = "linux")]
#[test]
fn a_timestamp_on_an_adopted_socket_took_the_room_of_descriptors() {
    alone(|| {
        let pair = crate::util::pair(SocketType::Datagram);
        crate::util::set_raw_option(&pair.right, libc::SO_TIMESTAMP, 1).unwrap();
        socket::set_pass_credentials(pair.right.as_fd(), true).unwrap();
        let has_pidfd = socket::set_pass_pidfd(pair.right.as_fd(), true).is_ok();
        crate::util::send(pair.left(), b"x", &crate::util::numbered_files(253)).unwrap();
        let received = crate::util::receive(pair.right(), &mut [0; 1], 253);
        let received = received.unwrap().unwrap();
        assert!(received.credentials.is_some());
        assert_eq!(received.pidfd.is_some(), has_pidfd);
        crate::util::assert_numbered(received.fds, 0, 253);
    });
}

/// procfs shows the path of a file, and a file may be called what procfs calls a memfd: a peer with a root directory of
/// its own could have any file described as one.
#[cfg(target_os = "linux")]
#[test]
fn a_file_called_as_a_memfd_is_shown_was_described_as_one() {
    use std::fs::{File, read_link, remove_file};

    use fdpass::inspect::{self, Kind};

    alone(|| {
        let path = format!("/memfd:fdpass-{}", std::process::id());
        let Ok(file) = File::create_new(&path) else {
            return crate::util::skip("only root can write to the root directory");
        };
        remove_file(&path).unwrap();
        let shown = read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap();
        assert!(shown.to_str().unwrap().starts_with("/memfd:"));
        // A root directory in memory can be sealed in part, and is then what it says.
        let sealable = nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_GET_SEALS).is_ok();
        let expected = if sealable { Kind::Memfd } else { Kind::File };
        assert_eq!(inspect::describe(file.as_fd()).unwrap().kind, expected);
    });
}

/// A list that was not empty was counted as if all of it had come, and closed with what had.
#[test]
fn a_list_that_was_not_empty_was_closed_with_what_came() {
    use fdpass::error::{Error, LossCause};
    use fdpass::message::{Arrival, ReceiveLimits, TruncationPolicy, Wait, receive_reusing};

    alone(|| {
        let pair = crate::util::pair(SocketType::Stream);
        let mut fds: Vec<OwnedFd> = Vec::new();
        fds.extend(
            crate::util::numbered_files(3)
                .into_iter()
                .map(OwnedFd::from),
        );
        let mut receive = |max_fds, truncation| {
            crate::util::send(pair.left(), b"x", &crate::util::numbered_files(2)).unwrap();
            let limits = ReceiveLimits {
                max_fds,
                truncation,
                wait: Wait::Never,
            };
            let (bytes, mut arrival) = (&mut [0; 1], Arrival::default());
            let result = receive_reusing(pair.right(), bytes, &mut fds, &mut arrival, &limits);
            (
                result.map(|came| came.then_some(arrival.truncation)),
                fds.len(),
            )
        };
        let (result, left) = receive(1, TruncationPolicy::Error);
        let Err(Error::Truncated { truncation, .. }) = result else {
            panic!("{result:?}");
        };
        assert_eq!((truncation.arrived, truncation.sent, left), (2, Some(2), 3));
        let (result, left) = receive(1, TruncationPolicy::Partial);
        let truncation = result.unwrap().unwrap();
        assert_eq!(truncation.descriptors, Some(LossCause::Surplus));
        assert_eq!(left, 4);
        let (result, left) = receive(2, TruncationPolicy::Error);
        assert!(result.unwrap().unwrap().is_none());
        assert_eq!(left, 6);
        let rest = fds.split_off(3);
        crate::util::assert_numbered(fds, 0, 3);
        drop(rest);
    });
}

/// A datagram socket whose reading was shut down is readable for ever and has nothing to read: a timed wait asked the
/// kernel again and again until its time was over.
#[cfg(target_os = "linux")]
#[test]
fn a_timed_wait_on_a_socket_shut_down_for_reading_burnt_the_processor() {
    use fdpass::message::{self, ReceiveLimits, Wait};
    use fdpass::socket::Socket;
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::socket::{Shutdown, shutdown};
    use std::time::{Duration, Instant};

    alone(|| {
        let (left, _right) = socket::pair(SocketType::Datagram).unwrap();
        shutdown(left.as_raw_fd(), Shutdown::Read).unwrap();
        let limits = ReceiveLimits {
            wait: Wait::AtMost(Duration::from_millis(300)),
            ..ReceiveLimits::default()
        };
        let start = Instant::now();
        let socket = Socket::check(left.as_fd()).unwrap();
        let error = message::receive(socket, &mut [0; 8], &limits).unwrap_err();
        assert_eq!(error.code(), "ERR_FDPASS_TIMEOUT");
        let waited = start.elapsed();
        assert!(waited >= Duration::from_millis(300) && waited < Duration::from_secs(5));
        let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
        let busy = usage.user_time() + usage.system_time();
        assert!(busy.tv_sec() == 0 && busy.tv_usec() < 100_000, "{busy:?}");
    });
}
