//! Whatever the kernel does to a call, every descriptor arrives with its message, in order, once.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use crate::support::{End, Fault, Tag, pair, pair_with, settle};
use fdpass::link::{Config, Damage, Flush, LinkError, Load, SendOptions, State};

/// Messages of all shapes, small enough to cut at every byte: empty, plain, with descriptors, of several frames.
const SHAPES: [(usize, usize); 6] = [(0, 0), (5, 2), (0, 1), (9, 0), (3, 300), (1, 1)];

struct Conversation {
    left: End,
    right: End,
    tags: Vec<Tag>,
}

impl Conversation {
    /// Both sides know each other, so that messages of several frames may leave at once.
    fn start() -> Self {
        let (mut left, mut right) = pair();
        left.send(b"hello", &[]);
        right.receive_all().unwrap();
        left.receive_all().unwrap();
        right.got.messages.clear();
        Self {
            left,
            right,
            tags: Tag::many(3),
        }
    }

    fn payload(index: usize, bytes: usize) -> Vec<u8> {
        vec![u8::try_from(index).unwrap() + b'a'; bytes]
    }

    fn send_all(&mut self) {
        for (index, (bytes, count)) in SHAPES.into_iter().enumerate() {
            let fds: Vec<BorrowedFd<'_>> = (0..count).map(|at| self.tags[at % 3].fd()).collect();
            self.left.send(&Self::payload(index, bytes), &fds);
        }
    }

    fn check_message(&self, index: usize) {
        let (bytes, count) = SHAPES[index];
        let tags: Vec<&Tag> = (0..count).map(|at| &self.tags[at % 3]).collect();
        self.right
            .expect(index, &Self::payload(index, bytes), &tags);
    }

    fn finish(mut self) {
        settle(&mut self.left, &mut self.right).unwrap();
        assert_eq!(self.right.got.messages.len(), SHAPES.len());
        for index in 0..SHAPES.len() {
            self.check_message(index);
        }
        self.close();
    }

    fn close(self) {
        drop((self.left, self.right));
        for tag in self.tags {
            tag.assert_only_copy();
        }
    }

    fn on_send(&self, faults: impl IntoIterator<Item = Fault>) {
        let script = self.left.link.transport().script();
        script.borrow_mut().send = faults.into_iter().collect();
    }

    fn on_receive(&self, faults: impl IntoIterator<Item = Fault>) {
        let script = self.right.link.transport().script();
        script.borrow_mut().receive = faults.into_iter().collect();
    }
}

/// Nothing happens to so many calls, then `faults`.
fn after(calls: usize, faults: &[Fault]) -> VecDeque<Fault> {
    std::iter::repeat_n(Fault::None, calls)
        .chain(faults.iter().copied())
        .collect()
}

/// The number of calls that [`SHAPES`] take: one a frame.
const CALLS: usize = 7;

#[test]
fn a_write_may_stop_at_every_byte() {
    for call in 0..CALLS {
        for bytes in 1..32 {
            let mut talk = Conversation::start();
            talk.on_send(after(
                call,
                &[Fault::Short(bytes), Fault::Errno(libc::EAGAIN)],
            ));
            talk.send_all();
            talk.finish();
        }
    }
}

#[test]
fn every_write_and_every_read_may_be_short() {
    for bytes in 1..40 {
        let mut talk = Conversation::start();
        let script = talk.left.link.transport().script();
        script.borrow_mut().send_then = Fault::Short(bytes);
        let script = talk.right.link.transport().script();
        script.borrow_mut().receive_then = Fault::Short(41 - bytes);
        talk.send_all();
        talk.finish();
    }
}

#[test]
fn a_read_may_stop_at_every_byte() {
    for call in 0..CALLS {
        for bytes in 1..32 {
            let mut talk = Conversation::start();
            talk.on_receive(after(
                call,
                &[Fault::Short(bytes), Fault::Errno(libc::EAGAIN)],
            ));
            talk.send_all();
            talk.finish();
        }
    }
}

