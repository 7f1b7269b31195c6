//! Messages on their way into JavaScript's memory.

use std::os::fd::{OwnedFd, RawFd};

use fdpass::descriptor;
use fdpass::link::{Damage, FdBatch, MessageMeta, Sink, SinkStatus};
use napi::sys::{TypedarrayType, napi_value};

use super::setup::{RECORD_SIZE, Setup, Shared};
use crate::fd;
use crate::hot;
use crate::js;
use crate::state::State;

/// In the place of a process: the sender was not asked for. 0 is one that has no number here.
const NOBODY: i32 = -1;

/// The messages of one call of `onBatch`.
pub(super) struct Batch<'call> {
    setup: &'call Setup,
    state: &'call State,
    slab: &'call mut [u8],
    meta: &'call mut [i32],
    fds: &'call mut [i32],
    count: usize,
    bytes_used: usize,
    fds_used: usize,
    /// The bytes of a message that does not fit the slab.
    big: Option<napi_value>,
    /// The descriptors of a message that has more than `fds` holds; it is the last of its batch.
    big_fds: Option<napi_value>,
    big_numbers: Vec<RawFd>,
}

impl<'call> Batch<'call> {
    /// Only one is under way at a time, and JavaScript reads it before the next.
    pub(super) fn new(setup: &'call Setup, state: &'call State) -> Self {
        let Shared { slab, meta, fds } = setup.shared();
        Self {
            setup,
            state,
            slab,
            meta,
            fds,
            count: 0,
            bytes_used: 0,
            fds_used: 0,
            big: None,
            big_fds: None,
            big_numbers: Vec::new(),
        }
    }

    /// Where `payload` now lies, or `None`: not in this batch.
    fn place_bytes(&mut self, payload: &[u8]) -> Option<i32> {
        if let Some(room) = self
            .slab
            .get_mut(self.bytes_used..self.bytes_used + payload.len())
        {
            room.copy_from_slice(payload);
            let offset = int(self.bytes_used);
            self.bytes_used += payload.len();
            return Some(offset);
        }
        if payload.len() <= self.slab.len() || self.big.is_some() {
            return None;
        }
        let fill = |room: &mut [u8]| room.copy_from_slice(payload);
        self.big = js::new_typed_array(
            self.setup.env(),
            TypedarrayType::uint8_array,
            payload.len(),
            fill,
        );
        self.big.map(|_| -1)
    }

    fn has_room_for_fds(&self, count: usize) -> bool {
        self.fds_used + count <= self.fds.len() || count > self.fds.len()
    }

    /// Gives the descriptors to JavaScript. `has_room_for_fds` said yes.
    fn place_fds(&mut self, batch: &mut FdBatch<'_>) -> i32 {
        let count = batch.len();
        let mut ledger = self.state.ledger.borrow_mut();
        if count > self.fds.len() {
            self.big_numbers = batch.drain().map(fd::give).collect();
            for number in &self.big_numbers {
                ledger.enter(*number);
            }
            let fill = |room: &mut [i32]| room.copy_from_slice(&self.big_numbers);
            self.big_fds =
                js::new_typed_array(self.setup.env(), TypedarrayType::int32_array, count, fill);
            return -1;
        }
        let offset = self.fds_used;
        for (slot, fd) in self.fds[offset..].iter_mut().zip(batch.drain()) {
            *slot = fd::give(fd);
            ledger.enter(*slot);
        }
        self.fds_used += count;
        int(offset)
    }

    /// Calls `onBatch`. What JavaScript does not acknowledge is closed: it never ran.
    ///
    /// JavaScript writes to the shared arrays meanwhile, so that the views of this batch end before the call.
    pub(super) fn deliver(self, handle: usize) {
        if self.count == 0 {
            return;
        }
        if let Some(acknowledge) = self.meta.last_mut() {
            *acknowledge = 0;
        }
        let (setup, state) = (self.setup, self.state);
        let (fds_used, big_numbers) = (self.fds_used, self.big_numbers);
        let env = setup.env();
        let absent = || js::undefined(env);
        let arguments = [
            js::int(env, int(handle)),
            js::int(env, int(self.count)),
            self.big.unwrap_or_else(absent),
            self.big_fds.unwrap_or_else(absent),
        ];
        state.channels.batch_fds.set(fds_used);
        setup.call_on_batch(&arguments);
        state.channels.batch_fds.set(0);
        let Shared { meta, fds, .. } = setup.shared();
        if meta.last() == Some(&0) {
            close_all(state, fds[..fds_used].iter().chain(&big_numbers));
        }
    }
}

/// Closes what JavaScript, which is in `onBatch`, left of the batch.
pub(super) fn close_rest(setup: &Setup, state: &State) {
    let Shared { fds, .. } = setup.shared();
    let numbers = &mut fds[..state.channels.batch_fds.take()];
    hot::close_numbers(state, numbers);
}

/// Closes what JavaScript never saw.
fn close_all<'numbers>(state: &State, numbers: impl Iterator<Item = &'numbers RawFd>) {
    let mut fds: Vec<OwnedFd> = {
        let mut ledger = state.ledger.borrow_mut();
        let held = numbers.filter(|number| ledger.remove(**number));
        held.filter_map(|number| fd::own(*number)).collect()
    };
    descriptor::close_all(&mut fds);
}

impl Sink for Batch<'_> {
    fn message(&mut self, meta: &MessageMeta, payload: &[u8], fds: &mut FdBatch<'_>) -> SinkStatus {
        let at = self.count * RECORD_SIZE;
        let records = self.meta.len().saturating_sub(1);
        if at + RECORD_SIZE > records || self.big_fds.is_some() || !self.has_room_for_fds(fds.len())
        {
            return SinkStatus::Decline;
        }
        let Some(offset) = self.place_bytes(payload) else {
            return SinkStatus::Decline;
        };
        let fd_count = fds.len();
        let fd_offset = self.place_fds(fds);
        let (damage, (sent, received)) = meta.damage.map_or((0, (0, 0)), |damage| {
            (damage_number(damage), damage.counts())
        });
        let sender = meta.sender.map_or([NOBODY, 0, 0], |sender| {
            [
                sender.pid,
                sender.uid.cast_signed(),
                sender.gid.cast_signed(),
            ]
        });
        let record = [
            offset,
            int(payload.len()),
            fd_offset,
            int(fd_count),
            damage,
            sent.cast_signed(),
            received.cast_signed(),
            sender[0],
            sender[1],
            sender[2],
        ];
        self.meta[at..at + RECORD_SIZE].copy_from_slice(&record);
        self.count += 1;
        SinkStatus::Continue
    }
}

/// `DAMAGE` in `src/native-types.ts`.
fn damage_number(damage: Damage) -> i32 {
    match damage {
        Damage::Truncated { .. } => 1,
        Damage::TooManyFds { .. } => 3,
        Damage::TooLarge { .. } => 4,
        Damage::Withdrawn { .. } => 5,
        // `Refused`, and whatever a later core adds.
        _ => 2,
    }
}

fn int(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
