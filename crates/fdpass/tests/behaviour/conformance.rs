//! The cases of `CPython`'s `SCMRightsTest`, in its order, for every type of socket.
//!
//! This library never offers a small control buffer, so the cases that need one receive through `util::raw_receive` and
//! give what the real kernel wrote there to the decoder.

use fdpass::ancillary::CMSG_NATIVE;
use fdpass::socket::SocketType;

use crate::util::{
    Raw, assert_numbered, control_message, for_each_type, numbered_files, own_all, pair,
    raw_receive, raw_send, receive, send,
};

const INT: usize = 4;
/// A number that nobody has: if it were decoded, the test would close it and fail.
const BAD: i32 = -0x5555;

fn pass(kind: SocketType, count: usize) {
    let pair = pair(kind);
    send(pair.left(), b"MSG", &numbered_files(count)).unwrap();
    let mut buffer = [0; 64];
    let received = receive(pair.right(), &mut buffer, count).unwrap().unwrap();
    assert_eq!(&buffer[..received.bytes], b"MSG");
    assert!(received.truncation.is_none());
    assert_numbered(received.fds, 0, count);
}

for_each_type! { fn case_01_one_descriptor_passes(kind) { pass(kind, 1); } }
for_each_type! { fn case_02_several_descriptors_pass(kind) { pass(kind, 4); } }

/// Sends `count` files and receives them with room for `room` bytes of control data.
fn into_room(kind: SocketType, count: usize, room: usize) -> Raw {
    let pair = pair(kind);
    send(pair.left(), b"MSG", &numbered_files(count)).unwrap();
    let raw = raw_receive(&pair.right, room, cloexec()).unwrap();
    assert_eq!(raw.bytes, 3);
    raw
}

/// Received descriptors must be close-on-exec for `assert_numbered`; macOS has no flag for it.
fn cloexec() -> i32 {
    #[cfg(target_os = "linux")]
    return libc::MSG_CMSG_CLOEXEC;
    #[cfg(not(target_os = "linux"))]
    return 0;
}

for_each_type! { fn case_03_room_of_exactly_the_space_is_enough(kind) {
    let raw = into_room(kind, 4, CMSG_NATIVE.space(4 * INT));
    assert!(!raw.control_truncated());
    assert_numbered(own_all(&raw.control), 0, 4);
} }

for_each_type! { fn case_04_room_of_exactly_the_length_is_enough(kind) {
    // The padding does not fit. Some kernels report that as a truncation, which it is not.
    let raw = into_room(kind, 1, CMSG_NATIVE.length(INT));
    assert_numbered(own_all(&raw.control), 0, 1);
} }

/// Two control messages in one send: XNU takes one only (EINVAL), so `CPython` skips these there, and so do we.
#[cfg(target_os = "linux")]
fn separate(kind: SocketType, room: usize) {
    use std::os::fd::AsRawFd;

    let pair = pair(kind);
    let files = numbered_files(2);
    let control = files
        .iter()
        .flat_map(|file| control_message(&file.as_raw_fd().to_ne_bytes()))
        .collect::<Vec<_>>();
    raw_send(&pair.left, b"MSG", &control).unwrap();
    let raw = raw_receive(&pair.right, room, cloexec()).unwrap();
    assert!(!raw.control_truncated());
    assert_numbered(own_all(&raw.control), 0, 2);
}

#[cfg(target_os = "linux")]
for_each_type! { fn case_05_two_arrays_in_one_send_pass(kind) { separate(kind, 10240); } }

#[cfg(target_os = "linux")]
for_each_type! { fn case_06_two_arrays_pass_into_the_least_room(kind) {
    separate(kind, CMSG_NATIVE.space(INT) + CMSG_NATIVE.length(INT));
} }

for_each_type! { fn case_07_an_empty_array_brings_no_descriptor(kind) {
    let pair = pair(kind);
    raw_send(&pair.left, b"MSG", &control_message(&[])).unwrap();
    let received = receive(pair.right(), &mut [0; 64], 4).unwrap().unwrap();
    assert_eq!((received.bytes, received.fds.len()), (3, 0));
} }

for_each_type! { fn case_08_a_cut_integer_brings_no_descriptor(kind) {
    let pair = pair(kind);
    let control = control_message(&BAD.to_ne_bytes()[..INT - 1]);
    // macOS refuses it (EINVAL), then nothing comes.
    if raw_send(&pair.left, b"MSG", &control).is_ok() {
        let received = receive(pair.right(), &mut [0; 64], 4).unwrap().unwrap();
        assert_eq!((received.bytes, received.fds.len()), (3, 0));
    }
} }

#[cfg(target_os = "linux")]
for_each_type! { fn case_09_a_cut_integer_in_the_middle_is_passed_over(kind) {
    use std::os::fd::AsRawFd;

    let pair = pair(kind);
    let files = numbered_files(2);
    let mut first = files[0].as_raw_fd().to_ne_bytes().to_vec();
    first.extend(&BAD.to_ne_bytes()[..INT - 1]);
    let mut control = control_message(&first);
    control.extend(control_message(&files[1].as_raw_fd().to_ne_bytes()));
    raw_send(&pair.left, b"MSG", &control).unwrap();
    let received = receive(pair.right(), &mut [0; 64], 4).unwrap().unwrap();
    assert_numbered(received.fds, 0, 2);
} }

/// Room for no whole header: nothing is decoded, nothing installed, and the kernel says that something is missing.
fn nothing_fits(kind: SocketType, room: usize) {
    let raw = into_room(kind, 2, room);
    assert!(own_all(&raw.control).is_empty());
    if room > 0 || cfg!(target_os = "linux") {
        assert!(raw.control_truncated());
    }
}

for_each_type! { fn case_10_no_control_buffer_brings_none(kind) { nothing_fits(kind, 0); } }
for_each_type! { fn case_11_one_byte_of_control_data_brings_none(kind) { nothing_fits(kind, 1); } }
for_each_type! { fn case_12_one_integer_of_control_data_brings_none(kind) { nothing_fits(kind, INT); } }
for_each_type! { fn case_13_two_integers_of_control_data_bring_none(kind) { nothing_fits(kind, 2 * INT); } }
for_each_type! { fn case_14_a_cut_header_brings_none(kind) { nothing_fits(kind, CMSG_NATIVE.length(0) - 1); } }

/// The array is cut: whole and valid descriptors only, from the first on. Linux gives as many as fit; others may give
/// fewer.
fn array_is_cut(kind: SocketType, room: usize, fit: usize) {
    let raw = into_room(kind, 2, room);
    assert!(raw.control_truncated());
    let fds = own_all(&raw.control);
    let count = fds.len();
    if cfg!(target_os = "linux") {
        assert_eq!(count, fit);
    } else {
        assert!(count <= fit, "{count} descriptors in room for {fit}");
    }
    assert_numbered(fds, 0, count);
}

for_each_type! { fn case_15_a_bare_header_brings_none(kind) { array_is_cut(kind, CMSG_NATIVE.length(0), 0); } }
for_each_type! { fn case_16_a_byte_after_the_header_brings_none(kind) { array_is_cut(kind, CMSG_NATIVE.length(0) + 1, 0); } }
for_each_type! { fn case_17_room_for_one_of_two_brings_one(kind) { array_is_cut(kind, CMSG_NATIVE.length(INT), 1); } }
for_each_type! { fn case_18_a_byte_short_of_two_brings_one(kind) { array_is_cut(kind, CMSG_NATIVE.length(2 * INT) - 1, 1); } }
