//! What is lost is said, and what came with it is closed or handed over, as the caller chose.

use std::os::fd::OwnedFd;

use fdpass::error::{Error, LossCause, Truncation};
use fdpass::socket::SocketType;

use crate::util::{
    alone, assert_numbered, for_each_type, limit_descriptors, numbered_files, pair, receive,
    receive_partial, send,
};

/// What a system delivers of five descriptors when `free` numbers are free: those that fit, or none (macOS).
fn delivered(free: usize) -> usize {
    if cfg!(all(target_os = "linux", not(fdpass_portable))) {
        free
    } else {
        0
    }
}

fn truncation(error: Error) -> Truncation {
    match error {
        Error::Truncated { truncation, .. } => truncation,
        other => panic!("{other:?}"),
    }
}

/// Sends five descriptors to itself with `free` numbers free, then a message without any, which must be untouched.
fn at_the_limit(kind: SocketType, free: usize, partial: bool) {
    let pair = pair(kind);
    send(pair.left(), b"five", &numbered_files(5)).unwrap();
    send(pair.left(), b"next", &[] as &[OwnedFd]).unwrap();
    limit_descriptors(free);
    let mut buffer = [0; 4];
    let lost = if partial {
        let received = receive_partial(pair.right(), &mut buffer, 5)
            .unwrap()
            .unwrap();
        assert_eq!(received.bytes, 4);
        assert_numbered(received.fds, 0, delivered(free));
        received.truncation
    } else {
        let error = receive(pair.right(), &mut buffer, 5).unwrap_err();
        assert_eq!(error.code(), "ERR_FDPASS_TRUNCATED");
        assert!(error.to_string().contains("RLIMIT_NOFILE"));
        assert!(matches!(error, Error::Truncated { bytes: 4, .. }));
        truncation(error)
    };
    assert_eq!(&buffer, b"five");
    assert_eq!(lost.descriptors, Some(LossCause::DescriptorLimit));
    assert_eq!(
        (lost.data, lost.arrived, lost.sent),
        (false, delivered(free), None)
    );
    let next = receive(pair.right(), &mut buffer, 5).unwrap().unwrap();
    assert_eq!((next.bytes, next.fds.len(), &buffer), (4, 0, b"next"));
}

for_each_type! { fn no_free_slot_is_an_error_and_the_bytes_stay(kind) { at_the_limit(kind, 0, false); } }
for_each_type! { fn two_free_slots_are_an_error_and_both_are_free_again(kind) { at_the_limit(kind, 2, false); } }
for_each_type! { fn four_free_slots_are_an_error_and_all_are_free_again(kind) { at_the_limit(kind, 4, false); } }
for_each_type! { fn no_free_slot_gives_the_bytes_when_asked_for_what_came(kind) { at_the_limit(kind, 0, true); } }
for_each_type! { fn two_free_slots_give_two_when_asked_for_what_came(kind) { at_the_limit(kind, 2, true); } }

for_each_type! { fn as_many_free_slots_as_descriptors_are_enough(kind) {
    let pair = pair(kind);
    send(pair.left(), b"x", &numbered_files(5)).unwrap();
    limit_descriptors(5);
    let received = receive(pair.right(), &mut [0; 1], 5).unwrap().unwrap();
    assert_numbered(received.fds, 0, 5);
} }

for_each_type! { fn a_message_after_a_truncated_one_keeps_its_own_descriptors(kind) {
    let pair = pair(kind);
    send(pair.left(), b"x", &numbered_files(5)).unwrap();
    send(pair.left(), b"x", &numbered_files(2)).unwrap();
    limit_descriptors(2);
    truncation(receive(pair.right(), &mut [0; 1], 5).unwrap_err());
    let received = receive(pair.right(), &mut [0; 1], 5).unwrap().unwrap();
    assert_numbered(received.fds, 0, 2);
} }

for_each_type! { fn a_surplus_is_an_error_that_knows_what_was_sent(kind) {
    let pair = pair(kind);
    send(pair.left(), b"x", &numbered_files(3)).unwrap();
    let lost = truncation(receive(pair.right(), &mut [0; 1], 2).unwrap_err());
    assert_eq!(lost.descriptors, Some(LossCause::Surplus));
    assert_eq!((lost.arrived, lost.sent), (3, Some(3)));
} }

for_each_type! { fn a_surplus_is_closed_when_asked_for_what_came(kind) {
    let pair = pair(kind);
    send(pair.left(), b"x", &numbered_files(3)).unwrap();
    let received = receive_partial(pair.right(), &mut [0; 1], 2).unwrap().unwrap();
    assert_eq!(received.truncation.descriptors, Some(LossCause::Surplus));
    assert_eq!(received.truncation.sent, Some(3));
    assert_numbered(received.fds, 0, 2);
} }

for_each_type! { fn descriptors_that_nobody_asked_for_are_closed(kind) {
    let pair = pair(kind);
    send(pair.left(), b"x", &numbered_files(253)).unwrap();
    let received = receive_partial(pair.right(), &mut [0; 1], 0).unwrap().unwrap();
    assert_eq!((received.fds.len(), received.truncation.sent), (0, Some(253)));
} }

for_each_type! { fn a_datagram_longer_than_the_buffer_is_said_to_be_cut(kind) {
    if kind == SocketType::Stream {
        return; // a stream has no messages to cut
    }
    let pair = pair(kind);
    send(pair.left(), b"0123456789", &numbered_files(1)).unwrap();
    let mut buffer = [0; 4];
    let error = receive(pair.right(), &mut buffer, 1).unwrap_err();
    assert!(error.to_string().contains("larger buffer"));
    assert_eq!(&buffer, b"0123");
    let lost = truncation(error);
    assert!(lost.data && lost.descriptors.is_none());
    assert_eq!((lost.arrived, lost.sent), (1, Some(1)));
    // Its rest is gone: the next message is the next one.
    assert!(receive(pair.right(), &mut buffer, 1).unwrap_err().is_would_block());
} }

for_each_type! { fn a_cut_datagram_gives_its_descriptors_when_asked_for_what_came(kind) {
    if kind == SocketType::Stream {
        return; // a stream has no messages to cut
    }
    let pair = pair(kind);
    send(pair.left(), b"0123456789", &numbered_files(2)).unwrap();
    let received = receive_partial(pair.right(), &mut [0; 4], 2).unwrap().unwrap();
    assert!(received.truncation.data);
    assert_numbered(received.fds, 0, 2);
} }

#[test]
fn a_long_message_on_a_stream_is_not_truncated_but_read_on() {
    alone(|| {
        let pair = pair(SocketType::Stream);
        send(pair.left(), b"0123456789", &numbered_files(1)).unwrap();
        let first = receive(pair.right(), &mut [0; 4], 1).unwrap().unwrap();
        assert!(first.truncation.is_none());
        assert_numbered(first.fds, 0, 1);
        let rest = receive(pair.right(), &mut [0; 64], 1).unwrap().unwrap();
        assert_eq!(rest.bytes, 6);
    });
}

for_each_type! { fn the_bare_receive_tells_the_loss_and_judges_nothing(kind) {
    let pair = pair(kind);
    send(pair.left(), b"x", &numbered_files(5)).unwrap();
    let mut fds = Vec::with_capacity(8);
    limit_descriptors(3);
    let mut arrival = fdpass::message::Arrival::default();
    let came = fdpass::message::receive_into(
        pair.right(), &mut [0; 1], &mut fds, &mut arrival, fdpass::message::Wait::Never,
    );
    assert!(came.unwrap());
    assert!(arrival.control_truncated);
    assert_numbered(fds, 0, delivered(3));
} }
