//! Acknowledgements: who is told what, and what waits for it.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{End, Fault, Tag, pair, pair_with, settle, with_raw_peer};
use fdpass::link::{Config, Damage, Limits, LinkError, QueueLimit, SendOptions, State, Waited};
use fdpass::{inspect, socket};

#[test]
fn one_acknowledgement_answers_many_messages() {
    let (mut left, mut right) = pair();
    let tag = Tag::new();
    for _ in 0..20 {
        left.send_acked(b"x", &[tag.fd()]);
    }
    left.send(b"no question", &[]);
    assert_eq!(left.link.acknowledged_through(), 0);
    let script = right.link.transport().script();
    right.receive_all().unwrap();
    // The preamble, and one frame for each wake-up that brought something.
    assert!(script.borrow().sends <= 3, "{}", script.borrow().sends);
    left.receive_all().unwrap();
    assert_eq!(left.link.acknowledged_through(), 20);
    assert_eq!(left.link.next_failure(), None);
}

#[test]
fn nothing_is_said_to_a_sender_that_does_not_ask() {
    let (mut left, mut right) = pair();
    left.send(b"x", &[]);
    right.receive_all().unwrap();
    left.receive_all().unwrap();
    let before = left.link.transport().moved();
    left.send(b"y", &[]);
    right.receive_all().unwrap();
    left.receive_all().unwrap();
    assert_eq!(left.link.transport().moved() - before, 17);
}

#[test]
fn what_the_peer_does_not_take_has_its_own_status() {
    let limits = Limits {
        max_message_bytes: 100,
        max_message_fds: 2,
    };
    let config = Config {
        limits,
        accept: Some(Arc::new(|fd| {
            inspect::describe(fd).is_ok_and(|it| it.kind == inspect::Kind::Pipe)
        })),
        ..Config::default()
    };
    let (mut left, mut right) = pair_with(Config::default(), config);
    let tag = Tag::new();
    let file = std::fs::File::open("/dev/null").unwrap();
    // The sender has not heard of the limits yet.
    let too_many = left.send_acked(b"too many", &[tag.fd(), tag.fd(), tag.fd()]);
    let too_large = left.send_acked(&[0; 101], &[tag.fd()]);
    let refused = left.send_acked(b"refused", &[tag.fd(), file.as_fd()]);
    let good = left.send_acked(b"good", &[tag.fd()]);
    settle(&mut left, &mut right).unwrap();

    let damages: Vec<_> = right.got.messages.iter().map(|got| got.damage).collect();
    let expected = [
        Some(Damage::TooManyFds { sent: 3, limit: 2 }),
        Some(Damage::TooLarge {
            sent: 101,
            limit: 100,
        }),
        Some(Damage::Refused {
            sent: 2,
            received: 1,
        }),
        None,
    ];
    assert_eq!(damages, expected);
    assert_eq!(right.got.messages[1].payload, b"");
    right.expect(3, b"good", &[&tag]);
    let mut failures = Vec::new();
    while let Some(failure) = left.link.next_failure() {
        failures.push((failure.id, failure.error.code()));
    }
    assert_eq!(
        failures,
        [
            (too_many, "ERR_FDPASS_PEER_TOO_MANY_FDS"),
            (too_large, "ERR_FDPASS_PEER_TOO_LARGE"),
            (refused, "ERR_FDPASS_PEER_REFUSED")
        ]
    );
    assert_eq!(left.link.acknowledged_through(), good);

    // Now it has, and is refused here.
    let options = SendOptions::default();
    let now = left.now;
    let error = left.link.try_send(&[0; 101], &[], options, now);
    assert_eq!(
        error,
        Err(LinkError::MessageTooLarge {
            bytes: 101,
            limit: 100
        })
    );
    let error = left.link.try_send(b"", &[tag.fd(); 3], options, now);
    assert_eq!(error, Err(LinkError::TooManyFds { fds: 3, limit: 2 }));
    drop((left, right));
    tag.assert_only_copy();
}

#[test]
fn a_queued_message_above_the_limits_fails_when_they_become_known() {
    let limits = Limits {
        max_message_bytes: 1 << 20,
        max_message_fds: 300,
    };
    let config = Config {
        limits,
        ..Config::default()
    };
    let (mut left, mut right) = pair_with(Config::default(), config);
    let tag = Tag::new();
    let large = left.send(b"301", &vec![tag.fd(); 301]);
    let fits = left.send(b"300", &vec![tag.fd(); 300]);
    settle(&mut left, &mut right).unwrap();
    let failure = left.link.next_failure().unwrap();
    assert_eq!(failure.id, large);
    assert_eq!(failure.error.code(), "ERR_FDPASS_TOO_MANY_FDS");
    right.expect(0, b"300", &vec![&tag; 300]);
    assert_eq!(left.link.written_through(), fits);
    drop((left, right));
    tag.assert_only_copy();
}

#[test]
fn acknowledgements_go_ahead_of_a_full_queue() {
    let (mut left, mut right) = pair();
    let tag = Tag::new();
    // Both queues fill up, and neither side reads.
    for end in [&mut left, &mut right] {
        while end.link.queued().messages < 2_000 {
            end.send_acked(&[1; 1_000], &[]);
        }
        end.send_acked(b"last", &[tag.fd()]);
    }
    assert!(left.link.is_above_high_water());
    settle(&mut left, &mut right).unwrap();
    for end in [&mut left, &mut right] {
        assert_eq!(end.link.queued().messages, 0);
        assert_eq!(end.link.acknowledged_through(), end.link.written_through());
        assert_eq!(end.link.next_failure(), None);
        assert!(!end.link.is_above_high_water());
    }
    assert_eq!(left.got.messages.len(), right.got.messages.len());
}

