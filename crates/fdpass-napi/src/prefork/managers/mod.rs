//! The manager of `fdpass::prefork` on the environment's loop.

mod config;
mod figures;
mod telling;

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use fdpass::prefork::admission::TokenBuckets;
use fdpass::prefork::held::SlotId;
use fdpass::prefork::manager::{Decision, Manager};
use napi::sys::{TypedarrayType, napi_callback_info, napi_env, napi_value};

use self::config::config;
use super::{event_loop, peer_words, system, take, watch};
use crate::engine::{Interest, Pollable, Wake};
use crate::error::Failure;
use crate::fd;
use crate::js::{self, Call, Entry, Exports, Reference, Value};
use crate::state::State;

pub(super) fn register(exports: &Exports<'_>) -> napi::Result<()> {
    exports.function(c"preforkOpen", Some(open))?;
    exports.function(c"preforkListen", Some(listen))?;
    exports.function(c"preforkEnable", Some(enable))?;
    exports.function(c"preforkUnlisten", Some(unlisten))?;
    exports.function(c"preforkHire", Some(hire))?;
    exports.function(c"preforkDied", Some(died))?;
    exports.function(c"preforkDrain", Some(drain))?;
    exports.function(c"preforkSend", Some(send))?;
    exports.function(c"preforkGive", Some(give_listeners))?;
    exports.function(c"preforkAdmission", Some(admission))?;
    exports.function(c"preforkTotals", Some(figures::totals))?;
    exports.function(c"preforkStats", Some(figures::stats))?;
    exports.function(c"preforkClose", Some(close))
}

/// Numbers in the argument of `preforkOpen` (`PreforkConfig` in `src/prefork/native-types.ts`).
const CONFIG: usize = 11;
/// Integers of one connection to be decided (`DECISION`).
const DECISION: usize = 10;
/// How often a manager looks again before the loop turns: a turn, and the sleep that may follow, cost more than a look that
/// finds nothing.
const ROUNDS: usize = 4;
/// A manager that is woken so soon after it slept lets others run first: clients and workers bring more, which then costs
/// one turn. Where nobody waits for the processor, this is a system call; one that is seldom woken never waits.
const HURRY: Duration = Duration::from_millis(1);
const NO_MATTER: i32 = -1;
const REFUSE: i32 = -2;
/// As `NO_MATTER`, for one that was admitted before: its worker died or handed it back.
const ADMITTED: i32 = -3;

/// One manager.
pub(crate) struct Watched {
    env: napi_env,
    key: Cell<Option<u32>>,
    manager: RefCell<Manager>,
    on_event: Reference,
    on_decide: Reference,
    entry: Entry,
    /// When it had last done what was to be done.
    slept: Cell<Instant>,
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watched")
            .field("key", &self.key.get())
            .finish_non_exhaustive()
    }
}

struct Poll(Weak<Watched>);

impl Pollable for Poll {
    fn wake(&self, state: &State, _wake: Wake) {
        let Some(watched) = self.0.upgrade() else {
            return;
        };
        if watched.slept.get().elapsed() < HURRY {
            std::thread::yield_now();
        }
        for _ in 0..ROUNDS {
            let now = Instant::now();
            // Refused only for want of memory; what is ready stays so.
            let worked = watched.manager.borrow_mut().begin(now).unwrap_or(false);
            watched.settle(state, now);
            if !worked || watched.key.get().is_none() {
                break;
            }
        }
        watched.slept.set(Instant::now());
    }
}

impl Watched {
    /// Has JavaScript decide what it must, sends, tells. The manager is not borrowed while JavaScript runs.
    fn settle(&self, state: &State, now: Instant) {
        // What dies while JavaScript decides can bring more to decide.
        for _ in 0..4 {
            let undecided = self.manager.borrow_mut().take_undecided();
            if undecided.is_empty() {
                break;
            }
            self.decide(&undecided, now);
        }
        let events = {
            let mut manager = self.manager.borrow_mut();
            let _: std::io::Result<()> = manager.finish(now);
            manager.take_events()
        };
        for event in events {
            self.tell(state, event);
        }
    }

