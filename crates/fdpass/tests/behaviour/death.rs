//! The other process dies: before it sends, after it sent, before it receives, while the other waits, with a message
//! half read.

#[cfg(target_os = "linux")]
use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Child;
#[cfg(target_os = "linux")]
use std::sync::mpsc;
#[cfg(target_os = "linux")]
use std::thread;

use fdpass::descriptor;
use fdpass::message::{self, ReceiveLimits, Wait};
use fdpass::socket::{Socket, SocketType};

use crate::util::{
    alone, alone_with_peer, assert_numbered, borrow, for_each_type, numbered_files, pair, receive,
    send,
};

/// Sends `count` files over the inherited socket.
fn send_files(socket: &OwnedFd, count: usize) {
    let socket = Socket::check(socket.as_fd()).unwrap();
    let files = numbered_files(count);
    message::send(
        socket,
        b"from the dead",
        &borrow(&files),
        Wait::AsDescriptor,
    )
    .unwrap();
}

fn wait_for_the_end(mut peer: Child) {
    assert!(peer.wait().unwrap().success());
}

/// Starts the peer with one end of a pair and keeps the other.
fn with_peer(kind: SocketType, start: &dyn Fn(OwnedFd) -> Child) -> (OwnedFd, Child) {
    let pair = pair(kind);
    let peer = start(pair.right);
    (pair.left, peer)
}

fn next(socket: &OwnedFd) -> fdpass::Result<Option<message::Received>> {
    let socket = Socket::check(socket.as_fd()).unwrap();
    message::receive(socket, &mut [0; 64], &ReceiveLimits::default())
}

fn outlives(kind: SocketType, start: &dyn Fn(OwnedFd) -> Child) {
    let (socket, peer) = with_peer(kind, start);
    wait_for_the_end(peer);
    let received = next(&socket).unwrap().unwrap();
    assert_eq!(received.bytes, 13);
    assert_numbered(received.fds, 0, 3);
}

#[test]
fn descriptors_outlive_the_process_that_sent_them_on_a_stream() {
    alone_with_peer(
        |start| outlives(SocketType::Stream, start),
        |socket| send_files(&socket, 3),
    );
}

#[test]
fn descriptors_outlive_the_process_that_sent_them_in_a_datagram() {
    alone_with_peer(
        |start| outlives(SocketType::Datagram, start),
        |socket| send_files(&socket, 3),
    );
}

#[cfg(all(target_os = "linux", not(fdpass_portable)))]
#[test]
fn descriptors_outlive_the_process_that_sent_them_in_a_seqpacket() {
    alone_with_peer(
        |start| outlives(SocketType::SeqPacket, start),
        |socket| send_files(&socket, 3),
    );
}

#[test]
fn a_sender_that_dies_before_it_sends_is_the_end() {
    alone_with_peer(
        |start| {
            let (socket, peer) = with_peer(SocketType::Stream, start);
            assert!(next(&socket).unwrap().is_none());
            wait_for_the_end(peer);
        },
        drop,
    );
}

fn leaves_whole_messages(kind: SocketType, start: &dyn Fn(OwnedFd) -> Child) {
    let (socket, mut peer) = with_peer(kind, start);
    for _ in 0..20 {
        let received = next(&socket).unwrap().unwrap();
        assert_numbered(received.fds, 0, 3);
    }
    peer.kill().unwrap();
    peer.wait().unwrap();
    while let Some(received) = next(&socket).unwrap() {
        assert_eq!(received.bytes, 13);
        assert_numbered(received.fds, 0, 3);
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "a peer owns the socket it is given"
)]
fn send_for_ever(socket: OwnedFd) {
    loop {
        send_files(&socket, 3);
    }
}

#[test]
fn a_sender_that_is_killed_leaves_whole_messages_only_on_a_stream() {
    alone_with_peer(
        |start| leaves_whole_messages(SocketType::Stream, start),
        send_for_ever,
    );
}

#[cfg(all(target_os = "linux", not(fdpass_portable)))]
#[test]
fn a_sender_that_is_killed_leaves_whole_messages_only_of_a_seqpacket() {
    alone_with_peer(
        |start| leaves_whole_messages(SocketType::SeqPacket, start),
        send_for_ever,
    );
}

#[test]
fn a_receiver_that_is_killed_closes_what_it_never_took() {
    alone_with_peer(
        |start| {
            let (socket, mut peer) = with_peer(SocketType::Stream, start);
            let (reader, writer) = nix::unistd::pipe().unwrap();
            let end = Socket::check(socket.as_fd()).unwrap();
            message::send(end, b"x", &[writer.as_fd()], Wait::AsDescriptor).unwrap();
            drop(writer);
            // The peer has started, and never receives.
            assert_eq!(next(&socket).unwrap().unwrap().bytes, 13);
            peer.kill().unwrap();
            peer.wait().unwrap();
            assert_eq!(descriptor::read(reader.as_fd(), &mut [0; 1]).unwrap(), 0);
            let error = message::send(end, b"x", &[reader.as_fd()], Wait::AsDescriptor);
            let code = error.unwrap_err().code();
            assert!(code == "EPIPE" || code == "ECONNRESET", "{code}");
        },
        greet_and_never_receive,
    );
}

fn greet_and_never_receive(socket: OwnedFd) {
    send_files(&socket, 0);
    // Until it is killed: nobody ever writes to this pair.
    let pair = pair(SocketType::Stream);
    let _ = descriptor::read(pair.left.as_fd(), &mut [0; 1]);
    drop(socket);
}

