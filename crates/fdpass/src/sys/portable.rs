//! Linux running the code path of macOS, so that it is tested where there is no Mac (`--cfg fdpass_portable`).

use std::os::fd::OwnedFd;

use super::late;
use super::message::Arrived;

pub(crate) use super::late::{accept, close_run, new_socket, new_socket_pair};
pub(crate) use super::linux_kernel::{
    CMSG_LAYOUT, SCM_CREDENTIALS, SCM_PIDFD, SEND_FLAGS, SUN_PATH_CAPACITY, has_seals, inode_name,
    peer_credentials, peer_pidfd, set_pass_credentials, set_pass_pidfd, set_pass_rights,
    set_socket_mode, socket_family,
};

pub(crate) const RECEIVE_FLAGS: i32 = 0;
pub(crate) const HAS_SEQPACKET: bool = false;
/// At the descriptor limit either every descriptor of a message is delivered or none.
pub(crate) const RECEIVES_ALL_OR_NOTHING: bool = true;
pub(crate) const HOLD_SOCKETS_UNTIL_ACKNOWLEDGED: bool = true;

/// Close-on-exec late, and all or nothing at the descriptor limit, as XNU has it.
pub(crate) fn after_receive(fds: &mut Vec<OwnedFd>, before: usize, arrived: &mut Arrived) {
    if arrived.control_truncated {
        fds.truncate(before);
        arrived.refused = 0;
    }
    late::mark_received(fds.get(before..).unwrap_or_default());
}
