#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

pub mod address;
pub mod ancillary;
pub mod credentials;
pub mod descriptor;
pub mod error;
pub mod frame;
pub mod inspect;
pub mod limits;
pub mod link;
pub mod message;
pub mod prefork;
pub mod socket;
mod sys;

pub use error::{Error, Result};
