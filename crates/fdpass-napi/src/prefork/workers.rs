//! A worker of `fdpass::prefork` on the environment's loop.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Instant;

use fdpass::link::LinkError;
use fdpass::prefork::worker::{Given, Order, Worker};
use napi::sys::{TypedarrayType, napi_callback_info, napi_env, napi_value};

use super::{event_loop, give, message_parts, peer_words, take, watch};
use crate::engine::{Interest, Pollable, Wake};
use crate::error::Failure;
use crate::fd;
use crate::js::{self, Call, Elements, Entry, Exports, Reference, Value};
use crate::state::State;

pub(super) fn register(exports: &Exports<'_>) -> napi::Result<()> {
    exports.function(c"workerOpen", Some(open))?;
    exports.function(c"workerReady", Some(ready))?;
    exports.function(c"workerKeep", Some(keep))?;
    exports.function(c"workerClosed", Some(closed))?;
    exports.function(c"workerRelease", Some(release))?;
    exports.function(c"workerReport", Some(report))?;
    exports.function(c"workerDrained", Some(drained))?;
    exports.function(c"workerSend", Some(send))?;
    exports.function(c"workerClose", Some(close))
}

/// Integers of one connection (`GIVEN` in `src/prefork/native-types.ts`).
const GIVEN: usize = 10;

/// One worker.
pub(crate) struct Watched {
    env: napi_env,
    key: Cell<Option<u32>>,
    worker: RefCell<Worker>,
    /// JavaScript's array for the connections of one call; the reference keeps it alive and V8 does not move it.
    records: Elements,
    _array: Reference,
    on_connections: Reference,
    on_order: Reference,
    entry: Entry,
    /// Its memory is used again.
    orders: RefCell<Vec<Order>>,
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
    fn wake(&self, state: &State, wake: Wake) {
        let Some(watched) = self.0.upgrade() else {
            return;
        };
        let now = Instant::now();
        let mut end = None;
        if wake.writable
            && let Err(error) = watched.worker.borrow_mut().flush(now)
        {
            end = Some(Some(error));
        }
        let mut orders = watched.orders.take();
        let result = watched.worker.borrow_mut().receive(&mut orders, now);
        watched.deliver(state, &mut orders);
        watched.orders.replace(orders);
        match result {
            Ok(Some(all)) => {
                if !all && let Some(key) = watched.key.get() {
                    let _: Result<(), Failure> = event_loop(state).map(|events| events.soon(key));
                }
            }
            Ok(None) => end = Some(None),
            Err(error) => end = Some(Some(error)),
        }
        if let Some(error) = end {
            return watched.end(state, error);
        }
        watched.wait(state);
    }
}

impl Watched {
    /// Connections in a row go in one call.
    fn deliver(&self, state: &State, orders: &mut Vec<Order>) {
        let most = self.records.1 / GIVEN;
        let mut batch: Vec<Given> = Vec::new();
        for order in orders.drain(..) {
            match order {
                Order::Serve(given) => {
                    batch.push(given);
                    if batch.len() == most {
                        self.serve(&mut batch);
                    }
                }
                other => {
                    self.serve(&mut batch);
                    self.order(state, other);
                }
            }
        }
        self.serve(&mut batch);
    }

    /// `onConnections(count, prefixes)`
    fn serve(&self, batch: &mut Vec<Given>) {
        if batch.is_empty() {
            return;
        }
        let env = self.env;
        let prefixes: Vec<u8> = batch
            .iter()
            .flat_map(|given| given.prefix.iter().copied())
            .collect();
        let bytes = if prefixes.is_empty() {
            js::undefined(env)
        } else {
            let fill = |into: &mut [u8]| into.copy_from_slice(&prefixes);
            js::new_typed_array(env, TypedarrayType::uint8_array, prefixes.len(), fill)
                .unwrap_or_else(|| js::undefined(env))
        };
        let count = i32::try_from(batch.len()).unwrap_or(0);
        let records: &mut [i32] = js::view(self.records);
        for (given, record) in batch.drain(..).zip(records.chunks_exact_mut(GIVEN)) {
            record[1] = given.slot.cast_signed();
            record[2] = i32::from(given.listener);
            record[3..9].copy_from_slice(&peer_words(&given.peer));
            record[9] = i32::try_from(given.prefix.len()).unwrap_or(0);
            // From here on it is JavaScript's, which makes a socket of it before anything else.
            record[0] = fd::give(given.fd);
        }
        self.entry
            .call(self.on_connections.value(), &[js::int(env, count), bytes]);
    }

    /// `onOrder(kind, a, b, data, fds)`
    fn order(&self, state: &State, order: Order) {
        match order {
            Order::Accept(listeners) => {
                for (number, fd) in listeners {
                    let number = number.cast_signed();
                    self.tell(1, [number, give(state, fd)], None, None);
                }
            }
            Order::Drain { hand_back, millis } => {
                let millis = i32::try_from(millis).unwrap_or(i32::MAX);
                self.tell(2, [i32::from(hand_back), millis], None, None);
            }
            Order::Message {
                from,
                data,
                fds,
                damage,
            } => {
                let [bytes, numbers] = message_parts(state, &data, fds, damage);
                self.tell(3, [from.cast_signed(), 0], bytes, numbers);
            }
            Order::Lost { count } => self.tell(4, [count.cast_signed(), 0], None, None),
            _ => {}
        }
    }

