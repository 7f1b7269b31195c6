//! A manager that accepts connections and workers, in other processes, that serve them.
//!
//! The manager keeps a copy of every connection it gave away until the worker says that it is closed. When a worker
//! dies the kernel tells which of its connections nobody had touched, and another worker gets those.
//!
//! - [`policy`]: who gets the next connection.
//! - [`held`], [`verdict`]: the copies, and what becomes of them when a worker dies.
//! - [`acceptor`], [`admission`]: who comes in.
//! - [`manager`], [`worker`]: the two sides, each over a framed link.
//! - [`wire`]: what manager and workers say to each other, in ordinary channel messages.

pub mod acceptor;
pub mod admission;
pub mod held;
pub mod manager;
mod peer;
pub mod policy;
pub mod verdict;
pub mod wire;
pub mod worker;

pub use peer::Peer;

/// Names one run of one worker. A worker that is started again at the same index has another one.
pub type WorkerId = u32;
