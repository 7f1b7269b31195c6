//! Who sent which bytes, where the socket asks the kernel for it (`SO_PASSCRED`).

use std::collections::VecDeque;

use crate::credentials::Credentials;

/// Bytes of one sender: the kernel never gives those of two in one read.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    start: u64,
    end: u64,
    sender: Credentials,
}

/// The senders of the bytes that were read and not used. Empty where nobody asked.
#[derive(Debug, Default)]
pub(super) struct Senders {
    stretches: VecDeque<Stretch>,
}

impl Senders {
    /// A read brought the stream offsets `start..end`. What is before `used` will not be asked for any more.
    #[inline]
    pub(super) fn note(&mut self, start: u64, end: u64, sender: Option<Credentials>, used: u64) {
        if let Some(sender) = sender {
            self.add(start, end, sender, used);
        }
    }

    fn add(&mut self, start: u64, end: u64, sender: Credentials, used: u64) {
        self.forget(used);
        match self.stretches.back_mut() {
            Some(last) if last.end == start && last.sender == sender => last.end = end,
            _ => self.stretches.push_back(Stretch { start, end, sender }),
        }
    }

    /// The sender of the byte at `at`, below which nothing will be asked for any more.
    #[inline]
    pub(super) fn of(&mut self, at: u64) -> Option<Credentials> {
        if self.stretches.is_empty() {
            return None;
        }
        self.forget(at);
        let first = self.stretches.front().filter(|first| first.start <= at);
        first.map(|first| first.sender)
    }

    fn forget(&mut self, used: u64) {
        while self
            .stretches
            .front()
            .is_some_and(|first| first.end <= used)
        {
            self.stretches.pop_front();
        }
    }

    pub(super) fn clear(&mut self) {
        self.stretches = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn process(pid: i32) -> Credentials {
        Credentials {
            pid,
            uid: 0,
            gid: 0,
        }
    }

    #[test]
    fn a_byte_has_the_sender_of_its_read() {
        let mut senders = Senders::default();
        assert_eq!(senders.of(0), None);
        senders.note(0, 10, Some(process(1)), 0);
        senders.note(10, 20, Some(process(1)), 0);
        senders.note(20, 30, Some(process(2)), 0);
        assert_eq!(senders.stretches.len(), 2);
        assert_eq!(senders.of(0), Some(process(1)));
        assert_eq!(senders.of(19), Some(process(1)));
        assert_eq!(senders.of(20), Some(process(2)));
        assert_eq!(senders.of(30), None);
    }

    #[test]
    fn bytes_that_nobody_vouches_for_have_no_sender() {
        let mut senders = Senders::default();
        senders.note(0, 10, None, 0);
        senders.note(10, 20, Some(process(1)), 0);
        assert_eq!(senders.of(5), None);
        assert_eq!(senders.of(10), Some(process(1)));
    }

    #[test]
    fn senders_that_take_turns_within_a_long_message_are_not_all_kept() {
        let mut senders = Senders::default();
        for at in 0..1_000 {
            let sender = process(i32::from(at % 2 == 0));
            senders.note(at, at + 1, Some(sender), at);
        }
        assert_eq!(senders.stretches.len(), 1);
    }
}
