//! What the core promises, one family of behaviour a file.
//!
//! One program and not one a file: it is linked once, and a helper that nothing uses is an error.
//!
//! # Every test runs in a process of its own
//!
//! Open descriptors, `RLIMIT_NOFILE`, the user and interval timers belong to the process. A test beside others in one
//! process could neither count descriptors by number nor lower a limit. So each test executes this program again for
//! itself alone (`util::alone`), and there everything that is open before and after its body must be the same, number by
//! number and inode by inode. A mutex would not do: the test harness itself writes and spawns threads meanwhile, and a
//! lowered limit or a dropped privilege cannot be taken back.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of tests fails like a test"
)]

mod util;

mod address;
mod android;
mod close_on_exec;
mod conformance;
mod corpus;
mod credentials;
mod death;
mod decoder;
mod descriptor;
mod error;
mod harness;
mod inspect;
mod interruption;
mod limit;
mod message;
mod refusal;
mod regressions;
mod socket;
mod timeout;
mod truncation;
