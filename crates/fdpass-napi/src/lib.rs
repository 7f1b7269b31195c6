//! The thin binding: converts, registers readiness with the event loop, decides nothing about sockets.
//!
//! `js` calls Node-API raw and `uv` calls libuv raw; `fd` is the only place where a number becomes a descriptor. State is
//! per environment (`state`); process-wide are two objects only, the poller of the thread engine and the table of thread
//! moves.

mod channel;
mod cold;
mod engine;
mod error;
mod fd;
mod hot;
mod js;
mod ledger;
mod message;
mod moves;
mod prefork;
mod state;
mod watch;

use napi::Env;
use napi::bindgen_prelude::Object;
use napi_derive::napi;

/// Runs once in every environment (the main thread and each worker).
///
/// # Errors
/// None but a Node-API that refuses to work.
#[napi(module_exports)]
pub fn initialize(exports: Object, env: Env) -> napi::Result<()> {
    let state = state::install(env.raw())?;
    let exports = js::Exports::new(env.raw(), napi::JsValue::raw(&exports), state);
    hot::register(&exports)?;
    message::register(&exports)?;
    channel::register(&exports)?;
    watch::register(&exports)?;
    prefork::register(&exports)?;
    #[cfg(fdpass_portable)]
    cold::mishap::register(&exports)?;
    Ok(())
}
