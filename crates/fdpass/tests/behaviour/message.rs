//! One call, one message: how many descriptors, with which bytes, what is shared.

use std::fs::File;
use std::io::{IoSlice, Seek, SeekFrom};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};

use fdpass::descriptor;
use fdpass::limits::MAX_FDS_PER_SEND;
use fdpass::message::{self, Arrival, Wait};
use fdpass::socket::{self, SocketType};

use crate::util::{
    alone, assert_cloexec, assert_numbered, borrow, for_each_type, numbered_files, pair, receive,
    send,
};

fn crosses(kind: SocketType, count: usize) {
    let pair = pair(kind);
    assert_eq!(
        send(pair.left(), b"data", &numbered_files(count)).unwrap(),
        4
    );
    let mut buffer = [0; 64];
    let received = receive(pair.right(), &mut buffer, count).unwrap().unwrap();
    assert_eq!(&buffer[..received.bytes], b"data");
    assert!(received.truncation.is_none());
    assert_numbered(received.fds, 0, count);
}

for_each_type! { fn bytes_alone_cross(kind) { crosses(kind, 0); } }
for_each_type! { fn one_descriptor_crosses(kind) { crosses(kind, 1); } }
for_each_type! { fn two_descriptors_cross(kind) { crosses(kind, 2); } }
// An odd number of descriptors leaves padding behind the array.
for_each_type! { fn ninety_nine_descriptors_cross(kind) { crosses(kind, 99); } }
for_each_type! { fn two_hundred_and_fifty_two_descriptors_cross(kind) { crosses(kind, 252); } }
for_each_type! { fn two_hundred_and_fifty_three_descriptors_cross(kind) { crosses(kind, MAX_FDS_PER_SEND); } }

for_each_type! { fn one_descriptor_more_than_the_limit_is_refused_and_nothing_is_sent(kind) {
    let pair = pair(kind);
    let file = File::open("/dev/null").unwrap();
    let fds = vec![file.as_fd(); MAX_FDS_PER_SEND + 1];
    let error = message::send(pair.left(), b"x", &fds, Wait::Never).unwrap_err();
    assert_eq!(error.code(), "ERR_FDPASS_TOO_MANY_FDS");
    assert!(error.to_string().contains("254") && error.to_string().contains("253"));
    assert!(receive(pair.right(), &mut [0; 1], 1).unwrap_err().is_would_block());
} }

for_each_type! { fn the_same_descriptor_twice_arrives_as_two(kind) {
    let pair = pair(kind);
    let file = numbered_files(1).remove(0);
    send(pair.left(), b"x", &[&file, &file]).unwrap();
    let received = receive(pair.right(), &mut [0; 1], 2).unwrap().unwrap();
    for fd in received.fds {
        assert_numbered([fd], 0, 1);
    }
} }

for_each_type! { fn several_parts_go_as_one_message(kind) {
    let pair = pair(kind);
    let files = numbered_files(2);
    let parts = [IoSlice::new(b"he"), IoSlice::new(b""), IoSlice::new(b"ad+body")];
    let sent = message::send_vectored(pair.left(), &parts, &borrow(&files), Wait::Never).unwrap();
    assert_eq!(sent, 9);
    let mut buffer = [0; 64];
    let received = receive(pair.right(), &mut buffer, 2).unwrap().unwrap();
    assert_eq!(&buffer[..received.bytes], b"head+body");
    assert_numbered(received.fds, 0, 2);
} }

for_each_type! { fn the_sender_keeps_its_descriptors_and_may_close_them_at_once(kind) {
    let pair = pair(kind);
    let files = numbered_files(2);
    send(pair.left(), b"x", &files).unwrap();
    assert!(files.iter().all(|file| file.metadata().is_ok()));
    drop(files);
    let received = receive(pair.right(), &mut [0; 1], 2).unwrap().unwrap();
    assert_numbered(received.fds, 0, 2);
} }

for_each_type! { fn offset_and_flags_are_shared_with_the_sender(kind) {
    let pair = pair(kind);
    let mut file = numbered_files(1).remove(0);
    send(pair.left(), b"x", &[&file]).unwrap();
    let mut received = receive(pair.right(), &mut [0; 1], 1).unwrap().unwrap();
    let theirs = received.fds.remove(0);
    file.seek(SeekFrom::Start(77)).unwrap();
    assert_eq!(File::from(theirs.try_clone().unwrap()).stream_position().unwrap(), 77);
    descriptor::set_nonblocking(file.as_fd(), true).unwrap();
    assert!(descriptor::is_nonblocking(theirs.as_fd()).unwrap());
} }

for_each_type! { fn a_socket_may_be_sent_through_itself(kind) {
    let pair = pair(kind);
    send(pair.left(), b"self", &[&pair.left, &pair.right]).unwrap();
    let mut received = receive(pair.right(), &mut [0; 64], 2).unwrap().unwrap();
    let again = received.fds.remove(0);
    assert_cloexec(&again);
    // The copy leads to the same socket.
    let again = socket::Socket::check(again.as_fd()).unwrap();
    send(again, b"back", &[] as &[OwnedFd]).unwrap();
    assert_eq!(receive(pair.right(), &mut [0; 64], 0).unwrap().unwrap().bytes, 4);
} }

