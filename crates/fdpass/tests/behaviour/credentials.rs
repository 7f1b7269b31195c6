//! Who is at the other end, and who sent a message.

use std::os::fd::AsFd;
#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;
use std::process;

use fdpass::credentials;
#[cfg(target_os = "linux")]
use fdpass::inspect::{self, Kind};
#[cfg(target_os = "linux")]
use fdpass::socket;
use fdpass::socket::SocketType;

use crate::util::{alone, alone_with_peer, pair};
#[cfg(target_os = "linux")]
use crate::util::{
    assert_cloexec, assert_numbered, for_each_type, is_root, limit_descriptors, numbered_files,
    receive, receive_partial, send, skip,
};

fn own_pid() -> i32 {
    i32::try_from(process::id()).unwrap()
}

#[test]
fn the_peer_of_a_pair_is_the_process_that_made_it() {
    alone(|| {
        let pair = pair(SocketType::Stream);
        let peer = credentials::peer(pair.left.as_fd()).unwrap();
        assert_eq!(peer.uid, nix::unistd::geteuid().as_raw());
        assert_eq!(peer.gid, nix::unistd::getegid().as_raw());
        assert_eq!(peer.pid, Some(own_pid()));
    });
}

#[test]
fn a_socket_that_was_passed_on_keeps_the_identity_of_its_maker() {
    alone_with_peer(
        |start| {
            let pair = pair(SocketType::Stream);
            let mut peer = start(pair.right);
            let socket = fdpass::socket::Socket::check(pair.left.as_fd()).unwrap();
            let limits = fdpass::message::ReceiveLimits::default();
            let mut told = [0; 4];
            fdpass::message::receive(socket, &mut told, &limits)
                .unwrap()
                .unwrap();
            assert_eq!(i32::from_ne_bytes(told), own_pid());
            assert!(peer.wait().unwrap().success());
        },
        |socket| {
            let pid = credentials::peer(socket.as_fd()).unwrap().pid.unwrap();
            fdpass::descriptor::write(socket.as_fd(), &pid.to_ne_bytes()).unwrap();
        },
    );
}

#[cfg(target_os = "linux")]
fn with_credentials(kind: SocketType) -> crate::util::Pair {
    let pair = pair(kind);
    socket::set_pass_credentials(pair.right.as_fd(), true).unwrap();
    pair
}

#[cfg(target_os = "linux")]
for_each_type! { fn every_message_names_its_sender_when_asked_to(kind) {
    let pair = with_credentials(kind);
    send(pair.left(), b"x", &numbered_files(1)).unwrap();
    let received = receive(pair.right(), &mut [0; 1], 1).unwrap().unwrap();
    let sender = received.credentials.unwrap();
    assert_eq!((sender.pid, sender.uid), (own_pid(), nix::unistd::getuid().as_raw()));
    assert_eq!(sender.gid, nix::unistd::getgid().as_raw());
    assert_numbered(received.fds, 0, 1);
    socket::set_pass_credentials(pair.right.as_fd(), false).unwrap();
    send(pair.left(), b"x", &[] as &[OwnedFd]).unwrap();
    let received = receive(pair.right(), &mut [0; 1], 1).unwrap().unwrap();
    assert!(received.credentials.is_none());
} }

/// Turns on process descriptors for messages to the right; false where the kernel has none.
#[cfg(target_os = "linux")]
fn with_pidfd(pair: &crate::util::Pair) -> bool {
    match socket::set_pass_pidfd(pair.right.as_fd(), true) {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.code(), "ENOPROTOOPT");
            skip("the kernel has no SO_PASSPIDFD");
            false
        }
    }
}

#[cfg(target_os = "linux")]
for_each_type! { fn credentials_a_pidfd_and_253_descriptors_fit_together(kind) {
    let pair = with_credentials(kind);
    if !with_pidfd(&pair) {
        return;
    }
    send(pair.left(), b"x", &numbered_files(253)).unwrap();
    let received = receive(pair.right(), &mut [0; 1], 253).unwrap().unwrap();
    assert!(received.truncation.is_none());
    assert_eq!(received.credentials.unwrap().pid, own_pid());
    let pidfd = received.pidfd.unwrap();
    assert_cloexec(&pidfd);
    assert_eq!(inspect::describe(pidfd.as_fd()).unwrap().kind, Kind::Pidfd);
    assert_numbered(received.fds, 0, 253);
} }

#[cfg(target_os = "linux")]
for_each_type! { fn a_pidfd_that_nobody_takes_is_closed(kind) {
    let pair = pair(kind);
    if !with_pidfd(&pair) {
        return;
    }
    for _ in 0..5 {
        send(pair.left(), b"x", &numbered_files(1)).unwrap();
        receive(pair.right(), &mut [0; 1], 1).unwrap().unwrap();
        send(pair.left(), b"x", &numbered_files(2)).unwrap();
        receive(pair.right(), &mut [0; 1], 1).unwrap_err();
    }
} }

