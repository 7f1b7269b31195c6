//! What belongs to one environment.
#![expect(
    unsafe_code,
    reason = "the state is reached through the pointer that Node-API keeps for the environment"
)]

use std::cell::RefCell;
use std::ffi::c_void;
use std::os::fd::OwnedFd;

use napi::sys::napi_env;

use crate::js;
use crate::ledger::Ledger;

/// One per environment; lives until the environment's clean-up hook.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) env: napi_env,
    pub(crate) ledger: RefCell<Ledger>,
    /// Descriptors on their way from a receive to JavaScript; its memory is used again.
    pub(crate) arrivals: RefCell<Vec<OwnedFd>>,
}

/// Makes the state of `env` and ties it to the environment's life.
pub(crate) fn install(env: napi_env) -> napi::Result<&'static State> {
    let state = Box::leak(Box::new(State {
        env,
        ledger: RefCell::default(),
        arrivals: RefCell::default(),
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
    // SAFETY: `install` made it; it is freed in the clean-up hook, after which Node-API calls none of our functions.
    unsafe { &*pointer.cast::<State>() }
}

extern "C" fn clean_up(pointer: *mut c_void) {
    // SAFETY: the hook runs once, on the thread of the environment, with the pointer that `install` leaked.
    let state = unsafe { Box::from_raw(pointer.cast::<State>()) };
    let mut left = state.ledger.borrow_mut().drain();
    fdpass::descriptor::close_all(&mut left);
}
