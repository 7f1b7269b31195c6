//! Messages arrive whole, in order, each with its own descriptors.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use crate::support::{Keep, Tag, pair, settle};
use fdpass::link::{Budget, FdBatch, MessageMeta, ReadBuffer, SendOptions, Sink, SinkStatus, Stop};

#[test]
fn messages_of_every_size_carry_their_descriptors() {
    let tags = Tag::many(3);
    for count in [0, 1, 2, 16, 252, 253, 254, 506, 1_000] {
        for bytes in [0, 1, 64, 40_000, 1 << 20, (1 << 20) + 1, 3 << 20] {
            let (mut left, mut right) = pair();
            // The peer's limits must be known before a large message leaves.
            right.send(b"hello", &[]);
            left.receive_all().unwrap();
            let payload: Vec<u8> = (0..=250).cycle().take(bytes).collect();
            let chosen: Vec<&Tag> = (0..count).map(|at| &tags[at % 3]).collect();
            let fds: Vec<BorrowedFd<'_>> = chosen.iter().map(|tag| tag.fd()).collect();
            left.send(&payload, &fds);
            left.send(b"after", &[tags[0].fd()]);
            settle(&mut left, &mut right).unwrap();
            right.expect(0, &payload, &chosen);
            right.expect(1, b"after", &[&tags[0]]);
            assert_eq!(
                right.got.messages.len(),
                2,
                "{count} descriptors, {bytes} bytes"
            );
        }
    }
    for tag in tags {
        tag.assert_only_copy();
    }
}

/// Of every way to read: short, a burst of several reads by one call, straight into a long message.
#[cfg(target_os = "linux")]
#[test]
fn a_link_whose_socket_asks_says_who_sent_each_message() {
    use fdpass::link::{Config, SocketTransport};
    use fdpass::socket::{self, SocketType};
    use std::os::fd::AsFd;

    #[derive(Default)]
    struct Senders(Vec<Option<i32>>);
    impl Sink for Senders {
        fn message(&mut self, meta: &MessageMeta, _: &[u8], _: &mut FdBatch<'_>) -> SinkStatus {
            self.0.push(meta.sender.map(|sender| sender.pid));
            SinkStatus::Continue
        }
    }

    for ask in [true, false] {
        let (a, b) = socket::pair(SocketType::Stream).unwrap();
        socket::set_pass_credentials(b.as_fd(), ask).unwrap();
        let mut left =
            crate::support::End::new(SocketTransport::new(a).unwrap(), Config::default());
        let mut right =
            fdpass::link::Link::new(SocketTransport::new(b).unwrap(), Config::default());
        let tag = Tag::new();
        for bytes in [1, 300, 2, 3, 100_000] {
            left.send(&vec![7; bytes], &[tag.fd(), tag.fd()]);
        }
        let mut seen = Senders::default();
        let mut buffer = ReadBuffer::new();
        while seen.0.len() < 5 {
            right
                .receive_into(&mut buffer, &mut seen, &Budget::default(), left.now)
                .unwrap();
        }
        let us = ask.then(|| i32::try_from(std::process::id()).unwrap());
        assert_eq!(seen.0, [us; 5]);
    }
}

#[test]
fn a_lent_descriptor_stays_and_may_be_closed_at_once() {
    let (mut left, mut right) = pair();
    let tag = Tag::new();
    let copy = tag.copy();
    left.send(b"x", &[std::os::fd::AsFd::as_fd(&copy)]);
    drop(copy);
    right.receive_all().unwrap();
    right.expect(0, b"x", &[&tag]);
    right.got.messages.clear();
    tag.assert_only_copy();
}

#[test]
fn a_moved_descriptor_leaves_its_owner() {
    let (mut left, mut right) = pair();
    let tag = Tag::new();
    let mut fds = vec![tag.copy(), tag.copy()];
    let sent = left
        .link
        .try_send_owned(b"x", &mut fds, SendOptions::default(), left.now)
        .unwrap();
    assert!(sent.written && fds.is_empty());
    right.receive_all().unwrap();
    right.expect(0, b"x", &[&tag, &tag]);
    drop((left, right));
    tag.assert_only_copy();
}

#[test]
fn one_write_carries_a_whole_message_when_nothing_waits() {
    let (mut left, _right) = pair();
    let tag = Tag::new();
    left.send(b"first", &[]);
    let script = left.link.transport().script();
    let before = script.borrow().sends;
    left.send(&[7; 64], &[tag.fd()]);
    assert_eq!(script.borrow().sends - before, 1);
}

