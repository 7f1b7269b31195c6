//! A peer in another language, written from `docs/protocol.md` alone, understands us and we it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of tests fails like a test"
)]

#[path = "link/support/mod.rs"]
mod support;

use std::fs::File;
use std::io::{Write, stderr};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fdpass::frame;
use fdpass::link::{Config, SendOptions, SocketTransport, State, Stop};
use fdpass::socket::{self, SocketType};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use support::{End, FaultTransport, Tag};

/// Longer than a peer is ever silent.
const PATIENCE: Duration = Duration::from_secs(20);

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../test/fixtures/peer.py");

fn start(arguments: &[&str]) -> (End, Child) {
    let (ours, theirs) = socket::pair(SocketType::Stream).unwrap();
    let child = Command::new("python3")
        .arg(SCRIPT)
        .args(arguments)
        .stdin(Stdio::from(theirs))
        .spawn()
        .expect("this test needs python3");
    let transport = FaultTransport::new(SocketTransport::new(ours).unwrap());
    (End::new(transport, Config::default()), child)
}

/// Waits until the socket is ready for what the link wants, or the link wants to try again.
fn wait(end: &mut End) {
    end.now = Instant::now();
    let deadline = end.link.next_deadline();
    let patience = deadline.map_or(PATIENCE, |deadline| {
        (deadline.saturating_duration_since(end.now) + Duration::from_millis(1)).min(PATIENCE)
    });
    let mut wanted = PollFlags::empty();
    wanted.set(PollFlags::POLLIN, end.link.wants_read());
    wanted.set(PollFlags::POLLOUT, end.link.wants_write());
    let mut polled = [PollFd::new(end.link.transport().as_fd(), wanted)];
    let ready = poll(
        &mut polled,
        PollTimeout::try_from(patience.as_millis()).unwrap(),
    )
    .unwrap();
    end.now = Instant::now();
    if deadline.is_some_and(|deadline| deadline <= end.now) {
        end.link.on_deadline(end.now).unwrap();
    } else {
        assert_eq!(ready, 1, "the peer says nothing");
    }
}

/// Drives our end, waiting for the other process, until `done`.
fn drive(end: &mut End, done: impl Fn(&End) -> bool) {
    while !done(end) {
        if end.link.wants_write() {
            end.link.flush(end.now).unwrap();
        }
        if end.receive().unwrap().bytes == 0 && !done(end) {
            wait(end);
        }
    }
}

fn converse(arguments: &[&str], minor: u16) {
    let (mut end, mut child) = start(arguments);
    drive(&mut end, |end| end.got.messages.len() == 1);
    let greeting = end.got.messages.remove(0);
    assert_eq!(greeting.payload, b"greeting");
    let file = File::from(greeting.fds.into_iter().next().unwrap());
    let mut content = [0; 11];
    file.read_exact_at(&mut content, 0).unwrap();
    assert_eq!(&content, b"from Python");
    let peer = *end.link.peer_preamble().unwrap();
    assert_eq!(
        (peer.major, peer.minor, peer.max_message_fds),
        (frame::MAJOR, minor, 10_000)
    );

    let tags = Tag::many(3);
    let shapes = [
        (0, 0),
        (5, 1),
        (70_000, 2),
        (1 << 20, 253),
        (7, 600),
        ((1 << 20) + 5, 300),
    ];
    for (at, (bytes, count)) in (0u8..).zip(shapes) {
        let fds: Vec<BorrowedFd<'_>> = (0..count).map(|at| tags[at % 3].fd()).collect();
        let options = SendOptions { ack: true };
        let payload = vec![at; bytes];
        end.link.try_send(&payload, &fds, options, end.now).unwrap();
    }
    drive(&mut end, |end| end.got.messages.len() == shapes.len());
    for (index, (bytes, count)) in shapes.into_iter().enumerate() {
        let expected: Vec<&Tag> = (0..count).map(|at| &tags[at % 3]).collect();
        let payload = vec![u8::try_from(index).unwrap(); bytes];
        end.expect(index, &payload, &expected);
    }
    assert_eq!(end.link.acknowledged_through(), shapes.len() as u64);
    assert_eq!(end.link.next_failure(), None);

    end.link.close(end.now);
    drive(&mut end, |end| end.link.state() == State::Finished);
    assert!(child.wait().unwrap().success());
    end.got.messages.clear();
    tags.into_iter().for_each(Tag::assert_only_copy);
}

/// One test, because a child of another would have copies of our descriptors for a moment.
#[test]
fn a_peer_in_python_passes_messages_both_ways_and_so_does_one_of_a_later_minor_version() {
    if Command::new("python3").arg("--version").output().is_err() {
        let _ = writeln!(stderr().lock(), "skipped: there is no python3");
        return;
    }
    converse(&[], 0);
    converse(&["--later-minor"], 9);
    goodbye_is_answered();
}

fn goodbye_is_answered() {
    let (mut end, mut child) = start(&[]);
    drive(&mut end, |end| end.got.messages.len() == 1);
    end.link.close(end.now);
    assert_eq!(end.link.state(), State::Closing);
    drive(&mut end, |end| end.link.state() == State::Finished);
    assert_eq!(end.receive().unwrap().stopped, Stop::End);
    assert!(child.wait().unwrap().success());
}
