//! The numbers that are open in this process, without allocating (`getdents64(2)` of `/proc/self/fd`).

use std::os::fd::RawFd;

use super::{PIECE, call, word};

/// Where the length and the name stand in `struct linux_dirent64`.
const LENGTH: usize = 16;
const NAME: usize = 19;

/// An iterator, but for the trait: its adapters are not written for a process that must not panic.
pub(super) struct Numbers {
    folder: RawFd,
    piece: [u8; PIECE],
    filled: usize,
    at: usize,
}

impl Numbers {
    /// `None`: there is no procfs, or no free number.
    pub(super) fn of_this_process() -> Option<Self> {
        let path = *b"/proc/self/fd\0";
        let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
        let folder = open(&path, flags)?;
        Some(Self {
            folder,
            piece: [0; PIECE],
            filled: 0,
            at: 0,
        })
    }

    pub(super) fn next(&mut self) -> Option<RawFd> {
        loop {
            if self.at >= self.filled {
                self.fill()?;
            }
            let entry = self.piece.get(self.at..self.filled)?;
            let length = u16::from_ne_bytes([*entry.get(LENGTH)?, *entry.get(LENGTH + 1)?]);
            // An entry without a length would keep this here for ever.
            self.at = self.at.checked_add(usize::from(length.max(1)))?;
            if let Some(number) = entry.get(NAME..usize::from(length)).and_then(digits)
                && number != self.folder
            {
                return Some(number);
            }
        }
    }

    fn fill(&mut self) -> Option<()> {
        let at = (&raw mut self.piece).expose_provenance();
        let got = call(
            libc::SYS_getdents64,
            [word(self.folder), at, PIECE, 0, 0, 0],
        );
        self.at = 0;
        self.filled = usize::try_from(got).ok().filter(|got| *got > 0)?;
        Some(())
    }
}

/// Opens a path that ends in a zero.
pub(super) fn open(path: &[u8], flags: i32) -> Option<RawFd> {
    // The kernel reads the register as an `int`.
    let here = word(0).wrapping_add_signed(libc::AT_FDCWD as isize);
    let flags = flags.unsigned_abs() as usize;
    let number = call(
        libc::SYS_openat,
        [here, path.as_ptr().expose_provenance(), flags, 0, 0, 0],
    );
    RawFd::try_from(number).ok().filter(|number| *number >= 0)
}

/// The number that a name is, up to its closing zero. `None`: it is another name.
fn digits(name: &[u8]) -> Option<RawFd> {
    let mut number: RawFd = 0;
    let mut count = 0;
    for byte in name {
        let digit = match *byte {
            0 => break,
            byte @ b'0'..=b'9' => RawFd::from(byte - b'0'),
            _ => return None,
        };
        number = number.checked_mul(10)?.checked_add(digit)?;
        count += 1;
    }
    (count > 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsRawFd;

    #[test]
    fn every_open_number_is_found_once() {
        let files: Vec<File> = (0..400)
            .map(|_| File::open("/dev/null").expect("/dev/null"))
            .collect();
        let mut numbers = Numbers::of_this_process().expect("procfs");
        let mut found = Vec::new();
        while let Some(number) = numbers.next() {
            found.push(number);
        }
        for file in &files {
            let times = found.iter().filter(|number| **number == file.as_raw_fd());
            assert_eq!(times.count(), 1);
        }
    }

    #[test]
    fn only_numbers_are_numbers() {
        assert_eq!(digits(b"120\0\0"), Some(120));
        assert_eq!(digits(b"0"), Some(0));
        assert_eq!(digits(b"..\0"), None);
        assert_eq!(digits(b"\0"), None);
        assert_eq!(digits(b"99999999999\0"), None);
    }
}