#[test]
fn a_signal_before_every_call_changes_nothing() {
    let mut talk = Conversation::start();
    let signals = [Fault::Errno(libc::EINTR), Fault::None].repeat(CALLS);
    talk.on_send(signals.clone());
    talk.on_receive(signals);
    talk.send_all();
    talk.finish();
}

#[test]
fn a_full_socket_keeps_descriptors_for_later() {
    for call in 0..CALLS {
        let mut talk = Conversation::start();
        talk.on_send(after(call, &[Fault::Errno(libc::EAGAIN); 3]));
        talk.send_all();
        assert!(talk.left.link.wants_write());
        assert_eq!(talk.left.link.flush(talk.left.now), Ok(Flush::Blocked));
        talk.finish();
    }
}

#[test]
fn too_many_references_mean_later_and_no_polling() {
    for errno in [libc::ETOOMANYREFS, libc::EMSGSIZE, libc::ENOBUFS] {
        for call in 0..CALLS {
            let mut talk = Conversation::start();
            talk.on_send(after(call, &[Fault::Errno(errno); 3]));
            talk.send_all();
            // A frame of a message that has begun is tried once more before the link waits.
            talk.left.link.flush(talk.left.now).unwrap();
            let pressure = talk.left.link.pressure().unwrap();
            assert_eq!(pressure.errno, errno);
            assert!(!talk.left.link.wants_write());
            assert_eq!(talk.left.link.next_deadline(), Some(pressure.retry_at));
            talk.finish();
        }
    }
}

#[test]
fn the_pause_under_pressure_grows_and_ends_with_it() {
    let mut talk = Conversation::start();
    talk.on_send([Fault::Errno(libc::ETOOMANYREFS); 5]);
    talk.send_all();
    let mut pauses = Vec::new();
    while let Some(pressure) = talk.left.link.pressure() {
        pauses.push(pressure.retry_at - talk.left.now);
        talk.left.now = pressure.retry_at;
        talk.left.link.on_deadline(talk.left.now).unwrap();
    }
    assert_eq!(pauses.len(), 5);
    assert!(pauses.is_sorted() && pauses[0] < pauses[4], "{pauses:?}");
    talk.finish();
}

/// The EPIPE of the next attempt was taken for the end of the link, and what the peer had sent before it died was lost.
#[test]
fn regression_a_peer_that_dies_while_descriptors_wait_for_room_is_heard_to_its_end() {
    let (mut left, mut right) = pair();
    let tag = Tag::new();
    let script = left.link.transport().script();
    script.borrow_mut().send = after(1, &[Fault::Errno(libc::EMSGSIZE)]);
    left.send(b"waits", &[tag.fd()]);
    right.send(b"last words", &[tag.fd()]);
    drop(right);
    left.now = left.link.pressure().unwrap().retry_at;
    left.link.on_deadline(left.now).unwrap();
    assert!(left.link.write_error().is_some());
    // It had not read all that we sent it.
    assert_eq!(left.receive_all().unwrap_err().code(), "ECONNRESET");
    left.expect(0, b"last words", &[&tag]);
    drop(left);
    tag.assert_only_copy();
}

/// What it would be told of damaged messages filled up, nothing more was read, and its end was never seen.
#[test]
fn regression_a_peer_that_reads_nothing_more_is_heard_to_its_end() {
    let refusing = Config {
        accept: Some(Arc::new(|_| false)),
        ..Config::default()
    };
    let (mut left, mut right) = pair_with(Config::default(), refusing);
    let tag = Tag::new();
    let script = right.link.transport().script();
    script.borrow_mut().send_then = Fault::Errno(libc::EPIPE);
    for _ in 0..15 {
        for _ in 0..100 {
            left.send_acked(b"refused", &[tag.fd()]);
        }
        right.receive_all().unwrap();
    }
    assert_eq!(right.got.messages.len(), 1_500);
    drop(left);
    assert_eq!(right.receive_all(), Err(LinkError::PeerGone));
    tag.assert_only_copy();
}

