//! The thin binding: see `ARCHITECTURE.md`.
