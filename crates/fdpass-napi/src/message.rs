//! One message by one call, as raw Node-API callbacks (`src/native-types.ts`).
//!
//! Looking an array up in its JavaScript object costs as much as the rest of a call, and so do a few arguments. So the
//! arrays of the usual call are given once (`messageSetup`), one of them the sheet with everything that is a number.

use std::cell::RefCell;
use std::time::Duration;

use fdpass::error::LossCause;
use fdpass::message::{self, Arrival, ReceiveLimits, TruncationPolicy, Wait};
use fdpass::socket::{Socket, SocketType};
use napi::sys::{TypedarrayType, napi_callback_info, napi_env, napi_value};

use crate::error::Failure;
use crate::fd;
use crate::js::{self, Call, Elements, Exports, Reference, Value};
use crate::state::State;

pub(crate) fn register(exports: &Exports<'_>) -> napi::Result<()> {
    exports.function(c"messageSetup", Some(message_setup))?;
    exports.function(c"messagePool", Some(message_pool))?;
    exports.function(c"sendHere", Some(send_here))?;
    exports.function(c"receiveHere", Some(receive_here))?;
    exports.function(c"sendMessage", Some(send_message))?;
    exports.function(c"receiveMessage", Some(receive_message))
}

/// The arrays that `messageSetup` was given. They are JavaScript's; the references keep them alive, and V8 does not move
/// their content.
#[derive(Debug)]
pub(crate) struct Arrays {
    sent: Elements,
    into: Elements,
    slots: Elements,
    sheet: Elements,
    outgoing: Elements,
    /// Where short messages are copied, and what keeps that alive.
    pool: RefCell<Option<(Elements, Reference)>>,
    _references: [Reference; 5],
}

impl Arrays {
    fn new(
        env: napi_env,
        [sent, into, slots, sheet, outgoing]: [napi_value; 5],
    ) -> Result<Self, Failure> {
        Ok(Self {
            sent: js::typed_array(env, sent, TypedarrayType::int32_array),
            into: js::typed_array(env, into, TypedarrayType::uint8_array),
            slots: js::typed_array(env, slots, TypedarrayType::int32_array),
            sheet: js::typed_array(env, sheet, TypedarrayType::int32_array),
            outgoing: js::typed_array(env, outgoing, TypedarrayType::uint8_array),
            pool: RefCell::default(),
            _references: [
                Reference::new(env, sent)?,
                Reference::new(env, into)?,
                Reference::new(env, slots)?,
                Reference::new(env, sheet)?,
                Reference::new(env, outgoing)?,
            ],
        })
    }

    /// What the sheet asks for.
    fn asked(&self) -> Asked {
        match *js::view(self.sheet) {
            [socket, kind, count, timeout, pooled, ..] => Asked {
                socket,
                kind,
                count: usize::try_from(count).unwrap_or(0),
                timeout,
                pooled: usize::try_from(pooled).unwrap_or(usize::MAX),
            },
            _ => Asked::NOTHING,
        }
    }

    /// A short message for a channel: its handle, bytes, numbers and flags (`SEND_SHEET` in `src/native-types.ts`).
    pub(crate) fn short_message<'call>(&self) -> (i32, &'call [u8], &'call [i32], i32) {
        let &mut [handle, length, count, flags, ..] = js::view(self.sheet) else {
            return (0, &[], &[], 0);
        };
        let (bytes, numbers): (&[u8], &[i32]) = (js::view(self.outgoing), js::view(self.sent));
        let first = |count: i32| ..usize::try_from(count).unwrap_or(0);
        let bytes = bytes.get(first(length)).unwrap_or_default();
        let numbers = numbers.get(first(count)).unwrap_or_default();
        (handle, bytes, numbers, flags)
    }

    /// Copies a short message that was received `into` the usual array to where JavaScript may look at it later.
    fn pool_short(&self, from: &[u8]) {
        let sheet: &[i32] = js::view(self.sheet);
        let length = sheet
            .get(ASKED)
            .map_or(0, |bytes| usize::try_from(*bytes).unwrap_or(0));
        let at = self.asked().pooled;
        let pool = self.pool.borrow();
        if let (Some((elements, _)), true) = (&*pool, length <= SHORT_BYTES) {
            let pool: &mut [u8] = js::view(*elements);
            if let Some(place) = pool.get_mut(at..at.saturating_add(length)) {
                place.copy_from_slice(&from[..length]);
            }
        }
    }

    /// Writes what a receive brought into the sheet, behind what was asked.
    fn answer<const N: usize>(&self, values: [i32; N]) {
        let sheet: &mut [i32] = js::view(self.sheet);
        if let Some(answers) = sheet.get_mut(ASKED..ASKED + N) {
            answers.copy_from_slice(&values);
        }
    }
}

/// A message with at most so many bytes is copied into the pool.
const SHORT_BYTES: usize = 256;

/// How many integers of the sheet are asked.
const ASKED: usize = 5;

/// One call, as the sheet has it.
#[derive(Clone, Copy, Debug)]
struct Asked {
    socket: i32,
    /// What `socketKind` said of the same open descriptor, or 0 to look now.
    kind: i32,
    count: usize,
    timeout: i32,
    /// Where in the pool there is room for a short message.
    pooled: usize,
}

impl Asked {
    /// Names no descriptor.
    const NOTHING: Self = Self {
        socket: -1,
        kind: 0,
        count: 0,
        timeout: 0,
        pooled: usize::MAX,
    };