#[test]
fn a_truncated_message_is_damaged_in_its_place_and_no_other() {
    for kept in 0..=2 {
        for place in 0..5 {
            let (mut left, mut right) = pair();
            let tags = Tag::many(5);
            let script = right.link.transport().script();
            script.borrow_mut().receive = after(place, &[Fault::Truncate(kept)]);
            for tag in &tags {
                left.send_acked(b"message", &[tag.fd(), tag.fd(), tag.fd()]);
            }
            settle(&mut left, &mut right).unwrap();
            for (at, tag) in tags.iter().enumerate() {
                if at == place {
                    let received = u32::try_from(kept).unwrap();
                    let got = &right.got.messages[at];
                    assert_eq!(got.damage, Some(Damage::Truncated { sent: 3, received }));
                    assert_eq!((got.fds.len(), got.sent_fds), (0, 3));
                    assert_eq!(got.payload, b"message");
                } else {
                    right.expect(at, b"message", &[tag, tag, tag]);
                }
            }
            // The sender, who asked, is told.
            let failure = left.link.next_failure().unwrap();
            assert_eq!(failure.id, place as u64 + 1);
            assert_eq!(failure.error.code(), "ERR_FDPASS_PEER_TRUNCATED");
            assert_eq!(left.link.next_failure(), None);
            assert_eq!(left.link.acknowledged_through(), 5);
            drop((left, right));
            tags.into_iter().for_each(Tag::assert_only_copy);
        }
    }
}

#[test]
fn a_truncation_that_lost_nothing_is_none() {
    let (mut left, mut right) = pair();
    let tag = Tag::new();
    let script = right.link.transport().script();
    script.borrow_mut().receive_then = Fault::Truncate(3);
    left.send(b"x", &[tag.fd(), tag.fd(), tag.fd()]);
    settle(&mut left, &mut right).unwrap();
    right.expect(0, b"x", &[&tag, &tag, &tag]);
}

#[test]
fn a_message_of_several_frames_is_damaged_as_one() {
    for place in 0..4 {
        let mut talk = Conversation::start();
        let tag = Tag::new();
        talk.on_receive(after(place, &[Fault::Truncate(7)]));
        talk.left.send(b"large", &vec![tag.fd(); 1_000]);
        talk.left.send(b"after", &[tag.fd()]);
        settle(&mut talk.left, &mut talk.right).unwrap();
        let lost = if place == 3 { 1_000 - 759 - 7 } else { 253 - 7 };
        let got = &talk.right.got.messages[0];
        assert_eq!(
            got.damage,
            Some(Damage::Truncated {
                sent: 1_000,
                received: 1_000 - lost
            })
        );
        talk.right.expect(1, b"after", &[&tag]);
        talk.close();
        tag.assert_only_copy();
    }
}

#[test]
fn descriptors_lost_with_emsgsize_damage_their_message_only() {
    for place in 0..5 {
        let (mut left, mut right) = pair();
        let tags = Tag::many(5);
        let script = right.link.transport().script();
        script.borrow_mut().receive = after(place, &[Fault::LoseAll]);
        for tag in &tags {
            left.send(b"message", &[tag.fd(), tag.fd()]);
            left.send(b"plain", &[]);
        }
        settle(&mut left, &mut right).unwrap();
        assert_eq!(right.got.messages.len(), 10);
        let damaged: Vec<usize> = (0..10)
            .filter(|at| right.got.messages[*at].damage.is_some())
            .collect();
        assert_eq!(damaged.len(), 1, "place {place}");
        let got = &right.got.messages[damaged[0]];
        assert_eq!(
            got.damage,
            Some(Damage::Truncated {
                sent: 2,
                received: 0
            })
        );
        for (at, tag) in tags.iter().enumerate() {
            if at * 2 != damaged[0] {
                right.expect(at * 2, b"message", &[tag, tag]);
            }
            right.expect(at * 2 + 1, b"plain", &[]);
        }
    }
}

