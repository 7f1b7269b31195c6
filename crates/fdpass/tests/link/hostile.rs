//! A peer that writes what it likes: one coded error, and nothing is kept, leaked or trusted.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use crate::support::{End, Tag, with_raw_peer};
use fdpass::frame::{
    AckEntry, AckStatus, CODEC_JSON, Header, MAX_FRAME_BYTES, Preamble, ProtocolError, Totals, kind,
};
use fdpass::link::{Config, Damage, Limits, LinkError, SocketTransport, State, Stop, Transport};
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};

/// The bare hands of a peer.
struct Peer {
    socket: SocketTransport,
}

impl Peer {
    fn new(socket: OwnedFd) -> Self {
        Self {
            socket: SocketTransport::new(socket).unwrap(),
        }
    }

    fn write(&mut self, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
        let written = self.socket.send(&[IoSlice::new(bytes)], fds).unwrap();
        assert_eq!(written, bytes.len());
    }

    fn preamble(&mut self) {
        self.write(&Preamble::new(1, 1 << 20, 253).encode(), &[]);
    }
}

fn frame(kind: u8, id: u64, fds: u16, payload: &[u8]) -> Vec<u8> {
    let header = Header {
        length: u32::try_from(payload.len()).unwrap(),
        kind,
        flags: 0,
        fds,
        id,
    };
    [&header.encode()[..], payload].concat()
}

fn meet() -> (End, Peer) {
    let (end, socket) = with_raw_peer(Config::default());
    let mut peer = Peer::new(socket);
    peer.preamble();
    (end, peer)
}

/// What the end makes of it: the error that ends it, after a sound message was delivered.
fn error_of(write: impl FnOnce(&mut Peer, BorrowedFd<'_>)) -> LinkError {
    let (mut end, mut peer) = meet();
    let tag = Tag::new();
    peer.write(&frame(kind::DATA, 1, 1, b"sound"), &[tag.fd()]);
    write(&mut peer, tag.fd());
    let error = end.receive_all().unwrap_err();
    assert_eq!(end.got.messages.len(), 1);
    assert_eq!(end.link.state(), State::Finished);
    end.got.messages.clear();
    // Everything is closed although link and socket are still there.
    tag.assert_only_copy();
    error
}

fn protocol(error: ProtocolError) -> LinkError {
    LinkError::Protocol(error)
}

#[test]
fn counts_that_lie_end_the_link() {
    let error = error_of(|peer, fd| peer.write(&frame(kind::DATA, 2, 2, b"x"), &[fd]));
    let too_few = ProtocolError::FdCount {
        announced: 2,
        arrived: 1,
    };
    assert_eq!(error, protocol(too_few));

    let error = error_of(|peer, fd| peer.write(&frame(kind::DATA, 2, 1, b"x"), &[fd, fd, fd]));
    let too_many = ProtocolError::FdCount {
        announced: 1,
        arrived: 3,
    };
    assert_eq!(error, protocol(too_many));

    let error = error_of(|peer, _| peer.write(&frame(kind::DATA, 2, 5, b"x"), &[]));
    let none = ProtocolError::FdCount {
        announced: 5,
        arrived: 0,
    };
    assert_eq!(error, protocol(none));
}

#[test]
fn descriptors_that_nobody_announced_end_the_link() {
    let stray = protocol(ProtocolError::StrayFds { fds: 2 });
    // On a frame that announces none.
    let error = error_of(|peer, fd| {
        peer.write(&frame(kind::DATA, 2, 0, b"x"), &[fd, fd]);
        peer.write(&frame(kind::DATA, 3, 0, b"y"), &[]);
    });
    assert_eq!(error, stray);
    // The same, and then silence.
    let error = error_of(|peer, fd| peer.write(&frame(kind::DATA, 2, 0, b"x"), &[fd, fd]));
    assert_eq!(error, stray);
    // In the middle of a payload, of a long one, of a header.
    let error = error_of(|peer, fd| {
        peer.write(&frame(kind::DATA, 2, 0, b"xyz")[..17], &[]);
        peer.write(b"y", &[fd, fd]);
    });
    assert_eq!(error, stray);
    let error = error_of(|peer, fd| {
        let long = frame(kind::DATA, 2, 0, &vec![0; 100_000]);
        peer.write(&long[..50_000], &[]);
        peer.write(&long[50_000..50_100], &[fd, fd]);
    });
    assert_eq!(error, stray);
    let error = error_of(|peer, fd| {
        let frame = frame(kind::DATA, 2, 1, b"xyz");
        peer.write(&frame[..3], &[fd]);
        peer.write(&frame[3..6], &[fd, fd]);
    });
    assert_eq!(error, stray);
    // With the preamble.
    let (mut end, socket) = with_raw_peer(Config::default());
    let tag = Tag::new();
    let preamble = Preamble::new(1, 1, 1).encode();
    Peer::new(socket).write(&preamble, &[tag.fd(), tag.fd()]);
    assert_eq!(end.receive_all(), Err(stray));
    tag.assert_only_copy();
}

#[test]
fn descriptors_that_come_late_are_not_taken_for_others() {
    let (mut end, mut peer) = meet();
    let tag = Tag::new();
    let frame = frame(kind::DATA, 1, 1, b"xyz");
    // With the second byte. The first is read on its own, or it could not be told from a sound frame.
    peer.write(&frame[..1], &[]);
    end.receive_all().unwrap();
    peer.write(&frame[1..], &[tag.fd()]);
    let error = end.receive_all().unwrap_err();
    let missing = ProtocolError::FdCount {
        announced: 1,
        arrived: 0,
    };
    assert_eq!(error, protocol(missing));
    tag.assert_only_copy();
}

#[test]
fn a_stranger_is_one_clear_error() {
    for (bytes, code) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "ERR_FDPASS_PROTOCOL"),
        (&[0][..], "ERR_FDPASS_PROTOCOL"),
        (b"\x89fdpass\n\x02\x00", "ERR_FDPASS_VERSION"),
    ] {
        let (mut end, socket) = with_raw_peer(Config::default());
        let mut peer = Peer::new(socket);
        let tag = Tag::new();
        peer.write(bytes, &[tag.fd()]);
        let error = end.receive_all().unwrap_err();
        assert_eq!(error.code(), code);
        tag.assert_only_copy();
    }
    let (mut end, socket) = with_raw_peer(Config::default());
    let preamble = Preamble::new(CODEC_JSON, 1, 1);
    Peer::new(socket).write(&preamble.encode(), &[]);
    let error = end.receive_all().unwrap_err();
    assert_eq!(error, LinkError::Codec { theirs: 2, ours: 1 });
    assert_eq!(error.code(), "ERR_FDPASS_CODEC");
}

