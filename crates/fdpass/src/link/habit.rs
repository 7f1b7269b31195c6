//! Whether messages come one by one.
//!
//! A read stops behind descriptors, so that only another read tells whether more is there. When a peer waits for an answer
//! to each message nothing ever is, and the second read is a tenth of a round trip. Readiness is level-triggered: what is
//! not asked for now is told again.

/// So many wake-ups in a row brought one message before the next is taken for granted.
const SURE_AFTER: u8 = 4;
/// One in so many asks all the same: a peer that begins to stream is found out soon.
const ASKS_EVERY: u8 = 16;

/// What the wake-ups of one link brought lately.
#[derive(Debug, Default)]
pub(super) struct Habit {
    /// Wake-ups in a row whose second read found nothing.
    alone: u8,
    /// Second reads that were left out since the last one.
    left_out: u8,
}

impl Habit {
    /// Whether to leave out the read behind a first message with descriptors.
    pub(super) fn expects_nothing_more(&mut self) -> bool {
        if self.alone < SURE_AFTER {
            return false;
        }
        self.left_out = (self.left_out + 1) % ASKS_EVERY;
        self.left_out != 0
    }

    /// What the second read found.
    pub(super) fn note(&mut self, nothing: bool) {
        self.alone = if nothing {
            self.alone.saturating_add(1)
        } else {
            0
        };
    }
}

#[cfg(test)]
mod tests {
    use super::{ASKS_EVERY, Habit, SURE_AFTER};

    #[test]
    fn asks_until_it_is_sure_and_now_and_then_after_that() {
        let mut habit = Habit::default();
        for _ in 0..SURE_AFTER {
            assert!(!habit.expects_nothing_more());
            habit.note(true);
        }
        let asked = (0..160).filter(|_| !habit.expects_nothing_more()).count();
        assert_eq!(asked, 160 / usize::from(ASKS_EVERY));
    }

    #[test]
    fn one_more_message_ends_the_habit() {
        let mut habit = Habit::default();
        (0..100).for_each(|_| habit.note(true));
        assert!(habit.expects_nothing_more());
        habit.note(false);
        assert!(!habit.expects_nothing_more());
    }
}