#[test]
fn descriptors_that_cannot_be_passed_fail_their_message_only() {
    // At once: the caller hears of it.
    let mut talk = Conversation::start();
    talk.on_send([Fault::Errno(libc::EINVAL)]);
    let error = talk
        .left
        .link
        .try_send(
            b"x",
            &[talk.tags[0].fd()],
            SendOptions::default(),
            talk.left.now,
        )
        .unwrap_err();
    assert_eq!((error.code(), error.syscall()), ("EINVAL", Some("sendmsg")));
    talk.send_all();
    talk.finish();

    // From the queue: it is a failure of that message.
    let mut talk = Conversation::start();
    talk.on_send([Fault::Errno(libc::EAGAIN), Fault::Errno(libc::EINVAL)]);
    let bad = talk.left.send(b"bad", &[talk.tags[0].fd()]);
    talk.send_all();
    settle(&mut talk.left, &mut talk.right).unwrap();
    let failure = talk.left.link.next_failure().unwrap();
    assert_eq!((failure.id, failure.error.code()), (bad, "EINVAL"));
    talk.finish();
}

#[test]
fn a_message_that_cannot_go_on_arrives_as_withdrawn() {
    let mut talk = Conversation::start();
    talk.on_send([
        Fault::None,
        Fault::Errno(libc::EINVAL),
        Fault::Errno(libc::EINVAL),
    ]);
    let id = talk.left.send(b"large", &vec![talk.tags[0].fd(); 600]);
    settle(&mut talk.left, &mut talk.right).unwrap();
    assert_eq!(talk.left.link.next_failure().unwrap().id, id);
    let got = talk.right.got.messages.remove(0);
    assert_eq!(
        got.damage,
        Some(Damage::Withdrawn {
            sent: 600,
            received: 253
        })
    );
    talk.send_all();
    talk.finish();
}

#[test]
fn a_peer_may_die_at_every_step() {
    for step in 0..2 * CALLS {
        for errno in [libc::EPIPE, libc::ECONNRESET] {
            let mut talk = Conversation::start();
            talk.on_send(after(step, &[]));
            let script = talk.left.link.transport().script();
            script.borrow_mut().send_then = Fault::Errno(errno);
            for (index, (bytes, count)) in SHAPES.into_iter().cycle().take(12).enumerate() {
                let fds: Vec<_> = (0..count).map(|at| talk.tags[at % 3].fd()).collect();
                let sent = talk.left.link.try_send(
                    &Conversation::payload(index, bytes),
                    &fds,
                    SendOptions::default(),
                    talk.left.now,
                );
                if let Err(error) = sent {
                    assert_eq!(error.errno(), Some(errno));
                    break;
                }
            }
            let _ = talk.left.link.flush(talk.left.now);
            let error = talk.left.link.write_error().unwrap();
            assert_eq!(error.errno(), Some(errno), "step {step}");
            assert_eq!(talk.left.link.queued(), Load::default());
            // What the peer said before is still read, and how it ended.
            drop(talk.right);
            let end = talk.left.receive_all().unwrap_err();
            assert!(matches!(end, LinkError::PeerGone) || end.errno() == Some(libc::ECONNRESET));
            assert_eq!(talk.left.link.state(), State::Finished);
            drop(talk.left);
            talk.tags.into_iter().for_each(Tag::assert_only_copy);
        }
    }
}

#[test]
fn a_receiver_survives_the_death_of_its_peer_after_every_byte() {
    let tag = Tag::new();
    for bytes in 1..120 {
        let (mut left, mut right) = pair();
        let script = left.link.transport().script();
        script.borrow_mut().send_then = Fault::Short(1);
        left.send(b"0123456789", &[tag.fd(), tag.fd()]);
        left.send(b"x", &[tag.fd()]);
        while left.link.transport().moved() < bytes && left.link.wants_write() {
            // One byte a call.
            let once = [Fault::Short(1), Fault::Errno(libc::EAGAIN)];
            script.borrow_mut().send = once.into();
            left.link.flush(left.now).unwrap();
        }
        drop(left);
        let error = right.receive_all().unwrap_err();
        assert_eq!(error, LinkError::PeerGone);
        let whole = right.got.messages.len();
        assert!(whole <= 2);
        right.got.messages.clear();
    }
    tag.assert_only_copy();
}