/// All that the end says to a peer that begins with `bytes`.
fn said_to(bytes: &[u8]) -> Vec<u8> {
    let (mut end, socket) = with_raw_peer(Config::default());
    let mut peer = Peer::new(socket);
    peer.write(bytes, &[]);
    end.receive_all().unwrap_err();
    let (mut said, mut fds) = ([0; 100], Vec::new());
    // Nothing and no end is EAGAIN: the transport is still there.
    let read = peer.socket.receive(&mut said, &mut fds);
    read.map_or_else(|_| Vec::new(), |read| said[..read.bytes].to_vec())
}

/// The side that had said nothing left without a word: the other one saw a peer that is gone.
#[test]
fn regression_a_peer_with_another_codec_or_version_is_told_who_we_are() {
    let ours = Preamble::new(1, 64 << 20, 16_384).encode();
    let other_codec = Preamble::new(CODEC_JSON, 1, 1).encode();
    assert_eq!(said_to(&other_codec), ours);
    assert_eq!(said_to(b"\x89fdpass\n\x02\x00"), ours);
    // Who speaks another language altogether would not understand it.
    assert_eq!(said_to(b"GET / HTTP/1.1\r\n\r\n"), b"");
}

#[test]
fn a_codec_has_the_name_that_people_know() {
    let error = |theirs| LinkError::Codec { theirs, ours: 1 }.to_string();
    assert!(error(2).contains("the peer's codec is 'json', this side's is 'bytes'"));
    assert!(error(3).contains("'v8'"));
    assert!(error(0x1001).contains("0x1001"));
}

#[test]
fn what_is_announced_costs_nothing_until_it_comes() {
    let (mut end, mut peer) = meet();
    let totals = Totals {
        bytes: 60 << 20,
        fds: 10_000,
    };
    peer.write(&frame(kind::FIRST, 1, 0, &totals.encode()), &[]);
    let mut header = frame(kind::NEXT, 1, 0, &[]);
    header[..4].copy_from_slice(&MAX_FRAME_BYTES.to_le_bytes());
    peer.write(&header, &[]);
    end.receive_all().unwrap();
    assert!(end.link.next_deadline().is_some(), "it is being watched");
    let error = end.link.on_deadline(end.link.next_deadline().unwrap());
    assert_eq!(error.unwrap_err().code(), "ERR_FDPASS_TIMEOUT");

    let error = error_of(|peer, fd| {
        let totals = Totals {
            bytes: u32::MAX,
            fds: 1,
        };
        peer.write(&frame(kind::FIRST, 2, 1, &totals.encode()), &[fd]);
    });
    assert!(matches!(
        error,
        LinkError::Protocol(ProtocolError::MessageTooLarge { .. })
    ));
}

#[test]
fn a_flood_above_the_limits_is_closed_and_ends_the_link_once_it_was_told() {
    let config = Config {
        limits: Limits {
            max_message_bytes: 1_000,
            max_message_fds: 4,
        },
        ..Config::default()
    };
    let (mut end, socket) = with_raw_peer(config);
    let mut peer = Peer::new(socket);
    peer.preamble();
    let tag = Tag::new();
    let fds = vec![tag.fd(); 253];
    let error = loop {
        let id = end.got.messages.len() as u64 + 1;
        peer.write(&frame(kind::DATA, id, 253, b"flood"), &fds);
        match end.receive() {
            Ok(_) => {
                let got = end.got.messages.last().unwrap();
                let damage = Damage::TooManyFds {
                    sent: 253,
                    limit: 4,
                };
                assert_eq!((got.damage, got.fds.len()), (Some(damage), 0));
            }
            Err(error) => break error,
        }
    };
    assert_eq!(error, protocol(ProtocolError::LimitIgnored));
    assert!(end.got.messages.len() > 1_000);
    drop(peer);
    tag.assert_only_copy();
}

