//! How a link ends: on purpose, by its peer, by time.

use std::time::Duration;

use crate::support::{End, Fault, Tag, pair, pair_with, settle, with_raw_peer};
use fdpass::link::{Config, LinkError, Marks, QueueLimit, SendOptions, State, Stop, Waited};

#[test]
fn both_sides_close_and_finish() {
    let (mut left, mut right) = pair();
    let tag = Tag::new();
    left.send(b"last words", &[tag.fd()]);
    left.link.close(left.now);
    assert_eq!(left.link.state(), State::Closing);
    assert_eq!(right.receive_all(), Ok(Stop::End));
    right.expect(0, b"last words", &[&tag]);
    assert!(!right.link.wants_read());
    // The other direction is still open.
    right.send(b"unheard", &[tag.fd()]);
    right.link.close(right.now);
    assert_eq!(right.link.state(), State::Finished);
    assert_eq!(left.receive_all(), Ok(Stop::End));
    assert_eq!(left.link.state(), State::Finished);
    assert!(left.got.messages.is_empty());
    right.got.messages.clear();
    tag.assert_only_copy();
}

#[test]
fn a_link_that_never_spoke_says_goodbye_too() {
    let (mut left, mut right) = pair();
    assert!(left.link.is_untouched());
    left.link.close(left.now);
    assert_eq!(right.receive_all(), Ok(Stop::End));
    assert!(!right.link.is_untouched());
}

#[test]
fn closing_flushes_a_long_queue_first() {
    let (mut left, mut right) = pair();
    let tag = Tag::new();
    for _ in 0..2_000 {
        left.send(&[0; 500], &[tag.fd()]);
    }
    assert!(left.link.queued().messages > 0);
    left.link.close(left.now);
    let refused = left
        .link
        .try_send(b"", &[], SendOptions::default(), left.now);
    assert_eq!(refused, Err(LinkError::Closed));
    settle(&mut left, &mut right).unwrap();
    assert_eq!(right.got.messages.len(), 2_000);
    assert_eq!(right.receive_all(), Ok(Stop::End));
    right.link.close(right.now);
    assert_eq!(left.receive_all(), Ok(Stop::End));
    assert_eq!(left.link.state(), State::Finished);
}

#[test]
fn both_sides_close_at_the_same_time_with_full_queues() {
    let (mut left, mut right) = pair();
    for end in [&mut left, &mut right] {
        for _ in 0..1_000 {
            end.send_acked(&[0; 1_000], &[]);
        }
        end.link.close(end.now);
    }
    settle(&mut left, &mut right).unwrap();
    assert_eq!(left.link.state(), State::Finished);
    assert_eq!(right.link.state(), State::Finished);
}

#[test]
fn a_peer_that_never_reads_bounds_the_queue_and_the_close() {
    let config = Config {
        most: Marks {
            fds: 3_000,
            ..Config::default().most
        },
        ..Config::default()
    };
    let (mut left, deaf) = with_raw_peer(config);
    let tag = Tag::new();
    let fds = vec![tag.fd(); 253];
    let error = loop {
        if let Err(error) = left
            .link
            .try_send(&[0; 100], &fds, SendOptions::default(), left.now)
        {
            break error;
        }
    };
    let limit = QueueLimit::Descriptors(3_000);
    assert_eq!(error, LinkError::QueueFull { limit });
    assert_eq!(
        error.to_string(),
        "Cannot queue another message: the limit is 3000 queued descriptors. Wait for 'drain' before sending more"
    );
    assert!(left.link.queued().fds <= 3_000);
    left.link.close(left.now);
    // Where the kernel has no room for descriptors (the portable profile), it is asked again until the time is over.
    let (deadline, error) = loop {
        let deadline = left.link.next_deadline().unwrap();
        if let Err(error) = left.link.on_deadline(deadline) {
            break (deadline, error);
        }
    };
    assert_eq!(deadline - left.now, Config::default().close_timeout);
    assert_eq!(
        error,
        LinkError::TimedOut {
            waited: Waited::Close,
            after: Config::default().close_timeout,
        }
    );
    assert_eq!(error.code(), "ERR_FDPASS_TIMEOUT");
    let waited = Config::default().close_timeout.as_millis();
    assert_eq!(
        error.to_string(),
        format!(
            "The channel ended: room for the last messages did not come within {waited} ms. Look why the peer is silent, or allow it more time"
        )
    );
    drop((left, deaf));
    tag.assert_only_copy();
}

#[test]
fn a_peer_that_does_not_close_is_left_behind_in_time() {
    let (mut left, mut right) = pair();
    left.send(b"x", &[]);
    left.link.close(left.now);
    right.receive_all().unwrap();
    left.now = left.link.next_deadline().unwrap();
    assert_eq!(left.link.on_deadline(left.now), Ok(()));
    assert_eq!(left.link.state(), State::Finished);
}