    fn decide(&self, slots: &[SlotId], now: Instant) {
        let env = self.env;
        let manager = self.manager.borrow();
        let seen: Vec<u8> = slots
            .iter()
            .filter_map(|slot| manager.connection(*slot))
            .flat_map(|connection| connection.seen.iter().copied())
            .collect();
        let fill = |words: &mut [i32]| {
            for (slot, record) in slots.iter().zip(words.chunks_exact_mut(DECISION)) {
                record[0] = slot.0.cast_signed();
                record[9] = NO_MATTER;
                if let Some(connection) = manager.connection(*slot) {
                    record[1] = i32::from(connection.listener);
                    record[2..8].copy_from_slice(&peer_words(&connection.peer));
                    if connection.admitted {
                        record[9] = ADMITTED;
                    }
                    record[8] = i32::try_from(connection.seen.len()).unwrap_or(0);
                }
            }
        };
        let count = slots.len() * DECISION;
        let words = js::new_typed_array(env, TypedarrayType::int32_array, count, fill);
        let bytes = js::new_typed_array(env, TypedarrayType::uint8_array, seen.len(), |into| {
            into.copy_from_slice(&seen);
        });
        drop(manager);
        let (Some(words), Some(bytes)) = (words, bytes) else {
            return;
        };
        let count = js::int(env, i32::try_from(slots.len()).unwrap_or(0));
        self.entry
            .call(self.on_decide.value(), &[count, words, bytes]);
        let decided: &[i32] = js::view(js::typed_array(env, words, TypedarrayType::int32_array));
        let mut manager = self.manager.borrow_mut();
        for (slot, record) in slots.iter().zip(decided.chunks_exact(DECISION)) {
            let decision = match record[9] {
                REFUSE => Decision::Refuse,
                index => u32::try_from(index).map_or(Decision::Default, Decision::Worker),
            };
            manager.decide(*slot, decision, now);
        }
    }

    /// After a call of JavaScript that changed something: what follows is told in a later turn, never from inside.
    fn changed(&self, state: &State) -> Result<(), Failure> {
        let now = Instant::now();
        self.manager
            .borrow_mut()
            .finish(now)
            .map_err(|error| system(&error))?;
        if let Some(key) = self.key.get() {
            event_loop(state)?.soon(key);
        }
        Ok(())
    }
}

/// `preforkOpen(config, onEvent, onDecide, engine)`
extern "C" fn open(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 4>| {
        let on_thread = call.int(3) == 1;
        let numbers = call.doubles(0);
        debug_assert_eq!(numbers.len(), CONFIG, "both sides agree");
        let event_loop = call.state.start_loop(on_thread)?;
        let watched = Rc::new(Watched {
            env,
            key: Cell::new(None),
            manager: RefCell::new(Manager::new(config(numbers)).map_err(|error| system(&error))?),
            on_event: Reference::new(env, call.raw(1))?,
            on_decide: Reference::new(env, call.raw(2))?,
            entry: Entry::new(env, on_thread)?,
            slept: Cell::new(Instant::now()),
        });
        let poll = Rc::new(Poll(Rc::downgrade(&watched)));
        let key = watch(call.state, &*watched.manager.borrow(), poll)?;
        watched.key.set(Some(key));
        let interest = Interest {
            read: true,
            write: false,
        };
        event_loop.set_interest(key, interest);
        Ok(Value::Int(call.state.prefork.managers.add(watched)))
    })
}

/// A call on one manager.
fn with<const N: usize>(
    env: napi_env,
    info: napi_callback_info,
    body: impl FnOnce(&Call<'_, N>, &Watched) -> Result<Value, Failure>,
) -> napi_value {
    js::enter(env, info, |call: &Call<'_, N>| {
        let watched = call.state.prefork.managers.get(call.int(0))?;
        body(call, &watched)
    })
}

/// The same for one that changes something.
fn change<const N: usize>(
    env: napi_env,
    info: napi_callback_info,
    body: impl FnOnce(&Call<'_, N>, &mut Manager) -> Result<Value, Failure>,
) -> napi_value {
    with(env, info, |call: &Call<'_, N>, watched| {
        let value = body(call, &mut watched.manager.borrow_mut())?;
        watched.changed(call.state)?;
        Ok(value)
    })
}

