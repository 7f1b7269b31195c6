//! Codes, texts and sources of errors.

use std::error::Error as _;
use std::os::fd::AsFd;

use fdpass::error::{Error, LossCause, Truncation, errno_name};
use fdpass::message::ReceiveLimits;
use fdpass::socket::{self, SocketType};

use crate::util::{alone, pair, receive};

#[test]
fn an_error_can_cross_threads() {
    fn crosses<T: Send + Sync + 'static>() {}
    crosses::<Error>();
    crosses::<ReceiveLimits>();
}

#[test]
fn the_errno_is_kept_with_its_name_and_call() {
    alone(|| {
        let pair = pair(SocketType::Stream);
        let error = receive(pair.right(), &mut [0; 1], 1).unwrap_err();
        assert_eq!(
            (error.code(), error.errno()),
            ("EAGAIN", Some(libc::EAGAIN))
        );
        assert!(error.to_string().starts_with("recvmsg failed: "));
        assert!(error.source().is_some());
        let datagram = socket::create(SocketType::Datagram).unwrap();
        let error = socket::listen(datagram.as_fd(), 1).unwrap_err();
        assert_eq!(
            (error.code(), error.syscall()),
            ("EOPNOTSUPP", Some("listen"))
        );
        let error = socket::accept(datagram.as_fd()).unwrap_err();
        assert_eq!(error.syscall(), Some("accept"));
    });
}

#[test]
fn errno_names_are_those_of_the_system() {
    for (errno, name) in [
        (libc::EAGAIN, "EAGAIN"),
        (libc::EPIPE, "EPIPE"),
        (libc::EMFILE, "EMFILE"),
        (libc::ETOOMANYREFS, "ETOOMANYREFS"),
        (libc::EMSGSIZE, "EMSGSIZE"),
        (libc::EDQUOT, "EDQUOT"),
        (libc::EOVERFLOW, "EOVERFLOW"),
        (0, "UNKNOWN"),
        (-1, "UNKNOWN"),
        (i32::MAX, "UNKNOWN"),
    ] {
        assert_eq!(errno_name(errno), name);
    }
}

/// The value, what would be right, and what to do.
#[test]
fn a_refusal_says_what_was_given_and_what_to_give() {
    for (error, parts) in [
        (
            Error::TooManyDescriptors {
                given: 300,
                limit: 253,
            },
            ["300", "253", "Send several"],
        ),
        (
            Error::EmptyPayload,
            ["zero bytes", "stream", "at least one byte"],
        ),
        (
            Error::NotUnixSocket,
            ["Cannot pass", "not a Unix domain socket", "Use a Unix"],
        ),
        (
            Error::Kind {
                expected: "a stream socket",
                found: "a datagram socket",
            },
            ["a stream socket", "is a datagram socket", "give one"],
        ),
        (
            Error::BadDescriptor { number: -7 },
            ["-7", "not open", "Give the number"],
        ),
        (
            Error::AddressTooLong {
                length: 200,
                limit: 107,
            },
            ["200", "107", "Use a shorter path"],
        ),
    ] {
        let text = error.to_string();
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    }
}

#[test]
fn a_truncation_says_what_is_missing_and_what_to_do() {
    let text = |data, descriptors| {
        let truncation = Truncation {
            data,
            descriptors,
            arrived: 2,
            sent: None,
        };
        Error::Truncated {
            truncation,
            bytes: 1,
        }
        .to_string()
    };
    assert!(text(true, None).contains("larger buffer"));
    assert!(text(false, Some(LossCause::Surplus)).contains("253"));
    assert!(text(false, Some(LossCause::DescriptorLimit)).contains("RLIMIT_NOFILE"));
    assert!(text(false, Some(LossCause::Refused)).contains("security module"));
    assert!(Truncation::default().is_none());
}