#[test]
fn a_stream_that_ends_without_goodbye_is_a_peer_that_is_gone() {
    let (mut left, mut right) = pair();
    left.send(b"x", &[]);
    drop(left);
    assert_eq!(right.receive_all(), Err(LinkError::PeerGone));
    assert_eq!(right.got.messages.len(), 1);
    assert_eq!(LinkError::PeerGone.code(), "ERR_FDPASS_PEER_GONE");
    // Again, and for sends.
    assert_eq!(right.receive().unwrap_err(), LinkError::PeerGone);
    let refused = right
        .link
        .try_send(b"", &[], SendOptions::default(), right.now);
    assert_eq!(refused, Err(LinkError::PeerGone));
}

#[test]
fn a_peer_that_dies_with_our_bytes_unread_resets() {
    let (mut left, mut right) = pair();
    left.send(b"x", &[]);
    right.send(b"unread", &[]);
    drop(left);
    let error = right.receive_all().unwrap_err();
    assert_eq!(
        (error.code(), error.syscall()),
        ("ECONNRESET", Some("recvmsg"))
    );
    assert_eq!(right.got.messages.len(), 1);
}

#[test]
fn a_peer_that_left_with_goodbye_ends_even_if_it_did_not_read_all() {
    let (mut left, mut right) = pair();
    right.send(b"unread", &[]);
    left.link.close(left.now);
    drop(left);
    assert_eq!(right.receive_all(), Ok(Stop::End));
}

#[test]
fn after_epipe_what_the_peer_said_is_still_read() {
    let (mut left, mut right) = pair();
    let tag = Tag::new();
    left.send(b"first", &[tag.fd()]);
    left.send(b"second", &[]);
    drop(left);
    let error = right
        .link
        .try_send(b"x", &[], SendOptions::default(), right.now)
        .unwrap_err();
    assert_eq!((error.code(), error.syscall()), ("EPIPE", Some("sendmsg")));
    assert!(!right.link.wants_write() && right.link.wants_read());
    assert_eq!(right.receive_all(), Err(LinkError::PeerGone));
    right.expect(0, b"first", &[&tag]);
    right.expect(1, b"second", &[]);
}

#[test]
fn half_a_message_and_then_silence_times_out() {
    let config = Config {
        stall_timeout: Some(Duration::from_secs(7)),
        ..Config::default()
    };
    for bytes in [1, 39, 41, 55, 57, 60] {
        let (mut left, mut right) = pair_with(Config::default(), config.clone());
        let script = left.link.transport().script();
        let faults = std::iter::repeat_n(Fault::Short(1), bytes);
        script.borrow_mut().send = faults.collect();
        script.borrow_mut().send_then = Fault::Errno(libc::EAGAIN);
        left.send(b"payload", &[]);
        left.link.flush(left.now).unwrap();
        right.receive_all().unwrap();
        let deadline = right.link.next_deadline().unwrap();
        assert_eq!(
            deadline - right.now,
            Duration::from_secs(7),
            "{bytes} bytes"
        );
        let error = right.link.on_deadline(deadline).unwrap_err();
        assert_eq!(
            error,
            LinkError::TimedOut {
                waited: Waited::Rest,
                after: Duration::from_secs(7),
            }
        );
    }
}

#[test]
fn silence_between_messages_is_no_stall() {
    let (mut left, mut right) = pair();
    assert_eq!(right.link.next_deadline(), None);
    left.send(b"x", &[]);
    right.receive_all().unwrap();
    assert_eq!(right.link.next_deadline(), None);
}

#[test]
fn an_abort_takes_back_what_has_not_begun() {
    let (mut left, mut right) = pair();
    let tags = Tag::many(4);
    left.send(b"hello", &[]);
    let script = left.link.transport().script();
    script.borrow_mut().send = [Fault::Short(3), Fault::Errno(libc::EAGAIN)].into();
    let begun = left.send(b"begun", &[tags[0].fd()]);
    let first = left.send(b"first", &[tags[1].fd()]);
    let large = left.send_acked(b"large", &[]);
    let last = left.send(b"last", &[tags[3].fd()]);
    assert!(!left.link.abort(begun), "its first bytes have left");
    assert!(left.link.abort(first));
    assert!(left.link.abort(large));
    assert!(!left.link.abort(large), "it is gone already");
    assert!(!left.link.abort(last + 1));
    settle(&mut left, &mut right).unwrap();
    assert_eq!(right.got.messages.len(), 3);
    right.expect(1, b"begun", &[&tags[0]]);
    right.expect(2, b"last", &[&tags[3]]);
    assert_eq!(left.link.written_through(), last);
    assert_eq!(left.link.next_deadline(), None, "nobody waits for it");
    drop((left, right));
    tags.into_iter().for_each(Tag::assert_only_copy);
}

#[test]
fn dropping_a_link_closes_all_it_holds() {
    let tag = Tag::new();
    let (mut left, mut right) = pair();
    let fds = vec![tag.fd(); 200];
    for _ in 0..20 {
        left.send(&vec![0; 20_000], &fds);
        right.send(b"x", &fds);
    }
    // Some is read and not delivered.
    let budget = fdpass::link::Budget {
        fds: 1,
        ..Default::default()
    };
    let End {
        link, buffer, got, ..
    } = &mut right;
    link.receive_into(buffer, got, &budget, left.now).unwrap();
    drop((left, right));
    tag.assert_only_copy();
}