for_each_type! { fn a_socket_in_flight_through_itself_is_collected_when_everybody_closes_it(kind) {
    let pair = pair(kind);
    send(pair.left(), b"x", &[&pair.left, &pair.right]).unwrap();
} }

#[test]
fn a_stream_is_read_up_to_the_end_of_the_bytes_that_carry_descriptors() {
    alone(|| {
        let pair = pair(SocketType::Stream);
        let none: [OwnedFd; 0] = [];
        send(pair.left(), b"AA", &none).unwrap();
        send(pair.left(), b"BB", &numbered_files(1)).unwrap();
        send(pair.left(), b"CC", &none).unwrap();
        send(pair.left(), b"DD", &none).unwrap();
        let mut buffer = [0; 64];
        let first = receive(pair.right(), &mut buffer, 1).unwrap().unwrap();
        assert_eq!(&buffer[..first.bytes], b"AABB");
        assert_numbered(first.fds, 0, 1);
        let second = receive(pair.right(), &mut buffer, 1).unwrap().unwrap();
        assert_eq!(&buffer[..second.bytes], b"CCDD");
    });
}

#[test]
fn a_message_read_in_pieces_gives_its_descriptors_once_with_the_first() {
    alone(|| {
        let pair = pair(SocketType::Stream);
        send(pair.left(), b"abcdef", &numbered_files(2)).unwrap();
        let first = receive(pair.right(), &mut [0; 2], 2).unwrap().unwrap();
        assert_numbered(first.fds, 0, 2);
        for _ in 0..2 {
            let next = receive(pair.right(), &mut [0; 2], 2).unwrap().unwrap();
            assert_eq!((next.bytes, next.fds.len()), (2, 0));
        }
    });
}

#[test]
fn a_send_that_is_taken_in_part_has_sent_its_descriptors() {
    alone(|| {
        let pair = pair(SocketType::Stream);
        let data = vec![7u8; 4 << 20];
        let sent = send(pair.left(), &data, &numbered_files(2)).unwrap();
        assert!(sent > 0 && sent < data.len());
        let mut buffer = vec![0u8; data.len()];
        let mut got = receive(pair.right(), &mut buffer, 2).unwrap().unwrap();
        assert_numbered(std::mem::take(&mut got.fds), 0, 2);
        let mut total = got.bytes;
        while total < sent {
            let next = receive(pair.right(), &mut buffer, 2).unwrap().unwrap();
            assert_eq!(next.fds.len(), 0);
            total += next.bytes;
        }
        assert_eq!(total, sent);
    });
}

