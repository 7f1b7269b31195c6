//! The functions of a channel that JavaScript calls (`src/native-types.ts`).

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::rc::Rc;
use std::time::Instant;

use fdpass::descriptor;
use fdpass::link::{Link, SendOptions, Sent, SocketTransport};
use fdpass::socket;
use napi::sys::{napi_callback_info, napi_env, napi_value};

use super::batch;
use super::config;
use super::setup::Setup;
use super::{Channel, event_loop};
use crate::error::Failure;
use crate::fd;
use crate::js::{self, Call, Exports, Value};
use crate::message;
use crate::moves::{self, Moved};
use crate::state::State;

const SEND_ACK: i32 = 1;
const SEND_MOVE: i32 = 2;

pub(crate) fn register(exports: &Exports<'_>) -> napi::Result<()> {
    exports.function(c"channelSetup", Some(channel_setup))?;
    exports.function(c"channelOpen", Some(channel_open))?;
    exports.function(c"channelSend", Some(channel_send))?;
    exports.function(c"channelSendHere", Some(channel_send_here))?;
    exports.function(c"channelCloseBatch", Some(channel_close_batch))?;
    exports.function(c"channelAbort", Some(channel_abort))?;
    exports.function(c"channelRead", Some(channel_read))?;
    exports.function(c"channelRef", Some(channel_ref))?;
    exports.function(c"channelClose", Some(channel_close))?;
    exports.function(c"channelDestroy", Some(channel_destroy))?;
    exports.function(c"channelIsUntouched", Some(channel_is_untouched))?;
    exports.function(c"channelSocket", Some(channel_socket))?;
    exports.function(c"channelIsAbove", Some(channel_is_above))?;
    exports.function(c"channelPark", Some(channel_park))?;
    exports.function(c"channelClaim", Some(channel_claim))
}

extern "C" fn channel_setup(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 6>| {
        let on_thread = call.int(0) == 1;
        call.state.start_loop(on_thread)?;
        let arrays = [call.raw(1), call.raw(2), call.raw(3)];
        let setup = Setup::new(env, on_thread, arrays, [call.raw(4), call.raw(5)])?;
        let share = i32::try_from(setup.share()).unwrap_or(i32::MAX);
        *call.state.channels.setup.borrow_mut() = Some(Rc::new(setup));
        Ok(Value::Int(share))
    })
}

fn handle(channel: &Channel) -> Value {
    Value::Int(i32::try_from(channel.handle.get()).unwrap_or(0))
}

extern "C" fn channel_open(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 2>| {
        let channel = open(call.state, call.int(0), config::read(call.doubles(1)))?;
        Ok(handle(&channel))
    })
}

/// Moves `number` into a channel, or leaves it where it is.
fn open(state: &State, number: i32, asked: config::Asked) -> Result<Rc<Channel>, Failure> {
    let borrowed = fd::borrow(number)?;
    if asked.credentials {
        socket::set_pass_credentials(borrowed, true)?;
    }
    // An adopted number may be closed by anyone who knows it, and closing a watched descriptor aborts Node: a copy is
    // watched. The number of a socket that this library made is known to nobody.
    let socket = if asked.ours {
        fd::own(number)
    } else {
        Some(descriptor::duplicate(borrowed)?)
    };
    let socket = socket.ok_or(fdpass::Error::BadDescriptor {
        number: number.into(),
    })?;
    let link = Box::new(Link::new(SocketTransport::new(socket)?, asked.config));
    match state.channels.add(state, link) {
        Ok(channel) => {
            state.ledger.borrow_mut().remove(number);
            if !asked.ours {
                drop(fd::own(number));
            }
            Ok(channel)
        }
        Err((failure, link)) => {
            if asked.ours {
                fd::leave(link.into_transport().into_socket());
            }
            Err(failure)
        }
    }
}

extern "C" fn channel_send(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 5>| {
        let numbers = call.ints(2).get(..call.count(3)).unwrap_or_default();
        send(call.state, call.int(0), call.bytes(1), numbers, call.int(4))
    })
}

extern "C" fn channel_send_here(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 0>| {
        let (handle, payload, numbers, flags) = message::arrays(call.state)?.short_message();
        send(call.state, handle, payload, numbers, flags)
    })
}

fn send(
    state: &State,
    handle: i32,
    payload: &[u8],
    numbers: &[i32],
    flags: i32,
) -> Result<Value, Failure> {
    let channel = state.channels.get(handle)?;
    let options = SendOptions {
        ack: flags & SEND_ACK != 0,
    };
    let now = Instant::now();
    let sent = {
        let mut link = channel.link.borrow_mut();
        let link = link.as_mut().ok_or_else(closed)?;
        if flags & SEND_MOVE == 0 {
            link.try_send(payload, fd::borrow_all(numbers)?, options, now)?
        } else {
            send_owned(state, link, payload, numbers, options, now)?
        }
    };
    if options.ack {
        channel.told.expects.set(sent.id);
    }
    let awaits_answer =
        options.ack || (!numbers.is_empty() && socket::must_hold_until_acknowledged());
    channel.after_send(state, &sent, awaits_answer);
    Ok(Value::Number(signed_id(&sent)))
}

fn closed() -> Failure {
    Failure::from(fdpass::link::LinkError::Closed)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "ids count messages: 2^53 of them are never sent"
)]
fn signed_id(sent: &Sent) -> f64 {
    let id = sent.id as f64;
    if sent.written { id } else { -id }
}