#[cfg(target_os = "linux")]
for_each_type! { fn a_pidfd_that_finds_no_free_number_is_missing_and_nothing_else(kind) {
    let pair = pair(kind);
    if !with_pidfd(&pair) {
        return;
    }
    send(pair.left(), b"x", &numbered_files(2)).unwrap();
    limit_descriptors(2);
    let received = receive_partial(pair.right(), &mut [0; 1], 2).unwrap().unwrap();
    assert_eq!((received.bytes, received.pidfd.is_none()), (1, true));
    // The portable profile knows a loss as all or nothing; whether the kernel calls this one is not settled.
    if received.truncation.is_none() {
        assert_numbered(received.fds, 0, 2);
    }
} }

#[cfg(target_os = "linux")]
#[test]
fn the_end_of_a_stream_is_the_end_with_credentials_and_a_pidfd_asked_for() {
    alone(|| {
        let pair = with_credentials(SocketType::Stream);
        let _ = socket::set_pass_pidfd(pair.right.as_fd(), true);
        drop(pair.left);
        let socket = fdpass::socket::Socket::check(pair.right.as_fd()).unwrap();
        assert!(receive(socket, &mut [0; 1], 1).unwrap().is_none());
    });
}

#[cfg(target_os = "linux")]
#[test]
fn bytes_of_different_senders_are_not_merged() {
    alone(|| {
        if !is_root() {
            return skip("only root can send with a changed group");
        }
        let pair = with_credentials(SocketType::Stream);
        send(pair.left(), b"aa", &[] as &[OwnedFd]).unwrap();
        nix::unistd::setgid(nix::unistd::Gid::from_raw(65534)).unwrap();
        send(pair.left(), b"bb", &[] as &[OwnedFd]).unwrap();
        let first = receive(pair.right(), &mut [0; 8], 1).unwrap().unwrap();
        assert_eq!((first.bytes, first.credentials.unwrap().gid), (2, 0));
        let second = receive(pair.right(), &mut [0; 8], 1).unwrap().unwrap();
        assert_eq!((second.bytes, second.credentials.unwrap().gid), (2, 65534));
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_peer_pidfd_is_this_process_for_a_pair_made_here() {
    alone(|| {
        let pair = pair(SocketType::Stream);
        let Some(pidfd) = credentials::peer_pidfd(pair.left.as_fd()).unwrap() else {
            return skip("the kernel has no SO_PEERPIDFD");
        };
        assert_cloexec(&pidfd);
        assert_eq!(inspect::describe(pidfd.as_fd()).unwrap().kind, Kind::Pidfd);
        let info = std::fs::read_to_string(format!(
            "/proc/self/fdinfo/{}",
            std::os::fd::AsRawFd::as_raw_fd(&pidfd)
        ))
        .unwrap();
        assert!(info.contains(&format!("Pid:\t{}\n", own_pid())), "{info}");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_peer_pidfd_that_finds_no_free_number_says_so() {
    alone(|| {
        let pair = pair(SocketType::Stream);
        if credentials::peer_pidfd(pair.left.as_fd())
            .unwrap()
            .is_none()
        {
            return skip("the kernel has no SO_PEERPIDFD");
        }
        limit_descriptors(0);
        let error = credentials::peer_pidfd(pair.left.as_fd()).unwrap_err();
        assert_eq!(
            (error.code(), error.syscall()),
            ("EMFILE", Some("getsockopt"))
        );
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_receiver_that_refuses_descriptors_is_eperm_at_the_sender() {
    alone(|| {
        let pair = pair(SocketType::Stream);
        send(pair.left(), b"before", &numbered_files(1)).unwrap();
        if let Err(error) = socket::set_pass_rights(pair.right.as_fd(), false) {
            assert_eq!(error.code(), "ENOPROTOOPT");
            return skip("the kernel has no SO_PASSRIGHTS");
        }
        let error = send(pair.left(), b"x", &numbered_files(1)).unwrap_err();
        assert_eq!((error.code(), error.syscall()), ("EPERM", Some("sendmsg")));
        // Bytes still pass, and so does what was under way.
        send(pair.left(), b"y", &[] as &[OwnedFd]).unwrap();
        let received = receive(pair.right(), &mut [0; 6], 1).unwrap().unwrap();
        assert_numbered(received.fds, 0, 1);
        assert_eq!(
            receive(pair.right(), &mut [0; 1], 1)
                .unwrap()
                .unwrap()
                .bytes,
            1
        );
    });
}
