//! The numbers of `preforkOpen` (`PreforkConfig` in `src/prefork/native-types.ts`).

use std::time::Duration;

use fdpass::prefork::manager::Config;
use fdpass::prefork::policy::Policy;

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of f64 saturates"
)]
pub(super) fn config(numbers: &[f64]) -> Config {
    let at = |index: usize| numbers.get(index).copied().unwrap_or(0.0);
    let count = |index: usize, default: u32| match at(index) {
        asked if asked > 0.0 => asked as u32,
        _ => default,
    };
    let millis =
        |index: usize| Some(Duration::from_millis(at(index) as u64)).filter(|d| !d.is_zero());
    let default = Config::default();
    Config {
        policy: match at(0) as u32 {
            1 => Policy::RoundRobin,
            2 => Policy::LeastLoad,
            3 => Policy::Sticky,
            4 => Policy::Weighted,
            5 => Policy::External,
            _ => Policy::LeastConnections,
        },
        replay: at(1) > 0.0,
        max_in_flight: count(2, default.max_in_flight),
        max_connections: count(3, default.max_connections),
        watchdog: millis(4),
        always_beat: at(5) > 0.0,
        wait_timeout: millis(6).unwrap_or(default.wait_timeout),
        max_waiting: count(7, 1024) as usize,
        peek_bytes: count(8, 0) as usize,
        peek_timeout: millis(9).unwrap_or(default.peek_timeout),
        ask: at(10) > 0.0,
    }
}
