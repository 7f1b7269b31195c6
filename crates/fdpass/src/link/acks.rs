//! Acknowledgements: those we owe, and those we wait for.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use super::error::{LinkError, SendFailure};
use crate::descriptor;
use crate::error::{Error, Result};
use crate::frame::{ACK_ENTRY_BYTES, AckEntry, Header, MAX_ACK_ENTRIES, ProtocolError, kind};
use crate::limits::LINK_OWED_ACK_ENTRIES;
use crate::sys;

/// What we have to tell the peer about its messages.
#[derive(Debug, Default)]
pub(super) struct Owed {
    through: u64,
    dirty: bool,
    entries: VecDeque<AckEntry>,
}

impl Owed {
    /// Message `id`, which wanted to know, is through; `entry` if it is not whole.
    pub(super) fn note(&mut self, id: u64, entry: Option<AckEntry>) {
        self.through = id;
        self.dirty = true;
        self.entries.extend(entry);
    }

    #[inline]
    pub(super) fn is_due(&self) -> bool {
        self.dirty
    }

    /// So many entries wait that no more may come.
    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= LINK_OWED_ACK_ENTRIES
    }

    /// Appends the next acknowledgement frame to `out`.
    pub(super) fn encode(&mut self, out: &mut Vec<u8>) {
        let count = self.entries.len().min(MAX_ACK_ENTRIES);
        let rest = self.entries.len() > count;
        // What is not listed yet must not be covered either.
        let id = match self.entries.get(count.wrapping_sub(1)) {
            Some(last) if rest => last.id,
            _ => self.through,
        };
        let header = Header {
            length: u32::try_from(count * ACK_ENTRY_BYTES).unwrap_or(u32::MAX),
            kind: kind::ACK,
            flags: 0,
            fds: 0,
            id,
        };
        out.extend_from_slice(&header.encode());
        for entry in self.entries.drain(..count) {
            out.extend_from_slice(&entry.encode());
        }
        self.dirty = rest;
        if !rest {
            self.entries.shrink_to(16);
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// A message whose acknowledgement is outstanding.
#[derive(Debug)]
struct Waiting {
    id: u64,
    /// The application asked; otherwise only the held descriptors wait.
    wanted: bool,
    since: Instant,
    held: Vec<OwnedFd>,
}

/// What we wait to be told about our messages.
#[derive(Debug, Default)]
pub(super) struct Unacknowledged {
    fifo: VecDeque<Waiting>,
    held: usize,
    through: u64,
}

impl Unacknowledged {
    pub(super) fn len(&self) -> usize {
        self.fifo.len()
    }

    /// Descriptors kept open until their message is acknowledged.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    pub(super) fn through(&self) -> u64 {
        self.through
    }

    /// When the oldest one began to wait.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.fifo.front().map(|waiting| waiting.since)
    }

    pub(super) fn push(&mut self, id: u64, wanted: bool, since: Instant, held: Vec<OwnedFd>) {
        self.held += held.len();
        self.fifo.push_back(Waiting {
            id,
            wanted,
            since,
            held,
        });
    }

    /// Message `id` was taken back.
    pub(super) fn remove(&mut self, id: u64) {
        let at = self.fifo.partition_point(|waiting| waiting.id < id);
        if self.fifo.get(at).is_some_and(|waiting| waiting.id == id)
            && let Some(mut waiting) = self.fifo.remove(at)
        {
            self.held -= waiting.held.len();
            descriptor::close_all(&mut waiting.held);
        }
    }

    /// The peer said so. `written` is the last message that it can have seen.
    pub(super) fn settle(
        &mut self,
        id: u64,
        entries: impl Iterator<Item = AckEntry>,
        written: u64,
        failures: &mut VecDeque<SendFailure>,
    ) -> std::result::Result<(), ProtocolError> {
        if id > written || id < self.through {
            return Err(ProtocolError::BadAck { id });
        }
        for entry in entries {
            if entry.id > id {
                return Err(ProtocolError::BadAck { id: entry.id });
            }
            self.fail(entry, failures);
        }
        self.through = id;
        while self.fifo.front().is_some_and(|waiting| waiting.id <= id) {
            if let Some(mut waiting) = self.fifo.pop_front() {
                self.held -= waiting.held.len();
                descriptor::close_all(&mut waiting.held);
            }
        }
        if self.fifo.is_empty() {
            self.fifo.shrink_to(16);
        }
        Ok(())
    }

    fn fail(&mut self, entry: AckEntry, failures: &mut VecDeque<SendFailure>) {
        let at = self.fifo.partition_point(|waiting| waiting.id < entry.id);
        let Some(waiting) = self.fifo.get_mut(at) else {
            return;
        };
        if waiting.id == entry.id && std::mem::take(&mut waiting.wanted) {
            failures.push_back(SendFailure {
                id: entry.id,
                error: LinkError::PeerDamaged(entry),
            });
        }
    }

    pub(super) fn clear(&mut self) {
        for mut waiting in self.fifo.drain(..) {
            descriptor::close_all(&mut waiting.held);
        }
        self.held = 0;
    }
}

/// Copies of the sockets among `fds`, to be held.
pub(super) fn duplicate_sockets(fds: &[BorrowedFd<'_>]) -> Result<Vec<OwnedFd>> {
    let mut held = Vec::new();
    for fd in fds {
        if is_socket(*fd)? {
            held.push(descriptor::duplicate(*fd)?);
        }
    }
    Ok(held)
}

fn is_socket(fd: BorrowedFd<'_>) -> Result<bool> {
    let status = sys::fstat(fd.as_fd())
        .map_err(|source| Error::system(crate::error::Syscall::Fstat, source))?;
    Ok(status.st_mode & libc::S_IFMT == libc::S_IFSOCK)
}
