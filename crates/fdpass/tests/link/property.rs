//! Random conversations over real sockets with random faults: every descriptor's identity arrives with its message, in
//! order, exactly once.

use std::os::fd::BorrowedFd;

use crate::support::{End, Fault, Tag, pair_with, settle};
use fdpass::link::{Config, Flush, SendOptions};
use proptest::prelude::*;

const TAGS: usize = 5;

#[derive(Clone, Debug)]
struct Message {
    bytes: usize,
    fds: usize,
    /// Which tag comes first.
    from: usize,
    owned: bool,
    ack: bool,
    /// Read at the other end after it.
    read: bool,
}

fn message() -> impl Strategy<Value = Message> {
    let bytes = prop_oneof![
        0usize..100,
        0usize..40_000,
        Just(1 << 20),
        1usize << 20..(1 << 20) + 9
    ];
    let fds =
        prop_oneof![4 => Just(0usize), 8 => 1usize..4, 1 => 250usize..260, 1 => 0usize..1_000];
    (bytes, fds, 0..TAGS, any::<[bool; 3]>()).prop_map(|(bytes, fds, from, [owned, ack, read])| {
        Message {
            bytes,
            fds,
            from,
            owned,
            ack,
            read,
        }
    })
}

fn send_fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        4 => Just(Fault::None),
        2 => (1usize..70).prop_map(Fault::Short),
        1 => (1usize..70_000).prop_map(Fault::Short),
        1 => Just(Fault::Errno(libc::EAGAIN)),
        1 => Just(Fault::Errno(libc::EINTR)),
        1 => Just(Fault::Errno(libc::ETOOMANYREFS)),
        1 => Just(Fault::Errno(libc::EMSGSIZE)),
    ]
}

fn receive_fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        4 => Just(Fault::None),
        2 => (1usize..70).prop_map(Fault::Short),
        1 => (1usize..70_000).prop_map(Fault::Short),
        1 => Just(Fault::Errno(libc::EAGAIN)),
        1 => Just(Fault::Errno(libc::EINTR)),
    ]
}

fn loss() -> impl Strategy<Value = Fault> {
    prop_oneof![
        6 => receive_fault(),
        1 => (0usize..3).prop_map(Fault::Truncate),
        1 => Just(Fault::LoseAll),
    ]
}

fn payload(message: &Message) -> Vec<u8> {
    let seed = u8::try_from(message.fds % 251).unwrap();
    let mut payload = vec![seed; message.bytes];
    // Not all the same: the ends and the middle say where they belong.
    for at in [0, message.bytes / 2, message.bytes.saturating_sub(1)] {
        if let Some(byte) = payload.get_mut(at) {
            *byte = u8::try_from(at % 256).unwrap();
        }
    }
    payload
}

fn tags_of<'tags>(message: &Message, tags: &'tags [Tag]) -> Vec<&'tags Tag> {
    (0..message.fds)
        .map(|at| &tags[(message.from + at) % TAGS])
        .collect()
}

fn send(left: &mut End, message: &Message, tags: &[Tag]) {
    let chosen = tags_of(message, tags);
    let options = SendOptions { ack: message.ack };
    let bytes = payload(message);
    if message.owned {
        let mut fds = chosen.iter().map(|tag| tag.copy()).collect();
        let sent = left
            .link
            .try_send_owned(&bytes, &mut fds, options, left.now);
        assert!(sent.is_ok() && fds.is_empty());
    } else {
        let fds: Vec<BorrowedFd<'_>> = chosen.iter().map(|tag| tag.fd()).collect();
        left.link.try_send(&bytes, &fds, options, left.now).unwrap();
    }
}

/// Runs a conversation and returns the receiver, everything settled.
fn converse(
    messages: &[Message],
    send_faults: Vec<Fault>,
    receive_faults: Vec<Fault>,
    tags: &[Tag],
) -> (End, End) {
    let (mut left, mut right) = pair_with(Config::default(), Config::default());
    let (out, into) = (
        left.link.transport().script(),
        right.link.transport().script(),
    );
    out.borrow_mut().send = send_faults.into();
    into.borrow_mut().receive = receive_faults.into();
    for message in messages {
        send(&mut left, message, tags);
        if message.read {
            let flushed = left.link.flush(left.now).unwrap();
            assert!(matches!(
                flushed,
                Flush::Empty | Flush::Blocked | Flush::Later
            ));
            right.receive().unwrap();
        }
    }
    settle(&mut left, &mut right).unwrap();
    assert_eq!(left.link.queued().messages, 0);
    assert_eq!(left.link.written_through(), messages.len() as u64);
    let last_asked = messages.iter().rposition(|message| message.ack);
    let asked = last_asked.map_or(0, |at| at as u64 + 1);
    assert_eq!(left.link.acknowledged_through(), asked);
    (left, right)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_descriptor_arrives_with_its_message(
        messages in proptest::collection::vec(message(), 1..12),
        send_faults in proptest::collection::vec(send_fault(), 0..60),
        receive_faults in proptest::collection::vec(receive_fault(), 0..60),
    ) {
        let tags = Tag::many(TAGS);
        let (mut left, right) = converse(&messages, send_faults, receive_faults, &tags);
        prop_assert_eq!(left.link.next_failure(), None);
        prop_assert_eq!(right.got.messages.len(), messages.len());
        for (at, message) in messages.iter().enumerate() {
            right.expect(at, &payload(message), &tags_of(message, &tags));
        }
        drop((left, right));
        tags.into_iter().for_each(Tag::assert_only_copy);
    }

    #[test]
    fn a_loss_damages_its_message_and_no_other(
        messages in proptest::collection::vec(message(), 1..12),
        receive_faults in proptest::collection::vec(loss(), 0..60),
    ) {
        let tags = Tag::many(TAGS);
        let (mut left, right) = converse(&messages, Vec::new(), receive_faults, &tags);
        prop_assert_eq!(right.got.messages.len(), messages.len());
        let mut reported = Vec::new();
        for (at, message) in messages.iter().enumerate() {
            let got = &right.got.messages[at];
            if let Some(damage) = got.damage {
                prop_assert_eq!(damage.code(), "ERR_FDPASS_TRUNCATED");
                let (sent, received) = damage.counts();
                prop_assert_eq!(sent as usize, message.fds);
                prop_assert!(received < sent && got.fds.is_empty());
                prop_assert!(got.payload == payload(message));
                if message.ack {
                    reported.push(got.id);
                }
            } else {
                right.expect(at, &payload(message), &tags_of(message, &tags));
            }
        }
        let failures: Vec<_> = std::iter::from_fn(|| left.link.next_failure()).collect();
        prop_assert_eq!(failures.iter().map(|failure| failure.id).collect::<Vec<_>>(), reported);
        drop((left, right));
        tags.into_iter().for_each(Tag::assert_only_copy);
    }
}
