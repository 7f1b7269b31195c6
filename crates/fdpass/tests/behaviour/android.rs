//! The cases of Android's `cmsg_test`, for the types of sockets that have a connection.

use std::fs::File;
use std::os::fd::AsFd;

use fdpass::descriptor;
use fdpass::error::{Error, LossCause};

use crate::util::{assert_numbered, for_each_type, numbered_files, pair, receive, same_file, send};
#[cfg(target_os = "linux")]
use crate::util::{own_all, raw_receive};

for_each_type! { fn the_file_that_arrives_is_the_one_that_was_sent(kind) {
    let pair = pair(kind);
    let file = numbered_files(1).remove(0);
    send(pair.left(), b"x", &[&file]).unwrap();
    let received = receive(pair.right(), &mut [0; 1], 1).unwrap().unwrap();
    assert!(same_file(&file, &received.fds[0]));
} }

for_each_type! { fn a_message_longer_than_the_buffer_keeps_no_descriptor(kind) {
    if kind == fdpass::socket::SocketType::Stream {
        return; // a stream has no messages to cut: its rest is read next
    }
    let pair = pair(kind);
    send(pair.left(), b"foobar", &numbered_files(1)).unwrap();
    let error = receive(pair.right(), &mut [0; 3], 1).unwrap_err();
    assert!(matches!(error, Error::Truncated { bytes: 3, truncation } if truncation.data));
} }

for_each_type! { fn more_descriptors_than_expected_are_an_error_and_none_is_kept(kind) {
    let pair = pair(kind);
    send(pair.left(), b"x", &numbered_files(2)).unwrap();
    let error = receive(pair.right(), &mut [0; 1], 1).unwrap_err();
    let Error::Truncated { truncation, .. } = error else { panic!("{error:?}") };
    assert_eq!(truncation.descriptors, Some(LossCause::Surplus));
    assert_eq!((truncation.arrived, truncation.sent), (2, Some(2)));
} }

// A peek installs copies on Linux and zeros on macOS, which is why the library never peeks.
#[cfg(target_os = "linux")]
for_each_type! { fn a_peek_by_someone_else_leaves_the_message_whole(kind) {
    let pair = pair(kind);
    send(pair.left(), b"x", &numbered_files(1)).unwrap();
    let peeked = raw_receive(&pair.right, 128, libc::MSG_PEEK | libc::MSG_CMSG_CLOEXEC).unwrap();
    assert_numbered(own_all(&peeked.control), 0, 1);
    let received = receive(pair.right(), &mut [0; 1], 1).unwrap().unwrap();
    assert_numbered(received.fds, 0, 1);
} }

#[test]
fn a_plain_read_of_the_byte_that_carries_descriptors_loses_them() {
    crate::util::alone(|| {
        let pair = pair(fdpass::socket::SocketType::Stream);
        send(pair.left(), b"ab", &numbered_files(1)).unwrap();
        let mut first = [0; 1];
        descriptor::read(pair.right.as_fd(), &mut first).unwrap();
        let received = receive(pair.right(), &mut [0; 1], 1).unwrap().unwrap();
        assert_eq!((received.bytes, received.fds.len()), (1, 0));
    });
}

for_each_type! { fn several_descriptors_keep_their_order(kind) {
    let pair = pair(kind);
    let mut files = numbered_files(9);
    files.reverse();
    send(pair.left(), b"x", &files).unwrap();
    let mut received = receive(pair.right(), &mut [0; 1], 9).unwrap().unwrap();
    received.fds.reverse();
    assert_numbered(received.fds, 0, 9);
} }

for_each_type! { fn descriptors_of_separate_messages_keep_their_order(kind) {
    let pair = pair(kind);
    for file in numbered_files(3) {
        send(pair.left(), b"x", &[file]).unwrap();
    }
    for index in 0..3 {
        let received = receive(pair.right(), &mut [0; 1], 1).unwrap().unwrap();
        assert_numbered(received.fds, index, 1);
    }
} }

for_each_type! { fn descriptors_of_separate_messages_are_never_put_together(kind) {
    let pair = pair(kind);
    let files: Vec<File> = numbered_files(2);
    for file in &files {
        send(pair.left(), b"x", &[file]).unwrap();
    }
    // Room for both bytes: a stream would give them together if they carried nothing.
    for index in 0..2 {
        let received = receive(pair.right(), &mut [0; 2], 2).unwrap().unwrap();
        assert_eq!(received.bytes, 1);
        assert_numbered(received.fds, index, 1);
    }
} }
