//! `ChannelConfig` of `src/native-types.ts`: numbers that become a `Config` of the core.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use fdpass::inspect::{self, Kind};
use fdpass::link::{Accept, Config};

/// What the numbers say, and whether the descriptor is ours to poll directly.
pub(super) struct Asked {
    pub(super) config: Config,
    pub(super) ours: bool,
    /// Whether the kernel is to say who sent what.
    pub(super) credentials: bool,
}

pub(super) fn read(numbers: &[f64]) -> Asked {
    let at = |index: usize| numbers.get(index).copied().unwrap_or(0.0);
    let mut config = Config::default();
    set_u32(&mut config.codec, at(0));
    set_limit(&mut config.limits.max_message_bytes, at(1));
    set_limit(&mut config.limits.max_message_fds, at(2));
    set_mark(&mut config.high_water.bytes, at(3));
    set_mark(&mut config.high_water.messages, at(4));
    set_mark(&mut config.high_water.fds, at(5));
    set_mark(&mut config.most.bytes, at(6));
    set_mark(&mut config.most.messages, at(7));
    set_mark(&mut config.most.fds, at(8));
    set_timeout(&mut config.stall_timeout, at(9));
    set_timeout(&mut config.ack_timeout, at(10));
    if let Some(timeout) = duration(at(11)) {
        config.close_timeout = timeout;
    }
    if at(12) >= 0.0 {
        config.accept = Some(accept_kinds(to_u32(at(12))));
    }
    Asked {
        config,
        ours: at(13) > 0.0,
        credentials: at(14) > 0.0,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of f64 saturates"
)]
fn to_u32(number: f64) -> u32 {
    number as u32
}

fn set_u32(field: &mut u32, number: f64) {
    if number > 0.0 {
        *field = to_u32(number);
    }
}

/// 0 keeps the default, -1 lets nothing through.
fn set_limit(field: &mut u32, number: f64) {
    if number < 0.0 {
        *field = 0;
    } else {
        set_u32(field, number);
    }
}

/// 0 keeps the default, -1 means no limit.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of f64 saturates"
)]
fn set_mark(field: &mut usize, number: f64) {
    if number < 0.0 {
        *field = usize::MAX;
    } else if number > 0.0 {
        *field = number as usize;
    }
}

fn duration(millis: f64) -> Option<Duration> {
    (millis > 0.0).then(|| Duration::try_from_secs_f64(millis / 1000.0).unwrap_or(Duration::MAX))
}

/// 0 keeps the default, -1 means none.
fn set_timeout(field: &mut Option<Duration>, millis: f64) {
    if millis < 0.0 {
        *field = None;
    } else if let Some(timeout) = duration(millis) {
        *field = Some(timeout);
    }
}

/// Accepts descriptors whose kind has its bit in `mask` (`FD_KINDS`).
fn accept_kinds(mask: u32) -> Accept {
    Arc::new(move |fd: BorrowedFd<'_>| {
        inspect::describe(fd).is_ok_and(|description| mask & (1 << bit(&description.kind)) != 0)
    })
}

/// The place of a kind in `FD_KINDS`.
fn bit(kind: &Kind) -> u32 {
    match kind {
        Kind::File => 0,
        Kind::Directory => 1,
        Kind::Pipe => 2,
        Kind::Tty => 3,
        Kind::Tcp { .. } => 4,
        Kind::Udp { .. } => 5,
        Kind::Unix { .. } => 6,
        Kind::Memfd => 7,
        Kind::Pidfd => 8,
        Kind::Eventfd => 9,
        Kind::Epoll => 10,
        Kind::Device => 11,
        _ => 12,
    }
}
