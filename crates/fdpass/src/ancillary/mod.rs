//! Control messages: the bytes of `msg_control`, encoded and decoded without a system call.
//!
//! Both directions are pure functions over bytes, so that they can be fed crafted buffers and fuzzed. The decoder never
//! trusts a length it reads (XNU leaves the untruncated one after a truncation), ignores what is not a whole integer and
//! reports negative numbers as refused slots (`SO_RIGHTS_NOTRUNC`), never as descriptors.
//!
//! Reference: `cmsg(3)`, `unix(7)`; XNU `bsd/sys/socket.h`.

mod decode;
mod encode;
mod layout;

pub use decode::{Credentials, Decoder, Item, Numbers};
pub use encode::encode_rights;
pub use layout::{CMSG_APPLE, CMSG_LINUX, CMSG_NATIVE, Layout};

use crate::limits::MAX_FDS_PER_RECEIVE;

/// How many bytes the credentials of one message take at the most (`struct ucred` is 12).
const CREDENTIALS_BYTES: usize = 12;

/// Room for what options add that this library does not turn on, but whoever made the socket may have: a time
/// (`SO_TIMESTAMP`, `SO_TIMESTAMPING`: 32 and 64 bytes with their headers) and a security label (`SO_PASSSEC`). They come
/// before the descriptors and would take their room.
const OTHER_BYTES: usize = 512;

/// The size of a control buffer in which everything that can arrive together fits: descriptors, credentials, a pidfd.
pub const CONTROL_BYTES: usize = CMSG_NATIVE.space(MAX_FDS_PER_RECEIVE * 4)
    + CMSG_NATIVE.space(CREDENTIALS_BYTES)
    + CMSG_NATIVE.space(4)
    + OTHER_BYTES;
