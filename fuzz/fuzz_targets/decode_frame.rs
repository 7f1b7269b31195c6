//! Any bytes at all go into the frame decoder: `cargo +nightly fuzz run decode_frame`.
#![no_main]

include!("../checks/decode_frame.rs");

libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));
