//! The keeper of a worker: a small process that shares the worker's table of descriptors, so that what the worker had
//! accepted outlives it.
//!
//! It is a copy of a process with other threads, of which only the calling one is in the copy. A lock that another thread
//! held stays locked there for ever, so nothing here takes one: after [`start`] has split, everything runs on the stack
//! and speaks to the kernel by itself. No allocation, no C library, no thread-local storage, no panic.

mod memory;
mod numbers;

use std::arch::asm;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use self::memory::Maps;
use self::numbers::Numbers;

/// What a keeper is called.
const NAME: [u8; 14] = *b"fdpass-keeper\0";

/// The most ports that a keeper looks for.
pub(crate) const MAX_PORTS: usize = 64;

/// How often a send is tried again when too many descriptors are on their way, a millisecond each.
const PATIENCE: u32 = 1000;

/// `struct linux_dirent64` and the lines of `/proc/self/maps` are read in pieces of this size.
pub(super) const PIECE: usize = 4096;

/// What a keeper is told. It lives on the stack, of which the keeper has a copy.
struct Order {
    /// The worker. Readable when its last thread has ended.
    worker: RawFd,
    /// Where the connections go.
    heir: RawFd,
    ports: [u16; MAX_PORTS],
}

/// Starts the keeper of this process; it ends by itself soon after this process has. Connections at a local port of
/// `ports` go to `heir` then, each with one byte. Returns its pid.
///
/// Two descriptors stay open in this process for the keeper, which knows them by their numbers: `heir`, of which the
/// caller must leave this number open, and one that means this process.
///
/// # Errors
/// ENOSYS: Linux before 5.3, or a sandbox. EAGAIN, ENOMEM: no room for a process. EMFILE: no free descriptor.
pub(crate) fn start(heir: BorrowedFd<'_>, ports: &[u16]) -> io::Result<u32> {
    let mut order = Order {
        worker: -1,
        heir: heir.as_raw_fd(),
        ports: [0; MAX_PORTS],
    };
    for (place, port) in order.ports.iter_mut().zip(ports) {
        *place = *port;
    }
    order.worker = result(call(libc::SYS_pidfd_open, [own_pid(), 0, 0, 0, 0, 0]))?;
    // A handler of this process must not run in the copy: it would speak into pipes that both share.
    let mut signals = u64::MAX;
    set_signals(&mut signals);
    // No exit signal: the parent's `SIGCHLD` is about its own children.
    let flags = libc::CLONE_FILES as usize;
    let split = call(libc::SYS_clone, [flags, 0, 0, 0, 0, 0]);
    if split == 0 {
        keep(&order);
    }
    set_signals(&mut signals);
    let pid = result(split);
    if pid.is_err() {
        super::descriptor::close_raw(order.worker);
    }
    Ok(pid?.unsigned_abs())
}

/// Whether processes whose parent has ended become children of this one (`PR_SET_CHILD_SUBREAPER`, or the first process
/// of a container).
pub(crate) fn adopts_orphans() -> bool {
    std::process::id() == 1 || nix::sys::prctl::get_child_subreaper().unwrap_or(false)
}

/// Takes note of the end of a keeper that became a child of this process. `false`: it has not ended yet.
///
/// The number is what a worker said, who may lie: the end of another child is not for us to take note of.
pub(crate) fn bury(pid: u32) -> bool {
    let name = std::fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    let Ok(pid) = i32::try_from(pid) else {
        return true;
    };
    if name.strip_suffix(b"\n") != NAME.strip_suffix(b"\0") {
        return true;
    }
    let flags = WaitPidFlag::WNOHANG | WaitPidFlag::__WALL;
    !matches!(
        waitpid(Pid::from_raw(pid), Some(flags)),
        Ok(WaitStatus::StillAlive)
    )
}

fn own_pid() -> usize {
    std::process::id() as usize
}

fn result(returned: isize) -> io::Result<RawFd> {
    match RawFd::try_from(returned) {
        Ok(number) if number >= 0 => Ok(number),
        Ok(errno) => Err(io::Error::from_raw_os_error(-errno)),
        Err(_) => Err(io::Error::from_raw_os_error(libc::EINVAL)),
    }
}

/// Exchanges the set of blocked signals (`sigset_t` of the kernel: 64 bits).
fn set_signals(signals: &mut u64) {
    let new = *signals;
    call(
        libc::SYS_rt_sigprocmask,
        [
            libc::SIG_SETMASK.unsigned_abs() as usize,
            (&raw const new).expose_provenance(),
            (&raw mut *signals).expose_provenance(),
            size_of::<u64>(),
            0,
            0,
        ],
    );
}

/// The keeper's whole life.
fn keep(order: &Order) -> ! {
    let name = NAME;
    let set_name = libc::PR_SET_NAME.unsigned_abs() as usize;
    call(
        libc::SYS_prctl,
        [set_name, (&raw const name).expose_provenance(), 0, 0, 0, 0],
    );
    // Both hold every page until one of them writes to it: without this each write of the worker would copy one.
    Maps::give_back();
    if wait_for_end(order.worker) {
        pass_all_on(order);
    }
    loop {
        call(libc::SYS_exit_group, [0; 6]);
    }
}