    fn socket<'call>(self) -> Result<Socket<'call>, fdpass::Error> {
        let fd = fd::borrow(self.socket)?;
        match kind_from(self.kind) {
            Some(kind) => Ok(Socket::known(fd, kind)),
            None => Socket::check(fd),
        }
    }
}

/// The arrays of this environment.
pub(crate) fn arrays(state: &State) -> Result<&Arrays, Failure> {
    let arrays = state.arrays.get();
    arrays.ok_or_else(|| Failure::internal("messageSetup() comes first"))
}

extern "C" fn message_setup(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 5>| {
        let given = [0, 1, 2, 3, 4].map(|index| call.raw(index));
        let arrays = Arrays::new(env, given)?;
        let first = call.state.arrays.set(arrays).is_ok();
        first
            .then_some(Value::Undefined)
            .ok_or_else(|| Failure::internal("messageSetup() was called twice"))
    })
}

extern "C" fn message_pool(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 1>| {
        let elements = js::typed_array(env, call.raw(0), TypedarrayType::uint8_array);
        let reference = Reference::new(env, call.raw(0))?;
        let before = arrays(call.state)?
            .pool
            .replace(Some((elements, reference)));
        if let Some((_elements, reference)) = before {
            reference.delete();
        }
        Ok(Value::Undefined)
    })
}

extern "C" fn send_here(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 1>| {
        let arrays = arrays(call.state)?;
        send(arrays, call.bytes(0), js::view(arrays.sent))
    })
}

extern "C" fn send_message(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 2>| {
        send(arrays(call.state)?, call.bytes(0), call.ints(1))
    })
}

fn send(arrays: &Arrays, data: &[u8], numbers: &[i32]) -> Result<Value, Failure> {
    let asked = arrays.asked();
    let fds = fd::borrow_all(numbers.get(..asked.count).unwrap_or_default())?;
    let sent = message::send(asked.socket()?, data, fds, wait(asked.timeout))?;
    arrays.answer([int(sent)]);
    Ok(Value::Undefined)
}

extern "C" fn receive_here(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 0>| {
        let arrays = arrays(call.state)?;
        let bytes = js::view(arrays.into);
        receive(call.state, arrays, bytes)?;
        arrays.pool_short(bytes);
        Ok(Value::Undefined)
    })
}

extern "C" fn receive_message(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 1>| {
        receive(call.state, arrays(call.state)?, call.bytes(0))?;
        Ok(Value::Undefined)
    })
}

fn receive(state: &State, arrays: &Arrays, into: &mut [u8]) -> Result<(), Failure> {
    let asked = arrays.asked();
    let limits = ReceiveLimits {
        max_fds: asked.count,
        truncation: TruncationPolicy::Partial,
        wait: wait(asked.timeout),
    };
    let mut fds = state.arrivals.borrow_mut();
    let mut arrival = Arrival::default();
    let result = message::receive_reusing(asked.socket()?, into, &mut fds, &mut arrival, &limits);
    let mut ledger = state.ledger.borrow_mut();
    let count = fds.len();
    let slots: &mut [i32] = js::view(arrays.slots);
    // From the end: taking the last one out moves none.
    while let Some(fd) = fds.pop() {
        if let Some(slot) = slots.get_mut(fds.len()) {
            *slot = fd::give(fd);
            ledger.enter(*slot);
        }
    }
    if !result? {
        arrays.answer([-1]);
        return Ok(());
    }
    drop((fds, ledger));
    if arrival.is_plain() {
        arrays.answer([int(arrival.bytes), int(count), 0]);
    } else {
        answer_all(state, arrays, &mut arrival, count);
    }
    Ok(())
}

/// With everything that is not always there.
#[cold]
fn answer_all(state: &State, arrays: &Arrays, arrival: &mut Arrival, count: usize) {
    let truncation = arrival.truncation;
    let pidfd = arrival.pidfd.take().map_or(-1, fd::give);
    if pidfd >= 0 {
        state.ledger.borrow_mut().enter(pidfd);
    }
    let (has_credentials, pid, uid, gid) = arrival.credentials.map_or((0, 0, 0, 0), |sender| {
        (
            1,
            sender.pid,
            sender.uid.cast_signed(),
            sender.gid.cast_signed(),
        )
    });
    let accompanied = has_credentials != 0 || pidfd >= 0;
    let flags = i32::from(truncation.data)
        | truncation.descriptors.map_or(0, cause_bit)
        | if accompanied { 16 } else { 0 };
    arrays.answer([
        int(arrival.bytes),
        int(count),
        flags,
        int(arrival.fds),
        truncation.sent.map_or(-1, int),
        has_credentials,
        pid,
        uid,
        gid,
        pidfd,
    ]);
}

fn int(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn cause_bit(cause: LossCause) -> i32 {
    match cause {
        LossCause::Surplus => 2,
        LossCause::DescriptorLimit => 4,
        _ => 8,
    }
}

/// The kinds of sockets as JavaScript numbers them.
pub(crate) fn kind_from(number: i32) -> Option<SocketType> {
    match number {
        1 => Some(SocketType::Stream),
        2 => Some(SocketType::Datagram),
        3 => Some(SocketType::SeqPacket),
        _ => None,
    }
}

fn wait(timeout: i32) -> Wait {
    match u64::try_from(timeout) {
        Err(_) => Wait::AsDescriptor,
        Ok(0) => Wait::Never,
        Ok(millis) => Wait::AtMost(Duration::from_millis(millis)),
    }
}