for_each_type! { fn a_full_queue_refuses_the_message_and_keeps_nothing_of_it(kind) {
    let pair = pair(kind);
    let files = numbered_files(1);
    let mut sent = 0;
    let error = loop {
        match send(pair.left(), b"x", &files) {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
    };
    // macOS says ENOBUFS on a full datagram socket; on a stream EMSGSIZE, as the portable profile does.
    if cfg!(fdpass_portable) && kind == SocketType::Stream {
        assert_eq!(error.code(), "EMSGSIZE");
    } else {
        let codes = ["EAGAIN", "ENOBUFS", "EMSGSIZE"];
        assert!(codes.contains(&error.code()), "{error:?}");
    }
    assert_eq!(error.syscall(), Some("sendmsg"));
    for _ in 0..sent {
        let received = receive(pair.right(), &mut [0; 1], 1).unwrap().unwrap();
        assert_numbered(received.fds, 0, 1);
    }
    assert!(receive(pair.right(), &mut [0; 1], 1).unwrap_err().is_would_block());
} }

#[test]
fn zero_bytes_with_descriptors_are_refused_on_a_stream() {
    alone(|| {
        let pair = pair(SocketType::Stream);
        let error = send(pair.left(), b"", &numbered_files(1)).unwrap_err();
        assert_eq!(error.code(), "ERR_FDPASS_EMPTY_PAYLOAD");
        let parts = [IoSlice::new(b""), IoSlice::new(b"")];
        let files = numbered_files(1);
        let error = message::send_vectored(pair.left(), &parts, &borrow(&files), Wait::Never);
        assert_eq!(error.unwrap_err().code(), "ERR_FDPASS_EMPTY_PAYLOAD");
        assert!(
            receive(pair.right(), &mut [0; 1], 1)
                .unwrap_err()
                .is_would_block()
        );
    });
}

#[test]
fn zero_bytes_alone_are_nothing_on_a_stream() {
    alone(|| {
        let pair = pair(SocketType::Stream);
        assert_eq!(send(pair.left(), b"", &[] as &[OwnedFd]).unwrap(), 0);
        assert!(
            receive(pair.right(), &mut [0; 1], 1)
                .unwrap_err()
                .is_would_block()
        );
    });
}

for_each_type! { fn zero_bytes_with_descriptors_are_a_message_where_there_are_messages(kind) {
    if kind == SocketType::Stream {
        return; // refused there: zero_bytes_with_descriptors_are_refused_on_a_stream
    }
    let pair = pair(kind);
    assert_eq!(send(pair.left(), b"", &numbered_files(2)).unwrap(), 0);
    let received = receive(pair.right(), &mut [0; 8], 2).unwrap().unwrap();
    assert_eq!(received.bytes, 0);
    assert_numbered(received.fds, 0, 2);
} }

#[test]
fn an_empty_datagram_is_a_message_and_no_end() {
    alone(|| {
        let pair = pair(SocketType::Datagram);
        send(pair.left(), b"", &[] as &[OwnedFd]).unwrap();
        let received = receive(pair.right(), &mut [0; 8], 2).unwrap().unwrap();
        assert_eq!((received.bytes, received.fds.len()), (0, 0));
    });
}

#[cfg(all(target_os = "linux", not(fdpass_portable)))]
#[test]
fn an_empty_seqpacket_message_looks_like_the_end() {
    alone(|| {
        let pair = pair(SocketType::SeqPacket);
        send(pair.left(), b"", &[] as &[OwnedFd]).unwrap();
        assert!(receive(pair.right(), &mut [0; 8], 2).unwrap().is_none());
        assert!(
            receive(pair.right(), &mut [0; 8], 2)
                .unwrap_err()
                .is_would_block()
        );
    });
}

for_each_type! { fn an_empty_buffer_takes_the_descriptors(kind) {
    let pair = pair(kind);
    send(pair.left(), b"x", &numbered_files(1)).unwrap();
    let received = crate::util::receive_partial(pair.right(), &mut [], 1).unwrap().unwrap();
    assert_eq!(received.bytes, 0);
    assert_eq!(received.truncation.data, kind != SocketType::Stream);
    assert_numbered(received.fds, 0, 1);
} }

for_each_type! { fn what_is_received_and_not_taken_is_closed(kind) {
    let pair = pair(kind);
    send(pair.left(), b"x", &numbered_files(5)).unwrap();
    let mut received = receive(pair.right(), &mut [0; 1], 5).unwrap().unwrap();
    assert_numbered([received.fds.remove(0)], 0, 1);
} }

for_each_type! { fn what_is_never_received_is_closed_with_the_socket(kind) {
    let pair = pair(kind);
    let (reader, writer) = nix::unistd::pipe().unwrap();
    send(pair.left(), b"x", &[writer]).unwrap();
    drop(pair);
    // The end of the pipe: its only writer was in flight.
    assert_eq!(descriptor::read(reader.as_fd(), &mut [0; 1]).unwrap(), 0);
} }

#[test]
fn a_listening_socket_moves_with_the_connections_that_wait_in_it() {
    alone(|| {
        let pair = pair(SocketType::Stream);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let clients = [(); 3].map(|()| TcpStream::connect(address).unwrap());
        send(pair.left(), b"x", &[listener]).unwrap();
        let mut received = receive(pair.right(), &mut [0; 1], 1).unwrap().unwrap();
        let listener = TcpListener::from(received.fds.remove(0));
        let mut served = [(); 3].map(|()| listener.accept().unwrap().1);
        let mut expected = clients.map(|client| client.local_addr().unwrap());
        served.sort();
        expected.sort();
        assert_eq!(served, expected);
    });
}

#[test]
fn the_bare_receive_appends_to_what_is_in_the_list() {
    alone(|| {
        let pair = pair(SocketType::Stream);
        let mut fds = Vec::with_capacity(8);
        for index in 0..2 {
            send(pair.left(), b"x", &numbered_files(2)).unwrap();
            let mut arrival = Arrival::default();
            let (bytes, wait) = (&mut [0; 1], Wait::Never);
            assert!(
                message::receive_into(pair.right(), bytes, &mut fds, &mut arrival, wait).unwrap()
            );
            assert_eq!((arrival.bytes, arrival.fds), (1, 2));
            assert_eq!(fds.len(), 2 * (index + 1));
        }
        assert_numbered(fds.drain(..2), 0, 2);
        assert_numbered(fds, 0, 2);
    });
}

for_each_type! { fn the_bare_receive_leaves_the_list_alone_when_nothing_came(kind) {
    let pair = pair(kind);
    let mut fds = vec![OwnedFd::from(numbered_files(1).remove(0))];
    let mut arrival = Arrival::default();
    let (bytes, wait) = (&mut [0; 1], Wait::Never);
    let result = message::receive_into(pair.right(), bytes, &mut fds, &mut arrival, wait);
    assert!(result.unwrap_err().is_would_block());
    assert_numbered(fds, 0, 1);
} }