/// `false`: the descriptor is not what it was, so nothing is known of the worker.
fn wait_for_end(worker: RawFd) -> bool {
    let mut polled = libc::pollfd {
        fd: worker,
        events: libc::POLLIN,
        revents: 0,
    };
    let at = (&raw mut polled).expose_provenance();
    while call(libc::SYS_ppoll, [at, 1, 0, 0, 0, 0]) == -(libc::EINTR as isize) {}
    // With `POLLHUP` when its parent has taken note of the end.
    polled.revents & libc::POLLIN != 0
}

fn pass_all_on(order: &Order) {
    // The number was of use until now; at the descriptor limit another is needed.
    call(libc::SYS_close, [word(order.worker), 0, 0, 0, 0, 0]);
    let Some(mut numbers) = Numbers::of_this_process() else {
        return;
    };
    while let Some(number) = numbers.next() {
        if is_connection(number, &order.ports) && !pass_on(order.heir, number) {
            return;
        }
    }
}

/// Whether `number` is a connection at one of the ports: a listening socket has no peer.
fn is_connection(number: RawFd, ports: &[u16; MAX_PORTS]) -> bool {
    let Some(address) = name(libc::SYS_getsockname, number) else {
        return false;
    };
    let [f0, f1, p0, p1, ..] = address;
    let family = i32::from(u16::from_ne_bytes([f0, f1]));
    let port = u16::from_be_bytes([p0, p1]);
    (family == libc::AF_INET || family == libc::AF_INET6)
        && port != 0
        && ports.contains(&port)
        && name(libc::SYS_getpeername, number).is_some()
}

/// `getsockname(2)` or `getpeername(2)`.
fn name(which: libc::c_long, number: RawFd) -> Option<[u8; 128]> {
    let mut address = [0; 128];
    let mut length: u32 = 128;
    let (at, long) = (
        (&raw mut address).expose_provenance(),
        (&raw mut length).expose_provenance(),
    );
    (call(which, [word(number), at, long, 0, 0, 0]) == 0).then_some(address)
}

/// `struct cmsghdr` with one descriptor, as the kernel reads it.
#[repr(C, align(8))]
struct Rights {
    length: usize,
    level: i32,
    kind: i32,
    number: RawFd,
}

/// `struct user_msghdr`, as the kernel reads it.
#[repr(C)]
struct Message {
    name: usize,
    name_length: usize,
    parts: usize,
    part_count: usize,
    control: usize,
    control_length: usize,
    flags: usize,
}

/// Sends one byte with one descriptor, and waits for room. `false`: nobody is there to take it.
fn pass_on(heir: RawFd, number: RawFd) -> bool {
    let byte = 0u8;
    let part = [(&raw const byte).expose_provenance(), 1];
    let rights = Rights {
        // `CMSG_LEN` of one descriptor.
        length: 20,
        level: libc::SOL_SOCKET,
        kind: libc::SCM_RIGHTS,
        number,
    };
    let message = Message {
        name: 0,
        name_length: 0,
        parts: (&raw const part).expose_provenance(),
        part_count: 1,
        control: (&raw const rights).expose_provenance(),
        control_length: size_of::<Rights>(),
        flags: 0,
    };
    let flags = libc::MSG_NOSIGNAL.unsigned_abs() as usize;
    let at = (&raw const message).expose_provenance();
    for _ in 0..PATIENCE {
        let sent = call(libc::SYS_sendmsg, [word(heir), at, flags, 0, 0, 0]);
        match i32::try_from(-sent) {
            Ok(libc::ETOOMANYREFS | libc::ENOBUFS | libc::ENOMEM | libc::EINTR) => rest(),
            Ok(libc::EBADF | libc::EPIPE | libc::ECONNRESET | libc::ENOTCONN | libc::ENOTSOCK) => {
                return false;
            }
            _ => return true,
        }
    }
    true
}

/// A millisecond.
fn rest() {
    let time: [i64; 2] = [0, 1_000_000];
    call(
        libc::SYS_nanosleep,
        [(&raw const time).expose_provenance(), 0, 0, 0, 0, 0],
    );
}

/// A number as a register holds it.
pub(super) fn word(number: RawFd) -> usize {
    number.unsigned_abs() as usize
}

/// A system call without the C library, whose wrappers may touch what another thread had locked. Returns what the kernel
/// does: a negative number is an errno.
pub(super) fn call(number: libc::c_long, arguments: [usize; 6]) -> isize {
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every caller passes what the call expects: numbers, or addresses of live memory of the size that it reads
    // or writes. The kernel changes the registers named, and memory.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            in("r10") arguments[3],
            in("r8") arguments[4],
            in("r9") arguments[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") arguments[0] => result,
            in("x1") arguments[1],
            in("x2") arguments[2],
            in("x3") arguments[3],
            in("x4") arguments[4],
            in("x5") arguments[5],
            options(nostack),
        );
    }
    result
}