#[test]
fn a_held_socket_stays_open_until_the_peer_has_it() {
    let config = Config {
        hold_sockets: true,
        ..Config::default()
    };
    for owned in [false, true] {
        for queued in [false, true] {
            let (mut left, mut right) = pair_with(config.clone(), Config::default());
            let tag = Tag::new();
            let (kept, sent) = socket::pair(socket::SocketType::Stream).unwrap();
            let mut fds = vec![sent, tag.copy()];
            left.send(b"hello", &[]);
            if queued {
                let script = left.link.transport().script();
                script.borrow_mut().send = [Fault::Errno(libc::EAGAIN)].into();
            }
            let options = SendOptions::default();
            if owned {
                let result = left.link.try_send_owned(b"x", &mut fds, options, left.now);
                assert!(result.is_ok() && fds.is_empty());
            } else {
                let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
                left.link
                    .try_send(b"x", &borrowed, options, left.now)
                    .unwrap();
            }
            drop(fds);
            left.link.flush(left.now).unwrap();
            // The socket is held, the pipe is not.
            assert_eq!(left.link.queued().fds, 1);
            right.receive_all().unwrap();
            assert_eq!(right.got.messages[1].fds.len(), 2);
            right.got.messages.clear();
            assert!(!is_hung_up(&kept));
            left.receive_all().unwrap();
            assert_eq!(left.link.queued().fds, 0);
            assert!(is_hung_up(&kept));
            tag.assert_only_copy();
        }
    }
}

/// The other end of a socket pair is closed in every process.
fn is_hung_up(fd: &std::os::fd::OwnedFd) -> bool {
    fdpass::descriptor::wait(fd.as_fd(), false, Duration::ZERO).unwrap()
}

#[test]
fn a_peer_that_never_acknowledges_ends_the_link_in_time_and_costs_little() {
    let config = Config {
        ack_timeout: Some(Duration::from_secs(9)),
        most_unacknowledged: 50,
        ..Config::default()
    };
    let (mut left, _silent) = with_raw_peer(config);
    let options = SendOptions { ack: true };
    let taken = (0..100)
        .map_while(|_| left.link.try_send(b"x", &[], options, left.now).ok())
        .count();
    assert_eq!(taken, 50);
    let error = left.link.try_send(b"x", &[], options, left.now);
    let limit = QueueLimit::Unacknowledged(50);
    assert_eq!(error, Err(LinkError::QueueFull { limit }));
    left.send(b"no question", &[]);

    let deadline = left.link.next_deadline().unwrap();
    assert_eq!(deadline - left.now, Duration::from_secs(9));
    let almost = deadline.checked_sub(Duration::from_millis(1)).unwrap();
    assert_eq!(left.link.on_deadline(almost), Ok(()));
    let error = left.link.on_deadline(deadline).unwrap_err();
    assert_eq!(
        error,
        LinkError::TimedOut {
            waited: Waited::Acknowledgement,
            after: Duration::from_secs(9),
        }
    );
    assert_eq!(left.link.state(), State::Finished);
    assert_eq!(left.receive().unwrap_err(), error);
    assert_eq!(left.link.next_deadline(), None);
}

#[test]
fn many_damaged_messages_are_all_reported() {
    // More than one acknowledgement holds.
    let (mut left, mut right) = pair();
    let tag = Tag::new();
    right.link.transport().script().borrow_mut().receive_then = Fault::Truncate(0);
    let mut failed = 0;
    for _ in 0..10 {
        for _ in 0..100 {
            left.send_acked(b"x", &[tag.fd()]);
        }
        // Nothing can be written for a while.
        right.link.transport().script().borrow_mut().send_then = Fault::Errno(libc::EAGAIN);
        read_and_count(&mut left, &mut right, &mut failed);
    }
    right.link.transport().script().borrow_mut().send_then = Fault::None;
    settle(&mut left, &mut right).unwrap();
    read_and_count(&mut left, &mut right, &mut failed);
    assert_eq!(failed, 1_000);
    assert_eq!(left.link.acknowledged_through(), 1_000);
}

fn read_and_count(left: &mut End, right: &mut End, failed: &mut u64) {
    right.receive_all().unwrap();
    left.receive_all().unwrap();
    while let Some(failure) = left.link.next_failure() {
        *failed += 1;
        assert_eq!(failure.id, *failed);
        // What is not reported yet is not covered either.
        assert!(left.link.acknowledged_through() >= failure.id);
    }
}

#[test]
fn an_unread_heap_of_damages_stops_reading() {
    let (mut left, mut right) = pair();
    let tag = Tag::new();
    right.link.transport().script().borrow_mut().receive_then = Fault::Truncate(0);
    right.link.transport().script().borrow_mut().send_then = Fault::Errno(libc::EAGAIN);
    for _ in 0..5_000 {
        left.send_acked(b"x", &[tag.fd()]);
    }
    for _ in 0..200 {
        let _ = left.link.flush(left.now);
        let _ = right.receive().unwrap();
    }
    assert!(!right.link.wants_read());
    assert!(right.got.messages.len() < 1_100);
    right.link.transport().script().borrow_mut().send_then = Fault::None;
    settle(&mut left, &mut right).unwrap();
    assert_eq!(right.got.messages.len(), 5_000);
    assert_eq!(left.link.acknowledged_through(), 5_000);
}
