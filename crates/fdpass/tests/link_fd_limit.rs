//! At the descriptor limit: the message that does not fit is damaged, all others are whole.
//!
//! The limit is the process's, so this is one test alone in its program.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of tests fails like a test"
)]

#[path = "link/support/mod.rs"]
mod support;

use std::fs::File;

use fdpass::link::{Damage, SendOptions};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use support::{End, Fault, Tag, pair, settle};

/// Runs `act` with room for exactly `free` more descriptors.
fn with_free<R>(free: u64, act: impl FnOnce() -> R) -> R {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    // Fill the gaps below the highest number, so that the limit counts what is free.
    let mut fillers = Vec::new();
    let highest = loop {
        let file = File::open("/dev/null").unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&file);
        let open = std::fs::read_dir("/proc/self/fd").unwrap().count() - 1;
        fillers.push(file);
        if usize::try_from(number).unwrap() + 1 >= open {
            break u64::try_from(number).unwrap();
        }
    };
    setrlimit(Resource::RLIMIT_NOFILE, highest + 1 + free, hard).unwrap();
    let result = act();
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    result
}

fn acquainted() -> (End, End) {
    let (mut left, mut right) = pair();
    left.send(b"hello", &[]);
    settle(&mut left, &mut right).unwrap();
    right.got.messages.clear();
    (left, right)
}

#[test]
fn the_descriptor_limit_damages_one_message_or_refuses_one_send() {
    receiver_at_its_limit();
    sender_at_its_limit_before_a_message();
    sender_at_its_limit_within_a_message();
}

fn receiver_at_its_limit() {
    let (mut left, mut right) = acquainted();
    let tag = Tag::new();
    left.send_acked(b"fits", &[tag.fd(), tag.fd()]);
    let lost = left.send_acked(b"does not fit", &[tag.fd(), tag.fd(), tag.fd()]);
    left.send_acked(b"plain", &[]);
    with_free(4, || right.receive_all()).unwrap();
    left.send_acked(b"after", &[tag.fd()]);
    settle(&mut left, &mut right).unwrap();

    right.expect(0, b"fits", &[&tag, &tag]);
    right.expect(2, b"plain", &[]);
    right.expect(3, b"after", &[&tag]);
    let got = &right.got.messages[1];
    let received = if cfg!(fdpass_portable) { 0 } else { 2 };
    assert_eq!(got.payload, b"does not fit");
    assert_eq!(got.damage, Some(Damage::Truncated { sent: 3, received }));
    let failure = left.link.next_failure().unwrap();
    assert_eq!(
        (failure.id, failure.error.code()),
        (lost, "ERR_FDPASS_PEER_TRUNCATED")
    );
    assert_eq!(left.link.acknowledged_through(), 5);
    drop((left, right));
    tag.assert_only_copy();
}

fn sender_at_its_limit_before_a_message() {
    let (mut left, mut right) = acquainted();
    let tag = Tag::new();
    let script = left.link.transport().script();
    script.borrow_mut().send = [Fault::Errno(libc::EAGAIN)].into();
    let fds = [tag.fd(); 5];
    let options = SendOptions::default();
    let error = with_free(2, || left.link.try_send(b"no", &fds, options, left.now)).unwrap_err();
    assert_eq!((error.code(), error.syscall()), ("EMFILE", Some("fcntl")));
    assert_eq!(left.link.queued().fds, 0);
    left.send(b"yes", &fds);
    settle(&mut left, &mut right).unwrap();
    right.expect(0, b"yes", &[&tag; 5]);
    drop((left, right));
    tag.assert_only_copy();
}

fn sender_at_its_limit_within_a_message() {
    let (mut left, mut right) = acquainted();
    let tag = Tag::new();
    let script = left.link.transport().script();
    script.borrow_mut().send = [Fault::None, Fault::Errno(libc::EAGAIN)].into();
    let fds = vec![tag.fd(); 600];
    let options = SendOptions::default();
    let error = with_free(2, || left.link.try_send(b"no", &fds, options, left.now)).unwrap_err();
    assert_eq!(
        (error.code(), error.errno()),
        ("ERR_FDPASS_WITHDRAWN", Some(libc::EMFILE))
    );
    left.send(b"yes", &fds[..5]);
    settle(&mut left, &mut right).unwrap();
    let damage = Damage::Withdrawn {
        sent: 600,
        received: 253,
    };
    assert_eq!(right.got.messages[0].damage, Some(damage));
    right.expect(1, b"yes", &[&tag; 5]);
    drop((left, right));
    tag.assert_only_copy();
}