/// Moves the descriptors into the link, or leaves every one with JavaScript.
fn send_owned(
    state: &State,
    link: &mut Link<SocketTransport>,
    payload: &[u8],
    numbers: &[i32],
    options: SendOptions,
    now: Instant,
) -> Result<Sent, Failure> {
    fd::borrow_all(numbers)?;
    let mut fds: Vec<OwnedFd> = state.arrivals.take();
    fds.extend(numbers.iter().filter_map(|number| fd::own(*number)));
    let result = link.try_send_owned(payload, &mut fds, options, now);
    match &result {
        Ok(_) => {
            let mut ledger = state.ledger.borrow_mut();
            for number in numbers {
                ledger.remove(*number);
            }
        }
        // Refused: they are JavaScript's as before.
        Err(_) => fds.drain(..).for_each(fd::leave),
    }
    state.arrivals.replace(fds);
    result.map_err(Failure::from)
}

impl Channel {
    /// Never enters JavaScript: what is to be told is told in a later turn.
    fn after_send(&self, state: &State, sent: &Sent, awaits_answer: bool) {
        if sent.written {
            // A silent peer wakes nobody: the loop must know how long to wait for it.
            if awaits_answer {
                self.wait(state);
            }
            return;
        }
        self.told.queued.set(sent.id);
        // Not cleared here: whoever was told that there is no room waits for the drain of then.
        if self.with_link(|link| link.is_above_high_water()) == Some(true) {
            self.told.above.set(true);
        }
        self.wait(state);
        if self.with_link(|link| !link.wants_write()).unwrap_or(false) {
            self.soon(state);
        }
    }
}

extern "C" fn channel_close_batch(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 0>| {
        batch::close_rest(&*call.state.channels.setup()?, call.state);
        Ok(Value::Undefined)
    })
}

extern "C" fn channel_abort(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 2>| {
        let channel = call.state.channels.get(call.int(0))?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a cast of f64 saturates"
        )]
        let id = call.number(1) as u64;
        let taken_back = channel.with_link(|link| link.abort(id)).unwrap_or(false);
        channel.soon(call.state);
        Ok(Value::Bool(taken_back))
    })
}

extern "C" fn channel_read(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 2>| {
        let channel = call.state.channels.get(call.int(0))?;
        let on = call.bool(1);
        channel.reading.set(on);
        channel.wait(call.state);
        // What is buffered, or an end that was read where nobody could be told of it, the socket does not tell.
        let waits = channel.with_link(|link| link.has_buffered() || !link.wants_read());
        if on && waits == Some(true) {
            channel.soon(call.state);
        }
        Ok(Value::Undefined)
    })
}

extern "C" fn channel_ref(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 2>| {
        let channel = call.state.channels.get(call.int(0))?;
        if let Some(key) = channel.key.get() {
            event_loop(call.state)?.set_referenced(key, call.bool(1));
        }
        Ok(Value::Undefined)
    })
}

extern "C" fn channel_close(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 1>| {
        let channel = call.state.channels.get(call.int(0))?;
        channel.with_link(|link| link.close(Instant::now()));
        channel.wait(call.state);
        channel.soon(call.state);
        Ok(Value::Undefined)
    })
}

extern "C" fn channel_destroy(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 1>| {
        if let Ok(channel) = call.state.channels.get(call.int(0)) {
            channel.destroy(call.state);
        }
        Ok(Value::Undefined)
    })
}

extern "C" fn channel_is_untouched(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 1>| {
        let channel = call.state.channels.get(call.int(0))?;
        let untouched = channel.with_link(|link| link.is_untouched());
        Ok(Value::Bool(untouched == Some(true)))
    })
}

impl Channel {
    /// The link, no longer watched; the handle is dead.
    fn take_out(&self, state: &State) -> Option<Box<Link<SocketTransport>>> {
        self.stop_watching(state);
        state.channels.remove(self);
        self.link.take()
    }
}

extern "C" fn channel_socket(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 1>| {
        let channel = call.state.channels.get(call.int(0))?;
        let number = channel.with_link(|link| link.transport().as_fd().as_raw_fd());
        Ok(Value::Int(number.unwrap_or(-1)))
    })
}

extern "C" fn channel_is_above(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 1>| {
        let channel = call.state.channels.get(call.int(0))?;
        Ok(Value::Bool(
            channel
                .with_link(|link| link.is_above_high_water())
                .unwrap_or(false),
        ))
    })
}

extern "C" fn channel_park(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 2>| {
        let channel = call.state.channels.get(call.int(0))?;
        let link = channel.take_out(call.state).ok_or_else(closed)?;
        let lifetime = moves::lifetime(call.number(1));
        Ok(Value::Number(moves::park(Moved::Channel(link), lifetime)))
    })
}

extern "C" fn channel_claim(env: napi_env, info: napi_callback_info) -> napi_value {
    js::enter(env, info, |call: &Call<'_, 1>| {
        let token = call.number(0);
        let (link, until) = moves::claim_channel(token)?;
        match call.state.channels.add(call.state, link) {
            Ok(channel) => {
                channel.soon(call.state);
                Ok(handle(&channel))
            }
            // The token stays good: nothing was lost.
            Err((failure, link)) => {
                moves::put_back(token, Moved::Channel(link), until);
                Err(failure)
            }
        }
    })
}
