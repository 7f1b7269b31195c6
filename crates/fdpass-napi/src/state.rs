//! What belongs to one environment.
#![expect(
    unsafe_code,
    reason = "the state is reached through the pointer that Node-API keeps for the environment"
)]

use std::cell::{Cell, OnceCell, RefCell};
use std::ffi::c_void;
use std::os::fd::OwnedFd;
use std::ptr;

use napi::sys::{napi_async_cleanup_hook_handle, napi_env};

use crate::channel::Channels;
use crate::engine::Loop;
use crate::error::Failure;
use crate::js::{self, Entry};
use crate::ledger::Ledger;
use crate::message::Arrays;
use crate::prefork::Prefork;

/// One per environment; lives until the environment's clean-up is through.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) env: napi_env,
    pub(crate) ledger: RefCell<Ledger>,
    /// Descriptors on their way from a receive to JavaScript; its memory is used again.
    pub(crate) arrivals: RefCell<Vec<OwnedFd>>,
    /// The arrays of the usual message, given once.
    pub(crate) arrays: OnceCell<Arrays>,
    /// Made when the first descriptor is watched.
    pub(crate) event_loop: OnceCell<Loop>,
    /// The way into JavaScript for what is not a channel; made with the event loop.
    pub(crate) entry: OnceCell<Entry>,
    pub(crate) channels: Channels,
    pub(crate) prefork: Prefork,
    /// Set while watchers of libuv must be closed before the environment may go.
    async_hook: Cell<napi_async_cleanup_hook_handle>,
}

/// Makes the state of `env` and ties it to the environment's life.
pub(crate) fn install(env: napi_env) -> napi::Result<&'static State> {
    let state = Box::leak(Box::new(State {
        env,
        ledger: RefCell::default(),
        arrivals: RefCell::default(),
        arrays: OnceCell::new(),
        event_loop: OnceCell::new(),
        entry: OnceCell::new(),
        channels: Channels::default(),
        prefork: Prefork::default(),
        async_hook: Cell::new(ptr::null_mut()),
    }));
    let pointer: *mut State = state;
    js::set_instance_data(env, pointer.cast())?;
    js::add_cleanup_hook(env, clean_up, pointer.cast())?;
    Ok(state)
}

/// The state of `env`.
pub(crate) fn of<'call>(env: napi_env) -> napi::Result<&'call State> {
    let pointer = js::instance_data(env)?;
    Ok(at(pointer))
}

/// The state behind the pointer that `install` gave to Node-API.
pub(crate) fn at<'call>(pointer: *mut c_void) -> &'call State {
    debug_assert!(!pointer.is_null(), "install() ran before any callback");
    // SAFETY: `install` made it; `finish` frees it, after which Node-API and the engines call none of our functions.
    unsafe { &*pointer.cast::<State>() }
}

impl State {
    fn pointer(&self) -> *mut c_void {
        ptr::from_ref(self).cast_mut().cast()
    }

    /// The event loop, started if it is not there yet; `on_thread` says which engine.
    ///
    /// With libuv an asynchronous clean-up hook takes the place of the plain one, because watchers close one turn later.
    /// Removing such a hook from inside itself double-frees in Deno, which never gets one.
    pub(crate) fn start_loop(&self, on_thread: bool) -> Result<&Loop, Failure> {
        if let Some(event_loop) = self.event_loop.get() {
            return Ok(event_loop);
        }
        let entry = Entry::new(self.env, on_thread)?;
        self.entry.get_or_init(|| entry);
        let made = Loop::new(self, on_thread)?;
        if !on_thread {
            self.async_hook.set(js::add_async_cleanup_hook(
                self.env,
                clean_up_async,
                self.pointer(),
            )?);
            js::remove_cleanup_hook(self.env, clean_up, self.pointer());
        }
        Ok(self.event_loop.get_or_init(|| made))
    }

    /// The environment has ended and nothing calls back any more: closes what JavaScript still held, frees the state.
    pub(crate) fn finish(&self) {
        let hook = self.async_hook.get();
        // SAFETY: `install` leaked it; this is the last call with it.
        let state = unsafe { Box::from_raw(self.pointer().cast::<Self>()) };
        let mut left = state.ledger.borrow_mut().drain();
        fdpass::descriptor::close_all(&mut left);
        drop(state);
        if !hook.is_null() {
            js::remove_async_cleanup_hook(hook);
        }
    }
}

extern "C" fn clean_up(pointer: *mut c_void) {
    let state = at(pointer);
    if let Some(event_loop) = state.event_loop.get() {
        event_loop.tear_down();
    }
    state.finish();
}

unsafe extern "C" fn clean_up_async(_hook: napi_async_cleanup_hook_handle, pointer: *mut c_void) {
    let state = at(pointer);
    let done = state.event_loop.get().is_none_or(Loop::tear_down);
    if done {
        state.finish();
    }
}
