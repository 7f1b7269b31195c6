//! The control buffer of one call: on the stack, and of its bytes only those cleared that nobody else writes.

use std::mem::MaybeUninit;
use std::os::fd::RawFd;

use super::message::widen;
use super::{SCM_RIGHTS, SOL_SOCKET};

use crate::ancillary::{CMSG_NATIVE, CONTROL_BYTES};

/// The bytes of a control message with one descriptor or two.
const SMALL: usize = CMSG_NATIVE.space(8);

/// Room for every control message that can arrive together.
#[repr(C, align(8))]
pub(super) struct Control([MaybeUninit<u8>; CONTROL_BYTES]);

impl Control {
    pub(super) const fn new() -> Self {
        Self([MaybeUninit::uninit(); CONTROL_BYTES])
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.0.as_mut_ptr().cast()
    }

    /// The first `length` bytes, cleared, to be written.
    #[expect(
        clippy::inline_always,
        reason = "compiled for size, a hot call would make a call of each of these"
    )]
    #[inline(always)]
    pub(super) fn zeroed(&mut self, length: usize) -> &mut [u8] {
        let length = length.min(CONTROL_BYTES);
        if length <= SMALL {
            // A single descriptor, the usual case, goes without a call.
            self.clear(0, SMALL);
        } else {
            self.clear(0, length);
        }
        // SAFETY: `length` is within the array and each of these bytes was written just above.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr(), length) }
    }

    /// The first `length` bytes, which the kernel says it filled. It writes headers and data; the padding behind them it
    /// only counts, and that is cleared here.
    pub(super) fn filled(&mut self, length: usize) -> &[u8] {
        let length = length.min(CONTROL_BYTES);
        let mut at = 0;
        while let Some(end) = self.message_end(at, length) {
            let next = CMSG_NATIVE.align_up(end).min(length);
            self.clear(end, next);
            at = next;
        }
        self.clear(at, length);
        // SAFETY: `length` is within the array; the kernel wrote each of these bytes, or they were just above.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), length) }
    }

    /// The numbers, if what the kernel says it filled is one `SCM_RIGHTS` and nothing else.
    #[inline]
    pub(super) fn only_rights(&self, length: usize) -> Option<&[RawFd]> {
        const HEADER: usize = CMSG_NATIVE.header();
        if length <= HEADER || length > CONTROL_BYTES {
            return None;
        }
        // SAFETY: the kernel wrote a header: it filled more than that. The array is aligned for one.
        let header = unsafe { &*std::ptr::from_ref(self).cast::<libc::cmsghdr>() };
        let stated = widen(header.cmsg_len);
        let of_rights = (header.cmsg_level, header.cmsg_type) == (SOL_SOCKET, SCM_RIGHTS);
        if !of_rights || stated < HEADER || stated > length || CMSG_NATIVE.align_up(stated) < length
        {
            return None;
        }
        // SAFETY: the kernel wrote this message up to its stated length, which is within the array; numbers follow the
        // header, which leaves them aligned.
        let numbers = unsafe { std::ptr::from_ref(self).cast::<RawFd>().add(HEADER / 4) };
        // SAFETY: as above.
        Some(unsafe { std::slice::from_raw_parts(numbers, (stated - HEADER) / 4) })
    }

    /// Where the control message at `at` ends; `None` if there is none.
    fn message_end(&self, at: usize, length: usize) -> Option<usize> {
        let header = self.0.get(at..at + CMSG_NATIVE.header())?;
        if at + header.len() > length {
            return None;
        }
        // SAFETY: the kernel wrote this header: it is within what it says it filled.
        let header = unsafe { &*(std::ptr::from_ref(header) as *const [u8]) };
        let stated = CMSG_NATIVE.stated_length(header)?;
        (stated >= header.len()).then(|| at.saturating_add(stated).min(length))
    }

    #[inline]
    fn clear(&mut self, from: usize, to: usize) {
        for byte in self.0.get_mut(from..to).unwrap_or_default() {
            byte.write(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Control;
    use crate::ancillary::{CMSG_NATIVE, CONTROL_BYTES, Decoder, Item, encode_rights};

    fn with(bytes: &[u8]) -> Control {
        let mut control = Control::new();
        for (place, byte) in control.0.iter_mut().zip(bytes) {
            place.write(*byte);
        }
        control
    }

    #[test]
    fn what_the_kernel_wrote_stays_and_the_padding_is_cleared() {
        let mut bytes = vec![0xaa; 128];
        let space = CMSG_NATIVE.space(4);
        for at in [0, space] {
            encode_rights(CMSG_NATIVE, &mut bytes[at..at + space], [7].into_iter()).unwrap();
            bytes[at + CMSG_NATIVE.length(4)..at + space].fill(0xaa);
        }
        let mut control = with(&bytes);
        let filled = control.filled(2 * space);
        assert_eq!(filled.len(), 2 * space);
        for at in [0, space] {
            let end = CMSG_NATIVE.length(4);
            assert_eq!(filled[at..at + end], bytes[at..at + end]);
            assert!(filled[at + end..at + space].iter().all(|byte| *byte == 0));
        }
        let rights = Decoder::new(CMSG_NATIVE, filled);
        assert_eq!(
            rights
                .filter(|item| matches!(item, Item::Rights(_)))
                .count(),
            2
        );
    }

    #[test]
    fn a_length_that_cannot_be_ends_the_walk() {
        for stated in [0u8, 1, 200] {
            let mut bytes = [0; 64];
            bytes[0] = stated;
            assert_eq!(with(&bytes).filled(64).len(), 64);
        }
        assert!(with(&[]).filled(0).is_empty());
        assert_eq!(
            with(&[1; CONTROL_BYTES]).filled(usize::MAX).len(),
            CONTROL_BYTES
        );
    }

    #[test]
    fn numbers_are_read_at_once_only_when_nothing_else_came() {
        let mut bytes = vec![0; 128];
        let one = encode_rights(CMSG_NATIVE, &mut bytes, [7, 8, 9].into_iter()).unwrap();
        let control = with(&bytes);
        assert_eq!(control.only_rights(one), Some(&[7, 8, 9][..]));
        // As long as it says, without the padding behind it.
        let stated = CMSG_NATIVE.length(12);
        assert_eq!(control.only_rights(stated), Some(&[7, 8, 9][..]));
        // Cut off by the kernel, another message behind it, nothing at all.
        for length in [
            0,
            1,
            CMSG_NATIVE.header(),
            stated - 1,
            one + CMSG_NATIVE.header(),
        ] {
            assert_eq!(control.only_rights(length), None, "{length}");
        }
        assert_eq!(control.only_rights(usize::MAX), None);
        // Of another kind.
        bytes[CMSG_NATIVE.header() - 4] ^= 2;
        assert_eq!(with(&bytes).only_rights(one), None);
    }
}