/// Sends until the kernel has it wait, and is told there that the receiver is no more.
#[cfg(target_os = "linux")]
fn is_told_while_it_waits(kind: SocketType, start: &dyn Fn(OwnedFd) -> Child) {
    let (socket, mut peer) = with_peer(kind, start);
    let end = Socket::check(socket.as_fd()).unwrap();
    let files = numbered_files(3);
    // The peer has started, and never receives.
    assert_eq!(next(&socket).unwrap().unwrap().bytes, 13);
    let error = thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        let files = &files;
        let sender = scope.spawn(move || {
            tell.send(this_thread()).unwrap();
            send_until_refused(end, files)
        });
        let thread = told.recv().unwrap();
        while !sender.is_finished() && !sleeps(thread) {
            thread::yield_now();
        }
        assert!(!sender.is_finished(), "the queue has no end");
        peer.kill().unwrap();
        peer.wait().unwrap();
        sender.join().unwrap()
    });
    let code = error.code();
    assert!(
        ["EPIPE", "ECONNRESET", "ECONNREFUSED"].contains(&code),
        "{code}"
    );
    assert!(files.iter().all(|file| file.metadata().is_ok()));
}

#[cfg(target_os = "linux")]
fn send_until_refused(end: Socket<'_>, files: &[File]) -> fdpass::Error {
    loop {
        let sent = message::send(end, &[0; 1000], &borrow(files), Wait::AsDescriptor);
        if let Err(error) = sent {
            return error;
        }
    }
}

#[cfg(target_os = "linux")]
fn this_thread() -> nix::unistd::Pid {
    nix::unistd::gettid()
}

/// Whether a thread waits in the kernel.
#[cfg(target_os = "linux")]
fn sleeps(thread: nix::unistd::Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/self/task/{thread}/status")).unwrap();
    status.contains("State:\tS")
}

#[cfg(target_os = "linux")]
#[test]
fn a_sender_that_waits_for_a_receiver_that_is_killed_is_told_on_a_stream() {
    alone_with_peer(
        |start| is_told_while_it_waits(SocketType::Stream, start),
        greet_and_never_receive,
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_sender_that_waits_for_a_receiver_that_is_killed_is_told_of_a_datagram() {
    alone_with_peer(
        |start| is_told_while_it_waits(SocketType::Datagram, start),
        greet_and_never_receive,
    );
}

#[cfg(all(target_os = "linux", not(fdpass_portable)))]
#[test]
fn a_sender_that_waits_for_a_receiver_that_is_killed_is_told_of_a_seqpacket() {
    alone_with_peer(
        |start| is_told_while_it_waits(SocketType::SeqPacket, start),
        greet_and_never_receive,
    );
}

/// The Rust runtime ignores SIGPIPE, so that it would hide one: as in a C program, it ends this process.
fn let_sigpipe_kill() {
    use nix::sys::signal::{SigHandler, Signal, signal};

    // SAFETY: no handler of this program runs, the default action is the kernel's.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }.unwrap();
}

for_each_type! { fn sending_to_a_closed_peer_is_an_error_without_a_signal(kind) {
    let_sigpipe_kill();
    let pair = pair(kind);
    drop(pair.right);
    let socket = Socket::check(pair.left.as_fd()).unwrap();
    let error = send(socket, b"x", &numbered_files(2)).unwrap_err();
    let expected = match kind {
        SocketType::Datagram => "ECONNREFUSED",
        _ => "EPIPE",
    };
    // macOS tells ECONNRESET of a datagram socket.
    let code = error.code();
    assert!(code == expected || cfg!(target_vendor = "apple") && code == "ECONNRESET", "{code}");
} }

for_each_type! { fn what_was_sent_before_the_peer_closed_is_received(kind) {
    let pair = pair(kind);
    send(pair.left(), b"last", &numbered_files(2)).unwrap();
    drop(pair.left);
    let socket = Socket::check(pair.right.as_fd()).unwrap();
    let received = receive(socket, &mut [0; 8], 2).unwrap().unwrap();
    assert_numbered(received.fds, 0, 2);
    match kind {
        SocketType::Datagram => assert!(receive(socket, &mut [0; 8], 2).unwrap_err().is_would_block()),
        _ => assert!(receive(socket, &mut [0; 8], 2).unwrap().is_none()),
    }
} }

#[test]
fn a_peer_that_closes_with_bytes_unread_resets_behind_what_it_had_sent() {
    alone(|| {
        let pair = pair(SocketType::Stream);
        send(pair.left(), b"unread", &[] as &[OwnedFd]).unwrap();
        send(pair.right(), b"answer", &numbered_files(1)).unwrap();
        drop(pair.right);
        let socket = Socket::check(pair.left.as_fd()).unwrap();
        let received = receive(socket, &mut [0; 8], 1).unwrap().unwrap();
        assert_numbered(received.fds, 0, 1);
        // Linux tells the reset once, behind the data; macOS does not.
        if cfg!(target_os = "linux") {
            let error = receive(socket, &mut [0; 8], 1).unwrap_err();
            assert_eq!(
                (error.code(), error.syscall()),
                ("ECONNRESET", Some("recvmsg"))
            );
        }
        assert!(receive(socket, &mut [0; 8], 1).unwrap().is_none());
    });
}

#[test]
fn a_message_half_read_when_its_sender_dies_is_read_to_its_end() {
    alone(|| {
        let pair = pair(SocketType::Stream);
        send(pair.left(), b"0123456789", &numbered_files(1)).unwrap();
        let first = receive(pair.right(), &mut [0; 4], 1).unwrap().unwrap();
        drop(pair.left);
        assert_numbered(first.fds, 0, 1);
        let socket = Socket::check(pair.right.as_fd()).unwrap();
        assert_eq!(receive(socket, &mut [0; 64], 1).unwrap().unwrap().bytes, 6);
        assert!(receive(socket, &mut [0; 64], 1).unwrap().is_none());
    });
}
