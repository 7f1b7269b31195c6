//! Every limit and default of the library, each with its source, in one place: a header, a manual page, or, where nobody
//! else sets it, why this number was chosen.

use std::time::Duration;

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

/// The longest path of a Unix domain socket in bytes (the closing zero is not counted): [`SUN_PATH_CAPACITY`].
pub const MAX_PATH_BYTES: usize = SUN_PATH_CAPACITY - 1;

/// The longest abstract name in bytes (Linux; the leading zero byte is not counted): [`SUN_PATH_CAPACITY`], `unix(7)`.
pub const MAX_ABSTRACT_BYTES: usize = SUN_PATH_CAPACITY - 1;

/// The queue of connections not yet accepted that `listen` asks for: what Node and nginx ask for. The kernel caps it
/// (`somaxconn`, `listen(2)`).
pub const DEFAULT_BACKLOG: u32 = 511;

/// The largest number of bytes one synchronous receive takes unless it is told another number: what libuv and Python's
/// streams read at a time.
pub const DEFAULT_RECEIVE_BYTES: usize = 64 * 1024;

// Channels (`frame`, `link`). What a peer is told, or what bounds what it can cost.

/// The largest message a link accepts unless it is told another number. Our choice: half of what D-Bus allows, and memory
/// is taken as bytes arrive ([`LINK_ASSEMBLY_STEP`]).
pub const LINK_MAX_MESSAGE_BYTES: u32 = 64 << 20;

/// The most descriptors of one message a link accepts unless it is told another number: 64 full sends. A process that
/// takes more at once raises its `RLIMIT_NOFILE` anyway.
pub const LINK_MAX_MESSAGE_FDS: u32 = 16_384;

/// What goes out while the peer's limits are not known yet: one frame (`docs/protocol.md`).
pub const LINK_UNTOLD_MESSAGE_BYTES: u32 = crate::frame::MAX_FRAME_BYTES;

/// As [`LINK_UNTOLD_MESSAGE_BYTES`], for descriptors.
pub const LINK_UNTOLD_MESSAGE_FDS: u32 = crate::frame::MAX_FRAME_FDS as u32;

/// Queued bytes above which a sender should wait. Our choice: several times what a socket's buffer holds
/// (`net.core.wmem_default`, `socket(7)`), so that the peer is never starved while the sender wakes.
pub const LINK_HIGH_WATER_BYTES: usize = 1 << 20;

/// Queued messages above which a sender should wait. Our choice: the same bound for messages of one KiB.
pub const LINK_HIGH_WATER_MESSAGES: usize = 1_024;

/// Queued descriptors above which a sender should wait. Each is a number of this process: a soft `RLIMIT_NOFILE` is
/// often 1,024 (`getrlimit(2)`).
pub const LINK_HIGH_WATER_FDS: usize = 512;

/// Queued bytes above which a send is refused. Our choice: four of the largest messages.
pub const LINK_QUEUE_BYTES: usize = 256 << 20;

/// Queued messages above which a send is refused. Our choice: a sender that ignores the high-water mark so long has a bug.
pub const LINK_QUEUE_MESSAGES: usize = 65_536;

/// Queued descriptors above which a send is refused: one message of the most descriptors ([`LINK_MAX_MESSAGE_FDS`]).
pub const LINK_QUEUE_FDS: usize = 16_384;

/// Messages whose acknowledgement may be outstanding: as many as may be queued ([`LINK_QUEUE_MESSAGES`]).
pub const LINK_UNACKNOWLEDGED: usize = 65_536;

/// How long half a frame or half a message may be followed by silence. D-Bus gives promised descriptors as long
/// (`pending_fd_timeout`).
pub const LINK_STALL_TIMEOUT: Duration = Duration::from_secs(150);

/// How long a message may wait for its acknowledgement: as long as the peer may be silent ([`LINK_STALL_TIMEOUT`]).
pub const LINK_ACK_TIMEOUT: Duration = Duration::from_secs(150);

/// How long a closing link waits for its queue to leave and for the peer's end. Our choice: shorter than the time that
/// supervisors give a program to end (10 s, `docker stop`).
pub const LINK_CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The first pause of a timed wait whose descriptor said that it was ready and was not.
pub const WAIT_PAUSE: Duration = Duration::from_millis(1);

/// The longest such pause; it doubles up to here.
pub const WAIT_PAUSE_MAX: Duration = Duration::from_millis(10);

/// The first pause after the kernel refused descriptors for now (ETOOMANYREFS, EMSGSIZE).
pub const LINK_PRESSURE_DELAY: Duration = Duration::from_millis(1);

/// The longest such pause; it doubles up to here.
pub const LINK_PRESSURE_DELAY_MAX: Duration = Duration::from_millis(100);

/// The size of the buffer that reads go into, one for all links of an event loop.
pub const LINK_READ_BUFFER_BYTES: usize = 64 << 10;

/// Payloads up to this size are handed over straight from the read buffer; longer ones are assembled.
pub const LINK_WHOLE_PAYLOAD_BYTES: usize = 32 << 10;

/// The memory that is taken for the next piece of a long message: it grows with what arrives, not with what is
/// announced.
pub const LINK_ASSEMBLY_STEP: usize = 64 << 10;

/// Bytes that one wake-up reads at the most.
pub const LINK_BUDGET_BYTES: usize = 1 << 20;

/// Messages that one wake-up delivers at the most.
pub const LINK_BUDGET_MESSAGES: usize = 256;

/// Descriptors that one wake-up delivers at the most: 256 messages of 253 descriptors each would pass any limit of the
/// process before one could be closed.
pub const LINK_BUDGET_FDS: usize = 1_024;

/// One wake-up takes one part in this many of the process's descriptor limit at the most: a loop has two of them in its
/// hands at a time. A single message may have more.
pub const LINK_BUDGET_SHARE: usize = 3;

/// Messages that did not arrive whole and whose acknowledgement cannot be written yet; at this many, reading stops.
pub const LINK_OWED_ACK_ENTRIES: usize = 1_024;

/// Messages above our limits that a peer may send after it was told them: what can have been under way.
pub const LINK_BROKEN_LIMITS: u32 = 1_024;
