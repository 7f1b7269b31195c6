//! Counts, for `stats()`.

use std::time::Duration;

use napi::sys::{napi_callback_info, napi_env, napi_value};

use super::{number, with};
use crate::js::{Call, Value};

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of connections: 2^53 of them never come"
)]
fn fill(into: &mut [f64], counts: &[u64]) {
    for (place, count) in into.iter_mut().zip(counts) {
        *place = *count as f64;
    }
}

/// `preforkTotals(handle, into)`
pub(super) extern "C" fn totals(env: napi_env, info: napi_callback_info) -> napi_value {
    with(env, info, |call: &Call<'_, 2>, watched| {
        let totals = watched.manager.borrow().totals();
        let counts = [
            totals.accepted,
            totals.refused,
            totals.dropped,
            totals.reassigned,
            totals.replayed,
            totals.closed,
            totals.moved,
            totals.held as u64,
            totals.waiting as u64,
            u64::from(totals.accepting),
        ];
        fill(call.doubles(1), &counts);
        Ok(Value::Undefined)
    })
}

/// `preforkStats(handle, worker, into)`: whether the worker is there. Times in microseconds.
pub(super) extern "C" fn stats(env: napi_env, info: napi_callback_info) -> napi_value {
    with(env, info, |call: &Call<'_, 3>, watched| {
        let Some(stats) = watched.manager.borrow().worker_stats(number(call.int(1))) else {
            return Ok(Value::Bool(false));
        };
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let counts = [
            stats.given,
            u64::from(stats.active),
            u64::from(stats.in_flight),
            u64::from(stats.ready),
            u64::from(stats.available),
            micros(stats.hand_off_sum),
            micros(stats.hand_off_max),
        ];
        let numbers = call.doubles(2);
        fill(numbers, &counts);
        if let Some(place) = numbers.get_mut(counts.len()) {
            *place = stats.load;
        }
        Ok(Value::Bool(true))
    })
}