    fn tell(&self, kind: i32, [a, b]: [i32; 2], data: Option<napi_value>, fds: Option<napi_value>) {
        let env = self.env;
        let arguments = [
            js::int(env, kind),
            js::int(env, a),
            js::int(env, b),
            data.unwrap_or_else(|| js::undefined(env)),
            fds.unwrap_or_else(|| js::undefined(env)),
        ];
        self.entry.call(self.on_order.value(), &arguments);
    }

    /// The manager is gone: nothing more comes.
    fn end(&self, state: &State, error: Option<LinkError>) {
        if let Some(key) = self.key.take()
            && let Ok(events) = event_loop(state)
        {
            events.close(key);
            let error = error.map(|error| Failure::from(error).to_js(self.env));
            self.tell(5, [0, 0], error, None);
        }
    }

    fn wait(&self, state: &State) {
        let (Some(key), Ok(events)) = (self.key.get(), event_loop(state)) else {
            return;
        };
        let worker = self.worker.borrow();
        let interest = Interest {
            read: worker.wants_read(),
            write: worker.wants_write(),
        };
        events.set_interest(key, interest);
    }
}

/// `workerOpen(fd, records, onConnections, onOrder, engine)`: moves the descriptor.
extern "C" fn open(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 5>| {
        let on_thread = call.int(4) == 1;
        call.state.start_loop(on_thread)?;
        let records = js::typed_array(env, call.raw(1), TypedarrayType::int32_array);
        if records.1 < GIVEN {
            return Err(Failure::internal("the array has no room for a connection"));
        }
        let watched = Rc::new(Watched {
            env,
            key: Cell::new(None),
            worker: RefCell::new(Worker::new(take(call.state, call.int(0))?)?),
            records,
            _array: Reference::new(env, call.raw(1))?,
            on_connections: Reference::new(env, call.raw(2))?,
            on_order: Reference::new(env, call.raw(3))?,
            entry: Entry::new(env, on_thread)?,
            orders: RefCell::default(),
        });
        let poll = Rc::new(Poll(Rc::downgrade(&watched)));
        let key = watch(call.state, &*watched.worker.borrow(), poll)?;
        watched.key.set(Some(key));
        watched.wait(call.state);
        Ok(Value::Int(call.state.prefork.workers.add(watched)))
    })
}

/// A word to the manager. A manager that is gone is told by the end of the channel, once.
fn say<const N: usize>(
    env: napi_env,
    info: napi_callback_info,
    body: impl FnOnce(&Call<'_, N>, &mut Worker, Instant) -> Result<(), LinkError>,
) -> napi_value {
    js::enter(env, info, |call: &Call<'_, N>| {
        let watched = call.state.prefork.workers.get(call.int(0))?;
        let said = body(call, &mut watched.worker.borrow_mut(), Instant::now());
        watched.wait(call.state);
        Ok(Value::Bool(said.is_ok()))
    })
}

/// `workerReady(handle)`
extern "C" fn ready(env: napi_env, info: napi_callback_info) -> napi_value {
    say(env, info, |_: &Call<'_, 1>, worker, now| worker.ready(now))
}

/// `workerKeep(handle, listeners)`: lends the descriptors. Whether there is a keeper.
extern "C" fn keep(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 2>| {
        let watched = call.state.prefork.workers.get(call.int(0))?;
        let listeners = fd::borrow_all(call.ints(1))?;
        let kept = watched
            .worker
            .borrow_mut()
            .keep(listeners, Instant::now())
            .is_ok_and(|kept| kept);
        watched.wait(call.state);
        Ok(Value::Bool(kept))
    })
}

/// `workerClosed(handle, slots, count)`
extern "C" fn closed(env: napi_env, info: napi_callback_info) -> napi_value {
    say(env, info, |call: &Call<'_, 3>, worker, now| {
        let slots = call.ints(1).get(..call.count(2)).unwrap_or_default();
        let slots: Vec<u32> = slots.iter().map(|slot| slot.cast_unsigned()).collect();
        worker.closed(&slots, now)
    })
}

/// `workerRelease(handle, slot, to, prefix)`
extern "C" fn release(env: napi_env, info: napi_callback_info) -> napi_value {
    say(env, info, |call: &Call<'_, 4>, worker, now| {
        let (slot, to) = (call.int(1).cast_unsigned(), call.int(2).cast_unsigned());
        worker.release(slot, to, call.bytes(3), now)
    })
}

/// `workerReport(handle, load)`
extern "C" fn report(env: napi_env, info: napi_callback_info) -> napi_value {
    say(env, info, |call: &Call<'_, 2>, worker, now| {
        worker.report(call.number(1), now)
    })
}

/// `workerDrained(handle)`
extern "C" fn drained(env: napi_env, info: napi_callback_info) -> napi_value {
    say(env, info, |_: &Call<'_, 1>, worker, now| {
        worker.drained(now)
    })
}

/// `workerSend(handle, to, data, fds, count)`: lends the descriptors.
extern "C" fn send(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 5>| {
        let watched = call.state.prefork.workers.get(call.int(0))?;
        let numbers = call.ints(3).get(..call.count(4)).unwrap_or_default();
        let fds = fd::borrow_all(numbers)?;
        let to = call.int(1).cast_unsigned();
        watched
            .worker
            .borrow_mut()
            .send(to, call.bytes(2), fds, Instant::now())?;
        watched.wait(call.state);
        Ok(Value::Undefined)
    })
}

/// `workerClose(handle)`: closes the channel to the manager. Idempotent.
extern "C" fn close(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 1>| {
        if let Some(watched) = call.state.prefork.workers.remove(call.int(0))
            && let Some(key) = watched.key.take()
        {
            event_loop(call.state)?.close(key);
        }
        Ok(Value::Undefined)
    })
}
