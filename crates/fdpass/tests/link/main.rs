//! What a framed link promises, one family of behaviour a file.
//!
//! `link_fd_limit.rs` is a program of its own, because the descriptor limit is the process's; `link_python.rs`, because a
//! child has copies of every descriptor between its fork and its exec, and the tests here see every copy.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of tests fails like a test"
)]

mod support;

mod acks;
mod end;
mod faults;
mod hostile;
mod messages;
mod property;