fn number(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn listener(value: i32) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

/// `preforkListen(handle, fd, enabled)`: moves the descriptor.
extern "C" fn listen(env: napi_env, info: napi_callback_info) -> napi_value {
    change(env, info, |call: &Call<'_, 3>, manager| {
        let fd = take(call.state, call.int(1))?;
        let number = manager.add_listener(fd, call.bool(2))?;
        Ok(Value::Int(i32::from(number)))
    })
}

/// `preforkEnable(handle, listener, on)`
extern "C" fn enable(env: napi_env, info: napi_callback_info) -> napi_value {
    change(env, info, |call: &Call<'_, 3>, manager| {
        manager.enable_listener(listener(call.int(1)), call.bool(2));
        Ok(Value::Undefined)
    })
}

/// `preforkUnlisten(handle, listener)`
extern "C" fn unlisten(env: napi_env, info: napi_callback_info) -> napi_value {
    change(env, info, |call: &Call<'_, 2>, manager| {
        manager.close_listener(listener(call.int(1)), Instant::now());
        Ok(Value::Undefined)
    })
}

/// `preforkHire(handle, fd, index, weight)`: moves the descriptor.
extern "C" fn hire(env: napi_env, info: napi_callback_info) -> napi_value {
    change(env, info, |call: &Call<'_, 4>, manager| {
        let fd = take(call.state, call.int(1))?;
        let id =
            manager.add_worker(fd, number(call.int(2)), number(call.int(3)), Instant::now())?;
        Ok(Value::Int(id.cast_signed()))
    })
}

/// `preforkDied(handle, worker)`
extern "C" fn died(env: napi_env, info: napi_callback_info) -> napi_value {
    change(env, info, |call: &Call<'_, 2>, manager| {
        manager.worker_died(number(call.int(1)), Instant::now());
        Ok(Value::Undefined)
    })
}

/// `preforkDrain(handle, worker, handBack, milliseconds)`
extern "C" fn drain(env: napi_env, info: napi_callback_info) -> napi_value {
    change(env, info, |call: &Call<'_, 4>, manager| {
        let millis = number(call.int(3));
        manager.drain_worker(number(call.int(1)), call.bool(2), millis, Instant::now())?;
        Ok(Value::Undefined)
    })
}

/// `preforkSend(handle, worker, data, fds, count)`: lends the descriptors.
extern "C" fn send(env: napi_env, info: napi_callback_info) -> napi_value {
    change(env, info, |call: &Call<'_, 5>, manager| {
        let numbers = call.ints(3).get(..call.count(4)).unwrap_or_default();
        let fds = fd::borrow_all(numbers)?;
        manager.send(number(call.int(1)), call.bytes(2), fds, Instant::now())?;
        Ok(Value::Undefined)
    })
}

/// `preforkGive(handle, worker, listeners)`
extern "C" fn give_listeners(env: napi_env, info: napi_callback_info) -> napi_value {
    change(env, info, |call: &Call<'_, 3>, manager| {
        let numbers: Vec<u16> = call
            .ints(2)
            .iter()
            .map(|number| listener(*number))
            .collect();
        manager.give_listeners(number(call.int(1)), &numbers, Instant::now())?;
        Ok(Value::Undefined)
    })
}

/// `preforkAdmission(handle, rate, burst, addresses)`
extern "C" fn admission(env: napi_env, info: napi_callback_info) -> napi_value {
    change(env, info, |call: &Call<'_, 4>, manager| {
        let buckets = TokenBuckets::new(call.number(1), number(call.int(2)), call.count(3));
        manager.set_admission(Some(buckets));
        Ok(Value::Undefined)
    })
}

/// `preforkClose(handle)`: closes everything at once. Idempotent.
extern "C" fn close(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 1>| {
        if let Some(watched) = call.state.prefork.managers.remove(call.int(0))
            && let Some(key) = watched.key.take()
        {
            event_loop(call.state)?.close(key);
        }
        Ok(Value::Undefined)
    })
}
