//! The wire format: byte for byte, by properties, and by the corpus of its fuzz target.
#![expect(clippy::unwrap_used, reason = "a helper of tests fails like a test")]

mod corpus;
mod hex;
mod property;
