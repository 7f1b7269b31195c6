//! Which read brought which descriptors: the FIFO of batches (`docs/protocol.md`, "Descriptors").

use std::collections::VecDeque;

use crate::frame::ProtocolError;

/// The descriptors of one read.
#[derive(Clone, Copy, Debug)]
struct Batch {
    /// The stream offsets that the read returned.
    start: u64,
    end: u64,
    arrived: u32,
    refused: u32,
    truncated: bool,
}

/// What a frame got of the batch it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    /// Descriptors that arrived; they are the next ones of the list.
    pub(super) arrived: u32,
    /// All that were announced are there.
    pub(super) whole: bool,
}

/// The reads that brought descriptors and whose frame has not been seen yet.
#[derive(Debug, Default)]
pub(super) struct Batches {
    fifo: VecDeque<Batch>,
}

impl Batches {
    #[inline]
    pub(super) fn push(
        &mut self,
        start: u64,
        end: u64,
        arrived: usize,
        refused: usize,
        truncated: bool,
    ) {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        self.fifo.push_back(Batch {
            start,
            end,
            arrived: count(arrived),
            refused: count(refused),
            truncated,
        });
    }

    /// The batch of the frame that begins at `at` and announces `fds` descriptors.
    #[inline]
    pub(super) fn claim(&mut self, at: u64, fds: u16) -> Result<Claim, ProtocolError> {
        self.refuse_passed(at)?;
        let announced = u32::from(fds);
        let missing = ProtocolError::FdCount {
            announced,
            arrived: 0,
        };
        let batch = self.fifo.front().ok_or(missing)?;
        if batch.start > at {
            return Err(missing);
        }
        let claim = batch.claim(announced)?;
        self.fifo.pop_front();
        Ok(claim)
    }

    /// Fails when no frame can take the oldest batch any more, because the next one begins at `next` or later.
    #[inline]
    pub(super) fn refuse_passed(&self, next: u64) -> Result<(), ProtocolError> {
        match self.fifo.front() {
            Some(batch) if batch.end <= next => Err(batch.stray()),
            _ => Ok(()),
        }
    }

    /// The same for every batch, while a frame that begins at `begin` is incomplete and the one behind it cannot begin
    /// before `next`: the incomplete frame may still take the batch it begins in, and no other.
    #[inline]
    pub(super) fn refuse_unreachable(&self, begin: u64, next: u64) -> Result<(), ProtocolError> {
        for batch in &self.fifo {
            let holds_begin = batch.start <= begin && begin < batch.end;
            if !holds_begin && batch.end <= next {
                return Err(batch.stray());
            }
        }
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        self.fifo.clear();
    }
}

impl Batch {
    fn claim(&self, announced: u32) -> Result<Claim, ProtocolError> {
        let seen = self.arrived + self.refused;
        if seen > announced || (seen < announced && !self.truncated) {
            return Err(ProtocolError::FdCount {
                announced,
                arrived: seen,
            });
        }
        Ok(Claim {
            arrived: self.arrived,
            whole: self.arrived == announced,
        })
    }

    fn stray(&self) -> ProtocolError {
        ProtocolError::StrayFds {
            fds: self.arrived + self.refused,
        }
    }
}