#[test]
fn a_large_first_message_waits_for_the_limits_of_the_peer_and_gets_them() {
    let (mut left, mut right) = pair();
    let tag = Tag::new();
    let fds = vec![tag.fd(); 300];
    let id = left.send(b"large", &fds);
    assert_eq!(left.link.written_through(), id - 1);
    assert!(!left.link.wants_write());
    left.send(b"small", &[]);
    settle(&mut left, &mut right).unwrap();
    right.expect(0, b"large", &vec![&tag; 300]);
    right.expect(1, b"small", &[]);
}

/// Does something else with each message in turn.
struct Play {
    keep: Keep,
    moves: Vec<SinkStatus>,
}

impl Sink for Play {
    fn message(&mut self, meta: &MessageMeta, payload: &[u8], fds: &mut FdBatch<'_>) -> SinkStatus {
        let status = self.moves.pop().unwrap_or(SinkStatus::Continue);
        if status != SinkStatus::Decline {
            self.keep.message(meta, payload, fds);
        }
        status
    }
}

#[test]
fn a_sink_that_pauses_or_declines_loses_nothing() {
    use SinkStatus::{Continue, Decline, Pause};
    for large in [false, true] {
        let (mut left, mut right) = pair();
        right.send(b"hello", &[]);
        left.receive_all().unwrap();
        let tags = Tag::many(6);
        let size = if large { 50_000 } else { 5 };
        for (at, tag) in (0u8..).zip(&tags) {
            left.send(&vec![at; size], &[tag.fd()]);
        }
        let mut play = Play {
            keep: Keep::default(),
            moves: vec![Pause, Decline, Decline, Continue, Pause, Decline, Pause],
        };
        let mut stops = Vec::new();
        for _ in 0..200 {
            left.link.flush(left.now).unwrap();
            let received = right
                .link
                .receive_into(
                    &mut ReadBuffer::new(),
                    &mut play,
                    &Budget::default(),
                    right.now,
                )
                .unwrap();
            stops.push(received.stopped);
        }
        assert_eq!(
            stops.iter().filter(|stop| **stop == Stop::Paused).count(),
            6
        );
        assert_eq!(play.keep.messages.len(), 6);
        right.got = play.keep;
        for (at, tag) in (0u8..).zip(&tags) {
            right.expect(at.into(), &vec![at; size], &[tag]);
        }
        drop((left, right));
        for tag in tags {
            tag.assert_only_copy();
        }
    }
}

#[test]
fn a_wake_up_is_bounded_in_messages_bytes_and_descriptors() {
    let (mut left, mut right) = pair();
    let tag = Tag::new();
    let fds = vec![tag.fd(); 100];
    for _ in 0..30 {
        left.send(&[0; 1_000], &fds);
    }
    let most = usize::MAX;
    let budget = |bytes, messages, fds| Budget {
        bytes,
        messages,
        fds,
    };
    // A read may bring 253 descriptors, so the third stops with room for less than that.
    let budgets = [
        (budget(most, 3, most), 3),
        (budget(2_000, most, most), 2),
        (budget(most, most, 550), 3),
        (budget(most, most, 10), 1),
    ];
    for (budget, expected) in budgets {
        let received = right
            .link
            .receive_into(&mut right.buffer, &mut right.got, &budget, right.now)
            .unwrap();
        assert_eq!(received.stopped, Stop::Budget);
        assert_eq!(received.messages, expected, "{budget:?}");
    }
    right.receive_all().unwrap();
    assert_eq!(right.got.messages.len(), 30);
}

#[test]
fn an_idle_link_keeps_no_memory_for_reading() {
    let (mut left, mut right) = pair();
    left.send(&vec![0; 1 << 20], &[]);
    settle(&mut left, &mut right).unwrap();
    assert_eq!(right.got.messages.len(), 1);
    assert!(!right.link.has_buffered());
    assert_eq!(left.link.queued().bytes, 0);
    assert!(
        size_of_val(&right.link) < 2_048,
        "{}",
        size_of_val(&right.link)
    );
}

#[test]
fn messages_behind_one_that_came_alone_a_hundred_times_are_not_forgotten() {
    let (mut left, mut right) = pair();
    let tag = Tag::new();
    for _ in 0..100 {
        left.send(b"alone", &[tag.fd()]);
        assert_eq!(right.receive().unwrap().messages, 1);
    }
    for _ in 0..40 {
        left.send(b"together", &[tag.fd()]);
    }
    // As an event loop: as long as the socket is readable.
    let mut wakes = 0;
    while fdpass::descriptor::wait(right.link.transport().as_fd(), false, Duration::ZERO).unwrap() {
        right.receive().unwrap();
        wakes += 1;
    }
    assert_eq!(right.got.messages.len(), 140);
    assert!(wakes < 40, "the habit was given up after {wakes}");
    for message in 0..140 {
        let payload: &[u8] = if message < 100 { b"alone" } else { b"together" };
        right.expect(message, payload, &[&tag]);
    }
}
