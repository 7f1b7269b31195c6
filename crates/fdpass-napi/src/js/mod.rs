//! Node-API, called raw: what napi-rs does not offer, or offers too slowly (ARCHITECTURE.md, "Cost of a call").

mod array;
mod call;
mod entry;
mod environment;
mod exports;
mod reference;
mod value;

use napi::sys::{self, Status};

use crate::error::Failure;

pub(crate) use array::{Elements, new_typed_array, typed_array, view};
pub(crate) use call::{Call, Value, enter};
pub(crate) use entry::Entry;
pub(crate) use environment::{
    add_async_cleanup_hook, add_cleanup_hook, in_scope, instance_data, remove_async_cleanup_hook,
    remove_cleanup_hook, set_immediate, set_instance_data, uv_loop,
};
pub(crate) use exports::Exports;
pub(crate) use reference::{Reference, new_function};
pub(crate) use value::{error, int, number, set_property, string, throw, undefined};

fn expect_ok(status: sys::napi_status, call: &str) -> napi::Result<()> {
    if status == Status::napi_ok {
        return Ok(());
    }
    Err(napi::Error::from_reason(format!(
        "{call} failed with status {status}"
    )))
}

fn succeed(status: sys::napi_status, call: &str) -> Result<(), Failure> {
    if status == Status::napi_ok {
        return Ok(());
    }
    Err(Failure::internal(format!(
        "{call} failed with status {status}"
    )))
}
