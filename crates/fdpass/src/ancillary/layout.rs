//! How a control message lies in memory on each system: the arithmetic of `CMSG_LEN` and `CMSG_SPACE`.

/// The layout of `struct cmsghdr` of one system.
///
/// A value and not a `cfg`, so that the layout of macOS is tested on Linux too. There are no others than the constants:
/// the encoder relies on their field being 4 or 8 bytes wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The size of `cmsg_len` in bytes (4 or 8).
    pub(super) length_bytes: usize,
    /// The alignment of headers and data.
    pub(super) align: usize,
}

/// 64-bit Linux: `size_t cmsg_len; int cmsg_level; int cmsg_type;`, aligned to 8.
pub const CMSG_LINUX: Layout = Layout {
    length_bytes: size_of::<usize>(),
    align: size_of::<usize>(),
};

/// macOS: `socklen_t cmsg_len; int cmsg_level; int cmsg_type;`, aligned to 4.
pub const CMSG_APPLE: Layout = Layout {
    length_bytes: 4,
    align: 4,
};

/// The layout of the system this was built for.
pub const CMSG_NATIVE: Layout = crate::sys::CMSG_LAYOUT;

impl Layout {
    /// The size of a header, aligned: where the data begins.
    #[doc(alias = "CMSG_LEN")]
    #[must_use]
    pub const fn header(self) -> usize {
        self.align_up(self.length_bytes + 8)
    }

    /// The length that the header of `data` bytes states.
    #[doc(alias = "CMSG_LEN")]
    #[must_use]
    pub const fn length(self, data: usize) -> usize {
        self.header() + data
    }

    /// The room that a control message of `data` bytes takes.
    #[doc(alias = "CMSG_SPACE")]
    #[must_use]
    pub const fn space(self, data: usize) -> usize {
        self.header() + self.align_up(data)
    }

    pub(crate) const fn align_up(self, length: usize) -> usize {
        (length + self.align - 1) & !(self.align - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::{CMSG_APPLE, CMSG_LINUX, CMSG_NATIVE};

    #[test]
    fn the_native_layout_is_that_of_libc() {
        for data in 0..2048u32 {
            assert_eq!(
                CMSG_NATIVE.space(data as usize),
                crate::sys::cmsg_space(data)
            );
            assert_eq!(
                CMSG_NATIVE.length(data as usize),
                crate::sys::cmsg_len(data)
            );
        }
    }

    #[test]
    fn the_layouts_of_both_systems_are_those_of_their_headers() {
        assert_eq!(
            (
                CMSG_LINUX.length(4),
                CMSG_LINUX.space(4),
                CMSG_LINUX.space(8)
            ),
            (20, 24, 24)
        );
        assert_eq!(
            (
                CMSG_APPLE.length(4),
                CMSG_APPLE.space(4),
                CMSG_APPLE.space(8)
            ),
            (16, 16, 20)
        );
    }
}
