//! The vocabulary of the tests.

mod files;
mod process;
mod raw;
mod snapshot;
mod sockets;

pub(crate) use files::{
    TempSocket, assert_numbered, long_path, numbered_files, same_file, temp_path,
};
#[cfg(target_os = "linux")]
pub(crate) use process::is_root;
pub(crate) use process::{alone, alone_with_peer, limit_descriptors, skip};
pub(crate) use raw::{Raw, control_message, own_all, raw_receive, raw_send};
#[cfg(target_os = "linux")]
pub(crate) use raw::{raw_bind, set_raw_option};
pub(crate) use snapshot::{assert_cloexec, assert_closed, count_fds, guarded, is_open};
#[cfg(target_os = "linux")]
pub(crate) use sockets::Pair;
pub(crate) use sockets::{borrow, pair, receive, receive_partial, send};

/// The same test for each type of socket the system has, each in its own process.
///
/// SEQPACKET is left out where the platform has none (macOS, and the portable profile, which is Linux running its code
/// path): `socket::seqpacket_is_unsupported_where_the_system_has_none` asserts that there.
macro_rules! for_each_type {
    ($(#[$meta:meta])* fn $name:ident($kind:ident) $body:block) => {
        mod $name {
            use super::*;

            $(#[$meta])*
            fn body($kind: fdpass::socket::SocketType) $body

            #[test]
            fn stream() {
                crate::util::alone(|| body(fdpass::socket::SocketType::Stream));
            }

            #[test]
            fn datagram() {
                crate::util::alone(|| body(fdpass::socket::SocketType::Datagram));
            }

            #[cfg(all(target_os = "linux", not(fdpass_portable)))]
            #[test]
            fn seqpacket() {
                crate::util::alone(|| body(fdpass::socket::SocketType::SeqPacket));
            }
        }
    };
}
pub(crate) use for_each_type;
