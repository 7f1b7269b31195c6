//! What a keeper gives back of the memory that it got a copy of: everything that no file stands behind, but for its stack.

use std::os::fd::RawFd;

use super::numbers::open;
use super::{PIECE, call, word};

/// One line of `/proc/self/maps`, as far as it matters here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Range {
    start: usize,
    end: usize,
    private: bool,
    inode: u64,
    /// The first byte of its name, and the second; zero where there is none.
    name: [u8; 2],
}

impl Range {
    /// Heaps and stacks of threads that are not here. Not what follows a file at once: that is its data without a file
    /// behind it, which the code of the file may need.
    fn is_of_no_use(&self, before: &Self, stack: usize) -> bool {
        let of_a_file = before.inode != 0 && before.end == self.start;
        // "[heap]", "[anon: …]"; not "[stack]", "[vdso]", "[vvar]".
        let plain = matches!(self.name, [0, 0] | [b'[', b'h' | b'a']);
        let of_this_thread = (self.start..self.end).contains(&stack);
        self.private && self.inode == 0 && plain && !of_a_file && !of_this_thread
    }
}

/// The lines of `/proc/self/maps`, byte by byte.
pub(super) struct Maps {
    line: Range,
    /// Which field of the line comes now: range, rights, offset, device, inode, name.
    field: u8,
    /// How many bytes of the rights or the name were seen.
    seen: usize,
}

impl Maps {
    const fn new() -> Self {
        let line = Range {
            start: 0,
            end: 0,
            private: false,
            inode: 0,
            name: [0; 2],
        };
        Self {
            line,
            field: 0,
            seen: 0,
        }
    }

    /// Gives the memory of this process back. Where there is no procfs it keeps it.
    pub(super) fn give_back() {
        let Some(file) = open(b"/proc/self/maps\0", libc::O_RDONLY | libc::O_CLOEXEC) else {
            return;
        };
        let stack = [0u8; 1];
        let here = stack.as_ptr().addr();
        let mut maps = Self::new();
        let mut before = maps.line;
        let mut piece = [0u8; PIECE];
        while let Some(bytes) = read(file, &mut piece) {
            for byte in bytes {
                let Some(range) = maps.push(*byte) else {
                    continue;
                };
                if range.is_of_no_use(&before, here) {
                    drop_pages(&range);
                }
                before = range;
            }
        }
        call(libc::SYS_close, [word(file), 0, 0, 0, 0, 0]);
    }

    /// Takes the next byte; returns a line at its end.
    fn push(&mut self, byte: u8) -> Option<Range> {
        if byte == b'\n' {
            let line = self.line;
            *self = Self::new();
            return Some(line);
        }
        // Spaces between the inode and the name are many.
        if byte == b' ' && self.field < 5 {
            self.field += 1;
            self.seen = 0;
            return None;
        }
        let line = &mut self.line;
        match (self.field, byte) {
            (0, b'-') => line.start = std::mem::take(&mut line.end),
            (0, byte) => line.end = line.end << 4 | usize::from(hexadecimal(byte)),
            (1, b'p') if self.seen == 3 => line.private = true,
            (4, b'0'..=b'9') => {
                line.inode = line
                    .inode
                    .wrapping_mul(10)
                    .wrapping_add(u64::from(byte - b'0'));
            }
            (5, byte) if byte != b' ' || self.seen > 0 => {
                if let Some(place) = line.name.get_mut(self.seen) {
                    *place = byte;
                }
                self.seen += 1;
                return None;
            }
            _ => {}
        }
        if self.field < 5 {
            self.seen += 1;
        }
        None
    }
}

fn hexadecimal(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        _ => 0,
    }
}

fn read(file: RawFd, into: &mut [u8; PIECE]) -> Option<&[u8]> {
    let at = into.as_mut_ptr().expose_provenance();
    let got = call(libc::SYS_read, [word(file), at, PIECE, 0, 0, 0]);
    into.get(..usize::try_from(got).ok().filter(|got| *got > 0)?)
}

fn drop_pages(range: &Range) {
    let advice = libc::MADV_DONTNEED.unsigned_abs() as usize;
    let length = range.end.wrapping_sub(range.start);
    call(libc::SYS_madvise, [range.start, length, advice, 0, 0, 0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
55d0-55f0 r-xp 00000000 fe:00 1234                       /usr/bin/node
55f0-5600 rw-p 00020000 fe:00 1234                       /usr/bin/node
5600-5700 rw-p 00000000 00:00 0 
6000-6100 rw-p 00000000 00:00 0                          [heap]
7000-7100 rw-p 00000000 00:00 0 
7200-7300 rw-s 00000000 00:01 77                         /dev/zero (deleted)
7400-7500 rw-p 00000000 00:00 0                          [anon:v8]
7ffd0000-7ffd1000 rw-p 00000000 00:00 0                  [stack]
7ffe0000-7ffe1000 r-xp 00000000 00:00 0                  [vdso]
";

    fn ranges(text: &str) -> Vec<Range> {
        let mut maps = Maps::new();
        text.bytes().filter_map(|byte| maps.push(byte)).collect()
    }

    #[test]
    fn lines_are_read_as_they_are_written() {
        let all = ranges(TEXT);
        assert_eq!(all.len(), 9);
        let first = Range {
            start: 0x55d0,
            end: 0x55f0,
            private: true,
            inode: 1234,
            name: *b"/u",
        };
        assert_eq!(all[0], first);
        assert_eq!((all[4].private, all[4].name), (true, [0, 0]));
        assert_eq!((all[5].private, all[5].inode), (false, 77));
        assert_eq!(all[6].name, *b"[a");
    }

    #[test]
    fn heaps_go_and_files_stacks_and_their_data_stay() {
        let all = ranges(TEXT);
        let gone: Vec<usize> = all
            .iter()
            .zip(std::iter::once(&Range::default()).chain(&all))
            .filter(|(range, before)| range.is_of_no_use(before, 0x7ffd_0800))
            .map(|(range, _)| range.start)
            .collect();
        assert_eq!(gone, [0x6000, 0x7000, 0x7400]);
        assert!(!all[4].is_of_no_use(&all[3], 0x7080), "this thread's stack");
    }

    #[test]
    fn the_maps_of_this_process_are_understood() {
        let text = std::fs::read_to_string("/proc/self/maps").expect("procfs");
        let all = ranges(&text);
        let here = text.as_ptr().addr();
        assert!(
            all.iter()
                .any(|range| (range.start..range.end).contains(&here))
        );
        assert!(all.iter().all(|range| range.start < range.end));
    }
}