#[test]
fn unknown_optional_frames_are_passed_over_with_their_descriptors() {
    let (mut end, mut peer) = meet();
    let tags = Tag::many(2);
    peer.write(
        &frame(0x6f, 99, 2, &vec![1; 70_000]),
        &[tags[0].fd(), tags[0].fd()],
    );
    peer.write(&frame(kind::DATA, 1, 1, b"one"), &[tags[1].fd()]);
    // Also inside a message.
    let totals = Totals { bytes: 4, fds: 2 };
    let first = [&totals.encode()[..], b"ab"].concat();
    peer.write(&frame(kind::FIRST, 2, 1, &first), &[tags[1].fd()]);
    peer.write(&frame(0x40, 0, 1, b"zzz"), &[tags[0].fd()]);
    peer.write(&frame(0x7f, 0, 0, b""), &[]);
    peer.write(&frame(kind::NEXT, 2, 1, b"cd"), &[tags[1].fd()]);
    end.receive_all().unwrap();
    end.expect(0, b"one", &[&tags[1]]);
    end.expect(1, b"abcd", &[&tags[1], &tags[1]]);
    end.got.messages.clear();
    tags.into_iter().for_each(Tag::assert_only_copy);
}

#[test]
fn acknowledgements_of_what_was_never_sent_end_the_link() {
    let error = error_of(|peer, _| peer.write(&frame(kind::ACK, 1, 0, &[]), &[]));
    assert_eq!(error, protocol(ProtocolError::BadAck { id: 1 }));
    assert_eq!(error.code(), "ERR_FDPASS_PROTOCOL");

    let entry = AckEntry {
        id: 9,
        status: AckStatus::Truncated,
        sent: 1,
        received: 0,
    };
    let (mut end, mut peer) = meet();
    end.send_acked(b"x", &[]);
    peer.write(&frame(kind::ACK, 1, 0, &entry.encode()), &[]);
    let error = end.receive_all().unwrap_err();
    assert_eq!(error, protocol(ProtocolError::BadAck { id: 9 }));
}

#[test]
fn garbage_after_a_sound_prefix_ends_the_link() {
    let error = error_of(|peer, _| peer.write(&[0xaa; 200], &[]));
    assert_eq!(error.code(), "ERR_FDPASS_PROTOCOL");
    let error = error_of(|peer, _| {
        peer.write(&frame(kind::GOODBYE, 0, 0, &[]), &[]);
        peer.write(b"!", &[]);
    });
    assert_eq!(error, protocol(ProtocolError::AfterGoodbye));
}

#[test]
fn a_half_close_at_every_byte_is_told_apart_from_a_goodbye() {
    let whole = [
        &Preamble::new(1, 1, 1).encode()[..],
        &frame(kind::DATA, 1, 0, b"hello"),
        &frame(kind::GOODBYE, 0, 0, &[]),
    ]
    .concat();
    for bytes in 0..=whole.len() {
        let (mut end, socket) = with_raw_peer(Config::default());
        let mut peer = Peer::new(socket);
        if bytes > 0 {
            peer.write(&whole[..bytes], &[]);
        }
        peer.socket.shutdown_write().unwrap();
        let outcome = end.receive_all();
        if bytes == whole.len() {
            assert_eq!(outcome, Ok(Stop::End));
        } else {
            assert_eq!(outcome, Err(LinkError::PeerGone), "{bytes} bytes");
        }
        let delivered = usize::from(bytes >= whole.len() - 16);
        assert_eq!(end.got.messages.len(), delivered);
    }
}

#[test]
fn out_of_band_bytes_bring_nothing_in() {
    for at in [0, 1, 20] {
        let (mut end, mut peer) = meet();
        let tag = Tag::new();
        let data = frame(kind::DATA, 1, 0, b"hello");
        if at > 0 {
            peer.write(&data[..at], &[]);
        }
        let number = [tag.fd().as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&number)];
        let parts = [IoSlice::new(b"!")];
        // A kernel without out-of-band data on Unix sockets refuses.
        let urgent = sendmsg::<UnixAddr>(
            peer.socket.as_fd().as_raw_fd(),
            &parts,
            &rights,
            MsgFlags::MSG_OOB,
            None,
        );
        peer.write(&data[at..], &[]);
        match end.receive_all() {
            Ok(_) => end.expect(0, b"hello", &[]),
            Err(error) => assert_eq!(error.code(), "ERR_FDPASS_PROTOCOL"),
        }
        assert!(urgent.is_ok() || end.got.messages.len() == 1);
        drop((end, peer));
        tag.assert_only_copy();
    }
}
