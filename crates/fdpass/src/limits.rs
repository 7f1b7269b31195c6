//! Every limit and default of the library, each with its source, in one place.

/// The largest number of descriptors one `sendmsg` carries.
///
/// Linux: `SCM_MAX_FD` in `include/net/scm.h`; 254 is `EINVAL`. XNU would take 254 (its control data must fit a
/// 2048-byte cluster); the smaller number is used on both systems so that a program does not change with the system.
#[doc(alias = "SCM_MAX_FD")]
pub const MAX_FDS_PER_SEND: usize = 253;

/// The number of descriptors the control buffer of a receive has room for: one more than any Linux peer can send,
/// because XNU accepts 254 in one message and installs them all whether or not they are asked for.
pub const MAX_FDS_PER_RECEIVE: usize = 254;

/// How many bytes a path of a Unix domain socket has room for, the closing zero included: `sun_path` in `unix(7)` (108)
/// and in XNU's `sys/un.h` (104).
#[doc(alias = "sun_path")]
pub const SUN_PATH_CAPACITY: usize = crate::sys::SUN_PATH_CAPACITY;

/// The longest path of a Unix domain socket in bytes (the closing zero is not counted).
pub const MAX_PATH_BYTES: usize = SUN_PATH_CAPACITY - 1;

/// The longest abstract name in bytes (Linux; the leading zero byte is not counted).
pub const MAX_ABSTRACT_BYTES: usize = SUN_PATH_CAPACITY - 1;

/// The queue of connections not yet accepted that `listen` asks for; the kernel caps it (`somaxconn`, `listen(2)`).
pub const DEFAULT_BACKLOG: u32 = 511;

/// The largest number of bytes one synchronous receive takes unless it is told another number.
pub const DEFAULT_RECEIVE_BYTES: usize = 64 * 1024;
