//! What arrived in the control buffer of a receive.

use super::Layout;

/// The identity of the sender of one message, as the kernel vouches for it.
#[doc(alias = "ucred")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The process, as seen from this process's pid namespace (0 when it has no number there).
    pub pid: i32,
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// One control message.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Item<'a> {
    /// Descriptors that the kernel installed in this process: whoever decodes a real buffer owns them.
    Rights(Numbers<'a>),
    /// A process descriptor of the sender (`SO_PASSPIDFD`), installed in this process too.
    Pidfd(Numbers<'a>),
    /// The identity of the sender (`SO_PASSCRED`).
    Credentials(Credentials),
    /// Something this library does not know.
    Unknown {
        /// `cmsg_level`
        level: i32,
        /// `cmsg_type`
        kind: i32,
    },
}

/// The whole integers in the data of one control message. Negative ones are slots that the kernel refused to fill.
#[derive(Clone, Debug)]
pub struct Numbers<'a> {
    data: std::slice::ChunksExact<'a, u8>,
}

impl Iterator for Numbers<'_> {
    type Item = i32;

    fn next(&mut self) -> Option<i32> {
        self.data.next().and_then(read_i32)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.data.size_hint()
    }
}

impl ExactSizeIterator for Numbers<'_> {}

/// Walks the control messages in `control`, which must be what the kernel says it filled (`msg_controllen` bytes).
///
/// Stops at the first header that cannot be: a length shorter than a header, or a header that is cut. A length that
/// points past the end is clamped to it.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    layout: Layout,
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    /// A decoder of `control` as `layout` lays it out.
    #[must_use]
    pub const fn new(layout: Layout, control: &'a [u8]) -> Self {
        Self {
            layout,
            rest: control,
        }
    }
}

impl<'a> Iterator for Decoder<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        let header = self.layout.header();
        if self.rest.len() < header {
            return None;
        }
        let stated = self.layout.stated_length(self.rest)?;
        if stated < header {
            self.rest = &[];
            return None;
        }
        let end = stated.min(self.rest.len());
        let fields = self.layout.length_bytes;
        let level = read_i32(self.rest.get(fields..fields + 4)?)?;
        let kind = read_i32(self.rest.get(fields + 4..fields + 8)?)?;
        let data = self.rest.get(header..end)?;
        let next = self.layout.align_up(end).min(self.rest.len());
        self.rest = self.rest.get(next..)?;
        Some(item(level, kind, data))
    }
}

fn item(level: i32, kind: i32, data: &[u8]) -> Item<'_> {
    if level != crate::sys::SOL_SOCKET {
        return Item::Unknown { level, kind };
    }
    let numbers = || Numbers {
        data: data.chunks_exact(4),
    };
    match kind {
        crate::sys::SCM_RIGHTS => Item::Rights(numbers()),
        kind if Some(kind) == crate::sys::SCM_PIDFD => Item::Pidfd(numbers()),
        kind if Some(kind) == crate::sys::SCM_CREDENTIALS => match credentials(data) {
            Some(credentials) => Item::Credentials(credentials),
            None => Item::Unknown { level, kind },
        },
        kind => Item::Unknown { level, kind },
    }
}

/// `struct ucred { pid_t pid; uid_t uid; gid_t gid; }`, `unix(7)`.
fn credentials(data: &[u8]) -> Option<Credentials> {
    Some(Credentials {
        pid: read_i32(data.get(..4)?)?,
        uid: read_i32(data.get(4..8)?)?.cast_unsigned(),
        gid: read_i32(data.get(8..12)?)?.cast_unsigned(),
    })
}

impl Layout {
    /// The length that the header at the start of `bytes` states, its own included.
    pub(crate) fn stated_length(self, bytes: &[u8]) -> Option<usize> {
        let field = bytes.get(..self.length_bytes)?;
        match field.len() {
            4 => field
                .try_into()
                .ok()
                .map(u32::from_ne_bytes)
                .and_then(|length| usize::try_from(length).ok()),
            _ => field.try_into().ok().map(usize::from_ne_bytes),
        }
    }
}

fn read_i32(bytes: &[u8]) -> Option<i32> {
    bytes.try_into().ok().map(i32::from_ne_bytes)
}
