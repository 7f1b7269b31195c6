//! Any bytes at all are the control data of a received message: `cargo +nightly fuzz run decode_ancillary`.
#![no_main]

#[path = "../checks/decode_ancillary.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::check(bytes));
