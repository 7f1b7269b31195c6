//! Which numbers JavaScript holds in one environment.
//!
//! A worker thread may be terminated at any moment, and then nobody closes what its JavaScript owned. The ledger is a
//! bitmap, so that entering a number costs nothing measurable; what is left in it is closed when the environment ends.

use std::os::fd::{OwnedFd, RawFd};

use crate::fd;

/// The standard streams are never closed by a ledger: other parts of the process use them by number.
const FIRST_OWNED: RawFd = 3;

/// A set of descriptor numbers.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    words: Vec<u64>,
}

impl Ledger {
    /// JavaScript holds `number` from now on. Whether it did not before.
    pub(crate) fn enter(&mut self, number: RawFd) -> bool {
        let (word, bit) = place(number);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let fresh = self.words[word] & bit == 0;
        self.words[word] |= bit;
        fresh
    }

    /// JavaScript does not hold `number` any more. Whether it did.
    pub(crate) fn remove(&mut self, number: RawFd) -> bool {
        let (word, bit) = place(number);
        let Some(word) = self.words.get_mut(word) else {
            return false;
        };
        let held = *word & bit != 0;
        *word &= !bit;
        held
    }

    /// Everything that is left, as descriptors to close.
    pub(crate) fn drain(&mut self) -> Vec<OwnedFd> {
        let words = std::mem::take(&mut self.words);
        let numbers = words.iter().zip(0i32..).flat_map(|(word, index)| {
            (0..64i32)
                .filter(move |bit| word & (1 << bit) != 0)
                .map(move |bit| index * 64 + bit)
        });
        numbers
            .filter(|number| *number >= FIRST_OWNED)
            .filter_map(fd::own)
            .collect()
    }
}

/// Numbers are never negative here: `fd` refuses those.
fn place(number: RawFd) -> (usize, u64) {
    let number = number.cast_unsigned();
    ((number / 64) as usize, 1 << (number % 64))
}
